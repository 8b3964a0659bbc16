"""The frozen values that the stages of an inversion pass on.

``Problem`` is the input, ``Presolved`` what the presolve makes of it. A ``Point`` is an x with its
slack and scores, a ``Linearisation`` the whitened Jacobian at a point, and ``Refined`` the result
of stage 4. ``Found`` is what an inversion has found so far, with the records of its stages;
:mod:`levinv.inverse.verdict.report` turns these into the evidence of the result. No function
changes a value once it is made.
"""
from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from levinv._scalars import listed
from levinv._tolerances import ALLOWED_ROUNDINGS, EPS, UNIT_ROUNDOFF, ZERO_ENTRY
from levinv._typing import Booleans, Floats, Integers, Labels
from levinv.forward.basis import column_space
from levinv.forward.projection import Projection, project
from levinv.forward.quotient import DependentZeroSlackError
from levinv.storage.blocked import Rows
from levinv.weighting.model import INVERSE_SQUARE_MODEL, Model


@dataclass(frozen=True, eq=False)
class Problem:
    """The checked input of one inversion.

    Exact scores of the weights 1/s² have the relative error of one rounding to double. Those of
    other models, hat values as other packages compute them, are squared lengths of rows of an
    orthonormal matrix that has this error: theirs is √score times one rounding. Noisy scores have
    independent normal errors with known standard deviations, or errors of rounding to decimals.
    """

    rows: Rows                     # of A, shape (n, d)
    b: Floats                      # (n,)
    scores: Floats                 # (n,) as given, clipped to [0, 1]
    noise: Floats | None           # (n,) standard deviations; None: the scores are exact
    tol: float                     # largest |sigma - c| of exact scores that count as matched
    known_signs: Floats | None     # (n,) of the slack A x - b
    x0: Floats | None              # (d,)
    model: Model = INVERSE_SQUARE_MODEL
    coefficient_signs: Floats | None = None      # (d,) of x, 0 where unknown
    rounded: bool = False          # no error exceeds √3 standard deviations: that of rounding

    @property
    def exact(self) -> bool:
        """Whether the scores have no error but rounding to double."""
        return self.noise is None

    def deviation(self) -> Floats:
        """Standard deviation of each score, (n,)."""
        if self.noise is not None:
            return self.noise
        # smaller scores than ε² count as ε², so that weights do not overflow
        deviation = UNIT_ROUNDOFF * np.maximum(self.scores, EPS ** 2)
        if not self.model.is_inverse_square:
            deviation = np.sqrt(UNIT_ROUNDOFF * deviation)
        return deviation

    def slack(self, x: Floats) -> Floats:
        """A x - b, (n,)."""
        return self.rows.matvec(x) - self.b


@dataclass(frozen=True)
class RankDecision:
    """How the rank of A was decided: relative pivots, or 1/κ without pivots; rows at unit norm."""

    method: str
    kept: float                   # the smallest pivot kept
    dropped: float                # the largest pivot dropped, or nan
    threshold: float


@dataclass(frozen=True)
class ComponentDecision:
    """How components were separated: by relative entries of A A_basis⁻¹."""

    kept: float = 1.0             # the smallest entry that connects rows
    dropped: float = 0.0          # the largest entry set to zero
    threshold: float = ZERO_ENTRY
    basis_pivot: float = 1.0      # the smallest, relative to the largest
    basis_threshold: float = ALLOWED_ROUNDINGS * EPS


@dataclass(frozen=True, eq=False)
class Reduced:
    """The problem after elimination. Index arrays refer to rows of A."""

    rows: Rows
    rank: int                     # of A
    unit: Floats                  # (n,) 1/|a_i|: scores do not change when rows are scaled
    start: Floats                 # (d, k): diag(unit) A start is orthonormal on the active rows
    use_A: bool                   # A has full column rank, and diag(unit) A is well conditioned:
                                  # A can be used instead of A start
    active: Booleans              # (n,) boolean
    loops: Integers               # zero rows of A
    spanned: Integers             # rows spanned by zero-slack rows
    coloops: Integers
    zero_slack: Integers
    label: Labels                 # (n,) component of each active row, else -1
    bases: list[Floats]           # T_C (d, rank(C)) for each component
    offset: Floats                # (d,), 0 where b is not given
    free: Floats                  # (d, j) orthonormal: null(A) and the directions of the coloops
    lifts: Floats                 # (d, zeros) each dx adds 1 to the slack of one zero-slack row
    rank_decision: RankDecision
    component_decision: ComponentDecision
    model: Model = INVERSE_SQUARE_MODEL

    @property
    def columns(self) -> Floats | None:
        """``start`` for the projections, or None if they can use A itself."""
        return None if self.use_A else self.start

    @functools.cached_property
    def left_out(self) -> Booleans | None:
        """The rows that are not active, (n,); None if all are."""
        return None if self.active.all() else ~self.active

    @property
    def count(self) -> int:
        """Number of components among the active rows."""
        return len(self.bases)

    def members(self, c: int) -> Integers:
        """Indices of the rows of component c."""
        return np.flatnonzero(self.label == c)


@dataclass(frozen=True, eq=False)
class Range:
    """Whether the level of each component is free: for powers, whether b lies in range(A) there."""

    inside: Booleans              # (components,) the level is free
    ratio: Floats                 # (components,) residual over its rounding error bound, or less
    residual: Floats | None       # (n,) b - A offset minus its projection on range(A), if needed
    norm: Floats                  # (components,) of the residual, rows at unit norm
    image: Floats | None = None   # (n,) A v that changes t by a constant for some slopes τ'; None
                                  # for powers


@dataclass(frozen=True, eq=False)
class Presolved:
    """The problem after elimination, and the scores that no x can have."""

    problem: Problem
    reduced: Reduced
    response: Floats                       # (n,) b - A offset
    range: Range                           # for each component: does b lie in range(A)?
    contradictions: tuple[str, ...]        # given scores that no x can have, in words
    doubtful: bool                         # the contradictions may be due to rounding alone
    misgiven: Integers                     # rows not given the score that every x has
    signs_determined_on: tuple[bool, ...]  # for each component
    sign_decision: ComponentDecision
    mirrored: tuple[bool, ...] = ()        # for each component: even weights, and b in range(A)

    def weight(self) -> Floats:
        """1/deviation, (n,), 0 in rows that are not active."""
        deviation = self.problem.deviation()
        return np.divide(1.0, deviation, out=np.zeros(len(deviation)), where=self.reduced.active)

    @property
    def null_dimension(self) -> int:
        """Dimension of the null space in the span of ``reduced.start``: number of free levels."""
        return int(np.count_nonzero(self.range.inside))

    def rms(self, point: Point) -> float:
        """Root mean square of the whitened residual at a point, over the active rows."""
        return point.norm / math.sqrt(max(int(np.count_nonzero(self.reduced.active)), 1))

    @functools.cached_property
    def _column_space(self) -> Floats:
        return column_space(self.problem.rows).transform

    def whole_projection(self, slack: Floats, without: Booleans) -> Projection | None:
        """The projection of all rows but ``without``, none eliminated; None if undefined."""
        try:
            magnitude = self.problem.model.magnitude(slack)
            with np.errstate(over="raise"):
                return project(self.problem.rows, magnitude, self._column_space, without)
        except (DependentZeroSlackError, FloatingPointError, np.linalg.LinAlgError):
            return None


@dataclass(frozen=True, eq=False)
class Point:
    """x with its slack, its projection and the residual of its scores."""

    x: Floats                      # (d,)
    slack: Floats                  # (n,) A x - b
    projection: Projection
    model: Model                   # the weights
    target: Floats                 # (n,) c
    left_out: Booleans | None      # (n,) rows that are not active
    norm: float                    # of the whitened residual
    max_residual: float            # largest |sigma - c|

    @property
    def magnitude(self) -> Floats:
        """Reciprocal roots of the weights, (n,): for 1/s² those of the slack."""
        return self.model.magnitude(self.slack)

    @property
    def factor(self) -> Floats:
        """What U's rows are multiplied by in half the derivative of the log weights, (n,)."""
        return self.model.factor(self.slack, self.magnitude)

    @property
    def residual(self) -> Floats:
        """sigma - c on the active rows, 0 elsewhere: a new (n,) array at every access."""
        return masked_residual(self.projection, self.target, self.left_out)


def masked_residual(projection: Projection, target: Floats,
                    left_out: Booleans | None) -> Floats:
    """sigma - c on the active rows, 0 elsewhere, (n,)."""
    residual = projection.residual(target)
    if left_out is not None:
        residual[left_out] = 0.0
    return residual


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Singular value decomposition of the whitened Jacobian.

    ``rotation`` and ``blocks`` are None if it is from a sample of the rows or from another point.
    """

    left: Floats                   # (r,) coefficients of the whitened residual
    values: Floats                 # (r,) singular values in z, decreasing, above rounding
    steps: Floats                  # (d, r) dx that change the whitened residual by unit vectors
    flat: Floats                   # (d, f) dx of the other singular values, zero to rounding
    dropped: float = np.nan        # the largest singular value not among ``values``, if any
    sampled: bool = False
    rotation: Floats | None = None        # (r, k) right singular vectors in z
    blocks: list[Floats] | None = None    # W J_z in the first k columns; also None if it is large


@dataclass(frozen=True, eq=False)
class Refined:
    """The minimiser, the linearisation there, and the work done."""

    point: Point
    linearisation: Linearisation
    iterations: int
    evaluations: int
    stuck: bool = False          # steps stopped helping while the residual was above rounding


@dataclass(frozen=True, eq=False)
class InfeasibleSet:
    """A set S of rows with c(S) >= rank(S) that is no union of components."""

    index: Integers
    total: float                 # c(S)
    rank: int

    def __str__(self) -> str:
        return (f"{len(self.index)} rows ({listed(self.index)}) have scores that sum to "
                f"{self.total:.10g}, but rank {self.rank}")


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """Log weights t, one constant on each component free, and how they were found."""

    log_weight: Floats           # (n,) t, mean 0 on each component unless asked otherwise
    projection: Projection       # at these magnitudes
    error: float                 # max |sigma - c| / min(c, 1 - c)
    iterations: int
    evaluations: int             # of the scores
    products: int                # products with the Laplacian
    infeasible: InfeasibleSet | None    # a proof that there is no solution
    model: Model = INVERSE_SQUARE_MODEL

    @property
    def magnitude(self) -> Floats:
        """Of a power weighting, the slack's magnitude up to one factor on each component, (n,)."""
        return self.model.slack_magnitude(self.log_weight)


@dataclass(frozen=True)
class MagnitudeWork:
    """The work of stage 1, summed over its runs."""

    iterations: int = 0
    products: int = 0
    error: float | None = None               # max |sigma - c| / min(c, 1 - c) at the end


@dataclass(frozen=True, eq=False)
class Recovered:
    """The x of stage 3, with the scale and the misfit of the least-squares fit."""

    x: Floats
    scale: Floats                 # (components,) κ; nan if it is free
    misfit: float                 # largest |A x - b - κ ε m| / (κ m), up to rounding
    negative: tuple[int, ...] = ()    # components whose κ is negative with the signs given


@dataclass(frozen=True)
class SignCandidate:
    """A sign vector of one component, determined up to a common factor -1."""

    signs: Floats
    misfit: float              # relative distance of m∘signs from range([A b]) or, with trimmed
                               # rows, the root mean square of log |R z| over the others
    restarts: int = 0          # starts made so far
    fits: bool = False         # whether the misfit is within the tolerance
    fitting: int | None = None      # sign vectors that fit, if all were enumerated
    left_out: Booleans | None = None      # rows whose magnitudes seem to be wrong


@dataclass(frozen=True, eq=False)
class SignSearch:
    """Stage 2 on one component."""

    misfit: float = np.inf                   # the smallest of all candidates
    restarts: int = 0
    fitting: int | None = None               # sign vectors that fit, if all were enumerated
    starts: tuple[SignCandidate, ...] = ()   # the result of each start


@dataclass(frozen=True)
class SideSearch:
    """Other sides of the slack, or of the mode, on one component (inverse/stages/sides)."""

    rank: int                    # q: 2^(q-1) sign vectors
    complete: bool               # all were enumerated; else q is too large, or too many fit
    fitting: int                 # sign vectors that fit, that of x included
    others: int                  # of these, other x that have the scores
    at_infinity: int = 0         # and x to which the scores tend as it goes to infinity


@dataclass(frozen=True, eq=False)
class Others:
    """Other x that have the same scores."""

    x: Floats                                # (m, d)
    sides: tuple[SideSearch, ...] = ()       # for each component; empty: signs are known, or noise
    endless: bool = False                    # x may go to infinity
    stopped: bool = False                    # by the callback


@dataclass(frozen=True)
class BranchSearch:
    """The search for all x of one component that noisy scores allow."""

    starts: int
    enumerated: bool             # whether points of every cell between the zero slacks were
                                 # compared; the best cells start
    minima: int                  # local minima within the limit of χ², at least 1


@dataclass(frozen=True, eq=False)
class Found:
    """What the search found, and the records of its stages."""

    best: Refined | None = None
    log_weight: Floats | None = None         # (n,) of the last magnitudes
    magnitudes: Magnitudes | None = None        # last of stage 1, if robust signs can use it
    magnitude_work: MagnitudeWork | None = None
    recovered: Recovered | None = None       # last of stage 3
    signs: tuple[SignSearch, ...] | None = None
    levels: tuple[SignSearch, ...] | None = None     # of stages 2 and 3, for other weightings
    branches: tuple[BranchSearch, ...] | None = None     # of noisy scores
    rivals: tuple[Floats, ...] = ()          # further x that match noisy scores
    alone: bool = False                      # the compiled kernel found no other sides that fit
    proofs: tuple[str, ...] = ()             # that no row weights have the scores
    remarks: tuple[str, ...] = ()            # further reasons for the message
    stopped: bool = False                    # by the callback


@dataclass(frozen=True, eq=False)
class Outliers:
    """The rows left out and the fit to the others."""

    rows: Integers             # increasing indices
    deviations: Floats         # their studentised residuals
    fit: Refined               # without these rows


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The directions and errors that x is known with."""

    null_space: Floats                     # (d, j)
    undetermined: Floats                   # (d, u) directions along which the scores hardly move
    flat: Floats                           # (d, f) directions that are flat to rounding
    standard_errors: Floats                # (d,)
    information_limit: float | None        # of exact scores: norm of the errors by their rounding
    accuracy: float                        # of exact scores: largest error of sigma(x)
    condition: float


def same_solution(one: Floats, other: Floats) -> bool:
    """Whether two x are one solution, to a quarter of the digits."""
    return bool(np.linalg.norm(one - other) <= EPS ** 0.25 * np.linalg.norm(other))
