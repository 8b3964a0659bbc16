"""The message of a result."""
import math

import numpy as np

from levinv._tolerances import CHI_SQUARED_LEVEL, EPS, SETTLED_RESIDUAL, TINY
from levinv._typing import Floats
from levinv.inverse.result import MESSAGES
from levinv.inverse.values import Found, Outliers, Presolved, Refined, Uncertainty
from levinv.inverse.verdict.acceptance import is_solution, outlier_threshold

AT_INFINITY = ("x may be arbitrarily large: these are scores of slacks proportional to A x, such "
               "as the hat values of an ordinary regression, which do not depend on b")
NAMED = 10          # largest number of outliers that a message lists


def message(presolved: Presolved, found: Found, status: int, outliers: Outliers | None = None,
            known: Uncertainty | None = None, others: int = 0) -> str:
    """The message of a result, with its reasons. ``others`` is the number of alternatives."""
    if status == 0 and found.best is not None and known is not None:
        reasons = _reservations(presolved, found.best, known)
        reasons += [remark for remark in found.remarks if remark == AT_INFINITY]
        if others and not presolved.problem.exact:
            reasons.append(f"noise also explains {others} other x, in alternatives")
    else:
        reasons = [*presolved.contradictions, *found.proofs, *found.remarks]
    if status == 2:
        assert found.signs is not None
        restarts = max(search.restarts for search in found.signs)
        reasons.append("the scores determine the magnitudes of the slack, but no signs with "
                       f"which it is A x - b for an x were found in {restarts} starts (try options="
                       "{'restarts': ...}, or give noise if the scores are rounded)")
    if status == 3 and presolved.problem.known_signs is not None and outliers is None:
        reasons.append("no x with the given signs and scores was found")
    if status in (4, 5) and found.best is not None:
        reasons.append("x has these scores, but the search for other x and for outliers was not "
                       "finished" if is_solution(presolved, found.best)
                       else _closest(presolved, found.best))
    if status in (1, 2, 3) and found.best is not None and presolved.reduced.count:
        reasons.append(_named(presolved, found.best, outliers)
                       if outliers is not None and len(outliers.rows)
                       else _closest(presolved, found.best))
    return MESSAGES[status] + (": " + "; ".join(reasons) if reasons else "") + "."


def _reservations(presolved: Presolved, best: Refined, known: Uncertainty) -> list[str]:
    """Reasons to trust x less than a success suggests."""
    problem, reasons = presolved.problem, []
    if problem.exact and known.accuracy > problem.tol:
        reasons.append(f"to {known.accuracy:.1e} only, since the slack A x - b cannot be computed "
                       "more accurately in double")
    undetermined = known.undetermined.shape[1]
    if undetermined:
        reasons.append(f"x is not determined in {undetermined} direction"
                       f"{'s' if undetermined > 1 else ''} along which the scores hardly move")
    if not problem.exact:
        return reasons
    errors = known.standard_errors[np.isfinite(known.standard_errors)]
    with np.errstate(over="ignore"):
        relative_error = np.hypot.reduce(errors) / max(float(np.hypot.reduce(best.point.x)), TINY)
    if relative_error > math.sqrt(EPS):
        reasons.append(f"x is determined to a relative error of about {relative_error:.0e} only")
    if presolved.rms(best.point) > SETTLED_RESIDUAL:
        reasons.append("but not to rounding, and another x may match better"
                       + _advice(problem.scores))
    return reasons


def _closest(presolved: Presolved, best: Refined) -> str:
    problem = presolved.problem
    worst = float(np.max(np.abs(best.point.residual), initial=0.0))
    return (f"closest found: max|sigma(x) - scores| = {worst:.3g}"
            + (_advice(problem.scores) if problem.exact else
               f", root mean square of the residual {presolved.rms(best.point):.3g} noise levels"))


def _named(presolved: Presolved, best: Refined, outliers: Outliers) -> str:
    """The outliers, with advice on them."""
    problem, rows, values = presolved.problem, outliers.rows, outliers.deviations
    several, order = len(rows) > 1, np.argsort(-np.abs(values), kind="stable")[:NAMED]
    names = ", ".join(str(row) for row in np.sort(rows[order]))
    names = f"row{'s' if several else ''} {names}" + (", ..." if len(rows) > NAMED else "")
    worst = rows[order[0]]
    given, has = problem.scores[worst], best.point.residual[worst] + problem.scores[worst]
    others = f"x fits all other rows, but has the score {has:.6g}, not {given:.6g}, in row {worst}"
    these = ("these scores", "these rows") if several else ("this score", "this row")
    if problem.exact:
        unfit = ("" if problem.known_signs is not None
                 else "no signs of the slack fit all rows, but ")
        return (f"{unfit}outlier{'s' if several else ''} in {names}: {others}; correct {these[0]} "
                f"(or give noise, large in {these[1]})")
    return (f"noise does not explain {names}, studentised residual {values[order[0]]:.3g} in row "
            f"{worst} (beyond {outlier_threshold(presolved):.2g}): {others}; correct {these[0]} or "
            f"give {these[1]} a larger noise")


def _advice(scores: Floats) -> str:
    """How the scores look rounded, and the noise to give in that case."""
    inside = scores[(scores > 0) & (scores < 1)]
    single = inside.astype(np.float32).astype(float)
    spacing = np.finfo(np.float32)
    # any score in single precision looks rounded to so many decimals with this probability
    if (2.0 * spacing.eps * 10.0 ** spacing.precision) ** len(inside) > CHI_SQUARED_LEVEL:
        return ""
    for decimals in range(1, spacing.precision + 1):
        if np.all(np.abs(single - inside.round(decimals)) <= spacing.eps * inside):
            return (f"; the scores look rounded to {decimals} decimals: give "
                    f"decimals={decimals}")
    if np.array_equal(single, inside):
        return ("; the scores are those of single precision: give "
                "noise=np.spacing(np.float32(scores)) / 12**0.5")
    return "; if the scores are rounded or estimated, give noise"
