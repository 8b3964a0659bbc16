"""The front of score inversion: check the arguments once, then run the chosen method."""
from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np

from levinv import _validate, storage
from levinv._noise import rounding_noise
from levinv._parallel import sharing
from levinv._tolerances import EPS, EVALUATIONS, FEW_ROUNDINGS, RESTARTS
from levinv._typing import Floats, MatrixLike, Seed, SignsLike, VectorLike
from levinv.inverse.driver import solve
from levinv.inverse.local import solve as local
from levinv.inverse.result import Callback, InversionResult, Progress
from levinv.inverse.values import Problem
from levinv.weighting.arguments import model_and_response
from levinv.weighting.model import Model
from levinv.weighting.names import WeightingLike

Method: TypeAlias = Literal["global", "trust-region", "newton", "gradient-descent"]

METHODS = ("global", *local.METHODS)
OPTIONS = {"global": ("restarts", "maxtime")} | local.OPTIONS


def invert_scores(A: MatrixLike, b: VectorLike | None, scores: VectorLike, *,
                  weighting: WeightingLike = None, offset: VectorLike | None = None,
                  prior_weights: VectorLike | None = None,
                  coefficient_signs: VectorLike | None = None,
                  signs: SignsLike | None = None, x0: VectorLike | None = None,
                  method: Method = "global", ridge: float | VectorLike = 0.0,
                  noise: float | VectorLike | None = None, decimals: int | None = None,
                  tol: float = 1e-8,
                  maxiter: int | None = None, callback: Callback | None = None,
                  rng: Seed = None, workers: int | None = None,
                  options: dict[str, Any] | None = None) -> InversionResult:
    """Find x from the leverage scores of diag(A x - b)⁻¹ A, or from the hat values of a regression.

    With a ``weighting``, row i of A has the weight w(a_i x - b_i) of a regression model. The scores
    are then the hat values of the model, and x its coefficients. No responses are needed.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        Real, n >= d. Rank-deficient A is accepted; null(A) is then part of the null space.
    b : (n,) array_like or None
        Right-hand side: the slack, the linear predictor of a regression, is A x - b. With a
        weighting, None stands for 0 or -offset.
    scores : (n,) array_like
        In [0, 1], summing to the rank of A.
    weighting : str, tuple of str, Weighting or statsmodels family, optional
        The weights of the rows, as in :class:`LeverageMap`: a family ("binomial"), a family and a
        link ("binomial", "probit"), or what :func:`levinv.weighting.glm` and
        :func:`levinv.weighting.power` return. Default: 1/slack².
    offset : (n,) array_like, optional
        The offset of a regression, -b, in place of b.
    prior_weights : float or (n,) array_like, optional
        Known factors of the weights, above 0: numbers of trials, frequencies.
    coefficient_signs : (d,) array_like of +1, -1 and 0, optional
        Signs of the coefficients x where they are known, 0 elsewhere. They decide between x and its
        mirror image. Not for powers of A x - b, for which ``signs`` do.
    signs : None, +1, -1 or (n,) array_like of +1 and -1
        Signs of the slack A x - b where they are known, as for the interior of a polytope. None:
        unknown. For weightings with one peak, as of binomial regressions, they are the sides of the
        mode: +1 where A x - b is above it. The mode of the logit, probit and cauchit links is 0, so
        that the sign is that of a prediction: probability above or below ½. Other weightings
        determine A x - b, or A x - b up to a constant, without signs.
    x0 : (d,) array_like, optional
        A guess of x. Stage 4 starts from it (a good guess costs a few score evaluations). If that
        fails, all stages run, and the signs at x0 are tried before the sign search.
    method : {"global", "trust-region", "newton", "gradient-descent"}
        "global" needs no starting point. The others minimise :class:`ScoreLoss` from ``x0`` and
        find a minimiser close to it: "trust-region" uses the exact Hessian; "newton" is Algorithm 2
        of [1]_, damped; "gradient-descent" is its Algorithm 1, with backtracking. They accept every
        weighting.
    ridge : float or (n,) array_like
        rho of the regulariser ½|diag(rho) A x|², at least 0. Must be 0 with "global". With a ridge,
        success means that x is a stationary point of the regularised loss.
    noise : float or (n,) array_like, optional
        Standard deviation of the scores' error (more in docs/noise.md). None: exact to rounding.
    decimals : int, optional
        The scores were rounded to so many decimals: noise of 10**-decimals / sqrt(12) of which no
        error exceeds half a unit. x is then the centre of the set of all x that round to these
        scores, if one is found: with many scores it is much more accurate than least squares.
    tol : float
        Largest max|sigma(x) - scores| that counts as solved, without noise.
    maxiter : int, optional
        "global": limit on the iterations of stage 1 (default 100) and of stage 4 (default 50).
        Otherwise on those of the method (default 500, 100 and 3000).
    callback : callable, optional
        As in SciPy: ``callback(intermediate_result)`` receives an OptimizeResult with ``nit, stage,
        error`` and ``x`` (None in stages 1 and 2). With any other signature, ``callback(x)`` is
        called if there is an x. StopIteration ends the inversion.
    rng : None, int or numpy.random.Generator
        For the starts of the sign search; results are deterministic given an int.
    workers : int, optional
        Number of threads that share the rows; default as in :func:`levinv.leverage_scores`.
        Results do not depend on it.
    options : dict, optional
        "global": "restarts", starts of the sign search on each component (default 60); "maxtime",
        seconds after which the search ends with the best x so far and success False (default no
        limit; an iteration that has begun is finished, and results depend on the machine's speed).
        "trust-region": "initial_radius". "gradient-descent": "step", either "backtracking"
        (default), a fixed step, or "strongly convex" for Lemma 7.4's steps 2/(α(k+1)) with weighted
        averaging, which takes α from "strong_convexity".

    Returns
    -------
    InversionResult
        With ``x, success, message, unique, alternatives, null_space, standard_errors`` and more.

    Raises
    ------
    ValueError
        * wrong shapes or lengths, n < d, empty input, NaN or inf
        * both b and offset; prior weights of 0; coefficient_signs other than +1, -1 and 0, or with
          a power of A x - b
        * an unknown weighting, constant weights, or weights from which no way back is known
        * A or b of extreme size (1e±100)
        * scores outside [0, 1] by more than max(1e-8, 6 noise), signs other than +1 and -1
        * unknown method or option, a ridge with "global", no x0 with another method
        * both b and offset, or neither without a weighting; prior weights that are not above 0
        * an unknown weighting, one whose scores are the same for every x (gaussian regression with
          the identity link), or one that neither rises, falls nor has one peak
        * x0 outside the domain of the link, with another method than "global"
        * numbers outside their range: noise, tol, maxiter, workers, rng, values of options
    TypeError
        * complex, object or string input, sparse input other than A
        * options, callback, rng or a number of another type

    See Also
    --------
    invert_many : thousands of small problems in one call
    forster_weights : stage 1 alone: row weights with given scores
    audit : what scores give away, before they are published

    Notes
    -----
    With the default weights, scores depend on ``|A x - b|`` alone, and not on its scale on a
    connected component of A's rows. Finding ``|A x - b|`` up to scale is a convex problem (stage
    1), finding the signs is real phase retrieval (stage 2). x follows by least squares (stage 3)
    and is refined to the maximum-likelihood estimate (stage 4).

    x is not unique if A has a null space, if a row is independent of all others (its score is 1 for
    every x), if b lies in range(A) on a component (its scale is free), or if b is so sparse that
    the matroid of [A b] is disconnected on a component (signs). See ``unique`` and ``null_space``.

    Stage 1 is the same for every weighting: it finds the log weights up to one constant on each
    component, its level. What follows depends on the log weight τ as a function of the slack:

    * power weights ``|slack|^(-q)``: as for 1/slack².
    * exponential weights (Poisson, gaussian and Tweedie with the log link): linear least squares.
      If a constant lies in range(A) on a component, as with an intercept, the level is free.
    * monotone weights (negative binomial with the log link): a search for the level.
    * weights with one peak (binomial): at every level a row has two candidates, on both sides of
      the mode. Levels are tried on a grid; at each one the sides are found by phase retrieval.

    If τ is even (logit, probit, cauchit) and b lies in range(A) on a component, as without an
    offset, the slack and its negative have the same scores: ``unique`` is False, and
    ``alternatives`` holds the other x. The known side of the mode in every row, or the sign of one
    coefficient, decides.

    References
    ----------
    .. [1] Li, Song, Wang, Yin and Yu, "How to Inverting the Leverage Score Distribution?", arXiv
       2404.13785: the problem.
    .. [2] Artstein-Avidan, Kaplan and Sharir, arXiv 2005.04918: radial isotropic position.
    .. [3] Elser, Rankenburg and Thibault, "Searching with iterated maps", PNAS 104 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import invert_scores, leverage_scores
    >>> rng = np.random.default_rng(0)
    >>> A, b, x = rng.standard_normal((30, 3)), rng.standard_normal(30), np.array([1.0, -2.0, 0.5])
    >>> scores = leverage_scores(A, slack=A @ x - b)
    >>> result = invert_scores(A, b, scores, rng=0)
    >>> result.x.round(10)
    array([ 1. , -2. ,  0.5])
    >>> result.success, result.unique
    (True, True)

    Scores rounded to four decimals give x to within a few standard errors:

    >>> rounded = invert_scores(A, b, scores.round(4), decimals=4, rng=0)
    >>> bool(np.all(abs(rounded.x - x) < 4 * rounded.standard_errors))
    True

    The hat values of a logistic regression give the coefficients up to a common sign:

    >>> from levinv import LeverageMap
    >>> design = np.column_stack([np.ones(30), A[:, :2]])
    >>> hat_values = LeverageMap(design, weighting="binomial").scores([-1.0, 2.0, 0.5])
    >>> result = invert_scores(design, None, hat_values, weighting="binomial", rng=0)
    >>> result.success, result.unique
    (True, False)
    >>> both = np.vstack([result.x, result.alternatives])
    >>> both[np.argsort(both[:, 0])].round(8)
    array([[-1. ,  2. ,  0.5],
           [ 1. , -2. , -0.5]])

    If it is known which predictions are above ½, they are unique:

    >>> sides = np.sign(design @ [-1.0, 2.0, 0.5])
    >>> result = invert_scores(design, None, hat_values, weighting="binomial", signs=sides, rng=0)
    >>> result.x.round(8), result.unique
    (array([-1. ,  2. ,  0.5]), True)
    """
    axes = _validate.axes(A, b=b, offset=offset, scores=scores, prior_weights=prior_weights,
                          noise=noise, signs=signs, ridge=ridge)
    A = _validate.matrix(A, "A", min_aspect=True, sparse=True)
    rows = storage.of(A)
    _validate.ordinary_size(_validate.ordinary_columns(rows.column_max(), "A"), "A")
    n, d = A.shape
    model, b = model_and_response(weighting, b, offset, prior_weights, n, axes.rows)
    b = _validate.ordinary_size(b, "b")
    _validate.choice(method, "method", METHODS)
    options = _validate.options(options, OPTIONS[method])
    ridge = _validate.nonnegative(ridge, "ridge", n, "row of A", axes.rows)
    if method == "global" and ridge.any():
        raise ValueError(f"ridge must be 0 with method 'global', got {ridge.max()}")
    if method == "global":
        ridge = 0.0                            # frees n zeros
    elif x0 is None:
        raise ValueError(f"x0 must be given with method {method!r}")
    if decimals is not None:
        if noise is not None:
            raise ValueError("noise and decimals must not both be given: rounding to decimals is "
                             "noise of 10**-decimals / sqrt(12)")
        noise = rounding_noise(decimals)
    noise = None if noise is None else usable_noise(_validate.noise(noise, "noise", n, axes.rows))
    scores = clipped_scores(_validate.vector(scores, "scores", n, "row of A", axes.rows), noise)
    if x0 is not None:
        x0 = _validate.vector(x0, "x0", d, "column of A", axes.columns).copy()
    if signs is not None:
        model.check_signs()
    if coefficient_signs is not None:
        coefficient_signs = _coefficient_signs(coefficient_signs, model, d, axes.columns)
    problem = Problem(
        rows, b, scores, noise, _validate.positive_number(tol, "tol"),
        None if signs is None else _validate.signs(signs, "signs", n, axes.rows), x0, model,
        coefficient_signs, decimals is not None)
    if maxiter is not None:
        maxiter = _validate.positive_int(maxiter, "maxiter")
    restarts = _validate.positive_int(options.get("restarts", RESTARTS), "options['restarts']")
    maxtime = (_validate.positive_number(options["maxtime"], "options['maxtime']")
               if "maxtime" in options else math.inf)
    progress = Progress(callback, _validate.generator(rng, "rng"), maxiter, restarts, maxtime)
    # scores may overflow at a trial point: the point is then refused
    with (sharing(workers, EVALUATIONS * rows.flops) as rows.workers,
          np.errstate(over="ignore", invalid="ignore", divide="ignore")):
        if method == "global":
            return solve(problem, progress)
        return local.solve(problem, progress, method, A, ridge, _checked(options))


def _coefficient_signs(signs: VectorLike, model: Model, d: int,
                       axis: _validate.Axis) -> Floats:
    """+1, -1 and 0 for each coefficient."""
    if model.is_power:
        raise ValueError("coefficient_signs must be None with powers of A x - b as weights: give "
                         "signs, those of A x - b")
    checked = _validate.vector(signs, "coefficient_signs", d, "column of A", axis)
    _validate.refuse(~np.isin(checked, (-1.0, 0.0, 1.0)), checked, "coefficient_signs",
                     "+1, -1 or 0 (unknown)")
    return checked


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Check the values of the options of the local methods."""
    for name in ("initial_radius", "strong_convexity"):
        if name in options:
            _validate.positive_number(options[name], f"options[{name!r}]")
    step = options.get("step", "backtracking")
    if isinstance(step, str):
        _validate.choice(step, "options['step']", ("backtracking", "strongly convex"))
    else:
        _validate.positive_number(step, "options['step']")
    if (step == "strongly convex") != ("strong_convexity" in options):
        raise ValueError("options['strong_convexity'] must be given with step 'strongly convex', "
                         "and only with it")
    return options


def usable_noise(noise: Floats) -> Floats:
    """Clip standard deviations, of any shape, to the range in which they matter.

    Scores are computed to a few units of rounding, and no score can be wrong by more than 1.
    """
    return np.clip(noise, FEW_ROUNDINGS, 1.0)


def clipped_scores(scores: Floats, noise: Floats | None) -> Floats:
    """Clip scores, of any shape, to [0, 1].

    Raises
    ------
    ValueError
        If a score is outside [0, 1] by more than rounding or noise explains.
    """
    # six standard deviations: chance exceeds them once in 1e9 scores
    room = math.sqrt(EPS) if noise is None else np.maximum(math.sqrt(EPS), 6.0 * noise)
    outside = (scores < -room) | (scores > 1.0 + room)
    if outside.any():
        index = _validate.first_index(outside)
        per_cent = np.min(scores) >= 0.0 and np.max(scores) <= 100.0
        raise ValueError(f"scores must lie in [0, 1], got {scores[index]} at index {index}"
                         + ": divide scores in per cent by 100" * bool(per_cent))
    if scores.min() >= 0.0 and scores.max() <= 1.0:
        return scores
    return np.clip(scores, 0.0, 1.0)
