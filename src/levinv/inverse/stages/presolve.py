"""What A, b and the scores decide before the first iteration.

Components of A's rows are separated by entries of A A_basis⁻¹ below a threshold. The scores may
contradict this: if those of a component do not sum to its rank, smaller entries connect it to
others. So the problem is reduced with the usual threshold and, if the scores contradict the result,
with a threshold at rounding. If they contradict both, but not the threshold 0, rounding decides,
and the contradiction proves nothing (``doubtful``).

The signs of the slack are determined on a component, up to a common one, if [A_C b_C] is connected
(:mod:`levinv.inverse.stages.signs`). If b lies in range(A) on a component, the scale of x is free
there (:mod:`levinv.inverse.stages.recover`).
"""
import math
from dataclasses import replace

import numpy as np

from levinv._tolerances import (
    ALLOWED_ROUNDINGS,
    COPY_ENTRIES,
    EPS,
    FEW_ROUNDINGS,
    ROUNDED_PATTERN,
    SAMPLE_SEED,
    ZERO_ENTRY,
)
from levinv._typing import Booleans, Floats, Integers, RowIndex
from levinv.errors import NoSolutionError
from levinv.inverse.stages.reduction import components, reduce
from levinv.inverse.values import ComponentDecision, Presolved, Problem, Range, Reduced
from levinv.weighting.peaked import Peaked
from levinv.weighting.protocol import Exponential


class Augmented:
    """[A T_C, b_C] on component c, never formed. The residual of b_C on range(A_C) replaces it, or
    nothing if it lies in this range: same range, same matroid.
    """

    def __init__(self, reduced: Reduced, in_range: Range, c: int) -> None:
        self._rows, self._basis = reduced.rows, reduced.bases[c]
        self._member = reduced.members(c)
        self._column = None
        if not in_range.inside[c]:
            assert in_range.residual is not None            # kept if signs are unknown
            self._column = in_range.residual[self._member] / in_range.norm[c]
        self.shape = len(self._member), self._basis.shape[1] + (not in_range.inside[c])

    def block(self, index: RowIndex) -> Floats:
        """Some of the rows (slice or indices within the component), as an array."""
        part = self._rows.block(self._member[index]) @ self._basis
        return part if self._column is None else np.column_stack([part, self._column[index]])

    def matvec(self, v: Floats) -> Floats:
        """The matrix times v."""
        k = self._basis.shape[1]
        image = self._rows.matvec(self._basis @ v[:k])[self._member]
        return image if self._column is None else image + self._column * v[k]


def coordinates(reduced: Reduced, image: Floats, c: int) -> Floats:
    """y with A T_C y closest to ``image`` on component c, in two passes."""
    rows, basis = reduced.rows, reduced.bases[c]
    y = np.zeros(basis.shape[1])
    for _ in range(2):
        rest = np.where(reduced.label == c, image - rows.matvec(basis @ y), 0.0)
        y = y + basis.T @ rows.rmatvec(reduced.unit ** 2 * rest)
    return y


def presolve(problem: Problem, scores_of_one_are_zero_slacks: bool = True) -> Presolved:
    """Reduce the problem and check the scores that are the same for every x."""
    one = (problem.scores >= 1.0 - EPS if problem.exact and scores_of_one_are_zero_slacks
           and problem.model.has_pole else None)
    # the largest error allowed in a score that is the same for every x
    allowed = np.broadcast_to(problem.tol if problem.noise is None else 6.0 * problem.noise,
                              problem.scores.shape)
    slack, contradictions, doubtful = _coloop_slack(problem), [], False
    try:
        reduced, doubtful = _consistent_reduction(problem, one, slack, allowed)
    except NoSolutionError as reason:
        contradictions.append(str(reason))
        reduced = reduce(problem.rows, None, problem.b, slack)
    reduced = replace(reduced, model=problem.model)
    if not problem.exact:
        reduced = replace(reduced, bases=_bases_by_score(reduced, problem.scores))
    response = (problem.b - problem.rows.matvec(reduced.offset) if reduced.offset.any()
                else problem.b)
    in_range = response_in_range(reduced, problem.b, response)
    determined, decision = _signs_determined(reduced, in_range)
    mode = problem.model.mode
    about_mode = (response_in_range(reduced, problem.b + mode, response + mode) if mode
                  else in_range)
    mirrored = tuple(bool(inside) and problem.model.weighting.even
                     for inside in about_mode.inside)
    if not problem.model.is_power:
        determined = determined_levels(problem, reduced, determined)
        in_range = free_levels(problem, reduced)
    if problem.known_signs is not None:        # only the sign search uses the residual
        in_range = replace(in_range, residual=None)
    faults, misgiven = _faults(problem, reduced, allowed)
    contradictions += faults
    if problem.exact:
        zero = np.flatnonzero(reduced.active & (problem.scores == 0))
        # other weights may be zero, or below every double
        if len(zero) and problem.model.is_inverse_square:
            contradictions.append(f"no finite slack gives row {zero[0]} the score 0")
    return Presolved(problem, reduced, response, in_range, tuple(contradictions), doubtful,
                     misgiven, determined, decision, mirrored)


def _bases_by_score(reduced: Reduced, scores: Floats) -> list[Floats]:
    """T_C Q, Q orthogonal, so that the rows of A T_C Q of largest score are zero but for the first
    entry, the first two and so on.

    Beside a slack of almost zero the Gram matrix of the scaled rows is then large in the first
    entries only, and Cholesky's method loses no digits of the other rows' scores.
    """
    bases = []
    for c, basis in enumerate(reduced.bases):
        member = reduced.members(c)
        first = np.sort(member[np.argsort(-scores[member], kind="stable")[:basis.shape[1]]])
        rows = (reduced.rows.block(first) @ basis)[np.argsort(-scores[first], kind="stable")]
        rotation, _ = np.linalg.qr(rows.T)
        bases.append(np.ascontiguousarray(basis @ rotation))
    return bases


def response_in_range(reduced: Reduced, b: Floats, response: Floats) -> Range:
    """Decide for each component whether ``response``, b - A offset, lies in range(A).

    b counts as in the range if a change of A and b by rounding puts it there: A and b alone decide.
    Components are decided one by one, so that the rounding on one does not count as a residual on
    another.
    """
    rows = reduced.rows
    # ε times this bounds the rounding errors of b and of the response
    uncertain = np.abs(b)
    if reduced.offset.any():
        uncertain += rows.abs_matvec(np.abs(reduced.offset))
    residual = np.zeros(len(b))
    ratio, norm = np.zeros(reduced.count), np.zeros(reduced.count)
    for c in range(reduced.count):
        member = reduced.members(c)
        part = rows.part(member) if reduced.count > 1 or len(member) < len(b) else rows
        basis = reduced.bases[c]
        unit = reduced.unit[member]
        left = response[member]
        coefficients = basis.T @ part.rmatvec(unit ** 2 * left)
        solution = basis @ coefficients
        fitted = np.linalg.norm(coefficients)
        left = left - part.matvec(solution)
        norm[c] = np.linalg.norm(unit * left)
        # at unit norm of the rows: |A| |solution| <= |solution| in each, and |basis| = √k
        bound = EPS * (np.linalg.norm(unit * uncertain[member]) + fitted * np.sqrt(basis.shape[1])
                       + np.sqrt(len(member)) * np.hypot.reduce(solution))
        # a residual far above the bound, and without cancellation, is accurate after one pass
        if norm[c] > max(ALLOWED_ROUNDINGS ** 2 * bound, fitted / ALLOWED_ROUNDINGS):
            ratio[c] = norm[c] / bound
        else:
            # a second pass removes the rounding errors of the first
            solution = solution + basis @ (basis.T @ part.rmatvec(unit ** 2 * left))
            left = response[member] - part.matvec(solution)
            rounding = EPS * (uncertain[member] + part.abs_matvec(np.abs(solution))
                              + fitted * np.sqrt(part.quad(None, basis)))
            bound = np.linalg.norm(unit * rounding)
            norm[c] = np.linalg.norm(unit * left)
            ratio[c] = norm[c] / bound if bound > 0 else 0.0
        residual[member] = left
    return Range(ratio <= ALLOWED_ROUNDINGS, ratio, residual, norm)


def free_levels(problem: Problem, reduced: Reduced) -> Range:
    """Whether the level of a component is free, for weightings that are not powers.

    It is if, for almost every x, some v has D A v = 1 on the component, D = diag(τ'): then x can
    move along v. For an exponential weighting D is constant; for others random numbers stand for
    it, equal ones in equal rows. Too few different rows are the reason there.
    """
    if isinstance(problem.model.weighting, Exponential):
        slope = np.ones(len(problem.b))
    else:
        pattern, orientation = _patterns(problem)
        slope = np.random.default_rng(SAMPLE_SEED).uniform(1.0, 2.0, len(problem.b))[pattern]
        slope *= orientation
    found = response_in_range(reduced, 1.0 / slope, 1.0 / slope)
    return replace(found, residual=None, image=1.0 / slope)


def determined_levels(problem: Problem, reduced: Reduced,
                      connected: tuple[bool, ...]) -> tuple[bool, ...]:
    """Whether the sides of the mode and the level are determined on each component, for almost
    every x and but for mirror images.

    The level is for an exponential weighting, where the equations are linear. For others n
    different rows give n equations for the unknowns x and level; a further one excludes other sides
    and other levels.
    """
    if isinstance(problem.model.weighting, Exponential):
        return tuple(True for _ in connected)
    peaked, different = (isinstance(problem.model.weighting, Peaked),
                         different_rows(problem, reduced))
    return tuple((joined or not peaked) and len(rows) >= basis.shape[1] + 2
                 and not (peaked and _has_independent_row(problem, rows, basis))
                 for joined, rows, basis in zip(connected, different, reduced.bases, strict=True))


def _has_independent_row(problem: Problem, rows: Integers, basis: Floats) -> bool:
    """Whether a row of [D A, 1] is independent of the others, D random: it can change its side.

    True also for matrices too large for a dense copy, which are not looked at.
    """
    if len(rows) * basis.shape[1] > COPY_ENTRIES:
        return True
    slope = np.random.default_rng(SAMPLE_SEED).uniform(1.0, 2.0, len(rows))
    matrix = np.column_stack([slope[:, None] * (problem.rows.block(rows) @ basis),
                              np.ones(len(rows))])
    u, values, _ = np.linalg.svd(matrix / np.linalg.norm(matrix, axis=1)[:, None],
                                 full_matrices=False)
    u = u[:, values > ALLOWED_ROUNDINGS * EPS * values[0]]
    return bool(np.einsum("ij,ij->i", u, u).max() > 1.0 - ZERO_ENTRY)


def different_rows(problem: Problem, reduced: Reduced) -> list[Integers]:
    """One row of each pattern, for each component."""
    pattern, _ = _patterns(problem)
    members = [reduced.members(c) for c in range(reduced.count)]
    return [member[np.unique(pattern[member], return_index=True)[1]] for member in members]


def _patterns(problem: Problem) -> tuple[Integers, Floats]:
    """A number for each row, equal in rows whose weights are equal for every x, and the sign of its
    predictor relative to the others, (n,) each.

    Equal rows of [A b] have equal predictors. For weights symmetric about the mode, so have rows of
    [A b + mode] that are equal up to the sign. Random combinations of columns tell rows apart.
    """
    model, n = problem.model, len(problem.b)
    directions = np.random.default_rng(SAMPLE_SEED).standard_normal((problem.rows.shape[1], 2))
    key = np.column_stack([problem.rows.matvec(directions), problem.b + model.mode])
    key /= np.where(np.abs(key).max(axis=0) > 0, np.abs(key).max(axis=0), 1.0)
    key = np.round(key / ROUNDED_PATTERN) * ROUNDED_PATTERN
    orientation = np.ones(n)
    if model.weighting.even:
        orientation = np.where(key[:, 0] < 0, -1.0, 1.0)
    _, pattern = np.unique(key * orientation[:, None] + 0.0, axis=0, return_inverse=True)
    return pattern.ravel(), orientation


def _coloop_slack(problem: Problem) -> Floats:
    """Slack to give to coloops, (n,): their scores do not depend on it."""
    if problem.known_signs is not None or problem.x0 is None or not problem.model.is_power:
        return problem.model.ordinary(problem.known_signs, len(problem.b))
    # a slack of 1/√ε times b would cost the other rows half of their digits
    largest = (np.abs(problem.b).max() or 1.0) / math.sqrt(EPS)
    with np.errstate(over="ignore", invalid="ignore"):
        slack = problem.slack(problem.x0)
    return np.nan_to_num(np.clip(slack, -largest, largest), nan=1.0)


def _consistent_reduction(problem: Problem, one: Booleans | None, coloop_slack: Floats,
                          allowed: Floats) -> tuple[Reduced, bool]:
    """The reduction with the largest threshold that exact scores do not contradict (the usual one
    if they contradict both), and whether a contradiction may be due to rounding alone.
    """
    def at(*zero_entry: float) -> tuple[Reduced, bool]:
        reduced = reduce(problem.rows, one, problem.b, coloop_slack, *zero_entry)
        return reduced, bool(problem.exact and _faults(problem, reduced, allowed)[0])

    reduced, contradicted = at()
    if contradicted and reduced.component_decision.dropped > FEW_ROUNDINGS:
        finer, still = at(FEW_ROUNDINGS)
        if not still:
            reduced, contradicted = finer, False
    doubtful = contradicted and reduced.component_decision.dropped > 0.0 and not at(0.0)[1]
    return reduced, doubtful


def _faults(problem: Problem, reduced: Reduced, allowed: Floats) -> tuple[list[str], Integers]:
    """Sentences on scores that contradict the reduction, and the rows whose score is wrong."""
    faults, misgiven = fixed_score_faults(reduced, problem.scores, allowed)
    if problem.exact:     # sums of noisy scores are left to the chi-squared test
        faults += [fault + " (give noise if they are rounded)"
                   for fault in sum_faults(reduced, problem.scores, problem.tol)]
    return faults, misgiven


def fixed_score_faults(reduced: Reduced, scores: Floats,
                       allowed: Floats) -> tuple[list[str], Integers]:
    """Scores, the same for every x, not within ``allowed``: in sentences, and their rows."""
    faults, rows = [], []
    for index, value, what in (
            (reduced.loops, 0.0, "zero rows of A have score 0"),
            (reduced.spanned, 0.0, "rows spanned by rows of zero slack have score 0"),
            (reduced.coloops, 1.0, "rows independent of all others have score 1")):
        off = index[np.abs(scores[index] - value) > allowed[index]]
        if len(off):
            faults.append(f"{what}, but row {off[0]} is given {scores[off[0]]:.10g}")
            rows.append(off)
    return faults, np.concatenate(rows) if rows else np.zeros(0, dtype=int)


def sum_faults(reduced: Reduced, scores: Floats, tol: float) -> list[str]:
    """Sentences on components whose scores do not sum to the rank, within ``tol`` per row."""
    faults = []
    for c in range(reduced.count):
        member = reduced.members(c)
        rank, total = reduced.bases[c].shape[1], float(scores[member].sum())
        allowed = tol * len(member) + 64 * EPS * rank
        if abs(total - rank) > allowed:
            where = "" if reduced.count == 1 else f" over the component of row {member[0]}"
            centred = abs(total - (rank - 1)) <= allowed
            faults.append(f"scores must sum to the rank {rank}{where}, got {total:.10g}"
                          + ", as if the share of an intercept were subtracted" * centred)
    return faults


def _signs_determined(reduced: Reduced,
                      in_range: Range) -> tuple[tuple[bool, ...], ComponentDecision]:
    """Whether each [A_C b_C] is connected, and the decision on their components."""
    determined, decided = [], [ComponentDecision()]
    for c in range(reduced.count):
        connected = True
        if not in_range.inside[c]:
            matrix = Augmented(reduced, in_range, c)
            no_loops = np.zeros(matrix.shape[0], dtype=bool)
            try:
                found = components(matrix.block, *matrix.shape, no_loops)
                decided.append(found.decision)
                connected = found.count == 1
            except np.linalg.LinAlgError:           # b is close to range(A): undecided
                connected = False
        determined.append(connected)
    return tuple(determined), ComponentDecision(
        min(d.kept for d in decided), max(d.dropped for d in decided),
        basis_pivot=min(d.basis_pivot for d in decided))
