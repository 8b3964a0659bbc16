"""Sets of rows that prove that no weights have the given scores c.

Weights exist only if c(S) <= rank(S) for every set S of rows, with equality exactly for unions of
components. A set that violates this is a certificate. If there is one, the iteration of stage 1
diverges, and the upper level sets {i : t_i >= level} of its log weights tend to violated sets. So
the level sets at the widest gaps between sorted log weights are tried. The scores at these weights
sum to at most rank(S) on every S, which excludes most sets without a look at their rank.
"""
import math

import numpy as np

from levinv._tolerances import EPS, LEVEL_SETS
from levinv._typing import Booleans, Floats, Integers, Labels
from levinv.inverse.values import InfeasibleSet
from levinv.storage.blocked import Rows


def find_infeasible_set(rows: Rows, transform: Floats, target: Floats, active: Booleans,
                        label: Labels, log_weight: Floats, margin: float,
                        scores: Floats | None = None) -> InfeasibleSet | None:
    """Find the infeasible level set of ``log_weight`` with the largest c(S) - rank(S), or None.
    ``scores`` are those at these weights, if they are known.

    A set is infeasible if c(S) > rank(S) - margin, c = ``target``. If S is a union of components or
    has the rank of A, equality is allowed, and S is infeasible if c(S) > rank(S) + abs(margin). The
    columns of A ``transform`` are orthonormal over the active rows.
    """
    index = np.flatnonzero(active)
    order = index[np.argsort(-log_weight[index], kind="stable")]
    gaps = log_weight[order[:-1]] - log_weight[order[1:]]
    lengths = np.sqrt(rows.quad(None, transform))
    full_rank = transform.shape[1]

    def violated(total: float, rank: int, union: bool) -> bool:
        return total > rank + (abs(margin) if union or rank == full_rank else -margin)

    worst: InfeasibleSet | None = None
    excess = -np.inf                                  # c(S) - rank(S) of the worst set
    for cut in np.argsort(-gaps, kind="stable")[:LEVEL_SETS]:
        chosen = order[:cut + 1]
        total = float(target[chosen].sum())
        if scores is not None:
            least = math.ceil(float(scores[chosen].sum()) - math.sqrt(EPS))      # of its rank
            few = chosen[:2 * least + 2]                                         # often exceed it
            if not violated(total, least, union=False) or (len(few) < len(chosen) and not violated(
                    total, _rank(rows, transform, few, lengths), union=False)):
                continue
        if len(chosen) < full_rank and total - len(chosen) <= excess:
            continue                                  # not worse if its rows are independent
        union = np.isin(label[index], np.unique(label[chosen])).sum() == len(chosen)
        rank = _rank(rows, transform, chosen, lengths)
        if not violated(total, rank, union):
            continue
        # The rank in the quotient by the other rows, from A itself: columns of A that are far
        # smaller than others may have been lost in ``A transform``.
        others = np.flatnonzero(~active)
        rank = max(rank, _equilibrated_rank(rows, np.append(chosen, others))
                   - (_equilibrated_rank(rows, others) if len(others) else 0))
        if violated(total, rank, union) and total - rank > excess:
            worst, excess = InfeasibleSet(np.sort(chosen), total, rank), total - rank
    return worst


def _rank(rows: Rows, transform: Floats, chosen: Integers, lengths: Floats) -> int:
    """Rank of the chosen rows of A transform, which are scaled to unit length."""
    scale = np.zeros(len(lengths))
    scale[chosen] = 1.0 / lengths[chosen]
    if len(chosen) <= 4 * transform.shape[1]:
        return int(np.linalg.matrix_rank((rows.block(chosen) @ transform) * scale[chosen, None]))
    return int(np.linalg.matrix_rank(rows.gram(scale, transform), hermitian=True))


def _equilibrated_rank(rows: Rows, index: Integers) -> int:
    """Rank of some rows of A, after columns and then rows are scaled to one size."""
    part = rows.part(index)
    _, exponents = np.frexp(part.column_max())
    part = part.with_columns_times(np.ldexp(1.0, np.minimum(-exponents, 1023)))
    lengths = np.sqrt(part.quad())
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return int(np.linalg.matrix_rank(part.triangle(scale), rtol=max(part.shape) * EPS))
