"""Signs where some magnitudes are wrong: stage 2 on a component with outliers among the scores.

A wrong score spoils the magnitude of its own row, and those of the others by some per cent. With
R = diag(1/m) [A b] the rest satisfies |R z| = 1 to these per cent. *Least trimmed squares*: of the
errors log |R z| only the smallest count. From many starts, each the solution of random p rows with
the signs that a start of stage 2 found (most of which are right), concentration steps

    signs <- sign(R z),  H <- the rows of least |log |R z||,  z <- argmin sum over H (R z - signs)²

lower the trimmed sum; the starts that end lowest are handed over, as signs and rows left out.

Reference: Rousseeuw and Van Driessen, "Computing LTS regression for large data sets" (2006).
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from levinv._typing import Booleans, Floats

if TYPE_CHECKING:
    from levinv.inverse.stages.signs import Matrix

STARTS = 400
STEPS = 12
FEW_STEPS = 3               # after which only the best starts go on
BEST = 10
LARGEST = 1 << 18           # n p²: in more rows one wrong score does not spoil the others
UNFIT = 0.7                 # root mean square of log |R z| over the rows kept beyond which no start
                            # is a candidate
SMALLEST = 1e-300


def small_enough(n: int, p: int) -> bool:
    """Whether an (n, p) component is looked at."""
    return n * p * p <= LARGEST


def trimmed_signs(matrix: Matrix, magnitude: Floats, known: Floats | None, guesses: list[Floats],
                  most: int, rng: np.random.Generator) -> list[tuple[Floats, Booleans]]:
    """Candidates, the likeliest first.

    Parameters
    ----------
    matrix : Matrix, (n, p)
        [A b] on the component.
    magnitude : (n,) array
    known : (n,) array or None
        The signs.
    guesses : list of (n,) arrays
        Signs most of which may be right.
    most : int
        Rows left out.
    rng : numpy.random.Generator

    Returns
    -------
    list of (signs, left_out)
        (n,) arrays each.
    """
    n, p = matrix.shape
    if not small_enough(n, p) or n - most <= p:
        return []
    rows = np.linalg.qr(matrix.block(np.arange(n)) / magnitude[:, None])[0]
    products = (rows[:, :, None] * rows[:, None, :]).reshape(n, p * p)
    signs = np.array([known] if known is not None else guesses)
    signs = signs[rng.integers(len(signs), size=STARTS)]
    kept = np.argsort(rng.random((STARTS, n)), axis=1)[:, :p + 1]
    for step in range(FEW_STEPS + STEPS):
        weight = np.zeros(signs.shape)
        np.put_along_axis(weight, kept, 1.0, axis=1)
        gram = (weight @ products).reshape(-1, p, p)
        ridge = 1e-12 * np.trace(gram, axis1=1, axis2=2) + SMALLEST      # no row seen: not singular
        gram += ridge[:, None, None] * np.eye(p)
        z = np.linalg.solve(gram, ((weight * signs) @ rows)[:, :, None])[:, :, 0]
        image = z @ rows.T
        if known is None:
            signs = np.where(image < 0, -1.0, 1.0)
        error = np.abs(np.log(np.maximum(image * signs, SMALLEST)))
        order = np.argsort(error, axis=1)
        kept = order[:, :n - most]
        trimmed = np.sum(np.take_along_axis(error, kept, axis=1) ** 2, axis=1)
        if step == FEW_STEPS:
            best = np.argsort(trimmed)[:BEST]
            signs, kept, trimmed = signs[best], kept[best], trimmed[best]
    found, seen = [], set()
    for i in np.argsort(trimmed)[:np.count_nonzero(trimmed <= UNFIT ** 2 * (n - most))]:
        left_out = np.ones(n, dtype=bool)
        left_out[kept[i]] = False
        mark = (signs[i] * signs[i, 0]).tobytes()
        if mark not in seen:
            seen.add(mark)
            found.append((signs[i], left_out))
    return found
