"""A matrix modulo its rows of almost zero slack (:mod:`levinv.forward.projection`)."""
import math

import numpy as np
import scipy.linalg

from levinv import _tolerances
from levinv._tolerances import EPS, SQUARABLE, TINY
from levinv._typing import Booleans, Floats, Integers
from levinv.forward.basis import orthonormal_basis
from levinv.storage.blocked import Rows

# Each refinement multiplies an entry by ε: after so many it has gone from 1 to below TINY.
MAX_REFINEMENTS = math.ceil(math.log(TINY, EPS))


class DependentZeroSlackError(ValueError):
    """The rows with zero slack are linearly dependent: scores have no limit there."""


def scaled(scale: Floats, product: Floats) -> Floats:
    """diag(scale) product, (n, h): 0 in rows that take no part, where the product may overflow."""
    out: Floats = np.zeros_like(product)
    return np.multiply(scale[:, None], product, out=out, where=scale[:, None] > 0)


def balanced(rows: Rows, scale: Floats, heavy: Integers, columns: Floats | None = None) -> Floats:
    """C' for which the columns of A C' are orthonormal over the scaled light rows and the heavy
    ones, the latter as long as the longest light row.

    A quotient combines columns, which therefore must not be of very different size.
    """
    # Lengths count in units in which the scaled light rows are of ordinary size. In those of A, a
    # heavy row of tiny entries would give light rows a weight whose inverse, as the size of the
    # quotient's columns, overflows if squared; and a light row of huge ones would hide the others.
    columns = np.eye(rows.shape[1]) if columns is None else columns
    units = rows.fold(_largest, np.maximum, [scale], columns)
    alone = np.abs(rows.block(heavy) @ columns).max(axis=0)         # of columns of heavy rows only
    columns = columns / np.where(units > 0, units, np.where(alone > 0, alone, 1.0))
    norms = rows.abs_matvec(np.abs(columns).sum(axis=1))
    norms[norms == 0] = 1.0
    lengths = scale * norms
    lengths /= lengths.max() or 1.0
    lengths = np.where(lengths > 0, np.maximum(lengths, SQUARABLE), 0.0)
    lengths[heavy] = 1.0
    return orthonormal_basis(rows, lengths / norms, columns, rcond=0.0).transform


def _largest(rows: Rows, scale: Floats, columns: Floats) -> Floats:
    """The largest entries of the columns of diag(scale) A C, (k,)."""
    out: Floats = np.abs(scaled(scale, rows.matvec(columns))).max(axis=0)
    return out


def spanned(rows: Rows, null: Floats) -> Booleans:
    """Rows in the span of the rows with null space ``null`` (see :func:`quotient`), (n,).

    If the latter have zero slack, the former have score 0. Their rounding errors in the quotient
    must not be multiplied by the inverse of a small slack.
    """
    terms = rows.abs_matvec(np.abs(null).sum(axis=1))
    unit = 1.0 / np.where(terms > 0, np.maximum(terms, TINY), 1.0)
    # Bound of the rounding errors of the product and of the null space, each d ε |a_i| |null|.
    rest: Booleans = rows.quad(unit, null) <= (2 * len(null) * EPS) ** 2
    return rest


def quotient(rows: Rows, index: Integers, columns: Floats) -> tuple[Floats, Floats, Floats]:
    """A basis N (d, k - h) of the combinations of A's columns that rows ``index``, A_H, map to
    zero, a right inverse W (d, h) of A_H with rows at unit norm, and these norms.

    Other rows may have any weight relative to A_H, and would magnify the rounding errors of A_H N
    and of A_H W - I. These are therefore refined to ε |A_H| |N| and ε |A_H| |W|, entry by entry.
    Raises DependentZeroSlackError if the rows are linearly dependent.
    """
    rows_h = rows.block(index)
    block = rows_h @ columns
    norms = np.hypot.reduce(block, axis=1)         # squares may overflow
    safe = np.where(norms > 0, norms, 1.0)
    block /= safe[:, None]
    h, k = block.shape
    if h > k or np.linalg.svd(block, compute_uv=False)[-1] <= _tolerances.ROUNDING_FACTOR * k * EPS:
        raise DependentZeroSlackError(index)
    q, r = scipy.linalg.qr(block.T, check_finite=False)
    inverse = scipy.linalg.solve_triangular(r[:h], np.eye(h), trans="T", check_finite=False)
    null, right = columns @ q[:, h:], columns @ (q[:, :h] @ inverse)
    rows_h /= norms[:, None]
    for part, image in ((right, np.eye(h)), (null, 0.0)):
        for _ in range(MAX_REFINEMENTS):
            error = image - rows_h @ part
            if np.all(np.abs(error) <= k * EPS * (np.abs(rows_h) @ np.abs(part))):
                break
            part += right @ error
    return np.ascontiguousarray(null), right, norms
