"""Rows that are read, block by block, in every pass over them."""
import numpy as np
import scipy.sparse

from levinv._source import ColumnsTimes, Source
from levinv.rows.dense import DenseRows
from levinv.rows.passes import COPY_ENTRIES


class StreamedRows(DenseRows):
    """The rows of a :class:`Source`: every pass reads them once."""

    def __init__(self, source, workers=1):
        super().__init__(source, workers)
        self.in_memory = False
        self.copy_limit = COPY_ENTRIES

    def nonzero(self):
        """Whether a row has an entry other than zero, (n,) boolean."""
        return np.concatenate([self.A[chunk].any(axis=1) for chunk in self._passes()])

    def with_columns_times(self, factors):
        """A diag(factors), as rows."""
        return StreamedRows(Source(ColumnsTimes(self.A, factors)), self.workers)

    def scaled(self, factors):
        """diag(factors) A as a new (n, d) array."""
        out = np.empty(self.shape)
        for chunk in self._passes():
            np.multiply(self.A[chunk], factors[chunk, None], out=out[chunk])
        return out

    def as_sparse(self):
        """A in CSR."""
        return scipy.sparse.vstack([scipy.sparse.csr_array(self.A[chunk])
                                    for chunk in self._passes()], format="csr")
