"""Score inversion without a starting point: the four stages in order.

    reduction      what needs no iteration (loops, coloops, zero slacks, components)
    1 scaling      scores -> |slack| up to scale, a convex problem
    2 signs        real phase retrieval, unless they are known
    3 identification   x and its null space, least squares in closed form
    4 polish       maximum likelihood on the scores themselves

``task`` holds what is given and found, ``stages`` runs them, ``matching`` says whether a point has
the scores, ``wrong_scores`` looks for rows that are given wrong ones, ``report`` for the result.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from levinv._tolerances import ENUMERATED
from levinv._typing import Floats
from levinv.inverse.result import InversionResult, Stopped
from levinv.inverse.schedule import attempt, on_equations, refine, run_stages
from levinv.inverse.stages.refine import Polished
from levinv.inverse.stages.signs import enumerate_signs
from levinv.inverse.task import Task, augmented, prepare
from levinv.inverse.verdict.acceptance import beyond_doubt, evidence_of_fit, matched, told
from levinv.inverse.verdict.outlier_refit import leave_out_outliers, outlier_threshold
from levinv.inverse.verdict.report import SIGN_TOLERANCE, changed_by_rounding, hidden_slacks, report
from levinv.inverse.verdict.sign_flips import look_across

UNEXPLAINED = 10.0                 # whitened residual of exact scores that is more than arithmetic,
EXPLAINED = 0.01                   # and part of it that is left where its cause is found


def solve(task: Task) -> InversionResult:
    """Run the stages, look for outliers and report."""
    stopped = False
    try:
        prepare(task)
        if task.x0 is not None:
            attempt(task, on_equations(task, task.x0))
        if not beyond_doubt(task):
            run_stages(task)
        if task.best is not None:
            task = _without_zero_slacks(task, task.best)
        if task.best is not None and task.known_signs is None and matched(task):
            task.evidence["signs_determined"] &= not look_across(task, task.best)
    except Stopped:
        stopped = True
        if task.best is None and task.latest is not None:
            task.maxiter, task.progress.callback = 0, None
            attempt(task, task.latest)
    if task.best is not None and not stopped:
        leave_out_outliers(task, task.best)
    return _report(task, stopped)


def _without_zero_slacks(task: Task, best: Polished) -> Task:
    """The task as it is, or with small slacks where zero ones do not fit the other scores."""
    reduced = task.reduced
    if not len(reduced.zero_slack) or task.rms(best.point) <= UNEXPLAINED:
        return task
    freed = replace(task, zero_slacks=False, best=None, obstacles=[], starts=[], scaling=None,
                    evidence=dict(task.evidence))
    prepare(freed)
    weight = freed.weight()
    weight[reduced.zero_slack] = weight[reduced.spanned] = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        start = best.point.x + reduced.lifts @ hidden_slacks(task, best.point)
    found = refine(freed, start, weight) if np.isfinite(start).all() else None
    if found is not None:
        attempt(freed, found.point.x)
    task.nfev = freed.nfev
    if (freed.best is not None
            and freed.rms(freed.best.point) < EXPLAINED * task.rms(best.point)
            and matched(freed) >= matched(task)):
        return freed
    return task


def report_at(task: Task, x: Floats, stopped: bool, fun: float,
              converged: bool) -> InversionResult:
    """The result at a point that another method found; ``converged``: a success by its own rule."""
    task.maxiter = 0
    attempt(task, x)
    result = _report(task, stopped, converged)
    result.fun = fun
    return result


def _report(task: Task, stopped: bool, converged: bool = False) -> InversionResult:
    success = matched(task) and not (task.outliers is not None and len(task.outliers.rows))
    changed = None
    if task.best is not None:
        task.evidence["fit"] = evidence_of_fit(task, task.best)
        if not task.exact:
            task.evidence["outlier_threshold"] = outlier_threshold(task)
        changed = changed_by_rounding(task, task.best.point)
        known = told(task, task.best.point, changed)
        success = success and known
        if not known:
            task.remarks.append("at the x found A x - b cancels: it has scores that are not known "
                                f"to {'100 tol' if task.exact else 'the noise'}")
    if success and task.best is not None and task.known_signs is None:
        _note_ambiguity(task, np.abs(task.best.point.slack))
    with np.errstate(over="ignore"):                   # standard errors may be inf
        return report(task, success, stopped, converged, changed)


def _note_ambiguity(task: Task, magnitude: Floats) -> None:
    """Few rows: count the sign vectors that fit, for x that is none of "almost every x"."""
    for c in range(task.reduced.count):
        member = task.reduced.members(c)
        if task.exact and not task.range.inside[c] and len(member) <= ENUMERATED:
            found = enumerate_signs(augmented(task, c), magnitude[member], SIGN_TOLERANCE)
            if sum(s.misfit <= SIGN_TOLERANCE for s in found) > 1:
                task.evidence["signs_determined"] = False
                task.evidence["signs_determined_on"][c] = False
