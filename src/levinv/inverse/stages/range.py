"""Does b lie in range(A), on each component?

This depends on A and b alone: b counts as in the range if a change of A and b by rounding puts it
there. Then the scale of x is free on the component: see :mod:`levinv.inverse.stages.recover`.
"""
import numpy as np

from levinv._tolerances import ALLOWED_ROUNDINGS, EPS
from levinv._typing import Floats
from levinv.inverse.values import Range, Reduced


def response_in_range(reduced: Reduced, b: Floats, response: Floats) -> Range:
    """Decide for each component whether ``response``, b - A offset, lies in range(A).

    Components are decided one by one, so that the rounding on one does not count as a residual on
    another.
    """
    rows = reduced.rows
    # ε times this bounds the rounding errors of b and of the response
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
        # at unit norm of the rows: |A| |solution| <= |solution| in each, and |basis| = √k
        bound = EPS * (np.linalg.norm(unit * uncertain[member]) + fitted * np.sqrt(basis.shape[1])
                       + np.sqrt(len(member)) * np.hypot.reduce(solution))
        # a residual far above the bound, and without cancellation, is accurate after one pass
        if norm[c] > max(ALLOWED_ROUNDINGS ** 2 * bound, fitted / ALLOWED_ROUNDINGS):
            ratio[c] = norm[c] / bound
        else:
            # a second pass removes the rounding errors of the first
            solution = solution + basis @ (basis.T @ part.rmatvec(unit ** 2 * left))
            left = response[member] - part.matvec(solution)
            rounding = EPS * (uncertain[member] + part.abs_matvec(np.abs(solution))
                              + fitted * np.sqrt(part.quad(None, basis)))
            bound = np.linalg.norm(unit * rounding)
            norm[c] = np.linalg.norm(unit * left)
            ratio[c] = norm[c] / bound if bound > 0 else 0.0
        residual[member] = left
    return Range(ratio <= ALLOWED_ROUNDINGS, ratio, residual, norm)
