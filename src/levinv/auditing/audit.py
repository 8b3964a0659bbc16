"""The front of the audit: it checks the arguments, predicts standard errors and runs an attack.

The attacker has A, b or the offset, and the published scores, and knows how they were made and
rounded. The person who audits also has x. What the scores determine (``unique``, ``null_space``,
``alternatives``) is a property of A, b, x and the signs. It is decided by an inversion of the exact
scores that starts at x. The attack has no starting point.
"""
from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from levinv import _validate
from levinv._noise import rounding_noise
from levinv._tolerances import EPS, SAMPLE_SEED, UNIT_ROUNDOFF
from levinv._typing import Floats, MatrixLike, SignsLike, VectorLike
from levinv.auditing.figures import Publication, Setting, nearest
from levinv.auditing.of_fit import subject_of
from levinv.auditing.progress import Told
from levinv.auditing.report import AuditReport
from levinv.auditing.sensitivity import departure, sensitivity
from levinv.forward.basis import orthonormal_basis
from levinv.forward.leverage_map import LeverageMap
from levinv.inverse.invert_scores import invert_scores
from levinv.inverse.result import InversionResult, ResultCallback
from levinv.models import reading
from levinv.storage.blocked import Rows
from levinv.weighting.arguments import model_and_response
from levinv.weighting.model import Model
from levinv.weighting.names import WeightingLike


def audit(A: MatrixLike, b: VectorLike | None = None, x: VectorLike | None = None, *,
          weighting: WeightingLike = None, offset: VectorLike | None = None,
          prior_weights: VectorLike | None = None, noise: float | VectorLike | None = None,
          decimals: int | None = None, signs: SignsLike | None = None,
          names: Iterable[str] | None = None, X: MatrixLike | None = None,
          callback: ResultCallback | None = None) -> AuditReport:
    """Tell what published hat values of a regression, or leverage scores, reveal of x.

    Without a weighting, they are the leverage scores of diag(A x - b)⁻¹ A.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array, or fitted regression
        Real, n >= d. The report keeps the names of columns and rows. Or a fit that
        :func:`hat_values` accepts: its design, coefficients and weights replace b, x, weighting and
        offset. Rows of weight 0 are left out: their hat values are 0. The attacker knows the
        penalty of a penalised fit.
    b : (n,) array_like or series
        Right-hand side: the slack is A x - b. Not needed with a weighting.
    x : (d,) array_like or series
        The vector that may have to stay secret: the coefficients of a regression.
    weighting : str, tuple of str, Weighting or statsmodels family, optional
        The regression whose hat values are published: a family ("binomial"), a family and a link
        ("binomial", "probit"), or what :func:`levinv.weighting.glm` and
        :func:`levinv.weighting.power` return. Default: 1/slack².
    offset : (n,) array_like or series, optional
        The offset of the regression, -b, in place of b.
    prior_weights : float or (n,) array_like, optional
        Known factors of the weights, above 0, such as the numbers of trials.
    noise : float or (n,) array_like, optional
        Standard deviation of independent noise that is added to the scores before they are
        published. Without ``noise`` and ``decimals`` the scores are published as exact doubles.
    decimals : int, optional
        Number of decimals to which the scores are rounded: noise of 10**-decimals / sqrt(12).
    signs : None, +1, -1 or (n,) array_like of +1 and -1
        The signs of A x - b if an attacker knows them, as for the interior of a polytope; of a
        binomial regression, the side of the largest weight on which each linear predictor lies.
    names : (d,) sequence of str, optional
        Names of the coefficients; default the names of A's columns, or the labels of x.
    X : (n, d) array_like, data frame or sparse matrix, optional
        The design of a fit of scikit-learn, whose sample weights are ``prior_weights``.
    callback : callable, optional
        Shows progress. ``callback(intermediate_result=...)`` is called before each part of the
        work and in each iteration of an inversion, with ``stage``, ``nit``, ``error`` and ``x`` (or
        None), also by attacks that the report runs later. It cannot stop the audit by
        StopIteration.

    Returns
    -------
    AuditReport

    Raises
    ------
    ValueError
        Wrong shapes or lengths, n < d, empty input, NaN or inf, noise that is not above 0, both
        noise and decimals, signs that are not those of A x - b, labels in another order, a wrong
        number of names, an x at which the scores are not defined. Both b and an offset,
        an unknown weighting, one whose hat values do not depend on x, such as those of a fit of
        ordinary least squares or of Ridge: they give nothing of the coefficients away. A penalised
        fit with dependent columns, or with signs. A dask array of more than 2²⁴ entries, because
        the Jacobian has the shape of A and is gathered in memory.
    TypeError
        Complex, object or string input; decimals that are not an integer; no x; neither b nor a
        weighting.

    See Also
    --------
    invert_scores : the attack
    levinv.plot : pictures of the report

    Notes
    -----
    Standard errors are the Cramér-Rao bound, to first order in the noise (see
    ``levinv/auditing/sensitivity.py``): with independent errors of the given size no unbiased
    method does better. The attack computes the maximum likelihood estimate, which reaches the bound
    while the noise is small. For larger noise ``prediction_holds`` is False: the bound remains
    valid but cannot be attained. Then use the attack's actual error instead. The bound does not
    apply to somebody who knows something of x beforehand.

    Rounding counts as noise. It acts like noise while most scores are larger than the last decimal
    that is kept.

    The report keeps references to A and b, without copies, for the attacks that it runs on request.

    The audit takes an inversion and about d evaluations of the scores. It needs one dense n x d
    array besides A (the Jacobian), also for sparse, stored and dask rows. The noise of the attack
    is drawn with a fixed seed, so that reports are reproducible.

    Hat values of a linear model, those of A itself, do not depend on x and reveal nothing of it to
    somebody who has A. Those of most generalised linear models do. If the weight is an even
    function of the linear predictor, as in logistic and probit regression, and there is no offset,
    -x has the same hat values. The audit counts coefficients that are determined up to this sign as
    given away, and measures the attack's error with the right sign.

    Examples
    --------
    The hat values of a logistic regression, rounded to six decimals:

    >>> from levinv import audit
    >>> from levinv.data import load_anes96
    >>> A = load_anes96()[0][:, [0, 2, 5]]
    >>> report = audit(A, x=[-7.1, 0.8, 0.9], weighting="binomial", decimals=6)
    >>> report.verdict.partition(",")[0]
    'GIVEN AWAY up to one common sign. Whoever has the design matrix finds all 3 coefficients'
    >>> report.unique, bool(report.recovered_error < 1e-3)
    (False, True)

    A fit of statsmodels or scikit-learn has all that the audit needs:

    >>> import statsmodels.api as sm
    >>> data = sm.datasets.spector.load()
    >>> fit = sm.Logit(data.endog, sm.add_constant(data.exog)).fit(disp=False)
    >>> report = audit(fit, decimals=4)
    >>> report.verdict.partition(".")[0], report.names
    ('GIVEN AWAY up to one common sign', ['const', 'GPA', 'TUCE', 'PSI'])

    Scores of rows divided by residuals: a regression in statsmodels is fitted to every other
    household. The hat values of all households with weights of 1/residual² are to be published:

    >>> data = sm.datasets.engel.load()
    >>> X, y = sm.add_constant(data.exog), data.endog
    >>> fitted = sm.OLS(y[::2], X[::2]).fit()
    >>> weighted = sm.GLM(y, X, var_weights=(y - fitted.predict(X)) ** -2.0).fit()
    >>> scores = weighted.get_influence().hat_matrix_diag

    What would they reveal of the model, rounded to four decimals?

    >>> report = audit(X, y, fitted.params, decimals=4)
    >>> report.verdict.partition(",")[0]
    'GIVEN AWAY. Whoever has A and b finds x from these scores'
    >>> report.names, report.unique, bool(report.recovered_error < 1e-5)
    (['const', 'foodexp'], True, True)
    >>> bool(abs(report.scores - scores).max() < 1e-12)
    True
    """
    hidden, weighted = 0, prior_weights is not None
    if reading.is_fit(A):
        _refuse_with_a_fit("a fit, which has it (the design of scikit-learn: X=)", b=b, x=x,
                           weighting=weighting, offset=offset)
        A, x, weighting, offset, prior_weights, axes, hidden, weighted = subject_of(
            A, X, prior_weights)
        if hidden:
            _refuse_with_a_fit("a penalised fit", signs=signs)
    elif X is not None:
        raise ValueError("X must be given for a fit of scikit-learn only; A is the design here")
    elif x is None:
        raise TypeError("x must be given: the vector whose secrecy is audited")
    else:
        axes = _validate.axes(A, fixed=True, b=b, offset=offset, prior_weights=prior_weights,
                              noise=noise, signs=signs)
    columns, row_labels = _names(axes, x)
    A = _validate.matrix(A, "A", min_aspect=True, sparse=True)
    n, d = A.shape[0] - hidden, A.shape[1]
    model, b = model_and_response(weighting, b, offset, prior_weights, n + hidden, axes.rows)
    x = _validate.vector(x, "x", d, "column of A", axes.columns).copy()
    published = _publication(n, noise, decimals, axes.rows)
    weights: dict[str, Any] = {"weighting": model.weighting, "prior_weights": prior_weights}
    scores_at = LeverageMap(A, b, **weights)
    scores, slack = scores_at.scores(x), scores_at.slack(x)
    signs = None if signs is None else _checked_signs(signs, model, slack, axes.rows)
    given = {**weights, "signs": signs}
    told = Told(callback)
    identified = invert_scores(A, b, scores, x0=x, rng=SAMPLE_SEED, **given,
                               callback=told.of("what the scores determine"))
    exactly = _deviation(Publication(0.0, None), scores, model)
    attack_on = functools.partial(_attack, A, b, scores, exactly, hidden, given, told)
    attack = attack_on(published)
    told("standard errors")
    share = scores_at._map.rows.column_norms() / np.sqrt(n)
    # A coefficient of 0 has the size that moves A x like the slacks, in a column of zeros 1.
    usual = np.linalg.norm(slack[:n]) / np.sqrt(n) / np.where(share > 0, share, 1.0)
    sizes = np.where(x != 0, np.abs(x), np.where(usual > 0, usual, 1.0))
    deviation = np.append(_deviation(published, scores[:n], model), np.full(hidden, np.inf))
    prediction = _predicted(scores_at, x, deviation, identified, share)
    mirrored = model.weighting.even and _mirrored(scores_at, slack, identified.alternatives)
    certain = prediction.pop("certain") and bool(identified.success)
    return AuditReport(
        setting=Setting(model.weighting.name, model.mode, bool(b.any()),
                        weighted, bool(hidden)),
        x=x, sizes=sizes, scores=scores[:n], published=published, signs_known=signs is not None,
        names=_coefficient_names(names, columns, d), row_labels=row_labels,
        decided=bool(identified.success), unique=bool(identified.unique and certain),
        null_space=identified.null_space, alternatives=identified.alternatives,
        up_to_signs=bool(mirrored and certain and not identified.null_space.size
                         and not identified.evidence["undetermined_directions"]),
        **prediction, attack=attack, recovered_x=nearest(attack, x, share),
        least_squares_x=_least_squares(scores_at._map.rows, b), share=share, attack_on=attack_on)


def _refuse_with_a_fit(which: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} must not be given with {which}")


def _deviation(published: Publication, scores: Floats, model: Model) -> Floats:
    """Standard deviations of the published scores, rounding to double included, (n,)."""
    # A score is the squared norm of a row of a basis, whose entries are known to ε. Hat values of
    # models, as other packages compute them, have the rounding error of a squared length.
    size = np.maximum(scores, EPS ** 2)
    rounding = UNIT_ROUNDOFF * (size if model.is_inverse_square else np.sqrt(size))
    return np.hypot(published.noise, rounding)


def _predicted(scores_at: LeverageMap, x: Floats, deviation: Floats, identified: InversionResult,
               share: Floats) -> dict[str, Any]:
    """What the report says of sensitivity and standard errors; "certain" says that the Jacobian
    has no further direction of singular value zero. The deviation (n + k,) of scores that are not
    published is inf.
    """
    null_space = identified.null_space
    free = null_space.shape[1] - (len(x) - scores_at._map.rank)
    point, jacobian = scores_at._map.at(x), scores_at.jacobian(x)
    with scores_at._map.threads():
        model = sensitivity(jacobian, deviation, point.projection, free)
        unit = np.where(np.isfinite(deviation), 1.0, np.inf)
        at_unit_noise = sensitivity(jacobian, unit, point.projection, free)
    # The x that an attacker finds is rounded to double.
    errors = np.hypot(model.standard_errors(null_space), UNIT_ROUNDOFF * np.abs(x))
    with np.errstate(over="ignore"):
        # in units of the weights themselves, not of the largest
        values = model.values * np.exp(-0.5 * point.weights.unit)
    # no direction shows to first order, as where all linear predictors are at the largest weight
    hidden = bool(model.flat.shape[1]) and not model.steps.shape[1]
    return {"standard_errors": errors,
            "errors_per_noise": at_unit_noise.standard_errors(null_space),
            "singular_values": values, "row_influence": model.influence[np.isfinite(deviation)],
            "direction_error": _direction_error(model.steps, x, null_space, share),
            "departure": math.inf if hidden else departure(scores_at, x, model.steps, deviation),
            "departure_with": (lambda noise: math.inf) if hidden else functools.partial(
                departure, scores_at, x, at_unit_noise.steps, unit),
            "certain": not model.flat.shape[1]}


def _direction_error(steps: Floats, x: Floats, null_space: Floats, share: Floats) -> float:
    """Relative standard error of x up to a factor; inf unless the factor alone is free."""
    size = float(np.linalg.norm(share * x))
    if null_space.shape[1] != 1 or not size:
        return math.inf
    off = np.linalg.norm(x - null_space @ (null_space.T @ x))
    if off > math.sqrt(EPS) * np.linalg.norm(x):
        return math.inf
    unit, errors = share * x / size, share[:, None] * steps
    return float(np.linalg.norm(errors - np.outer(unit, unit @ errors))) / size


def _mirrored(scores_at: LeverageMap, eta: Floats, alternatives: Floats) -> bool:
    """Whether there are alternatives, and all only change the signs of linear predictors."""
    negligible = math.sqrt(EPS) * float(np.abs(eta).max())
    for other in alternatives:
        moved = scores_at.slack(other)
        if (np.minimum(np.abs(moved - eta), np.abs(moved + eta)) > negligible).any():
            return False
    return bool(len(alternatives))


def _checked_signs(signs: SignsLike, model: Model, slack: Floats,
                   rows: _validate.Axis) -> Floats:
    """Known signs, (n,). Raises ValueError if they are not those of A x - b, less the mode."""
    known = _validate.signs(signs, "signs", len(slack), rows)
    wrong = known * model.side(slack) < 0
    if wrong.any():
        index = _validate.first_index(wrong)
        less = f" - {model.mode:.3g}" if model.mode else ""
        raise ValueError(f"signs must be those of A x - b{less}, got {known[index]:+.0f} at index "
                         f"{index}, where A x - b is {slack[index]:.3g}")
    return known


def _attack(A: MatrixLike, b: Floats, scores: Floats, exactly: Floats, hidden: int,
            given: dict[str, Any], told: Told, publication: Publication) -> InversionResult:
    """The inversion of scores as published, without a starting point.

    ``exactly`` (n + k,) are the rounding errors of the scores. The last k, ``hidden``, are not
    published: the attack divides among them what the others leave of the rank.
    """
    n = len(scores) - hidden
    if publication.decimals is None:
        errors = np.random.default_rng(SAMPLE_SEED).standard_normal(n)
        published = scores[:n] + publication.noise * errors
    else:
        published = np.round(scores[:n], publication.decimals)
    published, noise = np.clip(published, 0.0, 1.0), publication.noise
    if hidden:
        left = (float(scores.sum()) - float(published.sum())) / hidden
        published = np.append(published, np.full(hidden, min(max(left, 0.0), 1.0)))
        noise = np.append(np.hypot(noise, exactly[:n]), np.full(hidden, rounding_noise(0)))
    part = ("attack" if publication.decimals is None else
            f"attack on {publication.decimals} decimal{'s' * (publication.decimals != 1)}")
    return invert_scores(A, b, published, rng=SAMPLE_SEED, **given,
                         noise=None if publication.exact and not hidden else noise,
                         callback=told.of(part))


def _publication(n: int, noise: VectorLike | None, decimals: int | None,
                 rows: _validate.Axis) -> Publication:
    if noise is not None and decimals is not None:
        raise ValueError("noise and decimals must not both be given: rounding to decimals is noise "
                         "of 10**-decimals / sqrt(12)")
    if decimals is not None:
        return Publication(rounding_noise(decimals), int(decimals))
    if noise is None:
        return Publication(0.0, None)
    deviations = _validate.noise(noise, "noise", n, rows)
    return Publication(float(deviations[0]) if np.ndim(noise) == 0 else deviations.copy(), None)


def _least_squares(rows: Rows, b: Floats) -> Floats:
    """The least-squares solution of A x = b; one of them if A is rank-deficient."""
    transform = orthonormal_basis(rows).transform
    fit = np.zeros(rows.shape[1])
    for _ in range(2):                       # the second pass removes the rounding of the first
        fit += transform @ (transform.T @ rows.rmatvec(b - rows.matvec(fit)))
    return fit


def _names(axes: _validate.Axes, x: VectorLike) -> tuple[list[str] | None, list[str] | None]:
    """The names of A's columns, or those of x, and of its rows."""
    columns = axes.columns.labels or _validate.first_labels({"x": x}, 0).labels
    rows = axes.rows.labels
    return (None if columns is None else _text(columns)), None if rows is None else _text(rows)


def _coefficient_names(names: Iterable[str] | None, columns: list[str] | None, d: int) -> list[str]:
    """The names of d coefficients: the given names, the names of A's columns, or numbers."""
    if names is None:
        return columns or [f"x[{j}]" for j in range(d)]
    given = _text(names)
    if len(given) != d:
        raise ValueError(f"names must have length {d}, one entry per column of A, got {len(given)}")
    return given


def _text(labels: Iterable[Hashable]) -> list[str]:
    return [" ".join(str(label).split()) for label in labels]
