"""The cell {x : signs∘(A x - b) > 0}: a point inside it, and when it holds a preimage of g.

*Start.* max t subject to signs_i (a_iᵀx - b_i) >= t |a_i|, t <= 1 in units of the largest
|b_i|/|a_i|: the centre of the largest ball in the cell, or of one large enough. The cell is empty
iff the maximum is not positive. A thin cell is lost in the rounding of the linear program's solver:
the program is then solved again about the point found, in smaller units.

*Preimages.* V(x) - gᵀx is strictly convex on the cell and inf on its boundary. Along a direction y
of the recession cone {y : signs∘(A y) >= 0}, V decreases without bound but slower than linearly,
since all slacks grow. Hence V - gᵀx has a minimiser, and g a preimage, iff

    gᵀy < 0 for every y != 0 of the recession cone.

(If so, V - gᵀx grows along every y of the cone, therefore it is coercive; if gᵀy >= 0, it decreases
forever along y from everywhere.) On a bounded cell the cone is {0} and every g has its preimage. A
y that breaks the condition is a certificate that g has none; a linear program over the cone, cut to
sum_i signs_i a_iᵀy / |a_i| = 1, finds it.
"""
import numpy as np
import scipy.optimize
import scipy.sparse

from levinv._threads import aside

LP_ROUNDING = 1e-6           # ten times the solver's tolerance
REFINEMENTS = 3
ROUNDING = 1e-9              # to which the signs of A y and gᵀy are told, relative to their terms


def interior_point(stored, b, signs):
    """A point well inside the cell and its least scaled slack; (None, least) if there is none.

    Zero rows of A must be left out by the caller.
    """
    n, d = stored.shape
    rows, columns, norms = _scaled(stored, signs)
    x, unit, least = np.zeros(d), np.max(np.abs(b) / norms) or 1.0, -np.inf
    for _ in range(REFINEMENTS):
        slack = signs * (stored.matvec(x) - b) / norms
        found = _linear_program(
            np.append(np.zeros(d), -1.0), A_ub=scipy.sparse.hstack([-rows, np.ones((n, 1))]),
            b_ub=slack / unit, bounds=[(None, None)] * d + [(None, 1.0)])
        if found.x is None:
            break
        x = x + unit * found.x[:d] / columns
        least = float(np.min(signs * (stored.matvec(x) - b) / norms))
        if least > 0 or found.x[d] < -LP_ROUNDING:
            break
        unit *= 10.0 * LP_ROUNDING
    return (x if least > 0 else None), least


def certificate(stored, signs, g):
    """A direction y of the recession cone with gᵀy >= 0, (d,): g has no preimage; or None."""
    n = stored.shape[0]
    rows, columns, _ = _scaled(stored, signs)
    slope = g / columns
    slope = slope / (np.max(np.abs(slope)) or 1.0)
    found = _linear_program(
        -slope, A_ub=-rows, b_ub=np.zeros(n), A_eq=rows.mean(axis=0)[None, :], b_eq=[1.0],
        bounds=(None, None))
    if found.x is None:                    # the cone is {0}
        return None
    y = found.x
    in_cone = np.min(rows @ y) >= -ROUNDING * np.linalg.norm(y)
    if not (in_cone and slope @ y >= -ROUNDING * (np.abs(slope) @ np.abs(y))):
        return None
    y = y / columns
    return y / np.linalg.norm(y)


def _linear_program(*args, **kwargs):
    return aside(lambda: scipy.optimize.linprog(*args, **kwargs, method="highs"))


def _scaled(stored, signs):
    """R = diag(signs/norms) A diag(1/columns) in CSR, rows of unit norm and entries of at most 1;
    columns; norms.
    """
    columns = stored.column_max()
    scaled = stored.as_sparse() @ scipy.sparse.diags_array(1.0 / columns)
    largest = abs(scaled).max(axis=1).toarray().ravel()          # squares may underflow
    unit = scipy.sparse.diags_array(1.0 / largest) @ scaled
    norms = largest * np.sqrt(unit.power(2).sum(axis=1))
    return scipy.sparse.diags_array(signs / norms) @ scaled, columns, norms


def boundary(p):
    """The largest step before a slack s (1 + step p) vanishes; inf if none does."""
    fastest = float(np.min(p, initial=0.0))
    return -1.0 / fastest if fastest < 0 else np.inf
