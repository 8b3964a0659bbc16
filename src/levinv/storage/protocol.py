"""What every kind of rows offers.

Rows are u_i = scale_i a_i T, with a_i row i of A; ``scale`` (n,) and the ``transform`` T (d, k) are
optional: 1 and I. A row whose scale is 0 takes no part: that is how rows are left out without a
copy of A.
"""
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import scipy.sparse

from levinv._typing import Booleans, Floats, RowIndex

Result = TypeVar("Result")


class Rows(Protocol):
    """The rows of A, behind the primitives that every solver is written in."""

    shape: tuple[int, int]
    workers: int                      # threads that share a pass
    in_memory: bool                   # whether a pass costs its arithmetic and no more
    copy_limit: float                 # entries of the largest array that may be made of the rows

    @property
    def flops(self) -> int:
        """Of a Gram matrix and a form: are threads worth it?"""

    def matvec(self, v: Floats) -> Floats:
        """A v for a vector (d,) or columns (d, m)."""

    def rmatvec(self, y: Floats) -> Floats:
        """Aᵀ y for a vector (n,) or columns (n, m)."""

    def abs_matvec(self, v: Floats) -> Floats:
        """|A| v with entrywise absolute values: bounds the rounding errors of A v."""

    def row_norms(self) -> Floats:
        """Euclidean norms of the rows, (n,), without overflow."""

    def column_norms(self) -> Floats:
        """Euclidean norms of the columns, (d,)."""

    def column_max(self) -> Floats:
        """Largest absolute entry of each column, (d,)."""

    def nonzero(self) -> Booleans:
        """Whether a row has an entry other than zero, (n,)."""

    def block(self, index: RowIndex) -> Floats:
        """A few rows, as a new array."""

    def part(self, index: RowIndex) -> "Rows":
        """Some rows, as rows."""

    def with_columns_times(self, factors: Floats) -> "Rows":
        """A diag(factors), as rows."""

    def scaled(self, factors: Floats) -> Floats:
        """diag(factors) A as a new (n, d) array: for results that are one, and for short
        problems.
        """

    def as_sparse(self) -> scipy.sparse.csr_array:
        """A in CSR, as linear programs take it."""

    def gram(self, scale: Floats | None = None, transform: Floats | None = None,
             weights: Floats | None = None) -> Floats:
        """sum_i weights_i u_i u_iᵀ, (k, k)."""

    def quad(self, scale: Floats | None = None, transform: Floats | None = None,
             form: Floats | None = None) -> Floats:
        """u_iᵀ form u_i, or |u_i|² without a form: (n,)."""

    def moments(self, scale: Floats | None, transform: Floats | None, Y: Floats) -> Floats:
        """sum_i Y_im u_i u_iᵀ for each column of Y (n, m), in one pass: symmetric (k, k, m)."""

    def contract(self, scale: Floats | None, transform: Floats | None, forms: Floats) -> Floats:
        """u_iᵀ forms[:, :, m] u_i for symmetric forms (k, k, m), in one pass: (n, m)."""

    def third_moments(self, scale: Floats, transform: Floats | None,
                      inverse_slack: Floats) -> Floats:
        """sum_l u_la u_lb B_lj for a <= b, (k(k+1)/2, d), with B = diag(inverse_slack) A."""

    def tall_hessian(self, scale: Floats, transform: Floats | None, inverse_slack: Floats,
                     forms: Floats, scores: Floats, residual: Floats,
                     diagonal: Floats) -> Floats:
        """The pass over the rows of :meth:`levinv.forward.score_hessian.ScoreHessian.hessian`: two
        (d, d) arrays, out and cross of :func:`levinv._kernels.hessian.tall`.
        """

    def triangle(self, scale: Floats | None = None, transform: Floats | None = None) -> Floats:
        """Upper triangular R, (min(n, k), k), with RᵀR = gram(scale, transform), by QR."""

    def squares(self, basis: Floats, Y: Floats) -> Floats:
        """(P∘P) Y for P = basis basisᵀ, from a basis (n, k) in memory: (n, m)."""

    def keep(self, vector: Floats | Booleans | None) -> Any:
        """A vector (n,), or None, for repeated use in :meth:`fold`: with the rows, where they are
        elsewhere.
        """

    def fold(self, function: Callable[..., Result],
             combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
             *shared: Any) -> Result:
        """One pass: ``function(rows, *parts, *shared)`` of every block of rows and its parts of the
        vectors, put together by ``combine``, a function of two results, in the order of the rows.
        """
