"""Stage 3: x from magnitudes and signs, one least-squares problem in closed form, and what it
cannot tell.

With u = diag(1/m) (A x - b) = κ ε on a component (ε the signs) and U an orthonormal basis of
range(diag(1/m) A), f = b/m,

    min over y, κ of |U y - κ ε - f|²:
    h = (I - U Uᵀ) ε,    κ = -hᵀ f / hᵀ h,    y = Uᵀ (f + κ ε).

Errors of m are relative: hence the division by m. h vanishes iff A x - b lies in range(A), iff b
does: then the component's scale κ is free, and x can move along the direction whose image is κ ε m.
Together with null(A) and the coloops' directions these are all directions in which x can move with
every score unchanged. Whether b lies in range(A) on a component is a question about A and b alone,
and is decided there: b is in the range if it is so for entries of A and b changed by rounding.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from levinv._typing import Booleans, Floats
from levinv.forward.basis import EPS
from levinv.forward.projection import project

if TYPE_CHECKING:
    from levinv.inverse.stages.magnitudes import Scaling
    from levinv.inverse.stages.presolve import Reduced

IN_RANGE = 1e3    # residual of b on range(A), in units of what rounding of A and b gives
CLEAR = 1e3       # so far above IN_RANGE bounds of the rounding decide,
LARGEST_FIT = 1e2  # if the fit is at most so large that its rounding leaves the residual accurate


@dataclass(frozen=True)
class Identified:
    """x and what it was found with."""

    x: Floats
    scale: Floats                 # (components,) κ; nan where it is free
    misfit: float                 # largest |A x - b - κ ε m| / (κ m), up to rounding


@dataclass(frozen=True)
class Range:
    """Whether b lies in range(A), component by component."""

    inside: Booleans              # (components,) boolean
    ratio: Floats                 # residual over what rounding gives, at least: far from IN_RANGE,
                                  # the decision is clear
    residual: Floats | None       # (n,) of b - A offset on range(A); None where it is not needed
    size: Floats                  # (components,) its norm, rows at unit length


def response_in_range(reduced: Reduced, b: Floats, response: Floats) -> Range:
    """Decide for each component whether ``response``, b - A offset, lies in range(A).

    Components are taken one by one, so that rounding on one does not pass for a residual on
    another.
    """
    rows = reduced.rows
    # what rounding of A, of b and of the response itself leaves
    uncertain = np.abs(b)
    if reduced.offset.any():
        uncertain += rows.abs_matvec(np.abs(reduced.offset))
    residual = np.zeros(len(b))
    ratio, size = np.zeros(reduced.count), np.zeros(reduced.count)
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
        size[c] = np.linalg.norm(unit * left)
        # rows of unit length: |A| |solution| is at most |solution| each, the basis has norm √k
        most = EPS * (np.linalg.norm(unit * uncertain[member]) + fitted * np.sqrt(basis.shape[1])
                      + np.sqrt(len(member)) * np.hypot.reduce(solution))
        if size[c] > max(CLEAR * IN_RANGE * most, fitted / LARGEST_FIT):
            ratio[c] = size[c] / most
        else:
            # the second pass removes the rounding of the first
            solution = solution + basis @ (basis.T @ part.rmatvec(unit ** 2 * left))
            left = response[member] - part.matvec(solution)
            rounding = EPS * (uncertain[member] + part.abs_matvec(np.abs(solution))
                              + fitted * np.sqrt(part.quad(None, basis)))
            scale = np.linalg.norm(unit * rounding)
            size[c] = np.linalg.norm(unit * left)
            ratio[c] = size[c] / scale if scale > 0 else 0.0
        residual[member] = left
    return Range(ratio <= IN_RANGE, ratio, residual, size)


def identify(reduced: Reduced, response: Floats, scaling: Scaling, signs: Floats,
             in_range: Booleans, accuracy: Floats | None = None) -> Identified:
    """The x whose slack is κ ε m on each component, in the least-squares sense.

    Parameters
    ----------
    reduced : Reduced
    response : (n,) array, b - A offset
    scaling : Scaling
        The magnitudes, and the projection there.
    signs : (n,) array on the active rows
    in_range : (components,) boolean array
    accuracy : (n,) array, optional
        Relative standard deviations of the magnitudes; inf leaves a row out.

    Returns
    -------
    Identified
    """
    used, divisor, projection = reduced.active, scaling.magnitude, scaling.projection
    weight = np.ones(len(response))
    if accuracy is not None:
        finite = np.isfinite(accuracy) & used
        weight = np.where(finite, accuracy[finite].min() / np.where(finite, accuracy, 1.0), 0.0)
        used = weight > 0
        divisor = np.where(used, divisor / np.where(used, weight, 1.0), 1.0)
        projection = project(reduced.rows, divisor, reduced.columns, ~used)
    signed = np.where(used, signs * weight, 0.0)
    data = np.where(used, response / divisor, 0.0)
    labels = np.where(used, reduced.label, reduced.count)

    pair = np.column_stack([signed, data])
    fit = projection.coordinates(pair)
    pair -= projection.expand(fit)
    h, data_outside = pair.T
    scale = np.ones(reduced.count)
    for c in range(reduced.count):
        member = labels == c
        if not in_range[c]:
            norm = float(h[member] @ h[member])
            scale[c] = -float(h[member] @ data_outside[member]) / norm if norm > 0 else np.nan
    per_row = np.append(scale, 0.0)[labels]
    y = (fit[:, 1] + scale[0] * fit[:, 0] if reduced.count == 1
         else projection.coordinates(data + per_row * signed))
    del data, signed
    with np.errstate(over="ignore", invalid="ignore"):         # such an x is refused later on
        x = reduced.offset + projection.transform @ (projection.smallest_slack * y)
    with np.errstate(divide="ignore", invalid="ignore"):
        misfit = np.abs(data_outside + per_row * h)
        misfit /= np.abs(weight * per_row)
    return Identified(x, np.where(in_range, np.nan, scale),
                      float(np.max(misfit, initial=0.0, where=used)))
