"""The graph Laplacian of stage 1: Newton systems and standard deviations.

L = diag(sigma) - Q, Q = P∘P, is the Hessian of f(t) = log det(Aᵀ diag(eᵗ) A) and the derivative of
the scores with respect to t. It is the Laplacian of the graph with edge weights P_ij². The degrees
are sigma_i (1 - sigma_i) = sum_{j≠i} P_ij². The null space consists of the vectors that are
constant on each component of A's rows.

With D = diag(degrees) everything here works on D^(-1/2) L D^(-1/2), whose diagonal is 1 and whose
null space is spanned by the vectors D^(1/2) 1_C. If the weights make parts of A almost
disconnected, L is almost singular. In the damped system (L + λ D) δ = r a large shift of one part
does not delay the others. :class:`DirectSolver` factors the matrix in n³/3 operations.
:class:`IterativeSolver` uses conjugate gradients: each product with L takes one Gram matrix and one
quadratic form per row. δ is 0 outside the active rows and orthogonal to the null space in the inner
product of D. A solver may overwrite the right-hand side r.
"""
import math

import numpy as np
import scipy.linalg

from levinv._conjugate_gradients import conjugate_gradients
from levinv._parallel import aside
from levinv._tolerances import EPS, FEW_ITERATIONS
from levinv._typing import Booleans, Floats, Integers, Labels
from levinv.forward.projection import Projection


class DirectSolver:
    """Cholesky factorisation of the n x n matrix."""

    # If L is too close to singular: the first damping, which leaves half of the digits, and the
    # ratio of each damping to the one before.
    dampings = math.sqrt(EPS), 10.0
    products = 0

    def __init__(self, projection: Projection, active: Booleans, label: Labels) -> None:
        self._index = np.flatnonzero(degrees(projection, active))
        self._matrix, self._root, _ = _whitened_laplacian(projection, self._index, label)

    def solve(self, right_side: Floats, damping: float) -> Floats:
        """δ, (n,); inf if the matrix is singular to rounding."""
        step = np.zeros(len(right_side))
        shifted = self._matrix.copy()
        shifted[np.diag_indices_from(shifted)] += damping
        try:
            factor = aside(lambda: scipy.linalg.cho_factor(
                shifted, lower=True, overwrite_a=True, check_finite=False), len(shifted) ** 3)
        except np.linalg.LinAlgError:
            step[:] = np.inf
            return step
        step[self._index] = scipy.linalg.cho_solve(
            factor, right_side[self._index] / self._root, check_finite=False) / self._root
        return step


class IterativeSolver:
    """Conjugate gradients on the complement of the null space, to a relative ``tolerance``."""

    # 0, 1/100, 1: smaller values have no effect in few iterations, and each attempt costs a solve
    dampings = 0.01, 100.0

    def __init__(self, projection: Projection, active: Booleans, label: Labels,
                 tolerance: float) -> None:
        self.products = 0            # products with L so far
        self._projection, self._tolerance = projection, tolerance
        root = degrees(projection, active)
        last = label.max(initial=0)
        # one component of all rows needs no groups; rows that are not active form a last group
        self._groups = None if last == 0 and root.all() else np.where(root > 0, label, last + 1)
        self._norms = (float(root.sum()) if self._groups is None
                       else np.bincount(self._groups, weights=root))
        self._root = np.sqrt(root, out=root)
        self._positive = True if self._groups is None else root > 0
        self._scratch = np.empty_like(root)

    def solve(self, right_side: Floats, damping: float) -> Floats:
        """δ, (n,)."""
        def product(v: Floats) -> Floats:
            """(D^(-1/2) L D^(-1/2) + λ I) v."""
            np.copyto(self._scratch, v)
            image = self._projection.laplacian(self._whiten(self._scratch))     # this is -L
            np.negative(image, out=image)
            self._whiten(image)
            if damping:
                image += np.multiply(v, damping, out=self._scratch)
            return image

        found = conjugate_gradients(product, self._whiten(right_side), tolerance=self._tolerance,
                                    maxiter=FEW_ITERATIONS, project=self._centre)
        self._centre(found.x)
        self.products += found.products
        return self._whiten(found.x)

    def _whiten(self, v: Floats) -> Floats:
        """D^(-1/2) v in place, 0 outside the active rows."""
        np.divide(v, self._root, out=v, where=self._positive)
        if self._groups is not None:
            v[~self._positive] = 0.0
        return v

    def _centre(self, v: Floats) -> None:
        """Subtract from v, in place, its projection onto the null space."""
        if self._groups is None:
            v -= np.multiply(self._root, float(self._root @ v) / self._norms, out=self._scratch)
            return
        along = np.bincount(self._groups, weights=np.multiply(self._root, v, out=self._scratch))
        along = np.divide(along, self._norms, out=np.zeros_like(along), where=self._norms > 0)
        v -= np.multiply(self._root, along[self._groups], out=self._scratch)


def degrees(projection: Projection, active: Booleans) -> Floats:
    """sigma_i (1 - sigma_i), (n,), 0 outside the active rows."""
    degree = projection.complement()
    degree *= projection.scores
    degree[~active] = 0.0
    return degree


def component_mean(t: Floats, active: Booleans, label: Labels) -> Floats | float:
    """The mean of t over the component of each row, (n,), or one number if there is only one."""
    if not label.any():
        return float(t.mean())
    mean = np.zeros(len(t))
    groups = label[active]
    sums = np.bincount(groups, weights=t[active])
    mean[active] = (sums / np.maximum(np.bincount(groups), 1))[groups]
    return mean


def log_weight_deviation(projection: Projection, active: Booleans, label: Labels,
                         noise: Floats) -> Floats:
    """Standard deviations of t, (n,), for independent errors of the scores with standard deviations
    ``noise``, (n,). To first order δt = L⁺ δc, where L⁺ is the pseudoinverse of an n x n matrix.
    """
    index = np.flatnonzero(degrees(projection, active) > 0)
    matrix, root, null_vectors = _whitened_laplacian(projection, index, label)
    inverse = np.linalg.pinv(matrix, hermitian=True)
    for null in null_vectors:
        inverse -= null[:, None] * null
    deviation = np.zeros(len(active))
    deviation[index] = np.linalg.norm(inverse * (noise[index] / root), axis=1) / root
    return deviation


def _whitened_laplacian(projection: Projection, index: Integers,
                        label: Labels) -> tuple[Floats, Floats, list[Floats]]:
    """D^(-1/2) L D^(-1/2) of the rows ``index`` plus the projection onto its null space; the
    diagonal of D^(1/2); and an orthonormal basis of the null space.
    """
    u = projection.basis()[index]
    matrix = u @ u.T
    place = {row: position for position, row in enumerate(index)}
    inside = [j for j, row in enumerate(projection.heavy) if row in place]
    heavy = np.array([place[projection.heavy[j]] for j in inside], dtype=int)
    matrix[np.ix_(heavy, heavy)] = projection.heavy_defect[np.ix_(inside, inside)]
    matrix *= matrix
    np.fill_diagonal(matrix, 0.0)
    degree = matrix.sum(axis=1)            # sigma - sigma² would cancel
    degree[degree == 0] = 1.0
    root = np.sqrt(degree)
    matrix /= -root[:, None] * root
    np.fill_diagonal(matrix, 1.0)
    null_vectors = []
    for component in np.unique(label[index]):
        null = np.where(label[index] == component, root, 0.0)
        null /= np.linalg.norm(null)
        matrix += null[:, None] * null
        null_vectors.append(null)
    return matrix, root, null_vectors
