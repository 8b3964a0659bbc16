"""The factors of the rows that slacks and weights stand for, up to a common factor."""
import numpy as np

from levinv import _validate
from levinv._tolerances import SAFE_SIZE
from levinv._typing import Booleans, Floats, MatrixLike, VectorLike
from levinv.forward.projection import row_scale


def row_values(value: VectorLike, name: str, A: MatrixLike, axis: _validate.Axis | None = None,
               check_finite: bool = False, many: bool = False) -> Floats:
    """A value for each row, (..., n). One vector serves all matrices of a stack; ``many``: one
    matrix has several vectors, (k, n).
    """
    n = A.shape[-2]
    if A.ndim == 2 and not many:
        return _validate.vector(value, name, n, "row of A", axis, check_finite=check_finite)
    if A.ndim == 2:
        values = _validate.real_array(value, name, 2, check_finite=check_finite)
        if values.shape[1] != n:
            raise ValueError(f"{name} must have shape ({n},) or (k, {n}), one entry per row of A, "
                             f"got {values.shape}")
        return values if axis is None else axis.aligned(values, value, name, axis=1)
    if np.ndim(value) == 1:
        values = _validate.vector(value, name, n, "row of A", axis, check_finite=check_finite)
        return np.broadcast_to(values, A.shape[:-1])
    values = _validate.real_array(value, name, A.ndim - 1, check_finite=check_finite)
    if values.shape != A.shape[:-1]:
        raise ValueError(f"{name} must have shape {A.shape[:-1]}, one entry per row of A, or "
                         f"({n},), got {values.shape}")
    return values


def weight_scale(weights: Floats) -> Floats:
    """sqrt(weights) up to a common factor: the largest is 1."""
    _validate.refuse(weights < 0, weights, "weights", "at least 0")
    largest = weights.max()
    return np.sqrt(weights / largest) if largest > 0 else np.zeros(len(weights))


def slack_scale(slack: Floats, left_out: Booleans | None = None) -> Floats:
    """1/slack up to a common factor, 0 if a row is left out."""
    scale = row_scale(slack, left_out)[0]
    kept = slice(None) if left_out is None else ~left_out
    if scale[kept].min(initial=1.0) < SAFE_SIZE ** -3:
        raise ValueError("slack must not range over more than 300 orders of magnitude, got "
                         f"{slack[kept].min():.3g} to {slack[kept].max():.3g} (zeros are allowed)")
    return scale


def dependent_zeros(zero: np.typing.NDArray[np.intp]) -> ValueError:
    """The error for linearly dependent rows that all have zero slack."""
    return ValueError(f"slack must be zero in linearly independent rows of A only (there is no "
                      f"limit otherwise), got zeros in rows {_validate.listed(zero)}")
