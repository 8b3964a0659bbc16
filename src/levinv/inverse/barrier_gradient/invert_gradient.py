"""The front of gradient inversion: checks the arguments and decides what is tried."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from levinv import _validate, storage
from levinv._parallel import sharing
from levinv._tolerances import EVALUATIONS, MAXITER
from levinv._typing import Booleans, Floats, MatrixLike, Seed, SignsLike, VectorLike
from levinv.forward.barrier import FullRankMap
from levinv.inverse.barrier_gradient import least_squares, newton, subsampled
from levinv.inverse.barrier_gradient.assembly import assemble, without_start
from levinv.inverse.barrier_gradient.descend import Descent, descend
from levinv.inverse.barrier_gradient.feasibility import interior_point
from levinv.inverse.barrier_gradient.problem import Problem, State, evaluate
from levinv.inverse.result import Callback, InversionResult, Progress
from levinv.storage.blocked import Rows

Method: TypeAlias = Literal["newton", "approximate-newton", "least-squares"]

METHODS: tuple[Method, ...] = get_args(Method)
OPTIONS: dict[Method, tuple[str, ...]] = {
    "newton": (), "approximate-newton": ("sample_size",), "least-squares": (),
}


def invert_gradient(A: MatrixLike, b: VectorLike, g: VectorLike, *,
                    signs: SignsLike | None = None, x0: VectorLike | None = None,
                    method: Method = "newton", ridge: float | VectorLike = 0.0, tol: float = 1e-10,
                    maxiter: int | None = None, callback: Callback | None = None,
                    rng: Seed = None, workers: int | None = None,
                    options: dict[str, Any] | None = None) -> InversionResult:
    """Find x from the gradient of the volumetric barrier.

    The gradient is -Bᵀsigma, where B = diag(A x - b)⁻¹ A has the leverage scores sigma. Each sign
    cell {x : signs∘(A x - b) > 0} contains at most one solution. A bounded cell contains one for
    every g; an unbounded cell contains one if and only if gᵀy < 0 for every direction y != 0 in
    which it is unbounded.

    Parameters
    ----------
    A : (n, d) array_like, sparse matrix, stored or dask array
        Real, of full column rank. Zero rows are ignored.
    b : (n,) array_like
        Right-hand side: the slack is A x - b.
    g : (d,) array_like
        The gradient at x: any finite numbers.
    signs : +1, -1 or (n,) array_like of +1 and -1, optional
        Signs of the slack A x - b. They choose the cell; +1 is the interior of A x >= b.
    x0 : (d,) array_like, optional
        A starting point strictly inside the cell. It chooses the cell if ``signs`` is not given;
        one of the two must be given.
    method : {"newton", "approximate-newton", "least-squares"}
        "newton" minimises the convex function V(x) - gᵀx. "approximate-newton" minimises it with a
        Hessian from sampled rows. "least-squares" minimises ½|∇V(x) - g|² + ½|diag(ridge) A x|²,
        which need not be convex, from x0 or, without x0, from the solution of "newton".
    ridge : float or (n,) array_like
        At least 0; other values than 0 need "least-squares". The result is then a stationary point
        of the objective, which is close to a solution only if the ridge is small.
    tol : float
        Largest Newton decrement of a solution (see Notes). With a ridge: the largest gradient of
        the objective in the Gauss-Newton metric, relative to the residual.
    maxiter : int, optional
        Largest number of steps. Default 100, 200 and 300 for the three methods.
    callback : callable, optional
        As for :func:`levinv.invert_scores`, called in each step; ``error`` is the decrement.
    rng : None, int or numpy.random.Generator
        Source of the sampled rows of "approximate-newton".
    workers : int, optional
        Number of threads that share the rows; default as in :func:`levinv.leverage_scores`. The
        result does not depend on it.
    options : dict, optional
        "sample_size" with "approximate-newton": expected number of rows sampled in each step;
        default 10 d log(d + 2). A size of n or more gives Newton's method.

    Returns
    -------
    InversionResult
        ``fun`` is the objective of "least-squares". ``status``: 0 matched, 1 no x in the cell has
        this gradient, 2 the cell is proved empty, 3 not matched, 4 stopped by the callback.
        ``unique`` is True on success without a ridge. ``standard_errors`` are those of rounding g
        to double. ``condition`` is the relative change of x (2-norm) per relative change of each
        entry of g. (Where n d³ exceeds 1e11 both are upper bounds, at most three times too large.)
        ``evidence`` contains ``steps`` (decrement and step length of each, with ``cg_iterations``
        or the number of ``rows`` sampled), ``decrement``, the ``floor`` that rounding sets to it,
        ``certificate`` (status 1), ``start`` (least slack of the starting point in rows of unit
        norm), and with "approximate-newton" ``sample_size``, the number of ``rows`` in the last
        sample and ``spectral_error``, the error of its Hessian relative to the exact one at the
        solution.

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
    The Newton decrement is the square root of (∇V - g)ᵀ(∇²V)⁻¹(∇V - g). It does not change with the
    units of A's columns, and approximates the relative error of the slacks, weighted by sigma.
    Rounding of g and of A x - b keeps it above ``evidence["floor"]``. If this floor is larger than
    ``tol``, a decrement of the size of the floor is accepted.

    Newton steps cost O(n d²): they use conjugate gradients on the Hessian, preconditioned to a
    condition number of at most 3.

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
    problem = Problem(FullRankMap(A, b), b, g, cell_signs, active, ridge, tol, maxiter)
    progress = Progress(callback, _validate.generator(rng, "rng"))
    with sharing(workers, EVALUATIONS * stored.flops):
        return _solve(problem, x0, method, size, progress)


def _cell_of(stored: Rows, b: Floats, x0: Floats, signs: Floats | None,
             active: Booleans) -> Floats:
    """The signs of the cell that contains x0 strictly inside."""
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


def _solve(problem: Problem, x0: Floats | None, method: Method, size: int,
           progress: Progress) -> InversionResult:
    """Find a start in the cell, run the method and assemble the result."""
    x, interior = x0, None
    if x is None:
        active = problem.active
        wrong = ~active & (problem.signs * problem.b > 0)   # a zero row has slack -b at every x
        if wrong.any():
            row = int(np.argmax(wrong))
            return without_start(problem, progress, None, 2, f"row {row} of A is zero and its "
                                 f"slack {-problem.b[row]:.6g} has the other sign")
        interior = interior_point(problem.map.rows.part(active), problem.b[active],
                                  problem.signs[active])
        x, least = interior.x, f"{interior.least_slack:.3g}"
        if x is None:
            failure = ((2, "the least slack can be made no larger than ") if interior.empty else
                       (3, "no point inside the cell was found, nor a proof that it is empty; "
                           "largest least slack "))
            return without_start(problem, progress, interior, failure[0],
                                 f"{failure[1]}{least} (rows of unit norm)")
    start = evaluate(problem, x, progress)
    if start is None:
        return without_start(problem, progress, interior, 3,
                             "the barrier cannot be evaluated at the start")
    with np.errstate(over="ignore", invalid="ignore"):       # by targets near the largest float
        if method == "least-squares":
            descent = _least_squares(problem, start, x0 is not None, progress)
            return assemble(descent, progress, interior, None, size)
        exact, rng = method == "newton", progress.rng
        solver = newton.newton_direction if exact else subsampled.sampling_direction(size, rng)
        descent = descend(problem, start, newton.proposing(solver, progress), progress, method)
        sampled = None if exact else subsampled.subsampled_hessian(descent.state, size, rng)
        return assemble(descent, progress, interior, sampled, size)


def _least_squares(problem: Problem, start: State, given: bool, progress: Progress) -> Descent:
    """Minimise from a given start directly, otherwise from the minimiser of the convex problem.

    Far from a solution |∇V - g|² falls slowly, because no fixed norm suits it everywhere; the
    convex problem does not have this difficulty.
    """
    def minimised(start: State) -> Descent:
        return descend(problem, start, least_squares.proposing(problem, progress), progress,
                       "least-squares", bounded_below=problem.regularised)

    if given:
        return minimised(start)
    convex = descend(problem, start, newton.proposing(newton.newton_direction, progress), progress,
                     "least-squares")
    if convex.reason == "stopped" or (convex.reason == "no preimage" and not problem.regularised):
        return convex
    found = minimised(convex.state if convex.reason == "converged" else start)
    return replace(found, steps=convex.steps + found.steps)
