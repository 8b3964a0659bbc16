"""Rows of a :class:`levinv._source.Source`: every pass reads them once, block by block."""
import scipy.sparse

from levinv.storage.dense import DenseRows


class StreamedRows(DenseRows):
    """The rows of a Source."""

    def as_sparse(self) -> scipy.sparse.csr_array:
        return scipy.sparse.vstack([scipy.sparse.csr_array(self.A[chunk])
                                    for chunk in self._passes()], format="csr")
