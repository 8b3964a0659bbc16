"""The front of gradient inversion: checks the arguments and decides what is tried."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from levinv import _validate, storage
from levinv._parallel import sharing
from levinv._tolerances import EVALUATIONS, MAXITER
from levinv._typing import Booleans, Floats, MatrixLike, Seed, SignsLike, VectorLike
from levinv.forward.barrier import FullRankMap
from levinv.forward.basis import column_space, reciprocal_norms
from levinv.inverse.barrier_gradient import damped, least_squares, newton, subsampled
from levinv.inverse.barrier_gradient.assembly import (
    assemble,
    without_constant_part,
    without_start,
)
from levinv.inverse.barrier_gradient.descend import Descent, Proposal, descend
from levinv.inverse.barrier_gradient.feasibility import Interior, interior_point
from levinv.inverse.barrier_gradient.penalty import PenaltyProblem, has_cells, is_convex
from levinv.inverse.barrier_gradient.problem import Problem, State, evaluate
from levinv.inverse.barrier_gradient.slopes import null_space
from levinv.inverse.result import Callback, InversionResult, Progress
from levinv.storage.blocked import Rows
from levinv.weighting.names import WeightingLike, as_weighting
from levinv.weighting.protocol import INVERSE_SQUARE, Exponential, Power, Weighting

Method: TypeAlias = Literal["newton", "approximate-newton", "least-squares"]

METHODS: tuple[Method, ...] = get_args(Method)
OPTIONS: dict[Method, tuple[str, ...]] = {
    "newton": (), "approximate-newton": ("sample_size",), "least-squares": (),
}


def invert_gradient(A: MatrixLike, b: VectorLike | None, g: VectorLike, *,
                    weighting: WeightingLike = None, offset: VectorLike | None = None,
                    prior_weights: VectorLike | None = None,
                    signs: SignsLike | None = None, x0: VectorLike | None = None,
                    method: Method | None = None, ridge: float | VectorLike = 0.0,
                    tol: float = 1e-10, maxiter: int | None = None,
                    callback: Callback | None = None, rng: Seed = None, workers: int | None = None,
                    options: dict[str, Any] | None = None) -> InversionResult:
    """Find x from the gradient of the volumetric barrier, or of the Jeffreys penalty of a model.

    The gradient of the barrier is -Bᵀsigma, where B = diag(A x - b)⁻¹ A has the leverage scores
    sigma. Each sign cell {x : signs∘(A x - b) > 0} contains at most one solution. A bounded cell
    contains one for every g; an unbounded cell contains one if and only if gᵀy < 0 for every
    direction y != 0 in which it is unbounded.

    With a ``weighting``, V is :class:`JeffreysPenalty` in place of the barrier. Where V is convex,
    no starting point is needed: for exponential weights (a log link: "poisson") everywhere, for
    power weights ``|A x - b|^(-q)``, q > 0, on each sign cell. For other models (logit, probit,
    cloglog, negative binomial) V is not convex. There ``x0`` is needed, and the result is a local
    solution.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        Real, of full column rank. Zero rows are ignored.
    b : (n,) array_like or None
        Right-hand side: the slack is A x - b. With a weighting, None stands for 0 or -offset.
    g : (d,) array_like
        The gradient at x: any finite numbers.
    weighting : str, tuple of str, Weighting or statsmodels family, optional
        The weights of the rows, as in :class:`LeverageMap`. Default: 1/slack².
    offset : (n,) array_like, optional
        The offset of a regression, -b, in place of b.
    prior_weights : float or (n,) array_like, optional
        Known factors of the weights, at least 0. Rows of prior weight 0 are ignored.
    signs : +1, -1 or (n,) array_like of +1 and -1, optional
        Signs of the slack A x - b. They choose the cell; +1 is the interior of A x >= b. For power
        weights only: others have no cells.
    x0 : (d,) array_like, optional
        A starting point strictly inside the cell. It chooses the cell if ``signs`` is not given;
        with power weights one of the two must be given. For a V that is not convex, a point near
        the solution, inside the domain of the link.
    method : {"newton", "approximate-newton", "least-squares"}, optional
        "newton" minimises the convex function V(x) - gᵀx. "approximate-newton" minimises it with a
        Hessian from sampled rows (for weights 1/slack² only). "least-squares" minimises ½|∇V(x) -
        g|² + ½|diag(ridge) A x|², which need not be convex, from x0 or, without x0, from the
        solution of "newton". Default: "newton", or "least-squares" if V is not convex.
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
        ``fun`` is the objective of "least-squares". ``status``: 0 matched, 1 no x (in the cell)
        has this gradient, 2 the cell is proved empty, 3 not matched, 4 stopped by the callback.
        ``unique`` is True on success without a ridge if V is convex and ``null_space`` is empty.
        ``null_space`` has columns for exponential weights only: directions along which A x is
        constant on each component of A's rows, such as an intercept; the gradient does not depend
        on them, and x is the solution closest to the start (columns of A at unit norm).
        ``alternatives`` is empty: no search for other solutions is made. ``standard_errors`` are
        those of rounding g to double, inf where the null space moves a coefficient.
        ``condition`` is the relative change of x (2-norm) per relative change of each
        entry of g. (For weights 1/slack², where n d³ exceeds 1e11 both are upper bounds, at most
        three times too large.)
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
        full column rank, neither signs nor x0 with power weights, x0 not strictly inside the cell
        or the domain of the link, no x0 for a V that is not convex, signs other than +1 and -1 or
        for weights without cells, both b and offset, unknown weighting, method or option, a method
        that does not suit the weighting, a negative ridge, a ridge with another method than "least-
        squares".
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    VolumetricBarrier, JeffreysPenalty : V and its gradient
    GradientLoss : the objective of "least-squares"
    invert_scores : x from the scores themselves

    Notes
    -----
    The Newton decrement is the square root of (∇V - g)ᵀ(∇²V)⁻¹(∇V - g). It does not change with the
    units of A's columns, and approximates the relative error of the slacks, weighted by sigma.
    (If V is not convex, the eigenvalues of ∇²V count by their size.) Rounding of g and of A x - b
    keeps it above ``evidence["floor"]``. If this floor is larger than ``tol``, a decrement of the
    size of the floor is accepted.

    For weights 1/slack² Newton steps cost O(n d²): they use conjugate gradients on the Hessian,
    preconditioned to a condition number of at most 3. For other weights the Hessian is factored,
    O(n d²·min(n/d, d)).

    References
    ----------
    .. [1] arXiv 2408.11267: the problem, its regularised objective and the approximate Newton
       method (abstract).
    .. [2] Vaidya, "A new algorithm for minimizing convex functions over convex sets", Mathematical
       Programming 73 (1996).

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import JeffreysPenalty, VolumetricBarrier, invert_gradient
    >>> rng = np.random.default_rng(0)
    >>> A, x = rng.standard_normal((40, 3)), np.array([1.0, -2.0, 0.5])
    >>> b = A @ x - rng.exponential(size=40)
    >>> g = VolumetricBarrier(A, b).grad(x)
    >>> result = invert_gradient(A, b, g, signs=+1)
    >>> result.x.round(10)
    array([ 1. , -2. ,  0.5])
    >>> result.success, result.unique
    (True, True)

    The penalty of a Poisson regression is convex. Its gradient does not depend on the intercept:

    >>> design = np.column_stack([np.ones(40), A])
    >>> penalty = JeffreysPenalty(design, weighting="poisson")
    >>> g = penalty.grad([-1.0, 1.0, -2.0, 0.5])
    >>> result = invert_gradient(design, None, g, weighting="poisson")
    >>> result.x.round(8) + 0.0
    array([ 0. ,  1. , -2. ,  0.5])
    >>> abs(result.null_space.T).round(10) + 0.0
    array([[1., 0., 0., 0.]])

    That of a logistic regression is not convex: a starting point is needed.

    >>> g = JeffreysPenalty(A, weighting="binomial").grad(x)
    >>> result = invert_gradient(A, None, g, weighting="binomial", x0=x + 0.1)
    >>> result.x.round(8)
    array([ 1. , -2. ,  0.5])
    >>> result.success, result.unique
    (True, False)
    """
    axes = _validate.axes(A, b=b, offset=offset, prior_weights=prior_weights, signs=signs,
                          ridge=ridge)
    A = _validate.matrix(A, "A", sparse=True)
    n, d = A.shape
    weights = as_weighting(weighting)
    b = _response(b, offset, weighting, n, axes.rows)
    g = _validate.vector(g, "g", d, "column of A", axes.columns)
    chosen = _method(method, weights)
    _require_third_derivative(weights)
    options = _validate.options(options, OPTIONS[chosen])
    ridge = _validate.nonnegative(ridge, "ridge", n, "row of A", axes.rows)
    if chosen != "least-squares" and ridge.any():
        raise ValueError(f"ridge must be 0 with method {chosen!r}, got {ridge.max()}")
    size = options.get("sample_size", subsampled.default_size(d))
    size = _validate.positive_int(size, "options['sample_size']")
    tol = _validate.positive_number(tol, "tol")
    maxiter = MAXITER[chosen] if maxiter is None else _validate.positive_int(maxiter, "maxiter")
    stored = storage.of(A)
    _validate.ordinary_size(_validate.ordinary_columns(stored.column_max(), "A"), "A")
    _validate.ordinary_size(b, "b")
    prior = (None if prior_weights is None
             else _validate.nonnegative(prior_weights, "prior_weights", n, "row of A", axes.rows))
    active = stored.nonzero() if prior is None else stored.nonzero() & (prior > 0)
    cell_signs = None if signs is None else _validate.signs(signs, "signs", n, axes.rows)
    if x0 is not None:
        x0 = _validate.vector(x0, "x0", d, "column of A", axes.columns).copy()
    cell_signs = _cell(stored, b, x0, cell_signs, active, weights)
    known = b, g, cell_signs, active, ridge, tol, maxiter
    if _is_inverse_square(weights, prior):
        problem = Problem(FullRankMap(A, b), *known)
    else:
        if chosen == "approximate-newton":
            raise ValueError("method must not be 'approximate-newton' with this weighting or prior "
                             "weights: its sample is for the weights 1/slack²")
        full = FullRankMap(A, b, weights, prior, name="penalty")
        free = (null_space(full.rows, active) if isinstance(weights, Exponential)
                else np.zeros((d, 0)))
        problem = PenaltyProblem(full, *known, free)
    progress = Progress(callback, _validate.generator(rng, "rng"))
    with sharing(workers, EVALUATIONS * stored.flops):
        return _solve(problem, x0, chosen, size, progress)


def _response(b: VectorLike | None, offset: VectorLike | None, weighting: WeightingLike,
              n: int, axis: _validate.Axis) -> Floats:
    """b = -offset, (n,)."""
    if b is not None and offset is not None:
        raise ValueError("b and offset must not both be given: b is -offset")
    if offset is not None:
        return -_validate.vector(offset, "offset", n, "row of A", axis)
    if b is None:
        if weighting is None:
            raise ValueError("b must be given with the weights 1/slack²")
        return np.zeros(n)
    return _validate.vector(b, "b", n, "row of A", axis)


def _method(method: Method | None, weighting: Weighting) -> Method:
    """The method, by default one that suits the weighting."""
    if weighting.kind == "constant":
        raise ValueError("weighting must depend on x, but the penalty of "
                         f"{weighting.name} is the same for every x")
    convex = is_convex(weighting)
    if method is None:
        return "newton" if convex else "least-squares"
    _validate.choice(method, "method", METHODS)
    if method != "least-squares" and not convex:
        raise ValueError(f"method must be 'least-squares' for {weighting.name}, whose penalty is "
                         f"not known to be convex, got {method!r}")
    return method


def _require_third_derivative(weighting: Weighting) -> None:
    """Raise ValueError if "least-squares" lacks the third derivative that its Hessian needs."""
    try:
        with np.errstate(all="ignore"):
            if not isinstance(weighting, (Power, Exponential)):
                weighting.third_derivative(np.ones(weighting.length or 1))
    except NotImplementedError:
        raise ValueError("weighting must have a third derivative for method 'least-squares', which "
                         f"{weighting.name} has not") from None


def _is_inverse_square(weighting: Weighting, prior: Floats | None) -> bool:
    """Whether V is the volumetric barrier but for a constant."""
    return (isinstance(weighting, Power) and weighting.q == INVERSE_SQUARE.q
            and (prior is None or (np.ptp(prior) == 0 and bool(prior.all()))))


def _cell(stored: Rows, b: Floats, x0: Floats | None, signs: Floats | None, active: Booleans,
          weighting: Weighting) -> Floats:
    """Signs of the cell to search, which contains x0 strictly inside; 1 if there are no cells."""
    if x0 is None and not is_convex(weighting):
        raise ValueError(f"x0 must be given for {weighting.name}: its penalty is not known to be "
                         "convex, and several x may have the same gradient")
    if not has_cells(weighting):
        if signs is not None:
            raise ValueError(f"signs must not be given for {weighting.name}: the penalty is finite "
                             "for both signs of A x - b")
        if x0 is not None:
            _check_domain(_slack(stored, b, x0), active, weighting)
        return np.ones(len(b))
    if x0 is not None:
        signs = _cell_of(_slack(stored, b, x0), signs, active)
    if signs is None:
        raise ValueError("signs or x0 must be given: every bounded cell has a solution of its own")
    return signs


def _slack(stored: Rows, b: Floats, x0: Floats) -> Floats:
    """A x0 - b, (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        slack = stored.matvec(x0) - b
    if not np.isfinite(slack).all():
        raise ValueError("x0 must not be so large that A x0 - b overflows")
    return slack


def _check_domain(eta: Floats, active: Booleans, weighting: Weighting) -> None:
    low, high = weighting.domain
    outside = active & ~((eta > low) & (eta < high))
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(f"x0 must keep the linear predictor in ({low:g}, {high:g}) for "
                         f"{weighting.name}, got {eta[row]:g} in row {row}")


def _cell_of(slack: Floats, signs: Floats | None, active: Booleans) -> Floats:
    """The signs of the cell that contains x0 strictly inside."""
    wrong = active & (slack * (np.sign(slack) if signs is None else signs) <= 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        which = "" if signs is None else " of signs"
        raise ValueError(f"x0 must lie strictly inside the cell{which}, got slack "
                         f"{slack[row]:.6g} in row {row}")
    return np.where(slack < 0, -1.0, 1.0) if signs is None else signs


def _solve(problem: Problem, x0: Floats | None, method: Method, size: int,
           progress: Progress) -> InversionResult:
    """Find a start, run the method and assemble the result."""
    x, interior = x0, None
    if x is None and problem.bounded_by_signs:
        found = _inside(problem, progress)
        if isinstance(found, InversionResult):
            return found
        x, interior = found.x, found
    start = _level_start(problem, progress) if x is None else evaluate(problem, x, progress)
    if start is None:
        return without_start(problem, progress, interior, 3,
                             f"the {problem.map.name} cannot be evaluated at the start")
    constant = problem.constant_part(start)
    if constant is not None and not problem.regularised:
        return without_constant_part(start, progress, constant)
    given = x0 is not None
    with np.errstate(over="ignore", invalid="ignore"):       # by targets near the largest float
        if method == "least-squares":
            descent = _least_squares(problem, start, given, progress)
            return assemble(descent, progress, interior, None, size)
        descent = descend(problem, start, _newton(problem, method, size, progress), progress,
                          method)
        sampled = (None if method == "newton"
                   else subsampled.subsampled_hessian(descent.state, size, progress.rng))
        return assemble(descent, progress, interior, sampled, size)


def _inside(problem: Problem, progress: Progress) -> Interior | InversionResult:
    """A point inside the cell, or the result if none was found."""
    active = problem.active
    wrong = ~active & (problem.signs * problem.b > 0)   # a zero row has slack -b at every x
    wrong &= ~problem.map.rows.nonzero()
    if wrong.any():
        row = int(np.argmax(wrong))
        return without_start(problem, progress, None, 2, f"row {row} of A is zero and its "
                             f"slack {-problem.b[row]:.6g} has the other sign")
    interior = interior_point(problem.map.rows.part(active), problem.b[active],
                              problem.signs[active])
    if interior.x is not None:
        return interior
    failure = ((2, "the least slack can be made no larger than ") if interior.empty else
               (3, "no point inside the cell was found, nor a proof that it is empty; "
                   "largest least slack "))
    return without_start(problem, progress, interior, failure[0],
                         f"{failure[1]}{interior.least_slack:.3g} (rows of unit norm)")


def _level_start(problem: Problem, progress: Progress) -> State | None:
    """The State at x = 0 or, if the weights are too different there, where A x is close to b."""
    d = problem.map.shape[1]
    start = evaluate(problem, np.zeros(d), progress)
    if start is not None:
        return start
    rows = problem.map.rows
    unit = reciprocal_norms(rows.row_norms())
    transform = column_space(rows, problem.active).transform
    weight = np.where(problem.active, unit * unit, 0.0)
    return evaluate(problem, transform @ (transform.T @ rows.rmatvec(weight * problem.b)),
                    progress)


def _newton(problem: Problem, method: Method, size: int,
            progress: Progress) -> Callable[[State], Proposal]:
    """Newton's method for the convex function V - gᵀx."""
    if isinstance(problem, PenaltyProblem):
        return damped.proposing(progress)
    solver = (subsampled.sampling_direction(size, progress.rng) if method == "approximate-newton"
              else newton.newton_direction)
    return newton.proposing(solver, progress)


def _least_squares(problem: Problem, start: State, given: bool, progress: Progress) -> Descent:
    """Minimise from a given start directly, otherwise from the minimiser of the convex problem.

    Far from a solution |∇V - g|² falls slowly, because no fixed norm suits it everywhere; the
    convex problem does not have this difficulty.
    """
    def minimised(start: State) -> Descent:
        return descend(problem, start, least_squares.proposing(problem, progress), progress,
                       "least-squares",
                       bounded_below=problem.regularised or not problem.convex)

    if given:
        return minimised(start)
    convex = descend(problem, start, _newton(problem, "newton", 0, progress), progress,
                     "least-squares")
    if convex.reason == "stopped" or (convex.reason == "no preimage" and not problem.regularised):
        return convex
    found = minimised(convex.state if convex.reason == "converged" else start)
    return replace(found, steps=convex.steps + found.steps)
