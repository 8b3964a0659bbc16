"""Stage 1 on its own: row weights with given leverage scores."""
from __future__ import annotations

from typing import cast

import numpy as np

from levinv import _validate, storage
from levinv._parallel import sharing
from levinv._tolerances import EPS, EVALUATIONS, FEW_ROUNDINGS, SQUARABLE, TINY
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.errors import NoSolutionError
from levinv.forward.basis import column_units, independent_columns, orthonormal_basis
from levinv.forward.leverage import leverage_scores
from levinv.inverse.compiled import fits_kernel, kernel
from levinv.inverse.stages.infeasible import find_infeasible_set
from levinv.inverse.stages.laplacian import component_mean
from levinv.inverse.stages.magnitudes import find_magnitudes, shift_to_sum
from levinv.inverse.stages.presolve import fixed_score_faults, sum_faults
from levinv.inverse.stages.reduction import reduce
from levinv.inverse.values import Reduced
from levinv.storage.blocked import Rows


def forster_weights(A: MatrixLike, scores: VectorLike | None = None, *, tol: float = 1e-10,
                    maxiter: int | None = None, workers: int | None = None) -> Floats:
    """Row weights w such that the leverage scores of diag(sqrt(w)) A are given.

    With equal scores d/n this is Forster's transform: the weighted rows are in radial isotropic
    position.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        Real, n >= d.
    scores : (n,) array_like, optional
        In [0, 1], summing to the rank of A; default rank/n for each row (zero rows: 0).
    tol : float
        Largest max|sigma - scores| that counts as solved. It is verified for the weights that are
        returned, with 100 ε κ added for rounding, κ the condition number of the weighted rows.
    maxiter : int, optional
        Limit on Newton iterations; default 100.
    workers : int, optional
        Number of threads that share the rows; default as in :func:`levinv.leverage_scores`.
        Results do not depend on it.

    Returns
    -------
    weights : (n,) ndarray, pandas.Series for a frame or xarray.DataArray
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
    source, axes = A, _validate.axes(A)
    rows = storage.of(_validate.matrix(A, "A", min_aspect=True, sparse=True))
    largest = _validate.ordinary_columns(rows.column_max(), "A")
    _validate.ordinary_size(largest, "A")
    if largest[largest > 0].min(initial=1.0) < SQUARABLE ** 2:      # the transform would overflow
        rows = rows.with_columns_times(column_units(largest))       # which changes no weights
    n = rows.shape[0]
    tol = _validate.positive_number(tol, "tol")
    if maxiter is not None:
        maxiter = _validate.positive_int(maxiter, "maxiter")
    if scores is not None:
        scores = _validate.vector(scores, "scores", n, "row of A", axes.rows)
        if (scores < 0).any() or (scores > 1).any():
            index = _validate.first_index((scores < 0) | (scores > 1))
            raise ValueError(f"scores must lie in [0, 1], got {scores[index]} at index {index}")
    small = _small_weights(rows, scores, tol) if maxiter is None else None
    if small is not None:
        return cast("Floats", _validate.labelled(small, source, "weight"))
    maxiter = maxiter or 100
    # weights may overflow at a trial point: the point is then refused
    with (sharing(workers, EVALUATIONS * rows.flops) as rows.workers,
          np.errstate(over="ignore", invalid="ignore", divide="ignore")):
        reduced = reduce(rows)
        try:
            weights = _weights(rows, reduced, scores, tol, maxiter)
        except NoSolutionError:
            if reduced.component_decision.dropped <= FEW_ROUNDINGS:
                raise
            # entries that were rounded to zero may connect rows
            weights = _weights(rows, reduce(rows, zero_entry=FEW_ROUNDINGS), scores, tol, maxiter)
    return cast("Floats", _validate.labelled(weights, source, "weight"))


def _small_weights(rows: Rows, scores: Floats | None, tol: float) -> Floats | None:
    """The weights of a small problem by the kernel; None if it leaves it to the general route.

    Where weights are far apart, scores may be those of the limit only, which no weights have.
    """
    A = rows.small
    if A is None or not fits_kernel(*A.shape):
        return None
    n, d = A.shape
    scores, weights = np.full(n, d / n) if scores is None else scores, np.empty(n)
    A = np.ascontiguousarray(A)
    if not kernel.weights(A, scores, tol, weights) <= EPS ** -0.25:
        return None
    log_weight = np.log(weights)
    weights = np.exp(log_weight - log_weight.mean())
    found = leverage_scores(A, weights=weights)
    return weights if np.abs(found - scores).max() <= tol else None


def _weights(rows: Rows, reduced: Reduced, scores: Floats | None, tol: float,
             maxiter: int) -> Floats:
    """Weights (n,) whose scores were verified; raises NoSolutionError otherwise."""
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
    weights, fault = _verified(rows, centred, scores, tol)
    if fault and reduced.count > 1:
        # components with small connecting entries depend on each other's scale
        weights, fault = _verified(rows, log_weight, scores, tol)
    if fault:
        raise NoSolutionError(f"no weights found with these scores: {fault}")
    return weights


def _verified(rows: Rows, log_weight: Floats, scores: Floats, tol: float) -> tuple[Floats, str]:
    """The weights, and a sentence that is "" if the weights have the scores.

    The scores of the weighted rows are computed from A's own columns, so that they do not depend
    on any decision made in the computation of the weights.
    """
    weights = np.exp(log_weight)
    root = np.sqrt(weights)
    root /= root.max()
    basis = orthonormal_basis(rows, root, independent_columns(rows), rcond=0.0)
    found = rows.quad(root, basis.transform) if basis.scores is None else basis.scores
    error = np.abs(found - scores)
    row = int(np.argmax(error))
    return weights, ("" if error[row] <= tol + 100 * EPS * basis.condition else
                     f"row {row} is given {scores[row]:.10g} and gets {found[row]:.10g}")


def _log_weights(rows: Rows, reduced: Reduced, scores: Floats, tol: float,
                 maxiter: int) -> Floats:
    """Logarithms of weights, (n,), with mean 0 over all active rows together."""
    active, label = reduced.active, reduced.label
    target = np.where(active, scores, 0.5)
    for c in range(reduced.count):
        member, rank = reduced.members(c), reduced.bases[c].shape[1]
        given, shifted = target[member], shift_to_sum(target[member], rank)
        even = given + (rank - given.sum()) / len(member)
        # where possible no score moves by more than ``tol``
        better = np.abs(shifted - given).max() > tol and even.min() > 0.0 and even.max() < 1.0
        target[member] = even if better else shifted
    target = np.clip(target, TINY, 1.0 - EPS)
    log_squared_norm = None
    if reduced.count > 1:         # unit rows keep almost disconnected parts separate
        log_squared_norm = -2.0 * np.log(np.where(active, reduced.unit, 1.0))
        log_squared_norm[active] -= log_squared_norm[active].mean()
    found = find_magnitudes(
        rows, reduced.start, target, active, label, own_columns=reduced.use_A,
        log_squared_norm=log_squared_norm, maxiter=maxiter, sweeps=True,
        enough=lambda residual: bool(np.abs(residual).max() <= 0.1 * tol))
    infeasible = found.infeasible or find_infeasible_set(
        rows, reduced.start, target, active, label, found.log_weight,
        2 * FEW_ROUNDINGS * reduced.rank, found.projection.scores)
    if infeasible is not None:
        raise NoSolutionError(f"no weights have these scores: {infeasible}")
    worst = float(np.max(np.abs(found.projection.residual(target)[active])))
    if worst > tol + 100 * EPS / reduced.rank_decision.kept:          # accuracy of A ``start``
        raise NoSolutionError(f"no weights found with these scores in {found.iterations} "
                              f"iterations: max|sigma - scores| = {worst:.3g}")
    log_weight = np.where(active, found.log_weight, 0.0)
    log_weight[active] -= log_weight[active].mean()
    return log_weight


def _faults(reduced: Reduced, scores: Floats, tol: float) -> list[str]:
    """Sentences about scores that no weights can have."""
    faults, _ = fixed_score_faults(reduced, scores, np.full(len(scores), tol))
    active = np.flatnonzero(reduced.active)
    for value in (0.0, 1.0):
        rows = active[scores[active] == value]
        if len(rows):
            faults.append(f"no positive weights give row {rows[0]} the score {value:.0f}")
    return faults + sum_faults(reduced, scores, tol)
