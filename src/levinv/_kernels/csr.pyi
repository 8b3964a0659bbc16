from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from levinv._typing import Floats

# Of a matrix both index arrays have one type.
_Index = TypeVar("_Index", np.int32, np.int64)
_Array: TypeAlias = npt.NDArray[_Index]
_Optional: TypeAlias = Floats | None
_Counts: TypeAlias = npt.NDArray[np.int64]

def product(values: Floats, indices: _Array[_Index], indptr: _Array[_Index], scale: _Optional,
            absolute: bool, matrix: Floats, out: Floats) -> None: ...
def transposed(values: Floats, indices: _Array[_Index], indptr: _Array[_Index], Y: Floats,
               out: Floats) -> None: ...
def dense_rows(values: Floats, indices: _Array[_Index], indptr: _Array[_Index], scale: _Optional,
               out: Floats) -> None: ...
def gram(values: Floats, indices: _Array[_Index], indptr: _Array[_Index], scale: _Optional,
         weights: _Optional, out: Floats) -> None: ...
def forms(values: Floats, indices: _Array[_Index], indptr: _Array[_Index], scale: _Optional,
          form: Floats, out: Floats) -> None: ...
def lengths(values: Floats, indices: _Array[_Index], indptr: _Array[_Index], scale: _Optional,
            form: Floats, sizes: Floats, transform: Floats, limit: float, work: Floats,
            out: Floats) -> int: ...
def row_squares(values: Floats, indptr: _Array[_Index], scale: _Optional, out: Floats) -> None: ...
def column_max(values: Floats, indices: _Array[_Index], out: Floats) -> None: ...
def fill(indices: _Array[_Index], indptr: _Array[_Index], limit: int, parent: _Counts,
         mark: _Counts, counts: _Counts) -> int: ...
