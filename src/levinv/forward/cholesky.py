"""Inverse Cholesky factors of Gram matrices on several threads, and how far to trust them.

The steps, of :mod:`levinv._kernels.factor`, are those of one thread: each strip of a matrix is
left to one thread, and every strip waits for those before it. Results are the same to the last bit.
"""
import functools
import math
from collections.abc import Callable

import numpy as np

from levinv._kernels import factor
from levinv._parallel import aside, share
from levinv._tolerances import UNBLOCKED_COLUMNS
from levinv._typing import Floats

STRIP = 2 * UNBLOCKED_COLUMNS        # columns of a product of two triangles


def triangular_inverse_factor(gram: Floats, workers: int = 1) -> tuple[Floats, float]:
    """Upper triangular T with Tᵀ gram T = I, and its condition: the Frobenius norm of R⁻¹ (see
    :func:`levinv._kernels.factor.gram_inverse_factor`); inf or nan where there is none.

    ``gram`` is overwritten.
    """
    k = len(gram)
    if k <= 8 * UNBLOCKED_COLUMNS or workers == 1:
        return aside(lambda: factor.triangular_inverse_factor(gram), k ** 3)
    transform, column_scale = np.zeros((k, k)), np.empty(k)
    condition = factor.scale_gram(gram, column_scale)
    if condition != 0.0:
        return transform, condition
    size = factor.block_size(k)
    blocks = [(first, min(first + size, k)) for first in range(0, k, size)]
    for block in blocks:
        if not factor.diagonal_step(gram, transform, *block):
            return transform, math.inf
        strips = [strip for strip in blocks if strip != block]
        for step in (factor.prepare_step, factor.finish_step):
            share(functools.partial(_on_strip, step, gram, transform, block), strips, workers)
    return transform, factor.unscale(transform, column_scale)


def _on_strip(step: Callable[..., None], gram: Floats, transform: Floats,
              block: tuple[int, int], strip: tuple[int, int]) -> None:
    step(gram, transform, *block, *strip)


def norm_bound(condition: float, k: int) -> float:
    """A bound of |R⁻¹| from its Frobenius norm, at least √k. Errors grow with |R⁻¹|.

    The k squared singular values of R sum to k. The inverses of the k - 1 largest ones therefore
    sum to at least (k - 1)²/k >= k - 2, and the inverse of the smallest is at most the squared
    Frobenius norm less k - 2.
    """
    return math.sqrt(max(condition ** 2 - k + 2.0, 1.0))


def close_norm_bound(transform: Floats, diagonal: Floats, condition: float,
                     workers: int = 1) -> float:
    """A closer bound of |R⁻¹| for many columns, at half the cost of a factorisation.

    k numbers of mean m and mean square q are at most m + √((k - 1)(q - m²)) (Samuelson, 1968).
    Those here are the eigenvalues of R⁻¹R⁻ᵀ: their sum is the squared Frobenius norm of R⁻¹, and
    the sum of their squares is that of R⁻¹R⁻ᵀ, of which one block of columns at a time is computed.
    """
    k, sizes = len(transform), np.sqrt(diagonal)
    blocks = [(first, min(first + STRIP, k)) for first in range(0, k, STRIP)]
    squares = np.empty(len(blocks))

    def work(number: int) -> None:
        first, last = blocks[number]
        rows = sizes[first:last, None] * transform[first:last, first:]
        product = transform[:last, first:] @ rows.T
        product *= sizes[:last, None]
        above, within = product[:first].ravel(), product[first:].ravel()
        squares[number] = 2.0 * (above @ above) + within @ within

    share(work, range(len(blocks)), workers)
    mean, square = condition ** 2 / k, float(squares.sum()) / k
    return math.sqrt(mean + math.sqrt((k - 1) * max(square - mean ** 2, 0.0)))
