"""Dense rows in memory, in any memory layout."""
import numpy as np

from levinv._kernels import dense, hessian

# One kernel call stays below about a tenth of a second, so that Ctrl-C is heard between calls.
FLOPS_PER_CALL = 1 << 30


class DenseRows:
    """The rows of a float64 array, never copied beyond a block (see :mod:`levinv.rows`)."""

    def __init__(self, A):
        self.A = A
        self.shape = A.shape

    def _chunks(self, flops_per_row):
        n = self.shape[0]
        step = max(1024, int(FLOPS_PER_CALL / max(flops_per_row, 1)))
        return (slice(first, min(first + step, n)) for first in range(0, n, step))

    def _width(self, transform):
        return self.shape[1] if transform is None else transform.shape[1]

    def matvec(self, v):
        """A v for a vector (d,) or a few columns (d, m)."""
        if self.A.flags.forc:
            return self.A @ v
        # NumPy would copy the whole of a strided A at once.
        return np.concatenate([self.A[chunk] @ v for chunk in self._chunks(1 << 16)])

    def rmatvec(self, y):
        """Aᵀ y for a vector (n,) or a few columns (n, m)."""
        if self.A.flags.forc:
            return self.A.T @ y
        return sum(self.A[chunk].T @ y[chunk] for chunk in self._chunks(1 << 16))

    def abs_matvec(self, v):
        """|A| v with entrywise absolute values: bounds the rounding errors of A v."""
        return np.concatenate([np.abs(self.A[chunk]) @ v for chunk in self._chunks(1 << 16)])

    def row_norms(self):
        """Euclidean norms of the rows, (n,), without overflow."""
        largest = np.concatenate([np.maximum(self.A[chunk].max(axis=1), -self.A[chunk].min(axis=1))
                                  for chunk in self._chunks(1 << 16)])
        unit = np.where(largest > 0, largest, 1.0)
        return largest * np.sqrt(self.quad(1.0 / unit))

    def column_max(self):
        """Largest absolute entry of each column, (d,)."""
        return np.max([np.maximum(self.A[chunk].max(axis=0), -self.A[chunk].min(axis=0))
                       for chunk in self._chunks(1 << 16)], axis=0)

    def block(self, index):
        """Rows ``index`` as a new (len(index), d) array."""
        return np.array(self.A[index])

    def gram(self, scale=None, transform=None, weights=None):
        """sum_i weights_i u_i u_iᵀ, (k, k)."""
        k = self._width(transform)
        out = np.zeros((k, k))
        for chunk in self._chunks(4 * self.shape[1] * k):
            dense.gram(self.A[chunk], _part(scale, chunk), transform, _part(weights, chunk), out)
        return out

    def quad(self, scale=None, transform=None, form=None):
        """u_iᵀ form u_i, (n,)."""
        out = np.empty(self.shape[0])
        for chunk in self._chunks(4 * self.shape[1] * self._width(transform)):
            dense.quad(self.A[chunk], _part(scale, chunk), transform, form, out[chunk])
        return out

    def moments(self, scale, transform, Y):
        """sum_i Y_im u_i u_iᵀ for each column of Y (n, m): symmetric (k, k, m)."""
        k, m = self._width(transform), Y.shape[1]
        packed = np.zeros((k * (k + 1) // 2, m))
        for chunk in self._chunks(k * k * m):
            dense.moments(self.A[chunk], _part(scale, chunk), transform, Y[chunk], packed)
        upper = np.triu_indices(k)
        out = np.empty((k, k, m))
        out[upper] = packed
        out[upper[::-1]] = packed
        return out

    def contract(self, scale, transform, forms):
        """u_iᵀ forms[:, :, m] u_i for symmetric forms (k, k, m): (n, m)."""
        k, m = forms.shape[0], forms.shape[2]
        upper = np.triu_indices(k)
        packed = forms[upper] * np.where(upper[0] == upper[1], 1.0, 2.0)[:, None]
        out = np.empty((self.shape[0], m))
        for chunk in self._chunks(k * k * m):
            dense.contract(self.A[chunk], _part(scale, chunk), transform, packed, out[chunk])
        return out

    def third_moments(self, scale, transform, inverse_slack, out):
        """out[(a, b), j] += sum_l u_la u_lb B_lj, a <= b, with B = diag(inverse_slack) A."""
        for chunk in self._chunks(self._width(transform) ** 2 * self.shape[1]):
            hessian.third_moments(self.A[chunk], scale[chunk], transform, inverse_slack[chunk], out)

    def tall_hessian(self, scale, transform, inverse_slack, forms, scores, residual, diagonal, out,
                     cross):
        """The pass over the rows of :meth:`levinv.forward.second_order.SecondOrder.hessian`."""
        for chunk in self._chunks(self._width(transform) ** 2 * self.shape[1]):
            hessian.tall(self.A[chunk], scale[chunk], transform, inverse_slack[chunk], forms,
                         scores[chunk], residual[chunk], diagonal[chunk], out, cross)


def _part(vector, chunk):
    return None if vector is None else vector[chunk]
