"""Does b lie in range(A), on each component?

The answer depends on A and b alone, and is decided from them: b counts as in the range if some change
of A and b by rounding puts it there. Then the scale of x is free on the component: see
:mod:`levinv.inverse.stages.recover`.
"""
from __future__ import annotations

import numpy as np

from levinv._tolerances import EPS, ROUNDINGS_IN_RANGE
from levinv._typing import Floats
from levinv.inverse.values import Range, Reduced


def response_in_range(reduced: Reduced, b: Floats, response: Floats) -> Range:
    """Decide for each component whether ``response``, b - A offset, lies in range(A).

    Components are decided one by one, so that the rounding on one does not count as a residual on
    another.
    """
    rows = reduced.rows
    # what rounding of A, of b and of the response itself leaves
    uncertain = np.abs(b)
    if reduced.offset.any():
        uncertain += rows.abs_matvec(np.abs(reduced.offset))
    residual = np.zeros(len(b))
    ratio, norm = np.zeros(reduced.count), np.zeros(reduced.count)
    for c in range(reduced.count):
        member = reduced.members(c)
        part = rows.part(member) if reduced.count > 1 or len(member) < len(b) else rows
        basis = reduced.bases[c]
        unit = reduced.unit[member]
        left = response[member]
        coefficients = basis.T @ part.rmatvec(unit ** 2 * left)
        solution = basis @ coefficients
        fitted = np.linalg.norm(coefficients)
        left = left - part.matvec(solution)
        norm[c] = np.linalg.norm(unit * left)
        # rows of unit length: |A| |solution| is at most |solution| each, the basis has norm √k
        most = EPS * (np.linalg.norm(unit * uncertain[member]) + fitted * np.sqrt(basis.shape[1])
                      + np.sqrt(len(member)) * np.hypot.reduce(solution))
        # far above the bound, and not a small difference of large terms: one pass is accurate
        if norm[c] > max(ROUNDINGS_IN_RANGE ** 2 * most, fitted / ROUNDINGS_IN_RANGE):
            ratio[c] = norm[c] / most
        else:
            # the second pass removes the rounding of the first
            solution = solution + basis @ (basis.T @ part.rmatvec(unit ** 2 * left))
            left = response[member] - part.matvec(solution)
            rounding = EPS * (uncertain[member] + part.abs_matvec(np.abs(solution))
                              + fitted * np.sqrt(part.quad(None, basis)))
            scale = np.linalg.norm(unit * rounding)
            norm[c] = np.linalg.norm(unit * left)
            ratio[c] = norm[c] / scale if scale > 0 else 0.0
        residual[member] = left
    return Range(ratio <= ROUNDINGS_IN_RANGE, ratio, residual, norm)
