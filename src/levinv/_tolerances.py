"""Every number that decides something: what counts as zero, when an iteration ends, which algorithm
runs, how large a block is.

Each constant stands here once, with its unit, what it decides, what it is derived from and which test
or benchmark notices a change. A module imports those that it uses. What follows from the data by a
formula (a bound of a rounding error, a default that depends on n and d) is computed where it is used.
"""
import math

import numpy as np

# --- floating-point arithmetic ------------------------------------------------------------------

EPS = float(np.finfo(float).eps)
# Spacing of doubles next to 1.

UNIT_ROUNDOFF = 0.5 * EPS
# Largest relative error of a number rounded to double.

TINY = float(np.finfo(float).tiny)
# Smallest normal double: below it numbers lose relative precision.

SQUARABLE = math.sqrt(TINY / EPS)
# Least length whose square keeps its relative precision in a sum; 1 / SQUARABLE is the greatest.
# Outside of this range lengths are computed in units of the largest entry, or as products. Derived
# from TINY and EPS. Noticed by tests/test_rows.py (norms) and tests/test_sparse.py (lengths).

# --- checks of arguments (_validate) ------------------------------------------------------------

SAFE_SIZE = 1e100
# Largest size of the largest entry of A and b in an inversion; its reciprocal is the smallest.
# Products of three such numbers neither over- nor underflow, and 1e8 is left for sums. Derived from
# the range of doubles. Noticed by tests/test_robustness.py and tests/test_invert_many.py.

# --- threads (_parallel) ------------------------------------------------------------------------

WORTH_SHARING = 3 << 24
# Flops of a call from which a second thread pays. Measured crossover: asv run --bench
# storage.Sharing. Two cores gain 0.9 at 20000 x 20, 1.2 at 10000 x 40, 1.85 at 20000 x 200.

BLAS_LIMIT = 1 << 21
# Flops of a call from which BLAS is limited to one thread. Setting the limit takes 15 µs, such a
# call about 100 µs; in smaller calls BLAS uses one thread by itself. Noticed by asv run --bench
# scores.Time.

LONG = 1 << 31
# Flops that take about a tenth of a second on one core. A longer factorisation runs on a thread of
# its own, so that Ctrl-C works meanwhile; chunks of rows are no longer, so that no thread waits at
# the end. Derived from 2e10 flops a second. Noticed by tests/test_interrupts.py.

HEARD = 0.02
# Seconds between two looks for Ctrl-C while a long call runs on a thread of its own. A person does
# not notice the delay. Noticed by tests/test_interrupts.py.

# --- storage of A (storage/, _source) -----------------------------------------------------------

PASS_ENTRIES = 1 << 19
# Entries of A (4 MB) that are read, checked, factorised or multiplied by a vector at a time. This
# takes a few tenths of a millisecond from memory, ten times as long as handing it to a thread.
# Noticed by asv run --bench products.Time.

COPY_ENTRIES = 1 << 24
# Entries (128 MB) of the largest dense array made of rows that are not dense in memory, and of the
# largest sum that each chunk of sparse rows has a copy of. A choice: little of the memory of an
# ordinary machine. Noticed by tests/acceptance_of_mapped.py (memory).

CACHE_ENTRIES = 1 << 17
# Entries (1 MB) of a block of sparse rows that is made dense. Derived from the size of a core's
# second cache, 1 to 2 MB. Noticed by asv run --bench storage.Sparse.

CHUNK_WORK = 1 << 22
# Multiply-adds in a chunk of rows: a twentieth of a millisecond, ten times as long as handing it to
# a thread. In longer chunks threads wait at the end. Noticed by asv run --bench storage.Sharing.

DENSE_GAIN = 16
# Dense multiply-adds in the time of one that is scattered into, or gathered from, a d x d matrix;
# decides whether blocks of sparse rows are made dense. Measured crossover: asv run --bench
# storage.Sparse (8 to 25 in Gram matrices, 5 to 20 in forms).

ROW_GAIN = 4
# Multiply-adds along a row of a dense transform in the time of a scattered one; decides whether
# |a_i T|² is computed from T Tᵀ. Measured crossover: asv run --bench storage.Sparse (2 to 8).

WIDE = 1024
# Columns of blocks of sparse rows from which BLAS computes their Gram matrix: every block adds to
# the sum, and a larger one (8 MB) is in no cache. Noticed by asv run --bench storage.Sparse.

FORM_ERROR = 256.0
# In units of ε: largest bound of the relative error of |a_i T|² computed from T Tᵀ. Beyond it a_i
# is multiplied by T. A choice: 13 digits are kept. Noticed by tests/test_sparse.py (lengths).

LARGEST_DIMENSION = 20000
# Columns of sparse rows, beyond which five dense d x d matrices would take over 15 GB. A choice.
# Noticed by tests/test_sparse.py (test of the message).

TASK_PARTS = 8
# Parts that one dask task adds up. A choice: a level of the tree takes some 10 ms on a cluster, as
# long as a few parts take to arrive. Noticed by tests/acceptance_of_cluster.py.

# --- scores: basis and projection (forward/basis, forward/projection, forward/leverage) ---------

# --- approximate scores (forward/approximate) ---------------------------------------------------

# --- losses and barrier (forward/) --------------------------------------------------------------

# --- presolve: components, coloops, zero slacks (inverse/stages) --------------------------------

# --- magnitudes (inverse/stages/magnitudes) -----------------------------------------------------

# --- signs (inverse/stages/signs, robust_signs) -------------------------------------------------

# --- recovery of x and refinement (inverse/stages) ----------------------------------------------

# --- verdict (inverse/verdict) ------------------------------------------------------------------

# --- many problems (inverse/invert_many) --------------------------------------------------------

# --- local methods (inverse/local) --------------------------------------------------------------

# --- inversion of barrier gradients (inverse/barrier_gradient) ----------------------------------

# --- audit (auditing/) --------------------------------------------------------------------------

# --- command line and files (cli/) --------------------------------------------------------------
