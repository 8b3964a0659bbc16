"""The evidence of a result: the records of all stages as Python numbers, under documented keys.

The keys are described in :class:`levinv.InversionResult`.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from levinv._json import plain
from levinv._tolerances import ALLOWED_ROUNDINGS
from levinv._typing import Floats
from levinv.inverse.found import Found, SignSearch
from levinv.inverse.stages.whitened_jacobian import negligible
from levinv.inverse.values import Outliers, Presolved, Refined, Uncertainty
from levinv.inverse.verdict.acceptance import Fit, outlier_threshold


def of_stages(presolved: Presolved, found: Found, determined_on: Sequence[bool],
              determined: bool) -> dict[str, Any]:
    """The records of the presolve and of stages 1 to 3."""
    reduced, in_range = presolved.reduced, presolved.range
    records: dict[str, Any] = {
        "rank": reduced.rank, "rank_decision": vars(reduced.rank_decision),
        "components": reduced.count, "component_gap": reduced.largest_dropped,
        "component_decision": vars(reduced.component_decision),
        "loops": reduced.loops, "coloops": reduced.coloops, "zero_slack": reduced.zero_slack,
        "response_in_range": in_range.inside, "response_ratio": in_range.ratio,
        "response_threshold": ALLOWED_ROUNDINGS, "signs_determined": determined,
        "signs_determined_on": list(determined_on),
        "sign_decision": vars(presolved.sign_decision)}
    if found.magnitude_work is not None:
        records["scaling"] = vars(found.magnitude_work)
    if found.recovered is not None:
        records["identification"] = {"scale": found.recovered.scale,
                                     "misfit": found.recovered.misfit}
        if found.recovered.negative:
            records["negative_scale"] = found.recovered.negative
    if found.signs is not None:
        slack = None if found.best is None else found.best.point.slack
        records["signs"] = [_of_search(search, None if slack is None else slack[reduced.members(c)])
                            for c, search in enumerate(found.signs)]
    result: dict[str, Any] = plain(records)
    return result


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


def of_x(presolved: Presolved, best: Refined, fit: Fit, outliers: Outliers | None,
         known: Uncertainty) -> dict[str, Any]:
    """The records at the x found."""
    reduced, model = presolved.reduced, best.linearisation
    values = model.values.tolist() or [np.nan]
    rows, deviations = _outlying(presolved, outliers)
    records: dict[str, Any] = {
        "fit": fit.to_dict(), "outliers": rows, "studentised_residuals": deviations,
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
    result: dict[str, Any] = plain(records)
    return result


def _outlying(presolved: Presolved, outliers: Outliers | None) -> tuple[Any, Any]:
    """Rows whose scores disagree with those at x, and their studentised residuals."""
    misgiven = presolved.misgiven
    if not len(misgiven) and (outliers is None or not len(outliers.rows)):
        return [], []
    residual = (np.isin(misgiven, presolved.reduced.coloops)
                - presolved.problem.scores[misgiven])
    rows, deviations = misgiven, residual / presolved.deviation()[misgiven]
    if outliers is not None:
        rows = np.append(rows, outliers.rows)
        deviations = np.append(deviations, outliers.deviations)
    order = np.argsort(rows)
    return rows[order], deviations[order]
