"""Score inversion without a starting point: the whole algorithm.

    presolve    loops, coloops, zero slacks and components, without iteration
    1           scores -> |slack| up to scale, a convex problem
    2           signs of the slack, real phase retrieval, unless they are known
    3           x and its null space, least squares in closed form
    4           refinement: maximum likelihood on the scores themselves
    verdict     other signs, outliers, uniqueness

Stages are functions of frozen values (:mod:`levinv.inverse.values`). This driver and ``search``
decide which one runs next.
"""
import math
from dataclasses import replace

import numpy as np

from levinv._tolerances import COPY_ENTRIES, ROUNDING_FACTOR, SAMPLE_SEED, SIGNIFICANT
from levinv._typing import Floats
from levinv.inverse.compiled_stages import (
    KernelSolution,
    at_once,
    records_of,
    solve_compiled,
)
from levinv.inverse.noisy import (
    all_minima,
    best_of,
    different_minima,
    enumerated_minima,
    rivals,
    with_known_signs,
    with_parts_of,
)
from levinv.inverse.result import InversionResult, Progress, Stopped
from levinv.inverse.search import attempt, search, start_from, try_sign_flips
from levinv.inverse.stages.intervals import centre
from levinv.inverse.stages.presolve import presolve
from levinv.inverse.stages.refine import refine
from levinv.inverse.values import BranchSearch, Found, Presolved, Problem, Refined
from levinv.inverse.verdict.acceptance import (
    has_known_signs,
    hidden_slacks,
    is_solution,
    is_solution_to_rounding,
)
from levinv.inverse.verdict.alternatives import agreeing, alternatives, mirror_images
from levinv.inverse.verdict.outliers import leave_out_outliers
from levinv.inverse.verdict.report import report
from levinv.inverse.verdict.sides import other_sides, reaches_infinity
from levinv.storage.dense import DenseRows


def solve(problem: Problem, progress: Progress) -> InversionResult:
    """Find x, look for other solutions and for outliers, and report.

    Where the kernel decides, the stages only add the evidence, when it is first read.
    """
    solution = solve_compiled(problem, progress)
    if (solution is None or problem.coefficient_signs is not None
            or not (solution.unique or solution.mirrored)):
        return _by_stages(problem, solution, progress)
    # the caller may change the arrays before that
    kept = replace(problem, rows=DenseRows(np.array(problem.rows.small)), b=problem.b.copy(),
                   scores=problem.scores.copy())
    return at_once(problem, solution, lambda: _evidence(kept, solution, progress.restarts))


def _evidence(problem: Problem, solution: KernelSolution, restarts: int) -> InversionResult:
    """The result of the stages at the kernel's x, as it is or, if they refuse it, refined."""
    for maxiter in (0, None):
        result = _by_stages(problem, solution, Progress(
            None, np.random.default_rng(SAMPLE_SEED), maxiter, restarts))
        if result.success:
            break
    return result


def _by_stages(problem: Problem, solution: KernelSolution | None,
               progress: Progress) -> InversionResult:
    """The same with all evidence; from the kernel's ``solution``, if there is one."""
    presolved = presolve(problem)
    found = _started(presolved, solution, progress)
    outliers, other_signs, others = None, False, None
    if not found.stopped and not problem.exact and problem.known_signs is None:
        found = _search_noisy(presolved, found, progress)
    elif not found.stopped and not is_solution_to_rounding(presolved, found.best):
        found = search(presolved, replace(found, alone=False), progress)
        if not found.stopped and not problem.exact and is_solution(presolved, found.best):
            found = replace(found, best=_in_known_cell(presolved, found.best, progress))
    if not found.stopped:
        presolved, found = _zero_slacks_freed(presolved, found, progress)
    best = found.best
    if (not found.stopped and best is not None and problem.known_signs is None
        and problem.model.is_power
        and is_solution(presolved, best)):
        flipped, other_signs, stopped = try_sign_flips(presolved, best, progress)
        left = () if flipped is best or problem.exact else (best.point.x,)
        found = replace(found, best=flipped, stopped=stopped, rivals=(*found.rivals, *left))
    if found.best is not None and found.rivals:
        found = replace(found, rivals=different_minima(
            presolved, found.best, found.rivals, mirror_images(presolved, found.best)))
    if found.stopped and found.best is None and progress.latest is not None:
        found = replace(found, best=refine(presolved, progress.latest,
                                           Progress(None, progress.rng), maxiter=0))
    centred = False
    if not found.stopped and problem.rounded:
        found, centred = _centred(presolved, found, progress)
    if not found.stopped and found.best is not None and not centred:
        outliers = leave_out_outliers(presolved, found.best, found, progress)
        if outliers is not None and (len(outliers.rows)
                                     or not is_solution(presolved, found.best)):
            found = replace(found, best=outliers.fit)
    best = found.best
    if not found.stopped and best is not None and is_solution(presolved, best):
        others = other_sides(presolved, best, progress, found.alone)
        if not others.stopped:
            others = alternatives(presolved, best, found.rivals, progress, others)
        if problem.coefficient_signs is not None and not others.stopped:
            best, agreed = agreeing(presolved, best, others.x, progress)
            others = replace(others, x=agreed)
        found = replace(found, best=best, stopped=others.stopped)
        others = replace(others, endless=others.endless or (
            not found.stopped and reaches_infinity(presolved, best, progress)))
    return report(presolved, found, progress, outliers=outliers, other_signs=other_signs,
                  others=others)


def _started(presolved: Presolved, solution: KernelSolution | None, progress: Progress) -> Found:
    """Stage 4 from x0 or, without one, from the x of the compiled kernel, if it has found one."""
    if presolved.problem.x0 is not None:
        return start_from(presolved, presolved.problem.x0, progress)
    if solution is None or presolved.reduced.count != 1:
        return Found()
    progress.nit += solution.iterations
    return replace(records_of(presolved, solution),
                   best=start_from(presolved, solution.x, progress).best)


def _search_noisy(presolved: Presolved, found: Found, progress: Progress) -> Found:
    """All cells where they are few; stages 1 to 3 where they are not, or where no x of these cells
    has the scores; then the other x that noise allows.
    """
    try:
        minima = enumerated_minima(presolved, progress)
        start = best_of(presolved, minima)
        if start is not None:
            found = replace(found, best=_refined(presolved, start, found.best, progress))
        if not is_solution(presolved, found.best):
            found = search(presolved, found, progress)
        best = found.best
        if found.stopped or best is None:
            return found
        certain = (presolved.problem.rounded and not is_solution(presolved, best)
                   and _centre(presolved, best, progress) is not None)
        x, minima = all_minima(presolved, best, minima, progress, certain)
        if np.any(x != best.point.x):
            best = _refined(presolved, x, best, progress) or best
        records = tuple(BranchSearch(one.starts, one.enumerated, len(one.y))
                        for one in minima.values())
        others = (rivals(presolved, best, minima, certain)
                  if certain or is_solution(presolved, best) else ())
        return replace(found, best=best, branches=records, rivals=(*found.rivals, *others))
    except Stopped:
        return replace(found, stopped=True)


def _in_known_cell(presolved: Presolved, best: Refined | None,
                   progress: Progress) -> Refined | None:
    """The fit with the known signs in every row; the fit itself if it has them or if no x with
    these signs is found.
    """
    if best is None or has_known_signs(presolved, best):
        return best
    x = with_known_signs(presolved, best)
    moved = None if x is None else refine(presolved, x, progress, maxiter=0)
    return best if moved is None else moved


def _centred(presolved: Presolved, found: Found, progress: Progress) -> tuple[Found, bool]:
    """The centre of the intervals of rounded scores at the best x; at the first rival with scores
    in the intervals if there is none at the best x; the best x itself if there is none at all. And
    whether there is one.

    Where least squares fails the chi-squared test, rounding errors are not independent. Only the
    intervals decide then, and rivals that have no scores in them are dropped.
    """
    best = found.best
    if best is None:
        return found, False
    points, certain = [best.point.x, *found.rivals], not is_solution(presolved, best)
    try:
        for i, x in enumerate(points):
            moved = _centre(presolved, best if not i else x, progress)
            if moved is None:
                continue
            others = [y for j, y in enumerate(points) if (j > i if certain else j != i)
                      and not (certain and _centre(presolved, y, progress) is None)]
            return replace(found, best=moved, rivals=tuple(
                with_parts_of(presolved, other, x, moved.point.x) for other in others)), True
    except Stopped:
        return replace(found, stopped=True), False
    return found, False


def _centre(presolved: Presolved, start: Refined | Floats, progress: Progress) -> Refined | None:
    """The centre of the intervals near a fit or an x, if there is one with the known signs."""
    rows = presolved.problem.rows
    if not (rows.in_memory or math.prod(rows.shape) <= COPY_ENTRIES):
        return None
    fit = start if isinstance(start, Refined) else refine(presolved, start, progress, maxiter=0)
    moved = None if fit is None else centre(presolved, fit, progress)
    inside = (moved is not None and is_solution(presolved, moved)
              and has_known_signs(presolved, moved))
    return moved if inside else None


def _refined(presolved: Presolved, x: Floats, best: Refined | None,
             progress: Progress) -> Refined | None:
    """Stage 4 from x; x itself if only it is a solution.

    χ² may fall, invisibly, while a slack tends to zero: its sign and its size are not known there.
    """
    refined = attempt(presolved, x, best, progress)
    if not is_solution(presolved, refined):
        unchanged = refine(presolved, x, progress, maxiter=0)
        if is_solution(presolved, unchanged):
            return unchanged
    return refined


def _zero_slacks_freed(presolved: Presolved, found: Found,
                       progress: Progress) -> tuple[Presolved, Found]:
    """Solve again with zero slacks free if they contradict other scores: the better fit."""
    problem, reduced, best = presolved.problem, presolved.reduced, found.best
    if (best is None or not len(reduced.zero_slack)
            or presolved.rms(best.point) <= SIGNIFICANT):
        return presolved, found
    freed = presolve(problem, scores_of_one_are_zero_slacks=False)
    with np.errstate(over="ignore", invalid="ignore"):
        start = best.point.x + reduced.lifts @ hidden_slacks(presolved, best.point)
    try:
        if not np.isfinite(start).all():
            return presolved, found
        others = np.zeros(len(problem.b), dtype=bool)      # refine first without the freed rows
        others[reduced.zero_slack] = others[reduced.spanned] = True
        first = refine(freed, start, progress, left_out=others)
        again = None if first is None else attempt(freed, first.point.x, None, progress)
    except Stopped:
        return presolved, replace(found, stopped=True)
    if (again is not None and freed.rms(again.point) < presolved.rms(best.point) / ROUNDING_FACTOR
            and is_solution(freed, again) >= is_solution(presolved, best)):
        signs = found.signs and tuple(replace(s, starts=()) for s in found.signs)
        return freed, replace(found, best=again, magnitudes=None, signs=signs)
    return presolved, found
