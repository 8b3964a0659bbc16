"""The verdict on the x found, and the result."""
from dataclasses import replace
from typing import Any

import numpy as np

from levinv._tolerances import ENUMERATED, SETTLED_RESIDUAL, SIGN_TOLERANCE
from levinv._typing import Floats
from levinv.inverse.found import Found
from levinv.inverse.progress import Progress
from levinv.inverse.result import InversionResult
from levinv.inverse.stages.presolve import augmented
from levinv.inverse.stages.signs import enumerate_signs
from levinv.inverse.values import Outliers, Presolved
from levinv.inverse.verdict import evidence
from levinv.inverse.verdict.acceptance import fit, is_solution, scores_are_accurate
from levinv.inverse.verdict.messages import message
from levinv.inverse.verdict.rounding import score_rounding
from levinv.inverse.verdict.uncertainty import uncertainty


def report(presolved: Presolved, found: Found, progress: Progress, *,
           outliers: Outliers | None = None, other_signs: bool = False, converged: bool = False,
           further_evidence: dict[str, Any] | None = None) -> InversionResult:
    """Decide success and uniqueness at the best x found, and assemble the result.

    ``outliers`` are None if they were not looked for or if no small set of rows explains the
    misfit. ``other_signs`` says whether another x with these scores was found, ``converged``
    whether a method with a loss of its own converged, which is success.
    """
    problem, best = presolved.problem, found.best
    if best is None:
        return _without_scores(presolved, found, progress, further_evidence)
    rounding = score_rounding(presolved, best.point)
    accurate = scores_are_accurate(presolved, best.point, rounding)
    rows = np.zeros(0, dtype=int) if outliers is None else outliers.rows
    matched = is_solution(presolved, best) and not len(rows) and accurate
    if not accurate:
        found = replace(found, remarks=(*found.remarks,
                        "at the x found A x - b cancels, and its scores are not known to "
                        f"{'100 tol' if problem.exact else 'the noise'}"))
    success = (matched or converged) and not found.stopped
    determined_on = list(presolved.signs_determined_on)
    if matched and problem.known_signs is None:
        determined_on = _enumerated(presolved, np.abs(best.point.slack))
    determined = all(determined_on) and not other_signs
    with np.errstate(over="ignore"):                   # standard errors may be inf
        known = uncertainty(presolved, best, rounding)
    status = 4 if found.stopped else 0 if success else _failure(presolved, found, outliers)
    scores, slack = _scores_and_slack(presolved, best.point.projection.scores, best.point.slack)
    return InversionResult(
        x=best.x, fun=0.5 * float(np.sum((scores - problem.scores) ** 2)), scores=scores,
        slack=slack, signs=np.sign(slack), success=success, status=status,
        message=message(presolved, found, status, outliers, known), nit=progress.nit,
        nfev=progress.nfev,
        unique=bool(success and not converged and known.determined
                    and (determined or problem.known_signs is not None)
                    and (not problem.exact or presolved.rms(best.point) <= SETTLED_RESIDUAL)),
        null_space=known.null_space, standard_errors=known.standard_errors,
        condition=known.condition,
        evidence=(evidence.of_stages(presolved, found, determined_on, determined)
                  | evidence.of_x(presolved, best, fit(presolved, best, rows), outliers, known)
                  | (further_evidence or {})))


def _enumerated(presolved: Presolved, magnitude: Floats) -> list[bool]:
    """Whether signs are determined on each component: False if several vectors fit exact scores.

    The connectivity rule holds for almost every x. With few rows all sign vectors are enumerated,
    to catch the exceptions.
    """
    reduced = presolved.reduced
    determined_on = list(presolved.signs_determined_on)
    for c in range(reduced.count):
        member = reduced.members(c)
        if (presolved.problem.exact and not presolved.range.inside[c]
                and len(member) <= ENUMERATED):
            candidates = enumerate_signs(augmented(reduced, presolved.range, c), magnitude[member],
                                         SIGN_TOLERANCE)
            if sum(candidate.misfit <= SIGN_TOLERANCE for candidate in candidates) > 1:
                determined_on[c] = False
    return determined_on


def _failure(presolved: Presolved, found: Found, outliers: Outliers | None) -> int:
    """The status if the scores are not matched."""
    if (presolved.contradictions or found.proofs) and not presolved.doubtful:
        return 1
    if (outliers is None and presolved.problem.exact and found.signs
            and max(search.misfit for search in found.signs) > SIGN_TOLERANCE):
        return 2
    return 3


def _scores_and_slack(presolved: Presolved, scores: Floats,
                      slack: Floats) -> tuple[Floats, Floats]:
    """Scores and slack of all rows, including those that were eliminated."""
    reduced = presolved.reduced
    scores, slack = scores.copy(), slack.copy()
    scores[~reduced.active] = 0.0
    scores[reduced.coloops] = scores[reduced.zero_slack] = 1.0
    slack[reduced.zero_slack] = 0.0
    return scores, slack


def _without_scores(presolved: Presolved, found: Found, progress: Progress,
                    further_evidence: dict[str, Any] | None) -> InversionResult:
    """The result if no x was found at which the scores are defined."""
    problem = presolved.problem
    x = presolved.reduced.offset if problem.x0 is None else problem.x0
    d, slack, status = len(x), problem.slack(x), 4 if found.stopped else 3
    return InversionResult(
        x=x, fun=np.inf, scores=np.zeros(len(slack)), slack=slack, signs=np.sign(slack),
        success=False, status=status, message=message(presolved, found, status), nit=progress.nit,
        nfev=progress.nfev, unique=False, null_space=np.zeros((d, 0)),
        standard_errors=np.full(d, np.inf), condition=np.inf,
        evidence=evidence.of_stages(presolved, found, presolved.signs_determined_on,
                                    all(presolved.signs_determined_on))
        | (further_evidence or {}))
