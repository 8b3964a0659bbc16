"""The verdict on the x found, and the result.

The evidence holds the records of all stages as Python numbers, under the keys that
:class:`levinv.InversionResult` describes.
"""
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.special

from levinv._json import plain
from levinv._noise import half_unit
from levinv._tolerances import (
    ALLOWED_ROUNDINGS,
    CHI_SQUARED_LEVEL,
    SETTLED_RESIDUAL,
    SIGN_RANK,
    SIGN_TOLERANCE,
    SIGNIFICANT,
)
from levinv._typing import Floats
from levinv.inverse.result import InversionResult, Progress, without_scores
from levinv.inverse.stages.whitened_jacobian import negligible
from levinv.inverse.values import (
    Found,
    Others,
    Outliers,
    Presolved,
    Refined,
    SignSearch,
    Uncertainty,
)
from levinv.inverse.verdict.acceptance import (
    chi_squared_limit,
    has_known_signs,
    is_solution,
    outlier_threshold,
    score_rounding,
    scores_are_accurate,
)
from levinv.inverse.verdict.messages import AT_INFINITY, message
from levinv.inverse.verdict.uncertainty import uncertainty


def report(presolved: Presolved, found: Found, progress: Progress, *,
           outliers: Outliers | None = None, other_signs: bool = False,
           others: Others | None = None, converged: bool = False,
           further_evidence: dict[str, Any] | None = None) -> InversionResult:
    """Decide success and uniqueness at the best x found, and assemble the result.

    ``outliers`` are None if they were not looked for or if no small set of rows explains the
    misfit. ``other_signs`` says whether another x with these scores was found, ``others`` holds
    such x. ``converged`` says whether a method with a loss of its own converged, which is success.
    """
    problem, best = presolved.problem, found.best
    determined_on = list(presolved.signs_determined_on)
    if best is None:
        x = presolved.reduced.offset if problem.x0 is None else problem.x0
        records = _of_stages(presolved, found, determined_on, all(determined_on))
        status = _stopped(progress) if found.stopped else 3
        return without_scores(x, problem.slack(x), status, message(presolved, found, status),
                              progress, plain(records | (further_evidence or {})))
    rounding = score_rounding(presolved, best.point)
    accurate = scores_are_accurate(presolved, best.point, rounding)
    matched = (is_solution(presolved, best) and accurate and has_known_signs(presolved, best)
               and (outliers is None or not len(outliers.rows)))
    if not accurate:
        found = replace(found, remarks=(*found.remarks,
                        "at the x found A x - b cancels, and its scores are not known to "
                        f"{'100 tol' if problem.exact else 'the noise'}"))
    signs = problem.coefficient_signs
    if signs is not None and matched and np.any(best.point.x * signs < 0):
        matched = False
        found = replace(found, remarks=(*found.remarks, "no x with these scores and the given "
                                                        "signs of coefficients was found"))
    success = (matched or converged) and not found.stopped
    others = Others(np.zeros((0, len(best.point.x)))) if others is None else others
    if problem.coefficient_signs is None:
        for c, search in enumerate(others.sides):
            determined_on[c] &= not search.others and (search.complete or search.rank > SIGN_RANK)
    if not problem.model.is_power and problem.coefficient_signs is None:
        determined_on = [known and not mirrored for known, mirrored
                         in zip(determined_on, presolved.mirrored, strict=True)]
    determined = all(determined_on) and not other_signs and not len(others.x)
    with np.errstate(over="ignore"):                   # standard errors may be inf
        known = uncertainty(presolved, best, rounding)
    endless = others.endless and matched
    if endless:
        found = replace(found, remarks=(*found.remarks, AT_INFINITY))
    status = (_stopped(progress) if found.stopped else 0 if success
              else _failure(presolved, found, outliers))
    reduced, slack = presolved.reduced, best.point.slack.copy()      # of all rows
    scores = np.where(reduced.active, best.point.projection.scores, 0.0)
    scores[reduced.coloops] = scores[reduced.zero_slack] = 1.0
    slack[reduced.zero_slack] = 0.0
    return InversionResult(
        x=best.point.x, fun=0.5 * float(np.sum((scores - problem.scores) ** 2)), scores=scores,
        slack=slack, signs=problem.model.side(slack), success=success, status=status,
        message=message(presolved, found, status, outliers, known, len(others.x)), nit=progress.nit,
        nfev=progress.nfev, alternatives=others.x,
        unique=bool(success and not converged and not endless and not known.null_space.size
                    and not known.undetermined.size and not known.flat.size
                    and (determined or (problem.known_signs is not None and not len(others.x)))
                    and (not problem.exact or presolved.rms(best.point) <= SETTLED_RESIDUAL)
                    and _is_known(presolved, known, best)),
        null_space=known.null_space, standard_errors=known.standard_errors,
        condition=known.condition,
        evidence=plain(_of_stages(presolved, found, determined_on, determined)
                       | _of_sides(others) | _of_x(presolved, best, outliers, known)
                       | (further_evidence or {})))


def _is_known(presolved: Presolved, known: Uncertainty, best: Refined) -> bool:
    """Whether standard errors are small beside x: if not, x far away may have these scores.

    Slacks of powers belong to hyperplanes, whose distance from the origin counts as well.
    """
    problem, errors = presolved.problem, np.hypot.reduce(known.standard_errors)
    size = np.hypot.reduce(best.point.x)
    if problem.model.is_power:
        size = max(size, np.max(presolved.reduced.unit * np.abs(problem.b), initial=0.0))
        return problem.exact or bool(errors <= size)
    return bool((SIGNIFICANT if problem.exact else 1.0) * errors <= size)


def _stopped(progress: Progress) -> int:
    """The status if the callback or maxtime has ended the search."""
    return 5 if progress.late else 4


def _failure(presolved: Presolved, found: Found, outliers: Outliers | None) -> int:
    """The status if the scores are not matched."""
    if (presolved.contradictions or found.proofs) and not presolved.doubtful:
        return 1
    if (outliers is None and presolved.problem.exact and found.signs
            and max(search.misfit for search in found.signs) > SIGN_TOLERANCE):
        return 2
    return 3


def _of_stages(presolved: Presolved, found: Found, determined_on: Sequence[bool],
               determined: bool) -> dict[str, Any]:
    """The records of the presolve and of stages 1 to 3."""
    reduced, in_range = presolved.reduced, presolved.range
    records: dict[str, Any] = {
        "rank": reduced.rank, "rank_decision": vars(reduced.rank_decision),
        "components": reduced.count, "component_gap": reduced.component_decision.dropped,
        "component_decision": vars(reduced.component_decision),
        "loops": reduced.loops, "coloops": reduced.coloops, "zero_slack": reduced.zero_slack,
        "response_in_range": in_range.inside, "response_ratio": in_range.ratio,
        "response_threshold": ALLOWED_ROUNDINGS, "signs_determined": determined,
        "signs_determined_on": list(determined_on),
        "sign_decision": vars(presolved.sign_decision)}
    if found.magnitude_work is not None:
        records["scaling"] = vars(found.magnitude_work)
    if found.levels is not None:
        records["levels"] = [{"misfit": search.misfit, "starts": search.restarts}
                             for search in found.levels]
    if found.branches is not None:
        records["branches"] = [vars(search) for search in found.branches]
    if found.recovered is not None:
        records["identification"] = {"scale": found.recovered.scale,
                                     "misfit": found.recovered.misfit}
        if found.recovered.negative:
            records["negative_scale"] = found.recovered.negative
    if found.signs is not None:
        slack = None if found.best is None else found.best.point.slack
        records["signs"] = [_of_search(search, None if slack is None else slack[reduced.members(c)])
                            for c, search in enumerate(found.signs)]
    return records


def _of_sides(others: Others) -> dict[str, Any]:
    """The records of the enumeration of other sides."""
    if not others.sides:
        return {}
    return {"sides": [vars(search) | {"sign_vectors": 2 ** (search.rank - 1)}
                      for search in others.sides]}


def _of_search(search: SignSearch, slack: Floats | None) -> dict[str, Any]:
    """The record of a sign search, and how its starts compare with the signs of the x found."""
    record: dict[str, Any] = {"misfit": search.misfit, "restarts": search.restarts}
    if search.fitting is not None:
        record["fitting"] = search.fitting
    if search.starts and slack is not None:
        signs = slack < 0
        differing = [int(np.count_nonzero((start.signs < 0) != signs)) for start in search.starts]
        differing = [min(count, len(signs) - count) for count in differing]
        record.update(fitting=sum(start.fits for start in search.starts),
                      same_signs=differing.count(0), rows_differing=differing,
                      misfits=[start.misfit for start in search.starts])
    return record


def _of_x(presolved: Presolved, best: Refined, outliers: Outliers | None,
          known: Uncertainty) -> dict[str, Any]:
    """The records at the x found."""
    reduced, model = presolved.reduced, best.linearisation
    values = model.values.tolist() or [np.nan]
    rows, deviations = _outlying(presolved, outliers)
    records: dict[str, Any] = {
        "fit": _fit(presolved, best, outliers),
        "outliers": rows, "studentised_residuals": deviations,
        "polish": {"iterations": best.iterations, "evaluations": best.evaluations,
                   "whitened_rms": presolved.rms(best.point)},
        "undetermined_directions": known.undetermined.shape[1],
        "jacobian_decision": {
            "rank": len(model.values), "kept": values[-1] / values[0],
            "dropped": model.dropped / values[0],
            "threshold": negligible(best.point.projection.rank)},
        "null_space": {
            "dimension": known.null_space.shape[1],
            "of_A": presolved.problem.rows.shape[1] - reduced.rank,
            "coloops": len(reduced.coloops), "free_scales": presolved.null_dimension}}
    if presolved.problem.exact:
        records["information_limit"] = known.information_limit
    else:
        records["outlier_threshold"] = outlier_threshold(presolved)
    return records


def _outlying(presolved: Presolved, outliers: Outliers | None) -> tuple[Any, Any]:
    """Rows whose scores disagree with those at x, and their studentised residuals."""
    misgiven = presolved.misgiven
    if not len(misgiven) and (outliers is None or not len(outliers.rows)):
        return [], []
    residual = (np.isin(misgiven, presolved.reduced.coloops)
                - presolved.problem.scores[misgiven])
    rows, deviations = misgiven, residual / presolved.problem.deviation()[misgiven]
    if outliers is not None:
        rows = np.append(rows, outliers.rows)
        deviations = np.append(deviations, outliers.deviations)
    order = np.argsort(rows)
    return rows[order], deviations[order]


def _fit(presolved: Presolved, best: Refined, outliers: Outliers | None) -> dict[str, Any]:
    """What the acceptance test compares, without the outliers."""
    problem, reduced = presolved.problem, presolved.reduced
    rows = reduced.active.copy()
    if outliers is not None:
        rows[outliers.rows] = False
    error = np.abs(best.point.residual[rows])
    if not problem.exact:
        error = np.append(error, 1.0 - problem.scores[reduced.coloops])
    record = {"rows": len(error), "largest_error": error.max(initial=0.0)}
    if problem.exact:
        return record | {"test": "tolerance", "tolerance": problem.tol}
    deviation = np.append(problem.deviation()[rows], problem.deviation()[reduced.coloops])
    chi_squared = np.sum((error / deviation) ** 2)
    degrees = max(len(error) - best.linearisation.steps.shape[1], 1)
    if problem.rounded:
        record["half_unit"] = half_unit(float(problem.deviation()[0]))
    return record | {
        "test": "chi-squared", "chi_squared": chi_squared, "degrees_of_freedom": degrees,
        "level": CHI_SQUARED_LEVEL, "limit": chi_squared_limit(degrees),
        "p_value": scipy.special.chdtrc(degrees, chi_squared)}
