"""Scores and derivatives with as many digits as the input asks for: elimination with full pivoting
on mpmath numbers, nothing shared with the library.

The digits are chosen so that numbers of every size in the input still count beside each other and
1: their logarithms' spread, taken five times, and 160 more.
"""
import mpmath
import numpy as np

import oracles


class UndefinedError(ValueError):
    """Linearly dependent rows have zero slack."""


def digits(*arrays):
    """Decimal digits with which sums of products of these numbers are as good as exact."""
    spread = 0.0
    for array in arrays:
        sizes = [float(mpmath.log10(abs(value))) for value in np.ravel(array) if value] + [0.0]
        spread += max(sizes) - min(sizes)
    return 160 + int(5 * spread)


def slack(A, b, x):
    """A x - b exactly, as mpmath numbers."""
    with mpmath.workdps(1400):          # products of doubles, added: 1400 digits between the
        A, b, x = oracles.exact(A), oracles.exact(b), oracles.exact(x)     # the largest
        return A @ x - b


def echelon(matrix):
    """Reduced echelon form by elimination with full pivoting: the form's rows, pivot rows and
    pivot columns.
    """
    matrix = np.array(matrix, dtype=object)
    for j in range(matrix.shape[1]):
        largest = max(np.abs(matrix[:, j]), default=0)
        if largest:
            matrix[:, j] /= largest
    n, d = matrix.shape
    small = mpmath.mpf(10) ** (-mpmath.mp.dps // 2)
    free, rows, columns = list(range(n)), [], []
    start = matrix.copy()
    while free and len(columns) < d:
        rest = [j for j in range(d) if j not in columns]
        part = np.abs(matrix[np.ix_(free, rest)])
        sizes = np.array([max(np.abs(start[i])) or mpmath.mpf(1) for i in free], dtype=object)
        part = part / sizes[:, None]
        place = np.unravel_index(int(np.argmax(part)), part.shape)
        if part[place] <= small:
            break
        i, j = free[place[0]], rest[place[1]]
        matrix[i] = matrix[i] / matrix[i, j]
        for other in range(n):
            if other != i and matrix[other, j]:
                matrix[other] = matrix[other] - matrix[other, j] * matrix[i]
        free.remove(i)
        rows.append(i)
        columns.append(j)
    return matrix[rows], rows, columns


def rank(matrix):
    """Exact rank."""
    return len(echelon(matrix)[1])


def null_space(matrix):
    """Columns that span the null space of independent rows: (d, d - n)."""
    sizes = np.array([max(np.abs(matrix[:, j]), default=0) or mpmath.mpf(1)
                      for j in range(matrix.shape[1])], dtype=object)
    form, _, columns = echelon(matrix)
    d = matrix.shape[1]
    rest = [j for j in range(d) if j not in columns]
    out = np.full((d, len(rest)), mpmath.mpf(0), dtype=object)
    for k, j in enumerate(rest):
        out[j, k] = mpmath.mpf(1)
        for row, column in enumerate(columns):
            out[column, k] = -form[row, j]
    return out / sizes[:, None]


def inverse(matrix):
    """Inverse of a positive definite matrix of unit diagonal."""
    k = len(matrix)
    one = np.full((k, k), mpmath.mpf(0), dtype=object)
    one[np.arange(k), np.arange(k)] = mpmath.mpf(1)
    work = np.column_stack([matrix, one])
    for j in range(k):
        work[j] = work[j] / work[j, j]
        for i in range(k):
            if i != j:
                work[i] = work[i] - work[i, j] * work[j]
    return work[:, k:]


class Exact:
    """The scores of diag(1/slack) A, in the limit at a zero slack; ``rank`` and ``condition``,
    about that of the independent columns at unit norm, and beside zero slacks no less than what
    the scores do when entries of A change by a part of themselves.
    """

    def __init__(self, A, slack):
        self.dps = digits(A, slack)
        with mpmath.workdps(self.dps):
            A = oracles.exact(A) if A.dtype != object else A
            slack = np.array([mpmath.mpf(s) for s in slack], dtype=object)
            rows = (A != 0).any(axis=1)
            zero = np.flatnonzero(rows & (slack == 0))
            self.condition = 1.0
            self.zero = zero
            C = A
            if len(zero):
                if rank(A[zero]) < len(zero):
                    raise UndefinedError
                N = null_space(A[zero])
                C = A @ N
                unit = A[zero] / np.array([mpmath.sqrt((a * a).sum()) for a in A[zero]],
                                          dtype=object)[:, None]
                self.condition = float(mpmath.sqrt(sum(np.diag(inverse(unit @ unit.T)))))
            scale = np.array([0 if s == 0 else 1 / s for s in slack], dtype=object)
            B = C * scale[:, None]
            _, _, columns = echelon(C[slack != 0]) if B.shape[1] else (0, 0, [])
            B = B[:, columns]
            self.rank = len(columns) + len(zero)
            self.scores = np.full(len(A), mpmath.mpf(0), dtype=object)
            self.basis, self.inverse = B, np.zeros((0, 0), dtype=object)
            if len(columns):
                norms = np.array([mpmath.sqrt(v) for v in (B * B).sum(axis=0)], dtype=object)
                B = B / norms
                self.inverse = inverse(B.T @ B)
                self.basis = B
                total = sum(np.diag(self.inverse))
                if total <= 0:                           # singular to these digits
                    raise UndefinedError
                self.condition *= float(mpmath.sqrt(total))
                self.scores = ((B @ self.inverse) * B).sum(axis=1)
                if len(zero):
                    self.condition = max(self.condition,
                                         self._sensitivity(A, unit, scale, N[:, columns] / norms))
            self.scores[zero] = mpmath.mpf(1)
            self.rounded = self.scores.astype(float)

    def _sensitivity(self, A, zero_rows, scale, N):
        """How far |δA| <= ε |A| moves the projection of the quotient by ``zero_rows``, over ε.

        N: independent columns of the quotient. With D the scale, A_0 the rows of zero slack, W a
        right inverse of them, and V such that D A V is orthonormal and A_0 V = 0, δA moves D A V by
        D (δA - A W δA_0) V, of which the part orthogonal to D A V turns the projection. Columns of
        the quotient may be well conditioned all the same: rows that are parallel modulo A_0 by
        cancellation have columns of exact zeros there, which one last digit of A makes count in
        rows of much larger weight.
        """
        lower = np.array(mpmath.cholesky(mpmath.matrix(self.inverse.tolist())).tolist(),
                         dtype=object).reshape(self.inverse.shape)
        V = N @ lower
        W = zero_rows.T @ inverse(zero_rows @ zero_rows.T)
        image = (A @ W) * scale[:, None]
        image = image - self.basis @ (self.inverse @ (self.basis.T @ image))
        moved = (np.abs(A) * scale[:, None] + np.abs(image) @ np.abs(zero_rows)) @ np.abs(V)
        return float(mpmath.sqrt((moved * moved).sum()))

    def projection(self):
        """P, (n, n), where no slack is zero."""
        B = self.basis
        return B @ self.inverse @ B.T if B.shape[1] else np.full((len(B),) * 2, mpmath.mpf(0))


class Derivatives:
    """Of the scores with respect to x, all of them, where no slack is zero."""

    def __init__(self, A, slack):
        self.exact = Exact(A, slack)
        with mpmath.workdps(self.exact.dps):
            self.B = oracles.exact(A) / np.array([mpmath.mpf(s) for s in slack],
                                                 dtype=object)[:, None]
            self.P = self.exact.projection()
            self.Q = self.P * self.P

    def jacobian(self):
        with mpmath.workdps(self.exact.dps):
            return 2 * (self.Q @ self.B - self.exact.scores[:, None] * self.B)

    def loss_gradient(self, target):
        with mpmath.workdps(self.exact.dps):
            return (self.exact.scores - oracles.exact(target)) @ self.jacobian()

    def loss_hessian(self, target):
        """The Hessian of ½|sigma - target|²."""
        with mpmath.workdps(self.exact.dps):
            sigma = self.exact.scores
            r = sigma - oracles.exact(target)
            B, P, Q = self.B, self.P, self.Q
            J = self.jacobian()
            mixed = B.T @ (r[:, None] * (Q @ B))
            return (J.T @ J + 8 * B.T @ (P * (P @ (r[:, None] * P))) @ B
                    - 6 * B.T @ ((Q @ r)[:, None] * B) - 4 * (mixed + mixed.T)
                    + 6 * B.T @ ((r * sigma)[:, None] * B))

    def barrier_gradient(self):
        with mpmath.workdps(self.exact.dps):
            return -self.B.T @ self.exact.scores

    def barrier_hessian(self):
        with mpmath.workdps(self.exact.dps):
            sigma = self.exact.scores
            return self.B.T @ (3 * sigma[:, None] * self.B - 2 * self.Q @ self.B)


def long_scores(A, slack):
    """Scores of many rows with few columns, in NumPy's longest floating-point numbers."""
    B = np.asarray(A, dtype=np.longdouble) / slack[:, None]
    B = B / np.sqrt((B * B).sum(axis=0))
    for _ in range(2):                                # Gram-Schmidt, twice
        for j in range(B.shape[1]):
            for i in range(j):
                B[:, j] -= B[:, i] * (B[:, i] @ B[:, j])
            B[:, j] /= np.sqrt(B[:, j] @ B[:, j])
    return (B * B).sum(axis=1)
