"""What an inversion returns, and the table of its outcomes."""
from __future__ import annotations

from typing import Any

from scipy.optimize import OptimizeResult

from levinv._typing import Floats

MESSAGES = {
    0: "The scores are matched",
    1: "No x has these scores",
    2: "The signs of the slack were not found",
    3: "The scores are not matched at the best x found",
    4: "Stopped by the callback",
}


class InversionResult(OptimizeResult):  # type: ignore[misc]  # SciPy has no types
    """Outcome of an inversion: an :class:`scipy.optimize.OptimizeResult`.

    Described for :func:`levinv.invert_scores`; in :func:`levinv.invert_gradient` the gradient
    stands for the scores, and what differs is said there.

    Attributes
    ----------
    x : (d,) ndarray
        The solution, or the best point found.
    success : bool
        Whether the scores at x are the given ones: max|sigma(x) - c| <= tol, plus at most 100 tol
        where rounding of A x - b to double moves the scores by as much (``message`` then says so);
        or, with noise, a residual that the noise explains (chi-squared test at level 1e-3, or a
        root mean square of at most 1.1 noise levels) with no outlier in it.
    status : int
        0 matched, 1 no x has these scores, 2 signs not found, 3 not matched, 4 stopped by the
        callback.
    message : str
        The same in words, with the reason.
    fun : float
        Half the sum of squares of sigma(x) - c.
    scores, slack, signs : (n,) ndarray
        At x. A sign is 0 where the slack is.
    nit, nfev : int
        Iterations of all stages together, evaluations of the scores.
    unique : bool
        Whether x is the only solution: ``null_space`` is empty, no direction is undetermined
        (``evidence``) and the signs are known or, for almost every x, determined by the scores.
    null_space : (d, k) ndarray
        Orthonormal columns: the directions in which x can move with every score unchanged.
    standard_errors : (d,) ndarray
        Of x, by the Cramér-Rao bound for the noise given; without noise, for rounding of the
        scores, of A x - b and of x to double, and for the residual that arithmetic left. inf where
        a coefficient is not determined. Where A has many rows (n > 32 d² and n > 4096), computed
        from a sample of them: to a few per cent, with heavy tails to a third.
    condition : float
        How a relative error of the scores moves x: the largest ``|dx|/|x|`` over the dx, orthogonal
        to ``null_space``, that change the scores by factors 1 + δ_i with ``|δ| = 1``, to first
        order (2-norms). That is ``1/(|x| s)``, s the smallest singular value, null space left out,
        of diag(1/sigma) times the Jacobian; inf if x = 0.
    evidence : dict
        What was checked and decided, in plain floats (None where not finite), ints and lists. A
        ``..._decision`` tells numbers that are zero from others: the smallest ``kept``, the largest
        ``dropped`` and the ``threshold`` in between, relative to the largest.

        fit
            ``test``: "tolerance" with ``largest_error``, ``tolerance``; "chi-squared" with
            ``chi_squared``, ``degrees_of_freedom``, ``level``, its ``limit`` and ``p_value``.
            ``rows`` took part: neither coloops, zero slacks nor outliers.
        outliers, studentised_residuals, outlier_threshold
            Rows whose score is not that of the x that all others have; how far (sigma(x) - c over
            its standard deviation, that of rounding in exact scores); what counts as far, for
            noise. x is then fitted to the others.
        rank, rank_decision
            Of A, and the pivots that decided it (QR), or a lower bound of the smallest singular
            value (Cholesky); rows of unit norm.
        loops, coloops, zero_slack
            Zero rows; rows independent of all others; rows with score 1.
        components, component_decision, component_gap
            Connected components of A's rows; entries of A A_basis⁻¹, and the last pivot of the
            basis. ``component_gap`` is what was dropped.
        response_in_range, response_ratio, response_threshold
            For each component, whether b lies in range(A) there: the residual in units of what
            rounding leaves, and the largest that is taken for rounding.
        signs_determined, signs_determined_on, sign_decision
            Whether the scores tell the signs for almost every x, but for a common one on each
            component where b lies in range(A); on each component; the components of [A b] that
            decided it.
        jacobian_decision
            Singular values of the Jacobian divided by the noise, in coordinates in which scaled
            rows are orthonormal; ``rank``. What is dropped leaves every score unchanged; how many
            there are is known from A and b.
        null_space
            ``dimension`` and where it comes from: null ``of_A``, ``coloops``, ``free_scales``.
        undetermined_directions
            Number of such directions that are not in ``null_space`` because the scores, checked
            against the Jacobian, move along them, though too little to tell x.
        scaling, identification, polish
            Stages 1, 3 and 4: work, errors, the scale of the slack on each component.
        signs
            Stage 2 on each component, where signs are unknown: ``restarts`` made; the ``misfit`` of
            the best; of each start, its misfit and the rows in which its signs differ from those of
            x (``misfits``, ``rows_differing``); how many were accepted (``fitting``) and how many
            found the signs of x (``same_signs``).
        information_limit
            Exact scores: norm of the standard errors that rounding of the scores alone leaves.

    Examples
    --------
    Here b lies in the range of A, so that x can move along itself unseen:

    >>> import numpy as np
    >>> from levinv import invert_scores, leverage_scores
    >>> A = np.random.default_rng(0).standard_normal((20, 2))
    >>> result = invert_scores(A, np.zeros(20), leverage_scores(A, slack=A @ [3.0, 4.0]), rng=0)
    >>> result.success, result.unique
    (True, False)
    >>> abs(result.null_space).round(10)
    array([[0.6],
           [0.8]])
    """

    x: Floats
    success: bool
    status: int
    message: str
    fun: float
    scores: Floats
    slack: Floats
    signs: Floats
    nit: int
    nfev: int
    unique: bool
    null_space: Floats
    standard_errors: Floats
    condition: float
    evidence: dict[str, Any]
