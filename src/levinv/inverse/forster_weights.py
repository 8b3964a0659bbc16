"""Stage 1 on its own: row weights with given leverage scores."""
from __future__ import annotations

import numpy as np

from levinv import _validate, storage
from levinv._parallel import sharing
from levinv._tolerances import EPS
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.errors import NoSolutionError
from levinv.forward.basis import independent_columns, orthonormal_basis
from levinv.inverse.stages.components import SURELY_ZERO
from levinv.inverse.stages.magnitudes import TIGHT, component_mean, find_obstacle, match_scores
from levinv.inverse.stages.presolve import fixed_score_faults, sum_faults
from levinv.inverse.stages.reduction import reduce
from levinv.inverse.values import Reduced
from levinv.storage import Rows

EVALUATIONS = 25           # of the scores, roughly: is it worth several threads?


def forster_weights(A: MatrixLike, scores: VectorLike | None = None, *, tol: float = 1e-10,
                    maxiter: int | None = None, workers: int | None = None) -> Floats:
    """Row weights w such that the leverage scores of diag(sqrt(w)) A are given.

    With equal scores d/n this is Forster's transform: rows brought into radial isotropic position.

    Parameters
    ----------
    A : (n, d) array_like, sparse matrix, stored or dask array
        Real, n >= d.
    scores : (n,) array_like, optional
        In [0, 1], summing to the rank of A; default rank/n for each row (zero rows: 0).
    tol : float
        Largest max|sigma - scores| that counts as solved; where the weighted rows have a condition
        number κ that leaves scores less accurate, 100 ε κ more. What is returned is checked.
    maxiter : int, optional
        Limit on Newton iterations; default 100.
    workers : int, optional
        Number of threads that share the rows; default as in :func:`levinv.leverage_scores`.
        Results do not depend on it.

    Returns
    -------
    weights : (n,) ndarray
        Positive, with geometric mean 1 on each connected component of A's rows, on which they are
        unique up to scale. Zero rows and rows independent of all others have weight 1.

    Raises
    ------
    NoSolutionError
        If no weights have these scores: some set S of rows has scores that sum to more than
        rank(S), or to rank(S) without being a union of components. A ValueError; the message names
        such a set.
    ValueError
        Wrong shapes or lengths, n < d, empty input, NaN or inf, scores outside [0, 1].
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    leverage_scores : the scores for given weights
    invert_scores : x, where the weights come from slacks A x - b

    References
    ----------
    .. [1] Forster, "A linear lower bound on the unbounded error probabilistic communication
       complexity", J. Comput. Syst. Sci. 65 (2002).
    .. [2] Artstein-Avidan, Kaplan and Sharir, "On radial isotropic position", arXiv 2005.04918.

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import forster_weights, leverage_scores
    >>> A = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, -3.0]])
    >>> weights = forster_weights(A)
    >>> leverage_scores(A, weights=weights).round(10)
    array([0.5, 0.5, 0.5, 0.5])
    """
    rows = storage.of(_validate.matrix(A, "A", min_aspect=True, sparse=True))
    _validate.ordinary_size(_validate.ordinary_columns(rows.column_max(), "A"), "A")
    n = rows.shape[0]
    tol = _validate.positive_number(tol, "tol")
    maxiter = 100 if maxiter is None else _validate.positive_int(maxiter, "maxiter")
    if scores is not None:
        scores = _validate.vector(scores, "scores", n, "row of A")
        if (scores < 0).any() or (scores > 1).any():
            index = int(np.argmax((scores < 0) | (scores > 1)))
            raise ValueError(f"scores must lie in [0, 1], got {scores[index]} at index {index}")
    with sharing(workers, EVALUATIONS * rows.flops) as rows.workers:
        reduced = reduce(rows)
        try:
            return _weights(rows, reduced, scores, tol, maxiter)
        except NoSolutionError:
            if reduced.largest_dropped <= SURELY_ZERO:
                raise
        return _weights(rows, reduce(rows, zero_entry=SURELY_ZERO), scores, tol, maxiter)


def _weights(rows: Rows, reduced: Reduced, scores: Floats | None, tol: float,
             maxiter: int) -> Floats:
    """Weights (n,) that were seen to have the scores, or a NoSolutionError."""
    n = rows.shape[0]
    if scores is None:
        scores = np.full(n, reduced.rank / max(n - len(reduced.loops), 1))
        scores[reduced.loops] = 0.0
    faults = _faults(reduced, scores, tol)
    if faults:
        raise NoSolutionError(f"no weights have these scores: {faults[0]}")
    log_weight = np.zeros(n)
    if reduced.count:
        log_weight = _log_weights(rows, reduced, scores, tol, maxiter)
    centred = log_weight - component_mean(log_weight, reduced.active, reduced.label)
    weights, fault = _checked(rows, centred, scores, tol)
    if fault and reduced.count > 1:          # parts that are almost apart, and count as components
        weights, fault = _checked(rows, log_weight, scores, tol)
    if fault:
        raise NoSolutionError(f"no weights found with these scores: {fault}")
    return weights


def _checked(rows: Rows, log_weight: Floats, scores: Floats, tol: float) -> tuple[Floats, str]:
    """Weights, and a sentence if they do not have the scores."""
    weights = np.exp(log_weight)
    found, accuracy = _scores(rows, weights)
    off = np.abs(found - scores)
    row = int(np.argmax(off))
    return weights, ("" if off[row] <= tol + accuracy else
                     f"row {row} is given {scores[row]:.10g} and gets {found[row]:.10g}")


def _scores(rows: Rows, weights: Floats) -> tuple[Floats, float]:
    """The scores of weighted rows and their accuracy, from columns of A that are not combined:
    nothing that was decided on the way to the weights is taken for granted.
    """
    root = np.sqrt(weights)
    root /= root.max()
    found = orthonormal_basis(rows, root, independent_columns(rows), rcond=0.0)
    scores = rows.quad(root, found.transform) if found.scores is None else found.scores
    return scores, 100 * EPS * found.condition


def _log_weights(rows: Rows, reduced: Reduced, scores: Floats, tol: float,
                 maxiter: int) -> Floats:
    """Logarithms of weights, (n,), of mean 0 on the active rows together."""
    target = np.where(reduced.active, scores, 0.5)
    for c in range(reduced.count):
        member = reduced.members(c)
        target[member] = _summing_to(reduced.bases[c].shape[1], target[member], tol)
    target = np.clip(target, np.finfo(float).tiny, 1.0 - EPS)
    log_size = None
    if reduced.count > 1:         # rows of one length keep apart what is almost apart
        log_size = -2.0 * np.log(np.where(reduced.active, reduced.unit, 1.0))
        log_size[reduced.active] -= log_size[reduced.active].mean()
    found = match_scores(rows, reduced.start, target, reduced.active, reduced.label,
                         log_size=log_size, maxiter=maxiter)
    obstacle = found.obstacle or find_obstacle(rows, reduced.start, target, reduced.active,
                                               reduced.label, found.log_weight, TIGHT)
    if obstacle is not None:
        raise NoSolutionError(f"no weights have these scores: {obstacle}")
    worst = float(np.max(np.abs(found.projection.residual(target)[reduced.active])))
    if worst > tol + 100 * EPS / reduced.rank_decision.kept:          # accuracy of A start
        raise NoSolutionError(f"no weights found with these scores in {found.iterations} "
                              f"iterations: max|sigma - scores| = {worst:.3g}")
    log_weight = np.where(reduced.active, found.log_weight, 0.0)
    log_weight[reduced.active] -= log_weight[reduced.active].mean()
    return log_weight


def _summing_to(rank: int, scores: Floats, tol: float) -> Floats:
    """Scores that sum to the rank: in proportion, or evenly where that moves one by more than
    ``tol``.
    """
    proportional: Floats = scores * (rank / scores.sum())
    if np.abs(proportional - scores).max() <= tol:
        return proportional
    even: Floats = scores + (rank - scores.sum()) / len(scores)
    return even if even.min() > 0.0 and even.max() < 1.0 else proportional


def _faults(reduced: Reduced, scores: Floats, tol: float) -> list[str]:
    faults, _ = fixed_score_faults(reduced, scores, np.full(len(scores), tol))
    active = np.flatnonzero(reduced.active)
    for value in (0.0, 1.0):
        off = active[scores[active] == value]
        if len(off):
            faults.append(f"no positive weights give row {off[0]} the score {value:.0f}")
    return faults + sum_faults(reduced, scores, tol)
