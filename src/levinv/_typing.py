"""The types that signatures are written in."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Booleans: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.intp]
Labels: TypeAlias = npt.NDArray[np.int32]                  # the component of each row
RowIndex: TypeAlias = Integers | Booleans | slice          # which rows

# A matrix as the caller has it: array-like, of scipy.sparse, stored, dask.array, data frame.
MatrixLike: TypeAlias = Any
VectorLike: TypeAlias = npt.ArrayLike

# Signs of the slack as the caller has them: all the same, or one for each row.
SignsLike: TypeAlias = Literal[1, -1] | VectorLike

# What numpy.random.default_rng accepts.
Seed: TypeAlias = (int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator
                   | np.random.Generator | None)
