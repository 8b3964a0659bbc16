"""The front of gradient inversion: arguments, a start in the cell, the method, the result."""
from __future__ import annotations

from typing import Any, get_args

import numpy as np

from levinv import _validate, storage
from levinv._json import plain
from levinv._parallel import sharing
from levinv._tolerances import EPS
from levinv._typing import Booleans, Floats, MatrixLike, Seed, SignsLike, VectorLike
from levinv.forward.barrier import FullRankMap
from levinv.forward.gradient_loss import GradientLossPoint
from levinv.inverse.barrier_gradient import feasibility as cell
from levinv.inverse.barrier_gradient import newton, subsampled
from levinv.inverse.barrier_gradient.least_squares import exact_decrement, loss_at, minimise_loss
from levinv.inverse.barrier_gradient.problem import Method, Task
from levinv.inverse.progress import Callback, Progress
from levinv.inverse.result import InversionResult
from levinv.storage import Rows

METHODS = get_args(Method)
OPTIONS: dict[Method, tuple[str, ...]] = {
    "newton": (), "approximate-newton": ("sample_size",), "least-squares": (),
}
EVALUATIONS = 30           # of the scores in an inversion, roughly: is it worth several threads?
MAXITER: dict[Method, int] = {"newton": 100, "approximate-newton": 200, "least-squares": 300}
EXACT_FLOPS = 1e11            # of the Hessian at the solution; above, G stands in for it

MESSAGES = {
    0: "The gradient is matched",
    1: "No x in the cell has this gradient",
    2: "The cell is empty",
    3: "The gradient is not matched at the best x found",
    4: "Stopped by the callback",
}


def invert_gradient(A: MatrixLike, b: VectorLike, g: VectorLike, *,
                    signs: SignsLike | None = None, x0: VectorLike | None = None,
                    method: Method = "newton", ridge: float | VectorLike = 0.0, tol: float = 1e-10,
                    maxiter: int | None = None, callback: Callback | None = None,
                    rng: Seed = None, workers: int | None = None,
                    options: dict[str, Any] | None = None) -> InversionResult:
    """Find x from the gradient of the volumetric barrier.

    The gradient is -Bᵀsigma with B = diag(A x - b)⁻¹ A and its leverage scores sigma. Each sign
    cell {x : signs∘(A x - b) > 0} holds at most one solution: exactly one for every g if the cell
    is bounded, and otherwise exactly if gᵀy < 0 for every direction y != 0 in which the cell is
    unbounded.

    Parameters
    ----------
    A : (n, d) array_like, sparse matrix, stored or dask array
        Real, of full column rank. A zero row takes no part.
    b : (n,) array_like
        Right-hand side: the slack is A x - b.
    g : (d,) array_like
        The gradient at x: any finite numbers.
    signs : +1, -1 or (n,) array_like of +1 and -1, optional
        Signs of the slack A x - b: which cell. +1 is the interior of the polytope A x >= b.
    x0 : (d,) array_like, optional
        A start strictly inside the cell; without signs it says which cell. At least one of the two
        is needed.
    method : {"newton", "approximate-newton", "least-squares"}
        "newton" minimises the convex V(x) - gᵀx. "approximate-newton" does so with a Hessian from
        sampled rows. "least-squares" minimises ½|∇V(x) - g|² + ½|diag(ridge) A x|², which need not
        be convex: from x0 if given, else from what "newton" finds.
    ridge : float or (n,) array_like
        At least 0; must be 0 but with "least-squares". The result is then a stationary point of the
        objective, close to a solution for a small ridge only.
    tol : float
        Largest Newton decrement that counts as solved (see Notes); with a ridge the largest
        gradient of the objective in the Gauss-Newton metric relative to the residual.
    maxiter : int, optional
        Default 100, 200 and 300 for the three methods.
    callback : callable, optional
        As in SciPy: ``callback(intermediate_result)`` receives an OptimizeResult with ``x, nit,
        stage, error``, the error being the decrement; with any other signature ``callback(x)``.
        StopIteration ends the inversion.
    rng : None, int or numpy.random.Generator
        For the sampled rows of "approximate-newton".
    workers : int, optional
        Number of threads that share the rows; default as in :func:`levinv.leverage_scores`.
        Results do not depend on it.
    options : dict, optional
        "sample_size" with "approximate-newton": rows sampled in each step, about; default
        10 d log(d + 2). From n on it is Newton's method.

    Returns
    -------
    InversionResult
        ``fun`` is the objective of "least-squares". ``status``: 0 matched, 1 no x in the cell has
        this gradient, 2 the cell is proved empty, 3 not matched, 4 stopped by the callback.
        ``unique`` is True on success without a ridge. ``standard_errors`` are those of rounding g
        to double.
        ``condition`` is the relative change of x (2-norm) per relative change of each entry of g
        (both from above, within a factor of 3, where n d³ exceeds 1e11). ``evidence`` holds
        ``steps`` (decrement and step length of each, with ``cg_iterations`` or ``rows`` sampled),
        ``decrement``, its ``floor`` by rounding, ``certificate`` (status 1), ``start`` (least slack
        of the start in rows of unit norm), and with "approximate-newton" ``sample_size``, ``rows``
        kept in the last sample and ``spectral_error``, the error of its Hessian relative to the
        exact one at the solution.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, A or b of extreme size (1e±100), A not of
        full column rank, neither signs nor x0, x0 not strictly inside the cell, signs other than +1
        and -1, unknown method or option, negative ridge, a ridge with another method than "least-
        squares".
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    VolumetricBarrier : the barrier and its gradient
    GradientLoss : the objective of "least-squares"
    invert_scores : x from the scores themselves

    Notes
    -----
    The Newton decrement is (∇V - g)ᵀ(∇²V)⁻¹(∇V - g), square root taken: it does not change with the
    units of A's columns, and is about the relative error of the slacks, weighted by sigma. Where
    rounding of g or of A x - b alone leaves more than ``tol`` (``evidence["floor"]``), that much
    counts as solved.

    Newton steps cost O(n d²): conjugate gradients on the Hessian, preconditioned to a condition
    number of at most 3.

    References
    ----------
    .. [1] arXiv 2408.11267: the problem, its regularised objective and the approximate Newton
       method (abstract).
    .. [2] Vaidya, "A new algorithm for minimizing convex functions over convex sets", Mathematical
       Programming 73 (1996).

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import VolumetricBarrier, invert_gradient
    >>> rng = np.random.default_rng(0)
    >>> A, x = rng.standard_normal((40, 3)), np.array([1.0, -2.0, 0.5])
    >>> b = A @ x - rng.exponential(size=40)
    >>> g = VolumetricBarrier(A, b).grad(x)
    >>> result = invert_gradient(A, b, g, signs=+1)
    >>> result.x.round(10)
    array([ 1. , -2. ,  0.5])
    >>> result.success, result.unique
    (True, True)
    """
    A = _validate.matrix(A, "A", sparse=True)
    n, d = A.shape
    b = _validate.vector(b, "b", n, "row of A")
    g = _validate.vector(g, "g", d, "column of A")
    _validate.choice(method, "method", METHODS)
    options = _validate.options(options, OPTIONS[method])
    ridge = _validate.nonnegative(ridge, "ridge", n, "row of A")
    if method != "least-squares" and ridge.any():
        raise ValueError(f"ridge must be 0 with method {method!r}, got {ridge.max()}")
    size = options.get("sample_size", subsampled.default_size(d))
    size = _validate.positive_int(size, "options['sample_size']")
    tol = _validate.positive_number(tol, "tol")
    maxiter = MAXITER[method] if maxiter is None else _validate.positive_int(maxiter, "maxiter")
    rng = _validate.generator(rng, "rng")
    stored = storage.of(A)
    _validate.ordinary_size(_validate.ordinary_columns(stored.column_max(), "A"), "A")
    _validate.ordinary_size(b, "b")
    active = stored.nonzero()
    cell_signs = None if signs is None else _validate.signs(signs, "signs", n)
    if x0 is not None:
        x0 = _validate.vector(x0, "x0", d, "column of A").copy()
        cell_signs = _cell_of(stored, b, x0, cell_signs, active)
    if cell_signs is None:
        raise ValueError("signs or x0 must be given: every bounded cell has a solution of its own")
    progress = Progress(callback)
    with sharing(workers, EVALUATIONS * stored.flops):
        task = Task(FullRankMap(A, b), b, g, cell_signs, active, method, ridge, tol, maxiter,
                    progress)
        start, failure = _start(task, x0)
        if start is None:
            return _nowhere(task, *failure)
        with np.errstate(over="ignore", invalid="ignore"):       # of targets near the largest float
            return _solve(task, start, x0 is not None, size, rng)


def _cell_of(stored: Rows, b: Floats, x0: Floats, signs: Floats | None,
             active: Booleans) -> Floats:
    """The signs of the cell that x0 is strictly inside of."""
    with np.errstate(over="ignore", invalid="ignore"):
        slack = stored.matvec(x0) - b
    if not np.isfinite(slack).all():
        raise ValueError("x0 must not be so large that A x0 - b overflows")
    wrong = active & (slack * (np.sign(slack) if signs is None else signs) <= 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        which = "" if signs is None else " of signs"
        raise ValueError(f"x0 must lie strictly inside the cell{which}, got slack "
                         f"{slack[row]:.6g} in row {row}")
    return np.where(slack < 0, -1.0, 1.0) if signs is None else signs


def _start(task: Task, x0: Floats | None) -> tuple[newton.State | None, tuple[int, str]]:
    """A State inside the cell, or None and the reason."""
    active = task.active
    x = x0
    if x is None:
        wrong = ~active & (task.signs * task.b > 0)      # a zero row has slack -b at every x
        if wrong.any():
            row = int(np.argmax(wrong))
            return None, (2, f"row {row} of A is zero and its slack {-task.b[row]:.6g} has the "
                             "other sign")
        x, least, empty = cell.interior_point(task.map.rows.part(active), task.b[active],
                                              task.signs[active])
        task.evidence["start"] = least
        if x is None:
            largest = f"{least:.3g} (rows of unit norm)"
            return None, ((2, f"the least slack can be made no larger than {largest}") if empty else
                          (3, "no point inside the cell was found, nor a proof that it is empty; "
                              f"largest least slack {largest}"))
    state = newton.evaluate(task, x)
    return state, (3, "the barrier cannot be evaluated at the start")


def _solve(task: Task, start: newton.State, given: bool, size: int,
           rng: np.random.Generator) -> InversionResult:
    if task.method == "least-squares":
        # From far away |∇V - g|² falls slowly, as no norm suits it everywhere; the convex problem
        # has none.
        first = None if given else newton.minimise(task, start, newton.newton_direction)
        if first is None:
            return _report(task, minimise_loss(task, start))
        if first.reason == "stopped" or (first.reason == "no preimage" and not task.ridge.any()):
            return _report(task, first)
        found = minimise_loss(task, first.state if first.reason == "converged" else start)
        found.steps = first.steps + found.steps
        return _report(task, found)
    if task.method == "newton":
        return _report(task, newton.minimise(task, start, newton.newton_direction))
    found = newton.minimise(task, start, subsampled.sampling_direction(size, rng))
    approximation, rows = subsampled.subsampled_hessian(found.state, size, rng)
    task.evidence.update(sample_size=size, rows=rows)
    return _report(task, found, approximation)


def _report(task: Task, found: newton.Descent,
            approximation: Floats | None = None) -> InversionResult:
    """Assemble the result at the last point."""
    state, rows = found.state, task.map.rows
    n, d = rows.shape
    exact = n * float(d) ** 3 <= EXACT_FLOPS
    hessian = state.hessian() if exact else state.factor @ state.factor.T
    if approximation is not None and exact:
        task.evidence["spectral_error"] = subsampled.spectral_error(approximation, hessian)
    floor = state.floor(rows, task.b, task.g)
    if not task.ridge.any():
        decrement = exact_decrement(state) if exact else found.decrement
        success = (found.reason != "stopped" and decrement <= max(task.tol, floor)
                   and floor <= max(task.tol, newton.HOPELESS)
                   and state.agrees(rows, task.b, task.g, max(task.tol, floor)))
    else:
        decrement = found.decrement
        success = found.reason == "converged"
    status = 0 if success else {"stopped": 4, "no preimage": 1}.get(found.reason, 3)
    task.evidence.update(steps=found.steps, decrement=decrement, floor=floor)
    evidence = plain(task.evidence)
    if found.direction is not None:
        evidence["certificate"] = found.direction
    standard_errors, condition = np.full(d, np.inf), np.inf
    if success:
        standard_errors, condition = _sensitivity(task, state, hessian)
    slack = state.point.slack.copy()
    return InversionResult(
        x=state.x, fun=loss_at(task, state), scores=state.projection.scores.copy(), slack=slack,
        signs=np.sign(slack), success=success, status=status,
        message=_message(task, found, status, decrement), nit=task.progress.nit, nfev=task.nfev,
        unique=bool(success and not task.ridge.any()), null_space=np.zeros((d, 0)),
        standard_errors=standard_errors, condition=condition, evidence=evidence)


def _sensitivity(task: Task, state: newton.State, hessian: Floats) -> tuple[Floats, float]:
    """Standard errors of x for rounding of g, and the condition number.

    dx = unit² S H⁻¹ Sᵀ dg, H in z; with a ridge, x a stationary point of the loss,
    dx = (∇²L)⁻¹ ∇²V dg.
    """
    steps = state.projection.smallest_slack * state.projection.steps
    if task.ridge.any():
        loss = GradientLossPoint(state.point, task.g).hessian()
        loss += task.map.rows.gram(None, None, task.ridge ** 2)
        weighted = np.linalg.lstsq(loss, state.point.hessian() * task.g, rcond=None)[0]
    else:
        weighted = steps @ state.solve(hessian, steps.T * task.g)
    largest = np.max(np.abs(state.x))            # norms of numbers near the largest float overflow
    condition = np.inf
    if largest > 0:
        condition = float(np.linalg.norm(weighted / largest, 2) / np.linalg.norm(state.x / largest))
    return 0.5 * EPS * np.linalg.norm(weighted, axis=1), condition


def _message(task: Task, found: newton.Descent, status: int, decrement: float) -> str:
    reasons = []
    if status == 0 and task.ridge.any():
        return "A stationary point of the regularised objective."
    if status == 0 and decrement > task.tol:
        reasons.append(f"to the rounding of g and A x - b, Newton decrement {decrement:.2g}")
    if status == 1:
        reasons.append("the cell is unbounded in a direction y with gᵀy >= 0 "
                       "(evidence['certificate'])")
    if status == 3:
        why = {"maxiter": f"stopped at maxiter = {task.maxiter} steps",
               "stalled": "no step improved it",
               "converged": "rounding leaves components of it unmatched",
               "overflow": "the target is too large to compute with"}
        reasons.append(f"{why.get(found.reason, found.reason)}, Newton decrement {decrement:.2g}")
        if task.evidence["floor"] > newton.HOPELESS:
            reasons.append("rounding of g and A x - b alone makes one of about "
                           f"{task.evidence['floor']:.2g}")
    return MESSAGES[status] + (": " + "; ".join(reasons) if reasons else "") + "."


def _nowhere(task: Task, status: int, reason: str) -> InversionResult:
    """The result where the cell has no point to start from."""
    n, d = task.map.shape
    slack = -task.b
    return InversionResult(
        x=np.zeros(d), fun=np.inf, scores=np.zeros(n), slack=slack, signs=np.sign(slack),
        success=False, status=status, message=f"{MESSAGES[status]}: {reason}.", nit=0,
        nfev=task.nfev,
        unique=False, null_space=np.zeros((d, 0)), standard_errors=np.full(d, np.inf),
        condition=np.inf, evidence=plain(task.evidence))
