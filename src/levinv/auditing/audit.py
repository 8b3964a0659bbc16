"""The front of the audit: checks the arguments, predicts what the scores tell, and attacks them.

The attacker has A, b and the published scores, and knows how they were rounded; whoever audits has
x as well. What the scores determine (``unique``, ``null_space``) is a property of A, b, x and the
signs; it is decided by the inversion of the unrounded scores started at x. The attack starts from
nothing.
"""
from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from levinv import _validate
from levinv._typing import Floats, MatrixLike, SignsLike, VectorLike
from levinv.auditing import labels
from levinv.auditing.report import AuditReport, Published
from levinv.auditing.sensitivity import EPS, departure, sensitivity
from levinv.forward.basis import orthonormal_basis
from levinv.forward.leverage_map import LeverageMap
from levinv.inverse.invert_scores import invert_scores
from levinv.inverse.result import InversionResult

if TYPE_CHECKING:
    from levinv.storage import Rows

ROUNDING = 0.5 * EPS             # relative error of a score stored in double
SMALLEST_SCORE = 1e-30
SEED = 0


@dataclass(frozen=True, eq=False)
class Problem:
    """What is audited: to attack it, published in other ways."""

    A: MatrixLike
    b: Floats
    x: Floats
    scores: Floats
    signs: Floats | None
    scores_at: LeverageMap
    steps: Floats                  # at noise 1

    def attack(self, published: Published) -> InversionResult:
        """The inversion of the scores as they are published, from nothing."""
        given = np.clip(published.apply(self.scores, np.random.default_rng(SEED)), 0.0, 1.0)
        return invert_scores(self.A, self.b, given, signs=self.signs, rng=SEED,
                             noise=None if published.exact else published.noise)

    def departure(self, noise: float) -> float:
        """From the linear prediction, at noise of this standard deviation in every score."""
        return departure(self.scores_at, self.x, noise * self.steps,
                         np.full(len(self.scores), noise))


def audit(A: MatrixLike, b: VectorLike, x: VectorLike, *, noise: float | VectorLike | None = None,
          decimals: int | None = None, signs: SignsLike | None = None,
          names: Iterable[str] | None = None) -> AuditReport:
    """What the leverage scores of diag(A x - b)⁻¹ A, once published, tell of x.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        Real, n >= d. Names of columns and rows are kept in the report.
    b : (n,) array_like or series
        Right-hand side: the slack is A x - b.
    x : (d,) array_like or series
        What is to be kept secret, or not.
    noise : float or (n,) array_like, optional
        Standard deviation of independent noise that is added to the scores before they are
        published. Without ``noise`` and ``decimals``: scores as exact doubles.
    decimals : int, optional
        The scores are rounded to so many decimals: noise of 10**-decimals / sqrt(12).
    signs : None, +1, -1 or (n,) array_like of +1 and -1
        The signs of A x - b where an attacker knows them, as for the interior of a polytope.
    names : (d,) sequence of str, optional
        Of the coefficients; default the names of A's columns, or x's labels.

    Returns
    -------
    AuditReport

    Raises
    ------
    ValueError
        Wrong shapes or lengths, n < d, empty input, NaN or inf, noise that is not above 0, both
        noise and decimals, signs that are not those of A x - b, labels in another order, a
        wrong number of names, an x at which the scores are not defined. A dask array of more than
        2²⁴ entries: the Jacobian has the shape of A and is gathered in memory.
    TypeError
        Complex, object or string input; decimals that are not an integer.

    See Also
    --------
    invert_scores : the attack
    levinv.plot : pictures of the report

    Notes
    -----
    Standard errors are the Cramér-Rao bound, to first order in the noise (see
    ``levinv/auditing/sensitivity.py``): with independent errors of the given size no unbiased
    method does better, and maximum likelihood, which is what the attack computes, does as well
    while the noise is small. Where it is not, ``prediction_holds`` is False: the bound is one
    still, but nobody gets near it, and what counts is what the attack found. It is no bound for
    somebody who knows something of x beforehand.

    Rounding counts as noise, which it resembles while most scores are larger than the last decimal
    kept.

    The report holds on to A and b, neither copied, for the attacks that it makes when asked.

    Takes an inversion, about d evaluations of the scores and one dense n x d array besides A (the
    Jacobian), for sparse, stored and dask rows too. The noise of the attack is drawn with a fixed
    seed: reports are reproducible.

    Ordinary hat values, those of A itself, do not depend on x and tell nothing of it to somebody
    who has A. At stake are the scores of rows divided by their residuals or slacks.

    Examples
    --------
    A regression in statsmodels, fitted to every other household, and the hat values of all of them
    with weights of 1/residual²:

    >>> import statsmodels.api as sm
    >>> from levinv import audit
    >>> data = sm.datasets.engel.load()
    >>> X, y = sm.add_constant(data.exog), data.endog
    >>> fitted = sm.OLS(y[::2], X[::2]).fit()
    >>> weighted = sm.GLM(y, X, var_weights=(y - fitted.predict(X)) ** -2.0).fit()
    >>> scores = weighted.get_influence().hat_matrix_diag

    What would they tell of the model, rounded to four decimals?

    >>> report = audit(X, y, fitted.params, decimals=4)
    >>> report.verdict.partition(",")[0]
    'GIVEN AWAY. Whoever has A and b finds x from these scores'
    >>> report.names, report.unique, bool(report.recovered_error < 1e-5)
    (['const', 'foodexp'], True, True)
    >>> bool(abs(report.scores - scores).max() < 1e-12)
    True
    """
    A, b, x, columns, row_labels = labels.split(A, b, x)
    A = _validate.matrix(A, "A", min_aspect=True, sparse=True)
    n, d = A.shape
    b = _validate.vector(b, "b", n, "row of A")
    x = _validate.vector(x, "x", d, "column of A").copy()
    published = _published(n, noise, decimals)
    scores_at = LeverageMap(A, b)
    scores = scores_at.scores(x)
    if signs is not None:
        signs = _checked_signs(_validate.signs(signs, "signs", n), scores_at.slack(x))
    deviation = np.hypot(published.noise, ROUNDING * np.maximum(scores, SMALLEST_SCORE))

    identified = invert_scores(A, b, scores, signs=signs, x0=x, rng=SEED)
    null_space = identified.null_space
    projection = scores_at._map.at(x).projection
    free = null_space.shape[1] - (d - scores_at._map.rank)
    jacobian = scores_at.jacobian(x)
    with scores_at._map.threads():
        model = sensitivity(jacobian, deviation, projection, free)
        plain = sensitivity(jacobian, np.ones(n), projection, free)
    del jacobian
    # what can be found of x is a vector of doubles, too
    errors = np.hypot(model.standard_errors(null_space), ROUNDING * np.abs(x))

    share = scores_at._map.rows.column_norms() / np.sqrt(n)
    problem = Problem(A, b, x, scores, signs, scores_at, plain.steps)
    attack = problem.attack(published)
    return AuditReport(
        x=x, sizes=_sizes(x, share, scores_at.slack(x)), scores=scores, published=published,
        signs_known=signs is not None,
        names=labels.chosen(names, columns, d), row_labels=row_labels,
        decided=bool(identified.success),
        unique=bool(identified.unique and not model.flat.shape[1]), null_space=null_space,
        standard_errors=errors, errors_per_noise=plain.standard_errors(null_space),
        singular_values=model.values, row_influence=model.influence,
        departure=departure(scores_at, x, model.steps, deviation),
        attack=attack, recovered_x=attack.x,
        least_squares_x=_least_squares(scores_at._map.rows, b), share=share, problem=problem)


def _published(n: int, noise: VectorLike | None, decimals: object) -> Published:
    if noise is not None and decimals is not None:
        raise ValueError("noise and decimals must not both be given: rounding to decimals is noise "
                         "of 10**-decimals / sqrt(12)")
    if decimals is not None:
        if isinstance(decimals, bool) or not isinstance(decimals, numbers.Integral):
            raise TypeError(f"decimals must be an integer, got {type(decimals).__name__}")
        if decimals < 0:
            raise ValueError(f"decimals must be at least 0, got {decimals}")
        return Published.rounded(int(decimals))
    if noise is None:
        return Published(0.0, None)
    deviations = _validate.noise(noise, "noise", n)
    return Published(float(deviations[0]) if np.ndim(noise) == 0 else deviations.copy(), None)


def _checked_signs(signs: Floats, slack: Floats) -> Floats:
    wrong = signs * slack < 0
    if wrong.any():
        index = int(np.argmax(wrong))
        raise ValueError(f"signs must be those of A x - b, got {signs[index]:+.0f} at index "
                         f"{index}, where A x - b is {slack[index]:.3g}")
    return signs


def _sizes(x: Floats, share: Floats, slack: Floats) -> Floats:
    """What errors of the coefficients are relative to: see AuditReport. The coefficient of a column
    of zeros is not determined, and any size will do.
    """
    usual = np.linalg.norm(slack) / np.sqrt(len(slack)) / np.where(share > 0, share, 1.0)
    return np.where(x != 0, np.abs(x), np.where(usual > 0, usual, 1.0))


def _least_squares(rows: Rows, b: Floats) -> Floats:
    """The least-squares solution of A x = b, of least effect where A is rank-deficient."""
    transform = orthonormal_basis(rows).transform
    fit = np.zeros(rows.shape[1])
    for _ in range(2):                       # the second pass removes the rounding of the first
        fit += transform @ (transform.T @ rows.rmatvec(b - rows.matvec(fit)))
    return fit
