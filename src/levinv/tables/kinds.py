"""Which library a table is of. No library is imported: a table of one that is not loaded is none.
"""
import sys
from typing import Any

import numpy as np

TABLES = {"pandas": ("DataFrame", "Series", "Index"), "polars": ("DataFrame", "Series"),
          "pyarrow": ("Table", "RecordBatch", "Array", "ChunkedArray"), "xarray": ("DataArray",)}
FRAMES = ("DataFrame", "Table", "RecordBatch")
NO_TABLES = frozenset((np.ndarray, list, tuple, float, int, type(None)))


def library(value: object) -> str:
    """The library that a table or a column is of; "" for everything else."""
    if type(value) in NO_TABLES:
        return ""
    for name, classes in TABLES.items():
        if _is_one_of(value, name, classes):
            return name
    extensions = getattr(getattr(sys.modules.get("pandas"), "api", None), "extensions", None)
    return "pandas" if isinstance(value, getattr(extensions, "ExtensionArray", ())) else ""


def is_frame(value: object, of: str) -> bool:
    """Whether a value is a table of columns, as data frames are."""
    return bool(of) and _is_one_of(value, of, FRAMES)


def is_lazy(value: Any) -> bool:
    """Whether a table is read from a file at each access: an array of xarray that is not loaded."""
    return library(value) == "xarray" and not getattr(value.variable, "_in_memory", True)


def beneath(value: Any) -> Any:
    """The dask array in an array of xarray, the sparse matrix in a frame of sparse columns; other
    values unchanged.
    """
    of = library(value)
    if of == "xarray" and value.chunks is not None:
        return value.data
    if of == "pandas" and is_frame(value, of) and len(dtypes := set(value.dtypes)) == 1:
        dtype = dtypes.pop()
        if hasattr(dtype, "subtype") and getattr(dtype, "fill_value", None) == 0:
            return value.sparse.to_coo()
    return value


def has_labels(value: object, of: str) -> bool:
    """Whether the rows of a value may have labels."""
    return of == "xarray" or (of == "pandas" and _is_one_of(value, of, ("DataFrame", "Series")))


def _is_one_of(value: object, of: str, classes: tuple[str, ...]) -> bool:
    module: Any = sys.modules.get(of)
    return module is not None and isinstance(
        value, tuple(getattr(module, name, ()) for name in classes))
