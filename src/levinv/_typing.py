"""The types that signatures are written in."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Booleans: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.intp]
RowIndex: TypeAlias = Integers | Booleans | slice          # which rows

# A matrix as the caller has it: array-like, of scipy.sparse, stored, dask.array, data frame.
MatrixLike: TypeAlias = Any
VectorLike: TypeAlias = npt.ArrayLike

Seed: TypeAlias = int | np.random.Generator | None
