"""The search for x: stages 1 to 4, without a starting point.

For exact scores of a long matrix, stage 3 averages the errors of the magnitudes, and stage 4 costs
little. So stage 1 is interrupted early, and resumed only if stage 4 does not reach the scores. With
unknown signs it is interrupted later, because the sign search needs good magnitudes.

The scale κ of a component is positive. If signs are unknown and stage 3 finds κ < 0, it flips the
signs of the component. For noisy scores stages 1 to 3 only find a starting point for stage 4.
"""
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from levinv._tolerances import (
    EARLY_ACCURACIES,
    FEW_ROUNDINGS,
    MAX_EVALUATIONS,
    SIGN_TOLERANCE,
)
from levinv._typing import Floats
from levinv.forward.basis import orthonormal_basis
from levinv.inverse.result import Progress, Stopped
from levinv.inverse.stages.infeasible import find_infeasible_set
from levinv.inverse.stages.levels import level_candidates, level_equations
from levinv.inverse.stages.magnitudes import interior_target, magnitude_deviation, run_magnitudes
from levinv.inverse.stages.presolve import Augmented
from levinv.inverse.stages.recover import recover_signed
from levinv.inverse.stages.refine import is_long, refine
from levinv.inverse.stages.signs import may_be_spoiled, sign_candidates
from levinv.inverse.values import (
    Found,
    Magnitudes,
    MagnitudeWork,
    Presolved,
    Refined,
    SignCandidate,
    SignSearch,
)
from levinv.inverse.verdict import acceptance


def better(presolved: Presolved, found: Refined | None, best: Refined | None) -> Refined | None:
    """The fit that agrees with the known signs, then the one of smaller residual."""
    def rank(fit: Refined) -> tuple[bool, float]:
        return not acceptance.signs_agree(presolved, fit), fit.point.norm

    if found is None or best is None:
        return best if found is None else found
    return found if rank(found) < rank(best) else best


def attempt(presolved: Presolved, x: Floats, best: Refined | None, progress: Progress,
            brief: bool = False) -> Refined | None:
    """Refine x, and return the better of the result and ``best``."""
    found = refine(presolved, x, progress, brief=brief)
    best = better(presolved, found, best)
    if brief and found is not None and found.stuck and acceptance.is_solution(presolved, best):
        assert best is not None                # it matches to tol; further steps may reach rounding
        return attempt(presolved, best.point.x, best, progress)
    return best


def start_from(presolved: Presolved, x0: Floats, progress: Progress) -> Found:
    """Stage 4 from a guess of x."""
    try:
        return Found(attempt(presolved, on_equations(presolved, x0), None, progress))
    except Stopped:
        return Found(stopped=True)


def on_equations(presolved: Presolved, x: Floats) -> Floats:
    """Move x so that the zero-slack rows have zero slack, which stage 4 does not change."""
    problem, zero = presolved.problem, presolved.reduced.zero_slack
    if not len(zero):
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        while True:                            # after a long step, rounding errors are left
            slack = problem.slack(x)[zero]
            moved = x - presolved.reduced.lifts @ slack
            after = problem.slack(moved)[zero]
            if not np.isfinite(moved).all():
                return presolved.reduced.offset
            if not np.abs(after).max() <= 0.5 * np.abs(slack).max():
                return x
            if not after.any():
                return moved
            x = moved


def search(presolved: Presolved, found: Found, progress: Progress) -> Found:
    """Stages 1 to 4; ``found`` is the outcome of stage 4 from the guess ``x0``, if any."""
    try:
        for latest in _interruptions(presolved, found, progress):
            found = latest
            if found.stopped or acceptance.is_solution(presolved, found.best):
                break
    except Stopped:
        return replace(found, stopped=True)
    return found if found.stopped else _with_proof(presolved, found)


def _interruptions(presolved: Presolved, found: Found, progress: Progress) -> Iterator[Found]:
    """Yield what is found at each interruption of stage 1 and at its end."""
    problem, reduced = presolved.problem, presolved.reduced
    if not reduced.count:
        yield replace(found, best=attempt(presolved, reduced.offset, found.best, progress))
        return
    long = problem.exact and is_long(len(problem.b), reduced.start.shape[1])
    known = problem.known_signs
    early = long and problem.model.is_power
    for accuracy in (*EARLY_ACCURACIES[known is not None], 0.0) if early else (0.0,):
        before, (target, enough) = found.log_weight, interior_target(presolved)
        magnitudes, work = run_magnitudes(presolved, target, progress, enough=enough,
                                          log_weight=before, accuracy=accuracy,
                                          before=found.magnitude_work)
        deviation = magnitude_deviation(presolved, magnitudes, target)
        last = accuracy == 0 or magnitudes.error > accuracy
        found = _recorded(presolved, found, magnitudes, work, progress, last)
        if not problem.model.is_power:
            found = _try_levels(presolved, found, magnitudes, deviation, progress)
        elif known is not None:
            recovered = recover_signed(presolved, magnitudes, known, deviation)
            del magnitudes, target, enough, before         # free vectors of length n
            best = attempt(presolved, recovered.x, found.best, progress, brief=long and not last)
            found = replace(found, recovered=recovered, best=best)
        elif (before is None
              or 0.5 * np.abs(magnitudes.log_weight - before).max() > SIGN_TOLERANCE):
            found = _search_signs(presolved, found, magnitudes, deviation, progress)
        best = found.best
        if (long and last and known is None and best is not None and not found.stopped
            and not acceptance.is_solution(presolved, best)):
            found = replace(found, best=attempt(presolved, best.point.x, best, progress))
        yield found
        if last:
            return


def _recorded(presolved: Presolved, found: Found, magnitudes: Magnitudes, work: MagnitudeWork,
              progress: Progress, last: bool) -> Found:
    """Add the outcome of stage 1 to ``found``."""
    proofs, remarks = found.proofs, found.remarks
    if magnitudes.infeasible is not None and presolved.problem.exact:
        proofs = (*proofs, str(magnitudes.infeasible))
    if last and work.iterations == progress.maxiter:
        remarks = (*remarks, f"stage 1 stopped at maxiter = {progress.maxiter} iterations")
    n, k = len(presolved.problem.b), presolved.reduced.start.shape[1]
    robust = presolved.problem.model.is_power and may_be_spoiled(n, k + 1)
    return replace(found, magnitudes=magnitudes if robust else None,
                   log_weight=magnitudes.log_weight, magnitude_work=work, proofs=proofs,
                   remarks=remarks)


def _with_proof(presolved: Presolved, found: Found) -> Found:
    """Look for a set of rows that proves that exact scores have no solution."""
    problem, reduced = presolved.problem, presolved.reduced
    if (not problem.exact or found.log_weight is None or presolved.contradictions or found.proofs
            or acceptance.is_solution(presolved, found.best)):
        return found
    margin = 2 * FEW_ROUNDINGS * reduced.rank
    if not problem.model.is_inverse_square:    # weights so far apart that a score of 1 is rounding
        margin = -margin
    tight = find_infeasible_set(problem.rows, reduced.start, interior_target(presolved)[0],
                                reduced.active, reduced.label, found.log_weight, margin)
    return found if tight is None else replace(found, proofs=(str(tight),))


def _search_signs(presolved: Presolved, found: Found, magnitudes: Magnitudes,
                  deviation: Floats | None, progress: Progress) -> Found:
    """Stages 2 to 4 with unknown signs; the signs at the guess ``x0`` are tried first."""
    problem = presolved.problem
    if problem.x0 is not None:
        signs = np.where(problem.slack(problem.x0) < 0, -1.0, 1.0)
        recovered = recover_signed(presolved, magnitudes, signs, deviation)
        best = attempt(presolved, recovered.x, found.best, progress)
        found = replace(found, recovered=recovered, best=best)
        if acceptance.is_solution_to_rounding(presolved, best):
            return found
    return _try_candidates(presolved, found, magnitudes, deviation, progress)


def _try_candidates(presolved: Presolved, found: Found, magnitudes: Magnitudes,
                    deviation: Floats | None, progress: Progress) -> Found:
    """Try one sign candidate at a time for each component, until the scores match there."""
    reduced = presolved.reduced
    hopeless = presolved.contradictions or found.proofs
    starts: list[list[SignCandidate]] = [[] for _ in range(reduced.count)]
    candidates = [sign_candidates(
        Augmented(reduced, presolved.range, c), magnitudes.magnitude[reduced.members(c)],
        progress.rng, accuracy=None if deviation is None else deviation[reduced.members(c)],
        tolerance=SIGN_TOLERANCE, outcomes=starts[c],
        restarts=1 if hopeless else progress.restarts,
        on_restart=lambda start, misfit: progress("signs", misfit)) for c in range(reduced.count)]
    signs = np.ones(len(presolved.problem.b))
    searches = [SignSearch() for _ in candidates]
    unsettled = list(range(reduced.count))
    best, recovered, stopped = found.best, found.recovered, False
    try:
        while unsettled:
            exhausted = True
            for c in unsettled:
                candidate = next(candidates[c], None)
                if candidate is not None:
                    exhausted = False
                    signs[reduced.members(c)] = candidate.signs
                    searches[c] = _counted(searches[c], candidate)
            if exhausted:
                break
            recovered = recover_signed(presolved, magnitudes, signs, deviation)
            best = attempt(presolved, recovered.x, best, progress)
            unsettled = [c for c in unsettled
                         if not acceptance.component_is_settled(presolved, best, c)]
    except Stopped:
        stopped = True
    records = tuple(replace(search, starts=tuple(tried))
                    for search, tried in zip(searches, starts, strict=True))
    return replace(found, best=best, recovered=recovered, signs=records, stopped=stopped)


def _try_levels(presolved: Presolved, found: Found, magnitudes: Magnitudes,
                deviation: Floats | None, progress: Progress) -> Found:
    """Stages 2 and 3 for weightings that are not powers: solutions of the level equations, one
    component after another. Exact scores need one that matches. With noise several may, on other
    sides of the mode: the one of least residual is kept.
    """
    problem, reduced = presolved.problem, presolved.reduced
    restarts = 1 if presolved.contradictions or found.proofs else progress.restarts
    x, best, remarks, stopped = reduced.offset, found.best, found.remarks, False
    rivals: list[Floats] = []
    equations = [level_equations(presolved, magnitudes.log_weight, deviation, c, progress.rng)
                 for c in range(reduced.count)]
    searches = [SignSearch() for _ in equations]
    most = progress.nfev + MAX_EVALUATIONS
    candidates = [level_candidates(part, progress.rng, restarts,
                                   lambda start, misfit: progress("signs", misfit))
                  for part in equations]
    first = [next(several, None) for several in candidates]
    parts = [np.zeros(len(x)) if one is None else reduced.bases[c] @ one.y
             for c, one in enumerate(first)]
    try:
        for c, one in enumerate(first):
            for candidate in itertools.chain([one], candidates[c]):
                if candidate is None or progress.nfev > most:
                    break
                searches[c] = SignSearch(min(candidate.misfit, searches[c].misfit),
                                         candidate.starts)
                others = sum(parts[:c] + parts[c + 1:])
                trial = reduced.bases[c] @ candidate.y
                fitted = refine(presolved, x + others + trial, progress)
                best = better(presolved, fitted, best)
                if fitted is not None and fitted is best:
                    parts[c] = trial
                if not problem.exact:
                    if fitted is not None and acceptance.is_solution(presolved, fitted):
                        rivals.append(fitted.point.x)
                elif acceptance.component_is_settled(presolved, best, c):
                    break
    except Stopped:
        stopped = True
    if progress.nfev > most:
        remarks = (*remarks, "not all levels that fit were tried")
    return replace(found, best=best, remarks=remarks, stopped=stopped, levels=tuple(searches),
                   rivals=tuple(rivals))


def _counted(search: SignSearch, candidate: SignCandidate) -> SignSearch:
    return SignSearch(min(candidate.misfit, search.misfit),
                      max(candidate.restarts, search.restarts), candidate.fitting)


def try_sign_flips(presolved: Presolved, best: Refined,
                   progress: Progress) -> tuple[Refined, bool, bool]:
    """Look for a solution with the other sign in a row whose score hides it: the better solution,
    whether there is another one, and whether the callback stopped.

    Stage 4 starts where the slack of the row is its negative and other slacks or scores change
    least (:func:`_of_heavy_rows`, :func:`_of_small_slacks`), and may find an x nearby whose scores
    match as well.
    """
    point, ambiguous = best.point, False
    moves = dict(_of_small_slacks(presolved, best))
    if presolved.problem.model.has_pole:
        moves |= dict(_of_heavy_rows(presolved, best))
    try:
        for row, direction in moves.items():
            with np.errstate(all="ignore"):
                rate = presolved.problem.rows.block(np.array([row])) @ direction
                dx = -2.0 * point.slack[row] / rate * direction
            if not np.isfinite(dx).all():
                continue
            other = refine(presolved, point.x + dx, progress)
            if (other is None or other.point.slack[row] * point.slack[row] >= 0
                    or not acceptance.is_solution(presolved, other)):
                continue
            ambiguous = True
            if other.point.norm < best.point.norm:
                best = other
    except Stopped:
        return best, ambiguous, True
    return best, ambiguous, False


def _of_heavy_rows(presolved: Presolved, best: Refined) -> Iterator[tuple[int, Floats]]:
    """Rows of score nearly 1, for weights with a pole, and directions of x.

    Slack i changes its sign, with the least relative change of the other slacks, along T u_i, in
    coordinates in which the scaled rows U are orthonormal. For weights 1/s² that is
    dx = -2 T u_i / σ_i, and the other slacks change by -2 P_il / σ_i, together by
    2 sqrt((1 - σ_i) / σ_i). This is little if σ_i is nearly 1.
    """
    point = best.point
    projection = point.projection
    for row, basis, defect in zip(projection.heavy, projection.heavy_basis,
                                  np.diag(projection.heavy_defect), strict=True):
        if (defect <= SIGN_TOLERANCE and presolved.reduced.active[row]
                and point.slack[row] != 0):
            yield int(row), projection.steps @ basis


def _of_small_slacks(presolved: Presolved, best: Refined) -> Iterator[tuple[int, Floats]]:
    """Rows of small slack, and directions of x.

    Stage 2 knows signs to SIGN_TOLERANCE: not those of slacks that are smaller than this beside the
    others, in rows of unit norm. With weights that are zero there, or hardly grow, their scores do
    not show it. Such a slack changes its sign with the least relative change of the others along
    T Tᵀ a_i, in coordinates in which these others, scaled, are orthonormal. With noise all x in
    reach are known by then.
    """
    reduced, slack, rows = presolved.reduced, best.point.slack, presolved.problem.rows
    size = np.where(reduced.active, reduced.unit * np.abs(slack), 0.0)
    small = np.flatnonzero((size > 0) & (size <= SIGN_TOLERANCE * np.linalg.norm(size)))
    for row in small.tolist() if presolved.problem.exact else ():
        others = size > 0
        others[row] = False
        scale = np.zeros(len(size))
        scale[others] = reduced.unit[others] * (size[others].min(initial=np.inf) / size[others])
        transform = orthonormal_basis(rows, scale, reduced.start).transform
        yield row, transform @ (rows.block(np.array([row])) @ transform)[0]
