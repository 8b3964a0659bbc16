"""The crossovers of levinv/_tolerances.py that concern storage and threads.

Sharing, for WORTH_SHARING and CHUNK_WORK: from which shape on are two workers faster than one?
Sparse, for DENSE_GAIN and CACHE_ENTRIES: up to how many entries a row is scattered
arithmetic faster than dense arithmetic, in Gram matrices and forms?
"""
import os

import numpy as np
import scipy.sparse

from levinv.storage import DenseRows, SparseRows
from levinv.storage import sparse as sparse_rows

from . import problems


class Sharing:
    params = [[(20000, 20), (10000, 40), (20000, 50), (20000, 200)]]
    param_names = ["shape"]

    def setup(self, shape):
        if (os.cpu_count() or 1) < 2:
            raise NotImplementedError("one core")
        A = problems.design(*shape)
        self.alone, self.shared = DenseRows(A), DenseRows(A, 2)

    def time_alone(self, shape):
        self.alone.gram()
        self.alone.quad(form=np.eye(shape[1]))

    def time_shared(self, shape):
        self.shared.gram()
        self.shared.quad(form=np.eye(shape[1]))


class Sparse:
    params = [["scattered", "dense"], [(20000, 200, 4), (20000, 200, 40), (2000, 2000, 100)]]
    param_names = ["arithmetic", "rows, columns, entries a row"]

    def setup(self, arithmetic, shape):
        n, d, entries = shape
        A = scipy.sparse.random_array((n, d), density=entries / d, format="csr",
                                      rng=np.random.default_rng(0))
        measured = sparse_rows.DENSE_GAIN
        sparse_rows.DENSE_GAIN = 1 if arithmetic == "scattered" else 1 << 20
        self.rows = SparseRows(A)
        self.form = np.eye(d)
        self.transform = problems.design(d, d)
        sparse_rows.DENSE_GAIN = measured

    def time_gram(self, arithmetic, shape):
        self.rows.gram()

    def time_form(self, arithmetic, shape):
        self.rows.quad(form=self.form)

    def time_lengths(self, arithmetic, shape):
        self.rows.quad(transform=self.transform)
