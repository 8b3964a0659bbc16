"""Rows that are read, block by block, in every pass over them."""
import scipy.sparse

from levinv._source import Source
from levinv.storage.blocked import COPY_ENTRIES
from levinv.storage.dense import DenseRows


class StreamedRows(DenseRows):
    """The rows of a :class:`Source`: every pass reads them once."""

    def __init__(self, source: Source, workers: int = 1):
        super().__init__(source, workers)
        self.in_memory = False
        self.copy_limit = COPY_ENTRIES

    def as_sparse(self) -> scipy.sparse.csr_array:
        """A in CSR."""
        return scipy.sparse.vstack([scipy.sparse.csr_array(self.A[chunk])
                                    for chunk in self._passes()], format="csr")
