"""The four stages in order, from no starting point.

Where A has many rows and the scores are exact, x comes out of stage 3 far more accurate than the
magnitudes, whose errors average out, and stage 4 costs little: stage 1 is left early then and taken
up again only where stage 4 does not get to the scores.

A component's scale κ is positive: a solution of stage 3 with κ < 0 has its signs flipped. With
noise, stages 1 to 3 only start stage 4: scores are moved into (0, 1) and to the right sum, stage 1
stops when the noise explains the rest, and rows whose score is below three noise levels take no
part in stages 2 and 3.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from levinv._tolerances import FEW_ROUNDINGS
from levinv._typing import Floats
from levinv.forward.basis import EPS
from levinv.inverse.stages.infeasible import find_infeasible_set
from levinv.inverse.stages.laplacian import log_weight_deviation
from levinv.inverse.stages.magnitudes import Magnitudes, find_magnitudes
from levinv.inverse.stages.recover import identify
from levinv.inverse.stages.refine import Polished, many_rows, polish
from levinv.inverse.stages.robust_signs import may_be_spoiled
from levinv.inverse.stages.signs import sign_candidates
from levinv.inverse.stages.target import shift_to_sum
from levinv.inverse.task import Task, augmented
from levinv.inverse.verdict.acceptance import beyond_doubt, matched, settled_on, signs_agree
from levinv.inverse.verdict.report import SIGN_TOLERANCE

UNUSED = 3.0                       # noise levels below which a score's row takes no part
MOST_PROPAGATED = 1000             # rows up to which the error of every score is propagated to
                                   # every magnitude
ROUGH = 0.1, 0.01                  # errors of stage 1 that stage 4 makes good in a matrix of many
                                   # rows, tried in turn; signs known;
FAIR = (1e-8,)                     # unknown, they are searched for with these magnitudes
MOST_EVALUATIONS = 10_000          # of the scores in the search for signs: slacks over many orders
                                   # leave thousands of sign vectors that fit alike
FEW_RESTARTS = 3                   # of the sign search when no x can have the scores


def run_stages(task: Task) -> None:
    reduced = task.reduced
    if not reduced.count:
        x = reduced.offset
        attempt(task, x)
        return
    many = task.exact and many_rows(len(task.b), reduced.start.shape[1])
    known = task.known_signs
    log_weight: Floats | None = None
    for accuracy in (*(FAIR if known is None else ROUGH), 0.0) if many else (0.0,):
        target, enough = interior_target(task)
        before, scaling = log_weight, run_scaling(task, target, enough, log_weight, accuracy)
        log_weight, last = scaling.log_weight, accuracy == 0 or scaling.error > accuracy
        if scaling.infeasible is not None and task.exact:
            task.proofs.append(str(scaling.infeasible))
        if last and task.evidence["scaling"]["iterations"] == task.maxiter:
            task.remarks.append(f"stage 1 stopped at maxiter = {task.maxiter} iterations")
        if known is not None:
            x = from_signs(task, scaling, known, _accuracy(task, scaling, target))
            del target, scaling, before             # n-vectors that stage 4 has no use for
            attempt(task, x, brief=many and not last)
        elif before is None or 0.5 * np.abs(log_weight - before).max() > SIGN_TOLERANCE:
            _from_magnitudes(task, scaling, target)
        if last or matched(task):
            break
    if many and known is None and task.best is not None and not matched(task):
        attempt(task, task.best.point.x)
    if (task.exact and log_weight is not None
            and not (task.obstacles or task.proofs or matched(task))):
        tight = find_infeasible_set(task.rows, reduced.start, interior_target(task)[0],
                                    reduced.active, reduced.label, log_weight,
                                    2 * FEW_ROUNDINGS * reduced.rank)
        if tight is not None:
            task.proofs.append(str(tight))


def run_scaling(task: Task, target: Floats, enough: Callable[[Floats], bool] | None,
                log_weight: Floats | None, accuracy: float) -> Magnitudes:
    """Stage 1, or its continuation; the evidence counts both."""
    reduced = task.reduced
    spent = task.evidence.setdefault("scaling", {"iterations": 0, "products": 0})
    scaling = find_magnitudes(
        task.rows, reduced.start, target, reduced.active, reduced.label, own_columns=reduced.plain,
        log_weight=log_weight, accuracy=accuracy, enough=enough,
        maxiter=(100 if task.maxiter is None else task.maxiter) - spent["iterations"],
        on_step=lambda iteration, error: task.progress("scaling", error))
    task.nfev += scaling.evaluations
    if may_be_spoiled(len(task.b), reduced.start.shape[1] + 1):
        task.scaling = scaling
    task.evidence["scaling"] = {"iterations": spent["iterations"] + scaling.iterations,
                                "products": spent["products"] + scaling.products,
                                "error": scaling.error}
    return scaling


def _from_magnitudes(task: Task, scaling: Magnitudes, target: Floats) -> None:
    """Stages 2 to 4, signs unknown."""
    accuracy = _accuracy(task, scaling, target)
    if task.x0 is not None:
        slack = task.rows.matvec(task.x0) - task.b
        attempt(task, from_signs(task, scaling, np.where(slack < 0, -1.0, 1.0), accuracy))
        if beyond_doubt(task):
            return
    _search_signs(task, scaling, accuracy)


def _search_signs(task: Task, scaling: Magnitudes, accuracy: Floats | None) -> None:
    """Take sign candidates component by component until the scores are matched."""
    reduced, magnitude = task.reduced, scaling.magnitude
    searches = []
    task.starts = [[] for _ in range(reduced.count)]
    for c in range(reduced.count):
        member = reduced.members(c)
        searches.append(sign_candidates(
            augmented(task, c), magnitude[member], task.rng,
            accuracy=None if accuracy is None else accuracy[member],
            tolerance=SIGN_TOLERANCE,
            restarts=FEW_RESTARTS if task.obstacles or task.proofs else task.restarts,
            on_restart=lambda start, misfit: task.progress("signs", misfit),
            outcomes=task.starts[c]))
    signs = np.ones(len(magnitude))
    evidence = task.evidence["signs"] = [{"misfit": np.inf, "restarts": 0} for _ in searches]
    unsettled = list(range(reduced.count))
    most = task.nfev + max(MOST_EVALUATIONS, 100 * task.restarts)
    while unsettled:
        moved = False
        for c in unsettled:
            candidate = next(searches[c], None)
            if candidate is not None:
                moved = True
                signs[reduced.members(c)] = candidate.signs
                evidence[c]["misfit"] = min(candidate.misfit, evidence[c]["misfit"])
                evidence[c]["restarts"] = max(candidate.restarts, evidence[c]["restarts"])
                if not task.starts[c]:           # enumerated: all that fit, and the closest
                    evidence[c]["fitting"] = evidence[c].get("fitting", 0) + candidate.fits
        if not moved:
            return
        if task.nfev > most:
            task.remarks.append("not all signs that fit were tried")
            return
        attempt(task, from_signs(task, scaling, signs, accuracy))
        unsettled = [c for c in unsettled if not settled_on(task, c)]


def from_signs(task: Task, scaling: Magnitudes, signs: Floats, accuracy: Floats | None) -> Floats:
    """Stage 3, x from one vector of signs."""
    reduced = task.reduced
    found = identify(reduced, task.response, scaling, signs, task.range.inside, accuracy)
    negative = [c for c in range(reduced.count) if found.scale[c] < 0]
    if negative and task.known_signs is None:
        signs = np.where(np.isin(reduced.label, negative), -signs, signs)
        found = identify(reduced, task.response, scaling, signs, task.range.inside, accuracy)
    elif negative:
        task.evidence["negative_scale"] = negative
    task.evidence["identification"] = {"scale": found.scale, "misfit": found.misfit}
    if task.known_signs is None and not task.exact:
        for _ in range(5):                        # x read back: signs of uncertain rows settle
            settled = np.where(task.rows.matvec(found.x) - task.b < 0, -1.0, 1.0)
            if np.array_equal(settled[reduced.active], signs[reduced.active]):
                break
            signs = settled
            found = identify(reduced, task.response, scaling, signs, task.range.inside, accuracy)
    return found.x


def _accuracy(task: Task, scaling: Magnitudes, target: Floats) -> Floats | None:
    """Relative standard deviation of each magnitude, inf in rows that are not to be used; None
    without noise.
    """
    reduced, noise = task.reduced, task.noise
    if noise is None:
        return None
    c = np.clip(task.scores, 1e-12, 1.0 - 1e-12)
    accuracy = np.where(task.scores < UNUSED * noise, np.inf,
                        np.minimum(0.5 * noise / (c * (1.0 - c)), 1.0))
    if np.count_nonzero(reduced.active) <= MOST_PROPAGATED:
        spread = 0.5 * log_weight_deviation(scaling.projection, reduced.active, reduced.label,
                                            noise)
        accuracy = np.where(np.isfinite(accuracy), np.minimum(np.maximum(accuracy, spread), 1.0),
                            np.inf)
    if np.isfinite(accuracy[reduced.active]).sum() <= 2 * reduced.start.shape[1] + 2:
        accuracy = np.where(reduced.active, np.minimum(0.5 * noise / target, 1.0), np.inf)
    return accuracy


def interior_target(task: Task) -> tuple[Floats, Callable[[Floats], bool] | None]:
    """Scores inside (0, 1) that sum to the rank on each component, and when they are matched well
    enough.
    """
    reduced, noise = task.reduced, task.noise
    active = reduced.active
    if noise is None:
        target = np.where(task.scores > 0, np.minimum(task.scores, 1.0 - EPS), 1e-12)
    else:
        margin = np.minimum(0.5 * noise, 0.25)
        target = np.clip(task.scores, margin, 1.0 - margin)
    for c in range(reduced.count):
        member = reduced.members(c)
        target[member] = shift_to_sum(target[member], reduced.bases[c].shape[1])
    if noise is None:
        return target, None
    weight = np.where(active, 1.0 / noise, 0.0)
    return target, lambda residual: bool(np.linalg.norm(residual * weight)
                                         <= np.sqrt(active.sum()))


def on_equations(task: Task, x: Floats) -> Floats:
    """x moved to where the rows of zero slack have it: stage 4 leaves their slack as it is."""
    zero = task.reduced.zero_slack
    if not len(zero):
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        while True:                            # again: a start from afar leaves rounding
            slack = (task.rows.matvec(x) - task.b)[zero]
            moved = x - task.reduced.lifts @ slack
            after = (task.rows.matvec(moved) - task.b)[zero]
            if not np.isfinite(moved).all():
                return task.reduced.offset
            if not np.abs(after).max() <= 0.5 * np.abs(slack).max():
                return x
            if not after.any():
                return moved
            x = moved


def attempt(task: Task, x: Floats, brief: bool = False) -> None:
    """Polish from x and keep the result if it is the best; ``brief``: unless it takes long."""
    found = refine(task, x, task.weight(), brief)
    if found is None:
        return
    if _better(task, found):
        task.best = found
    if brief and found.stuck and matched(task):      # within tol, but not all that x can be
        attempt(task, found.point.x)


def refine(task: Task, x: Floats, weight: Floats, brief: bool = False,
           most: int = 50) -> Polished | None:
    """Stage 4 from x, or None."""
    limit = most if task.maxiter is None else task.maxiter
    freedom = int(np.count_nonzero(task.range.inside))

    def report(iteration: int, x: Floats, error: float) -> None:
        task.latest = x
        task.progress("polish", error, x)

    found = polish(task.reduced, task.b, x, task.scores, weight, freedom, maxiter=limit,
                   brief=brief, report=report)
    if found is not None:
        task.nfev += found.evaluations
    return found


def _better(task: Task, found: Polished) -> bool:
    if task.best is None:
        return True
    agreed = [signs_agree(task, p) for p in (found, task.best)]
    return (agreed[0] > agreed[1]
            or (agreed[0] == agreed[1] and found.point.size < task.best.point.size))
