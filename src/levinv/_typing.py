"""Names for the types in signatures.

Every module with a public name begins with ``from __future__ import annotations``: help() then
prints these names as they are written, not the unions that they stand for.
"""
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Booleans: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.intp]
Labels: TypeAlias = npt.NDArray[np.int32]                  # the component of each row
RowIndex: TypeAlias = Integers | Booleans | slice          # selects rows

# A matrix as callers have it: array_like, scipy.sparse, h5py or zarr, dask.array, a data frame.
MatrixLike: TypeAlias = Any
VectorLike: TypeAlias = npt.ArrayLike
One: TypeAlias = np.ndarray[tuple[int], np.dtype[Any]] | Sequence[float]      # one point

# Signs of the slack as callers have them: one sign for all rows, or one for each row.
SignsLike: TypeAlias = Literal[1, -1] | VectorLike

# What numpy.random.default_rng accepts.
Seed: TypeAlias = (int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator
                   | np.random.Generator | None)
