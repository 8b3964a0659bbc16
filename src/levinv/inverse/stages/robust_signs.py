"""Signs where some magnitudes are wrong: stage 2 on a component with outliers among the scores.

A wrong score spoils the magnitude of its own row, and changes those of other rows by some per cent.
Let R = diag(1/m) [A b]. The other rows satisfy |R z| = 1 to this accuracy. *Least trimmed squares*:
only the smallest errors log |R z| are summed. There are many starts. Each is the solution of a few
random rows, with signs from a start of stage 2; most of these are right. Concentration steps

    signs <- sign(R z),  H <- the rows of least |log |R z||,  z <- argmin sum over H (R z - signs)²

lower the trimmed sum of squared errors. The starts that end lowest are returned.

Reference: Rousseeuw and Van Driessen, "Computing LTS regression for large data sets" (2006).
"""
import numpy as np

from levinv._tolerances import CLOSEST, EPS, FEW_ROUNDS, PASS_ENTRIES, TINY, TRIMMED_STARTS
from levinv._typing import Floats, Integers
from levinv.inverse.stages.presolve import Augmented
from levinv.inverse.values import SignCandidate


def may_be_spoiled(n: int, p: int) -> bool:
    """Whether one wrong score may spoil the magnitudes of an (n, p) component."""
    return n * p * p <= PASS_ENTRIES


def trimmed_signs(matrix: Augmented, magnitude: Floats, known: Floats | None, guesses: list[Floats],
                  most: int, rng: np.random.Generator) -> list[SignCandidate]:
    """Different sign vectors, the likeliest first, each with the ``most`` rows that it leaves out.

    ``matrix`` (n, p) is [A b] on the component. ``known`` (n,) holds the signs if they are known.
    ``guesses`` are sign vectors (n,), of which most entries may be right.
    """
    n, p = matrix.shape
    if not may_be_spoiled(n, p) or n - most <= p:
        return []
    rows = np.linalg.qr(matrix.block(np.arange(n)) / magnitude[:, None])[0]
    products = (rows[:, :, None] * rows[:, None, :]).reshape(n, p * p)

    def concentrated(signs: Floats, kept: Integers) -> tuple[Floats, Integers, Floats]:
        """One step: new signs, rows kept and trimmed sums for each start."""
        image = _least_squares(rows, products, signs, kept)
        if known is None:
            signs = np.where(image < 0, -1.0, 1.0)
        error = np.abs(np.log(np.maximum(image * signs, TINY)))
        kept = np.argsort(error, axis=1)[:, :n - most]
        return signs, kept, np.sum(np.take_along_axis(error, kept, axis=1) ** 2, axis=1)

    signs = np.array([known] if known is not None else guesses)
    signs = signs[rng.integers(len(signs), size=TRIMMED_STARTS)]
    kept = np.argsort(rng.random((TRIMMED_STARTS, n)), axis=1)[:, :p + 1]
    for _ in range(FEW_ROUNDS):
        signs, kept, trimmed = concentrated(signs, kept)
    best = np.argsort(trimmed)[:CLOSEST]
    signs, kept, trimmed = signs[best], kept[best], trimmed[best]
    while True:
        moved = concentrated(signs, kept)
        lower = moved[2] < trimmed
        if not lower.any():
            break
        signs[lower], kept[lower], trimmed[lower] = (part[lower] for part in moved)
    found: dict[bytes, SignCandidate] = {}
    for i in np.argsort(trimmed):
        left_out = np.ones(n, dtype=bool)
        left_out[kept[i]] = False
        misfit = float(np.sqrt(trimmed[i] / (n - most)))
        found.setdefault((signs[i] * signs[i, 0]).tobytes(),
                         SignCandidate(signs[i], misfit, left_out=left_out))
    return list(found.values())


def _least_squares(rows: Floats, products: Floats, signs: Floats, kept: Integers) -> Floats:
    """R z, (starts, n); each start's z is fitted to the ``signs`` of the rows ``kept``."""
    p = rows.shape[1]
    weight = np.zeros(signs.shape)
    np.put_along_axis(weight, kept, 1.0, axis=1)
    gram = (weight @ products).reshape(-1, p, p)
    # a ridge of rounding size: the rows kept may be dependent, or all zero
    ridge = p * EPS * np.trace(gram, axis1=1, axis2=2) + TINY
    gram += ridge[:, None, None] * np.eye(p)
    z = np.linalg.solve(gram, ((weight * signs) @ rows)[:, :, None])[:, :, 0]
    image: Floats = z @ rows.T
    return image
