"""Stage 3: x from magnitudes m and signs ε, a least-squares problem in closed form.

On a component diag(1/m) (A x - b) = κ ε. With an orthonormal basis U of range(diag(1/m) A) and
f = b/m, the problem and its solution are

    min over y, κ of |U y - κ ε - f|²:
    h = (I - U Uᵀ) ε,    κ = -hᵀ f / hᵀ h,    y = Uᵀ (f + κ ε).

Rows are divided by m because the errors of m are relative. h vanishes iff A x - b, and so b, lies
in range(A). Then the component's scale κ is free, and x can move along the direction whose image is
κ ε m. These directions, null(A) and the coloops' directions span the null space: all directions in
which x can move without changing any score.
"""
from dataclasses import replace

import numpy as np

from levinv._tolerances import FEW_ROUNDS
from levinv._typing import Booleans, Floats
from levinv.forward.projection import project
from levinv.inverse.values import Magnitudes, Presolved, Recovered, Reduced


def recover(reduced: Reduced, response: Floats, magnitudes: Magnitudes, signs: Floats,
            in_range: Booleans, accuracy: Floats | None = None) -> Recovered:
    """The x whose slack is closest to κ ε m on each component, by least squares.

    ``response`` (n,) is b - A offset. ``accuracy`` (n,) holds relative standard deviations of the
    magnitudes; inf leaves a row out.
    """
    used, divisor, projection = reduced.active, magnitudes.magnitude, magnitudes.projection
    weight = np.ones(len(response))
    if not reduced.model.is_inverse_square and accuracy is None:
        accuracy = np.ones(len(response))
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
    return Recovered(x, np.where(in_range, np.nan, scale),
                     float(np.max(misfit, initial=0.0, where=used)))


def recover_signed(presolved: Presolved, magnitudes: Magnitudes, signs: Floats,
                   deviation: Floats | None) -> Recovered:
    """Stage 3 with one sign vector.

    If signs are unknown, those of a component with κ < 0 are flipped. For noisy scores the signs of
    A x - b then replace the others until they agree, a few times at most: inexact magnitudes leave
    some signs wrong. ``scale`` and ``misfit`` are those of the first fit.
    """
    problem, reduced = presolved.problem, presolved.reduced

    def found_with(signs: Floats) -> Recovered:
        return recover(reduced, presolved.response, magnitudes, signs, presolved.range.inside,
                       deviation)

    found = found_with(signs)
    negative = tuple(c for c in range(reduced.count) if found.scale[c] < 0)
    if problem.known_signs is not None:
        return replace(found, negative=negative)
    if negative:
        signs = np.where(np.isin(reduced.label, negative), -signs, signs)
        found = found_with(signs)
    x = found.x
    if not problem.exact:
        for _ in range(FEW_ROUNDS):
            read_back = np.where(problem.slack(x) < 0, -1.0, 1.0)
            if np.array_equal(read_back[reduced.active], signs[reduced.active]):
                break
            signs = read_back
            x = found_with(signs).x
    return replace(found, x=x)
