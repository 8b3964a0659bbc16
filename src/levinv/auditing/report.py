"""The report of an audit: its figures and how they are shown."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from levinv.auditing.figures import AuditFigures
from levinv.auditing.render import screen, text


class AuditReport(AuditFigures):
    """What published leverage scores or hat values give away; made by :func:`levinv.audit`.

    Attributes
    ----------
    verdict : str
        The conclusion in words, the first line of the report.
    level : str
        The conclusion for programs, an ``enum.StrEnum``: "given away", "partly given away",
        "in doubt" or "not given away".
    unique : bool
        Whether x is the only one with these scores (before rounding and noise): ``null_space`` is
        empty, and the signs of A x - b are known or determined.
    alternatives : (m, d) ndarray
        Other x that have the same scores: -x for the hat values of a logistic regression without
        offset.
    up_to_signs : bool
        Whether x is the only one but for the ``alternatives``, and these differ from x in the signs
        of linear predictors alone. Such an x counts as determined: ``recovered_x`` and its errors
        are those with the right signs.
    weighting : str
        The name of the model or of the weights.
    direction_error : float
        Relative predicted error of x up to a factor, if nothing but a factor of x is free, as in
        gamma regression with the link 1/μ; otherwise inf.
    null_space : (d, k) ndarray
        Orthonormal columns: the directions in which x can move with every score unchanged.
    standard_errors : (d,) ndarray
        Smallest standard error of each coefficient that an attacker can reach if the errors of the
        scores are normal: the Cramér-Rao bound. inf where the scores do not determine a
        coefficient. For exact scores, the noise is their rounding to double; the errors of the
        attack's arithmetic are not included.
    predicted_errors : (d,) ndarray
        For noise and exact scores ``standard_errors``. For rounded scores, whose errors are
        bounded, the smaller of ``standard_errors`` and of how far the coefficient can move to
        either side within an ellipsoid of x whose scores all round to those published.
    half_widths : (d,) ndarray
        Of rounded scores: half the length of ``intervals``; otherwise inf. First access solves 2d
        linear programs.
    intervals : (d, 2) ndarray
        Of rounded scores: the smallest and the largest value of each coefficient over all x whose
        scores round to those published, to first order. Whoever has the scores can compute them,
        and the coefficient is between them for certain. -inf and inf for other scores, and for
        coefficients that the scores do not determine.
    relative_errors : (d,) ndarray
        ``predicted_errors`` divided by ``sizes``.
    sizes : (d,) ndarray
        The absolute values of the coefficients. For a coefficient of 0, the value that moves A x by
        as much as the slacks A x - b are (root mean squares).
    recovered_x : (d,) ndarray
        The x that the attack found; of several, the one nearest to x.
    recovered_error, predicted_error : float
        Relative error of x as a whole: ``|D (recovered_x - x)| / |D x|``, where D holds the root
        mean squares of A's columns, which make coefficients comparable. ``predicted_error`` has
        ``predicted_errors`` in place of the difference. Both count only coefficients that the
        scores determine, and are inf if the scores determine no coefficient.
    row_influence : (n,) ndarray
        Between 0 and 1: how much the score of each row contributes to what the scores reveal. It is
        the diagonal of W J (Jᵀ W² J)⁺ Jᵀ W, with the Jacobian J of the scores with respect to x and
        W = diag(1/noise). Its sum is the number of directions that the scores determine.
    singular_values : (r,) ndarray
        The change of the scores in units of the noise (root of the sum of squares) if x changes so
        that the squares of the relative changes of the slacks sum to 1; for a regression model, if
        x changes by one standard error of the fit (dispersion 1). Decreasing.
    departure : float
        Relative departure of the scores from the linear prediction, for errors of x of the
        predicted size.
    prediction_holds : bool
        Whether the predicted errors can be relied on: the departure is at most 0.3, the attack
        matched the scores, and its error is at most 4 times the predicted one. It is False if the
        noise is too large, or if rounding is coarser than most scores and no longer acts like
        noise.
    given_away : (d,) ndarray of bool
        The coefficients known to within 10 %: by their predicted errors if the prediction holds,
        otherwise by the error of the attack. If the attack on rounded scores finds every
        coefficient to within 10 %, all are given away: other attackers have the same scores.
    least_squares_x : (d,) ndarray
        The least-squares solution of A x = b, which needs no scores. It is close to x if x comes
        from a regression. Without b it is 0.
    least_squares_error : float
        Its error, as ``recovered_error``.
    names : list of str
        Names of the coefficients.
    row_labels : list of str or None
        Labels of A's rows, if they have any.
    attack : InversionResult
        The whole result of the attack.
    decimals_attacked : list of dict
        What 0 to 12 decimals would give away: ``decimals``, ``predicted_error``,
        ``recovered_error``, ``success``, ``prediction_holds``. First access runs the inversions.
    errors_per_noise : (d,) ndarray
        Standard errors if every score has noise of standard deviation 1.
    signs_known : bool
        Whether the attacker knows the signs of A x - b.
    decided : bool
        Whether the arithmetic was accurate enough to decide what the scores determine.
    x, scores : ndarray
        The audited x, and its scores before rounding and noise.

    Examples
    --------
    >>> from levinv import audit
    >>> from levinv.data import load_diabetes
    >>> import numpy as np
    >>> A, b, names = load_diabetes()
    >>> x = np.linalg.lstsq(A[:200], b[:200], rcond=None)[0]
    >>> report = audit(A, b, x, decimals=3)
    >>> print(report.verdict.partition(".")[0])
    GIVEN AWAY
    >>> report.safe_decimals(0.01), float(f"{report.safe_noise(0.01):.2g}")
    (0, 0.15)
    >>> report.names[2], [report.row_label(row) for row in np.argsort(-report.row_influence)[:3]]
    ('x[2]', ['28', '352', '349'])
    """

    @property
    def verdict(self) -> str:
        return text.verdict(self)

    def __repr__(self) -> str:
        return screen.screen(self).text()

    def _repr_html_(self) -> str:
        return screen.screen(self).html()

    def to_text(self) -> str:
        """The report for a terminal."""
        return text.text(self)

    def to_html(self, *, inputs: Mapping[str, str] | None = None) -> str:
        """The report as one self-contained page of HTML, without network access or scripts.

        It runs thirteen more attacks (``decimals_attacked``). matplotlib draws its pictures
        (``pip install "levinv[plot]"``); without matplotlib the page has none and says so. Its
        tables hold the same figures. The page follows the light or dark scheme of its reader.

        Parameters
        ----------
        inputs : dict of str, optional
            What the report was made from, such as names of files. The page lists it with the date
            and the version of levinv.
        """
        from levinv.auditing.render import html

        return html.html(self, inputs or {})

    def to_dict(self) -> dict[str, Any]:
        """The report as plain numbers, strings, lists and dicts; None replaces inf and NaN."""
        return text.as_dict(self)
