"""What every kind of storage offers: the primitives that all solvers are written in.

Rows are u_i = scale_i a_i T, with a_i row i of A; ``scale`` (n,) and the ``transform`` T (d, k) are
optional: 1 and I. A row of scale 0 contributes nothing, so that rows are left out without a copy
of A. Below, k is the length of u_i.
"""
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import scipy.sparse

from levinv._typing import Booleans, Floats, RowIndex

Result = TypeVar("Result")


class Rows(Protocol):
    """The rows of A. The docstrings here hold for all implementations."""

    shape: tuple[int, int]
    workers: int                      # threads that share a pass over the rows
    in_memory: bool                   # False if a pass over the rows also costs I/O
    copy_limit: float                 # entries of the largest array that may be made of the rows

    @property
    def flops(self) -> int:
        """Flops of one Gram matrix and one quadratic form: they decide whether threads pay."""

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
        """Rows ``index`` as a new (len(index), d) array; for a few rows."""

    def part(self, index: RowIndex) -> "Rows":
        """Rows ``index`` as a Rows object."""

    def with_columns_times(self, factors: Floats) -> "Rows":
        """A diag(factors) as a Rows object."""

    def scaled(self, factors: Floats) -> Floats:
        """diag(factors) A as a new (n, d) array: for results of this shape and short problems."""

    def as_sparse(self) -> scipy.sparse.csr_array:
        """A in CSR, for linear programs."""

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
        """A vector (n,), or None, for repeated use in :meth:`fold`, stored where the rows are."""

    def fold(self, function: Callable[..., Result],
             combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
             *shared: Any) -> Result:
        """One pass: ``function(rows, *parts, *shared)`` of every block of rows and its parts of the
        vectors; ``combine``, a function of two results, combines them in the order of the rows.
        """
