"""What can be known of x: errors, and the least standard errors that any method can have."""
import numpy as np

import levinv
import oracles


def relative_error(found, true, null_space=None):
    difference = found - true
    if null_space is not None and null_space.shape[1]:
        difference = difference - null_space @ (null_space.T @ difference)
    return np.linalg.norm(difference) / np.linalg.norm(true)


def bound_at(A, b, x, noise):
    """Cramér-Rao standard errors of x, from the Jacobian at the true x."""
    scaled = np.linalg.norm(A, axis=0)
    J = levinv.LeverageMap(A, b).jacobian(x) / scaled
    return noise * np.sqrt(np.diag(np.linalg.inv(J.T @ J))) / scaled


def information_limit(A, b, x, c, null):
    """Norm of the Cramér-Rao standard errors of rounding c to double, null space left out."""
    J = levinv.LeverageMap(A, b).jacobian(x) / (1.1e-16 * c)[:, None]
    J = J[np.isfinite(J).all(axis=1)]
    values = np.linalg.svd(J, compute_uv=False)
    return np.sqrt(np.sum(values[:len(values) - null] ** -2.0))


def exact_null_dimension(A, b, x):
    """Dimension of the null space of the exact linear system in (x, κ), one κ for each component:
    by SVD.
    """
    label = oracles.row_components(A)
    size = np.bincount(label[label >= 0])
    kept = (label >= 0) & (size[label] > 1)                # coloops tell nothing
    slack = A @ x - b
    columns = [np.where(label == c, slack, 0.0) for c in np.unique(label[kept])]
    system = np.column_stack([A, *columns])[kept] / np.abs(slack[kept])[:, None]
    system = system / np.where(np.linalg.norm(system, axis=0) > 0, np.linalg.norm(system, axis=0),
                               1.0)
    values = np.linalg.svd(system, compute_uv=False)
    return system.shape[1] - int((values > 1e-11 * values[0]).sum())
