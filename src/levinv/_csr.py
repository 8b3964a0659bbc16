"""Sparse matrices as the kernels need them: in CSR, in order, and with indices that are valid."""
from typing import Any

import numpy as np
import scipy.sparse


def canonical(value: Any) -> scipy.sparse.csr_array:
    """A float64 matrix in CSR with sorted indices, duplicates summed and no explicit zeros, copied
    only if necessary. Raises ValueError if its parts do not fit together.
    """
    array = scipy.sparse.csr_array(_consistent(value), dtype=np.float64)
    if not array.has_canonical_format:
        array = array.copy()
        array.sum_duplicates()
    if not array.data.all():
        array = array.copy()
        array.eliminate_zeros()
    return array


def _consistent(value: Any) -> Any:
    """Check the parts of a sparse matrix: with wrong indices, kernels write out of bounds."""
    kind = getattr(scipy.sparse, f"{value.format}_array")
    if value.format in ("csr", "csc", "bsr"):
        parts = [np.require(part, requirements=["C", "A"])
                 for part in (value.data, value.indices, value.indptr)]
        value = kind(tuple(parts), shape=value.shape)
        value.check_format(full_check=True)
        if value.format == "bsr" and np.any(np.mod(value.shape, value.blocksize)):
            raise ValueError(f"blocks of {value.blocksize} do not fill shape {value.shape}")
    elif value.format == "coo":
        value = kind((value.data, (value.row, value.col)), shape=value.shape)
    return value
