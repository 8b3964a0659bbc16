from typing import TypeVar

import numpy as np
import numpy.typing as npt

from levinv._typing import Floats

# Of a matrix both index arrays have one type.
_Index = TypeVar("_Index", np.int32, np.int64)

def product(
    values: Floats,
    indices: npt.NDArray[_Index],
    indptr: npt.NDArray[_Index],
    scale: Floats | None,
    absolute: bool,
    matrix: Floats,
    out: Floats,
) -> None: ...
def transposed(
    values: Floats,
    indices: npt.NDArray[_Index],
    indptr: npt.NDArray[_Index],
    Y: Floats,
    out: Floats,
) -> None: ...
def dense_rows(
    values: Floats,
    indices: npt.NDArray[_Index],
    indptr: npt.NDArray[_Index],
    scale: Floats | None,
    out: Floats,
) -> None: ...
def gram(
    values: Floats,
    indices: npt.NDArray[_Index],
    indptr: npt.NDArray[_Index],
    scale: Floats | None,
    weights: Floats | None,
    out: Floats,
) -> None: ...
def mirror(matrix: Floats) -> None: ...
def forms(
    values: Floats,
    indices: npt.NDArray[_Index],
    indptr: npt.NDArray[_Index],
    scale: Floats | None,
    form: Floats,
    out: Floats,
) -> None: ...
def lengths(
    values: Floats,
    indices: npt.NDArray[_Index],
    indptr: npt.NDArray[_Index],
    scale: Floats | None,
    form: Floats,
    sizes: Floats,
    transform: Floats,
    limit: float,
    work: Floats,
    out: Floats,
) -> int: ...
def row_squares(
    values: Floats, indptr: npt.NDArray[_Index], scale: Floats | None, out: Floats
) -> None: ...
def row_norms(values: Floats, indptr: npt.NDArray[_Index], out: Floats) -> None: ...
def column_max(values: Floats, indices: npt.NDArray[_Index], out: Floats) -> None: ...
def column_squares(
    values: Floats, indices: npt.NDArray[_Index], unit: Floats, out: Floats
) -> None: ...
def fill(
    indices: npt.NDArray[_Index],
    indptr: npt.NDArray[_Index],
    limit: int,
    parent: npt.NDArray[np.int64],
    mark: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> int: ...
