"""The effect of rounding: on the slack, on the scores, and in rows whose slack was set to zero.

A x - b is computed with an error of at most ε (|A| |x| + |b|) in each row, a relative change δ_i of
the slack. To first order the scores change by 2 L δ, L = Q - diag(sigma), hence by at most
2 L |δ| + 4 sigma (1 - sigma) |δ|, because only the diagonal of L is negative.

The slack of a row with score 1 to rounding is set to zero. Its true slack may be as large as the
*hidden slack*: for small s_i, 1 - sigma_i = (leakage_i s_i)², which rounding hides up to
s_i = √u / leakage_i, u the unit roundoff.
"""
from __future__ import annotations

import math

import numpy as np

from levinv._tolerances import EPS, TINY, UNIT_ROUNDOFF
from levinv._typing import Floats
from levinv.inverse.values import Point, Presolved


def slack_rounding(presolved: Presolved, point: Point) -> Floats:
    """Bound of the rounding error of A x - b, (n,)."""
    problem = presolved.problem
    return EPS * (problem.rows.abs_matvec(np.abs(point.x)) + np.abs(problem.b))


def score_rounding(presolved: Presolved, point: Point) -> Floats:
    """Bound of the changes of the scores by rounding of x and of A x - b, (n,)."""
    rounding = slack_rounding(presolved, point)
    relative = point.model.relative(rounding, point.slack)
    if point.model.has_pole:
        relative[np.abs(point.slack) <= rounding] = 1.0
    relative[~presolved.reduced.active] = 0.0
    projection = point.projection
    return (2.0 * np.abs(projection.laplacian(relative))
            + 4.0 * projection.scores * projection.complement() * relative)


def hidden_slacks(presolved: Presolved, point: Point) -> Floats:
    """Upper bounds of the slacks that were set to zero; inf if there is no bound.

    Smaller slacks change 1 - sigma by less than rounding.
    """
    reduced = presolved.reduced
    slack = np.abs(point.slack)
    without = np.isin(np.arange(len(slack)), np.append(reduced.loops, reduced.coloops))
    others = ~without
    others[reduced.zero_slack] = False
    others &= slack > 0
    least = (slack * reduced.unit)[others].min(initial=np.inf)           # rows at unit norm
    slack[reduced.zero_slack] = math.cbrt(TINY) * least / reduced.unit[reduced.zero_slack]
    unbounded = np.full(len(reduced.zero_slack), np.inf)
    if not np.isfinite(slack).all():                   # no other row has a slack
        return unbounded
    near = presolved.whole_projection(slack, without)
    if near is None or not near.complete:              # 1 - sigma is only rounding error
        return unbounded
    complement = np.maximum(near.complement()[reduced.zero_slack], 0.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # no coloop is among these rows: a leakage of 0 is due to underflow
        leakage = np.nan_to_num(np.sqrt(complement) / slack[reduced.zero_slack], nan=0.0)
        hidden: Floats = np.maximum(np.sqrt(UNIT_ROUNDOFF) / leakage,
                                    np.abs(point.slack[reduced.zero_slack]))
        return hidden


def hidden_errors(presolved: Presolved, hidden: Floats) -> Floats:
    """Standard errors of x if the slacks that were set to zero are as large as ``hidden``: (d,)."""
    lifts = presolved.reduced.lifts
    with np.errstate(over="ignore"):
        moved = np.multiply(lifts, hidden, out=np.zeros_like(lifts), where=lifts != 0)
        errors: Floats = np.hypot.reduce(moved, axis=1)
        return errors


def hidden_score_changes(presolved: Presolved, point: Point, hidden: Floats) -> Floats:
    """How much each score would change if the slacks set to zero were as large as ``hidden``: (n,).
    """
    reduced = presolved.reduced
    slack = np.abs(point.slack)
    slack[reduced.zero_slack] = np.minimum(hidden, slack.max())
    whole = presolved.whole_projection(slack, ~reduced.active & ~np.isin(np.arange(len(slack)),
                                                                         reduced.zero_slack))
    if whole is None:
        return np.ones_like(slack)
    return np.where(reduced.active, np.abs(whole.scores - point.projection.scores), 0.0)
