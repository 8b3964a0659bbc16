"""What an inversion tells its caller, its progress and its result; and the limits of its work."""
from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy.optimize import OptimizeResult

from levinv._typing import Floats
from levinv.inverse import shown

MESSAGES = {
    0: "The scores are matched",
    1: "No x has these scores",
    2: "The signs of the slack were not found",
    3: "The scores are not matched at the best x found",
    4: "Stopped by the callback",
    5: "Stopped at maxtime",
}


LATER = "message", "nit", "nfev", "standard_errors", "condition", "evidence"
# of a small exact problem, computed when one of them is first read


class ResultCallback(Protocol):
    """A callback with a parameter named ``intermediate_result``, as in SciPy."""

    def __call__(self, intermediate_result: OptimizeResult) -> object:
        """Called after an iteration with ``nit``, ``stage``, ``error`` and ``x`` (or None)."""


Callback: TypeAlias = ResultCallback | Callable[[Floats], object]


class Stopped(Exception):
    """The callback raised StopIteration, or maxtime has passed."""


class Progress:
    """Limits and counts the work of one inversion; calls the callback in one of SciPy's two forms.

    Stages share this mutable object and no other: the random generator ``rng``, ``nit`` iterations,
    ``nfev`` evaluations of the scores, and ``latest``, the last x that was reported. ``maxiter``
    limits stage 1 and stage 4, ``restarts`` the starts of the sign search on each component,
    ``maxtime`` the seconds from now on; ``late`` says that they have passed.
    """

    def __init__(self, callback: Callback | None, rng: np.random.Generator,
                 maxiter: int | None = None, restarts: int = 1,
                 maxtime: float = math.inf) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {type(callback).__name__}")
        self.callback: Callable[..., object] | None = callback
        self.rng, self.maxiter, self.restarts = rng, maxiter, restarts
        self.nit = self.nfev = 0
        self.end, self.late = time.monotonic() + maxtime, False
        self.latest: Floats | None = None
        try:
            self.wants_result = (callback is not None and "intermediate_result"
                                 in inspect.signature(callback).parameters)
        except (TypeError, ValueError):              # built-ins without a signature
            self.wants_result = False

    def __call__(self, stage: str, error: float, x: Floats | None = None) -> None:
        """Count an iteration of ``stage``; raises Stopped if the callback raises StopIteration or
        time is over.
        """
        self.nit += 1
        if x is not None:
            self.latest = x
        if time.monotonic() > self.end:
            self.late = True
            raise Stopped
        if self.callback is None:
            return
        try:
            if self.wants_result:
                self.callback(intermediate_result=OptimizeResult(
                    x=None if x is None else x.copy(), nit=self.nit, stage=stage, error=error))
            elif x is not None:
                self.callback(x.copy())
        except StopIteration:
            raise Stopped from None


class InversionResult(OptimizeResult):  # type: ignore[misc]  # SciPy has no types
    """Outcome of an inversion: an :class:`scipy.optimize.OptimizeResult`.

    The attributes are those of :func:`levinv.invert_scores`. :func:`levinv.invert_gradient` has
    the gradient in place of the scores, and describes the other differences.

    Small problems with exact scores are solved in compiled code. Their ``message``, ``nit``,
    ``nfev``, ``standard_errors``, ``condition`` and ``evidence`` take ten times as long as x, and
    are computed when one of them is first read (or all of the result, as by ``print``).

    Attributes
    ----------
    x : (d,) ndarray
        The solution, or the best point found.
    success : bool
        Whether the scores at x match the given ones. Without noise: max|sigma(x) - c| <= tol, plus
        what rounding of x and of A x - b changes, up to 100 tol (``message`` mentions it). With
        noise: the residual passes a chi-squared test at level 1e-3 or has a root mean square of at
        most 1.1 noise levels, and no row is an outlier.
    status : int
        0 matched, 1 no x has these scores, 2 signs not found, 3 not matched, 4 stopped by the
        callback, 5 stopped at maxtime. ``message`` says what a stopped search has left out.
    message : str
        The status in words, with the reasons.
    fun : float
        Half the sum of squares of sigma(x) - c.
    scores, slack, signs : (n,) ndarray
        At x. The slack is A x - b, the linear predictor of a regression. ``signs`` are those of the
        slack or, for weightings with one peak, of its distance from the mode; 0 at a zero.
    nit, nfev : int
        Iterations of all stages together, evaluations of the scores.
    unique : bool
        Whether x is the only solution: ``null_space`` and ``alternatives`` are empty, no direction
        is undetermined (``evidence``), and the signs are known or, for almost every x, determined
        by the scores. With noise, whether no other x was found that noise explains.
    alternatives : (m, d) ndarray
        Other x with the same scores that are known, each differing from x on one component of A's
        rows; several of these changes may be combined. For even weightings with one peak (logit,
        probit, cauchit) and b in range(A) on a component: the x with the negative predictors there,
        without an offset -x. On small components with exact scores also x of other levels and
        sides, as far as a search finds them. For exact scores of power weights: all x of other
        signs, if ``evidence["sides"]`` is complete. With noise and unknown signs: other x that
        noise explains, usually with other signs; x is the likeliest. Empty with
        :func:`levinv.invert_gradient`: no search is made. Local methods look for other signs only.
    null_space : (d, k) ndarray
        Orthonormal columns: the directions in which x can move without changing any score.
    standard_errors : (d,) ndarray
        Of x, by the Cramér-Rao bound for the given noise, if it is normal and x, not one of the
        ``alternatives``, is the true one. Without noise: for rounding of the
        scores, of x and of A x - b, and for the remaining residual. inf if a coefficient is not
        determined. If A has many rows (n > 32 d² and n > 4096), they are computed from a sample of
        its rows, and are accurate to a few per cent, or to a third if the rows are heavy-tailed.
    condition : float
        Relative error of x for relative errors of the scores, to first order: the largest
        ``|dx|/|x|`` over the dx, orthogonal to ``null_space``, that change the scores by factors 1
        + δ_i with ``|δ| = 1`` (2-norms). It is ``1/(|x| s)`` with s the smallest singular value of
        diag(1/sigma) times the Jacobian, without the null space; inf if x = 0.
    evidence : dict
        What was checked and decided, in Python floats (None if not finite), ints and lists. Each
        ``..._decision`` records which numbers counted as zero: the smallest ``kept``, the largest
        ``dropped`` and the ``threshold`` between them, relative to the largest.

        fit
            ``test``: "tolerance" with ``largest_error`` and ``tolerance``, or "chi-squared" with
            ``chi_squared``, ``degrees_of_freedom``, ``level``, ``limit`` and ``p_value``. With
            ``decimals``, ``half_unit``: if no error is larger, all scores round to those given.
            ``rows`` is the number of scores compared, without zero slacks, outliers and, if there
            is no noise, coloops.
        outliers, studentised_residuals, outlier_threshold
            Rows whose scores disagree with the x that fits all others; sigma(x) - c in these rows
            over its standard deviation (that of rounding, without noise); with noise, the value
            beyond which a row is an outlier. x is fitted to the other rows.
        rank, rank_decision
            Rank of A, and the pivots that decided it (QR) or the reciprocal condition number
            (Cholesky), rows at unit norm.
        loops, coloops, zero_slack
            Zero rows; rows independent of all others; other rows with score 1.
        components, component_decision, component_gap
            Number of connected components of the rows; entries of A A_basis⁻¹, and the last pivot
            of the basis. ``component_gap`` is the largest entry dropped.
        response_in_range, response_ratio, response_threshold
            For each component, whether b lies in range(A) there; the residual of b over its
            rounding error bound; the largest such ratio that counts as rounding. For weightings
            that are not powers, 1 over the derivative of the log weights stands for b: in the
            range, x can move without changing a score.
        signs_determined, signs_determined_on, sign_decision
            Whether the scores determine the signs for almost every x, up to one common sign per
            component on which b lies in range(A), and ``sides`` found no exception; the same for
            each component; the components of [A b], which decide it. For other weightings than
            powers: the sides of the mode and the level, and False if there is a mirror image.
        sides
            For exact scores, if signs are unknown, on each component: the ``rank`` of [A b], the
            number 2^(rank - 1) of ``sign_vectors`` that there are, and whether all were enumerated
            at the x found (``complete``; not if the rank is above 21 or too many fit). How many of
            them are ``fitting``, that of x included; how many ``others`` are an x with the same
            scores; and how many belong to x that go to infinity (``at_infinity``).
        jacobian_decision
            Singular values of the Jacobian divided by the noise, in coordinates in which the scaled
            rows are orthonormal, and their ``rank``. Those dropped belong to the null space, whose
            dimension is known from A and b, or are below ``threshold``.
        null_space
            ``dimension`` and where it comes from: null ``of_A``, ``coloops``, ``free_scales``.
        undetermined_directions
            Number of directions that are not in ``null_space`` because by the Jacobian the scores
            change along them, but too little to determine x.
        scaling, identification, polish
            Stages 1, 3 and 4: work, errors, the scale of the slack on each component.
        signs
            For powers of A x - b. Stage 2 on each component, if signs are unknown: the number of
            ``restarts``, 0 if all sign vectors were enumerated; the smallest ``misfit``; for each
            start its misfit and the number of rows in which its signs differ from those of x
            (``misfits``, ``rows_differing``); how many starts, or of all sign vectors, fit
            (``fitting``) and how many starts found the signs of x (``same_signs``).
        branches
            With noise and unknown signs, on each component: the number of ``starts``, of local
            ``minima`` that its own chi-squared test allows, and whether points of every cell
            between the hyperplanes of zero slack were compared, or for power weights all sign
            vectors that a linear model at x allows (``enumerated``): at most 64 cells of smallest
            chi-squared start. If not, the starts are x with the signs of one and of two slacks
            changed and, with a peak, all sign vectors that the linear model allows. In any case x
            start that have other signs at nearly the same magnitudes.
        levels
            For other weightings. Stages 2 and 3 on each component: the smallest ``misfit`` of the
            log weights, and the number of ``starts``.
        information_limit
            Without noise: norm of the standard errors due to rounding of the scores alone.

    Examples
    --------
    Here b = 0 lies in range(A), so that scaling x changes no score:

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
    alternatives: Floats
    null_space: Floats
    standard_errors: Floats
    condition: float
    evidence: dict[str, Any]

    # computes what of LATER is not there yet; None once it is
    _rest: Callable[[], InversionResult] | None = None

    @classmethod
    def with_rest(cls, rest: Callable[[], InversionResult], **known: Any) -> InversionResult:
        """A result whose values LATER are those of ``rest()``, called when one is first read."""
        result = cls(**known)
        object.__setattr__(result, "_rest", rest)
        return result

    def _complete(self) -> None:
        # two threads may both compute the rest: they find the same
        if self._rest is not None:
            found = self._rest()
            for name in LATER:
                dict.setdefault(self, name, found[name])
            object.__setattr__(self, "_rest", None)

    def __missing__(self, name: str) -> Any:
        if self._rest is None or name not in LATER:
            raise KeyError(name)
        self._complete()
        return dict.__getitem__(self, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)                # for pickle and copy

    def __repr__(self) -> str:
        return shown.inversion(self).text() if self._is_whole else str(super().__repr__())

    def _repr_html_(self) -> str | None:
        return shown.inversion(self).html() if self._is_whole else None

    @property
    def _is_whole(self) -> bool:
        # a caller may have taken keys away, as from any dict
        return bool(self.keys() >= shown.NEEDED)


def _completed(name: str) -> Callable[..., Any]:
    """The method of dict, called on the complete result."""
    method = getattr(dict, name)

    def of_complete(self: InversionResult, *args: Any, **kwargs: Any) -> Any:
        self._complete()
        return method(self, *args, **kwargs)
    of_complete.__name__ = name
    of_complete.__doc__ = f"``dict.{name}`` of the complete result.\n\n:meta private:"
    return of_complete


for _name in ("__contains__", "__delitem__", "__eq__", "__ior__", "__iter__", "__len__", "__ne__",
              "__or__", "__reversed__", "__ror__", "copy", "get", "items", "keys", "pop",
              "popitem", "setdefault", "values"):
    setattr(InversionResult, _name, _completed(_name))


def without_scores(x: Floats, slack: Floats, status: int, message: str, progress: Progress,
                   evidence: dict[str, Any]) -> InversionResult:
    """The result if no x was found at which the scores are defined."""
    d = len(x)
    return InversionResult(
        x=x, fun=np.inf, scores=np.zeros(len(slack)), slack=slack, signs=np.sign(slack),
        success=False, status=status, message=message, nit=progress.nit, nfev=progress.nfev,
        unique=False, null_space=np.zeros((d, 0)), alternatives=np.zeros((0, d)),
        standard_errors=np.full(d, np.inf),
        condition=np.inf, evidence=evidence)
