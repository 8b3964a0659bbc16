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
# Outside of this range lengths are divided by the largest entry first. Follows from TINY and EPS.
# Noticed by tests/test_rows.py and tests/test_sparse.py (rows of extreme sizes).

# --- checks of arguments (_validate) ------------------------------------------------------------

# --- threads (_parallel) ------------------------------------------------------------------------

# --- storage of A (storage/, _source) -----------------------------------------------------------

PASS_ENTRIES = 1 << 19
# Entries of A (4 MB) that are read, checked or multiplied by a vector at a time. The time of such
# a block, a tenth of a millisecond from memory, is ten times the cost of handing it to a thread.
# Noticed by asv run --bench products.Time and tests/test_mapped.py (blocks).

# --- scores: basis and projection (forward/basis, forward/projection, forward/leverage) ---------

SCORE_ERROR = 100.0
# In units of ε κ: the error of a leverage score that leverage_scores promises. κ is the condition
# number of the scaled rows with columns at unit norm. Noticed by tests/test_leverage_scores.py.

ONE_PASS_CONDITION = 64.0
# Largest κ at which one Cholesky factorisation decides. Its error is about ε κ², which must not
# exceed SCORE_ERROR ε κ; the margin covers the estimate of κ. Noticed by
# tests/test_leverage_scores.py (accuracy) and by asv run --bench scores.Time.

INDEPENDENT_CONDITION = math.sqrt(SCORE_ERROR)
# ONE_PASS_CONDITION for independent columns that were chosen among dependent ones. The κ of all
# columns may then be close to 1, so that ε κ² must not exceed SCORE_ERROR ε.

TWO_PASS_CONDITION = 5e6
# Largest κ at which two Cholesky factorisations (CholeskyQR2) decide. The first leaves columns
# that are orthonormal to ε κ², which must be well below 1: here it is below 1/100. Noticed by
# tests/test_leverage_scores.py (condition numbers up to 1e15).

REORTHOGONALISATIONS = 2
# Projections that remove a subspace to rounding: "twice is enough" (Kahan; Parlett, The Symmetric
# Eigenvalue Problem, 1998, section 6.9).

HEAVY_COMPLEMENT = 1e-3
# Rows with a smaller 1 - σ are eliminated as heavy (or with a smaller 1 / (4 rank)). In other
# rows 1 - σ, and the Laplacian, lose at most three digits by cancellation. Noticed by
# tests/test_projection.py (rows near a zero slack).

ROUGH_COMPLEMENT = 1e-7
# HEAVY_COMPLEMENT of rough projections. Their derivatives keep some eight digits, enough for a
# step of an iteration. Noticed by tests/test_polish.py (rough projections) and by the inversion's
# benchmarks.

OWN_COLUMNS_CONDITION = 1e3
# Largest condition number of A, rows at unit norm, up to which scores are computed from A's own
# columns. Above it, independent columns are first brought to the same size. Noticed by
# tests/test_leverage_map.py.

OWN_FORMS_CONDITION = 2.0
# In units of √rank: largest κ up to which derivatives are computed from A's own columns, without
# the transform. Beyond it the errors of second derivatives exceeded SCORE_ERROR ε κ ten times as
# often. Noticed by tests/test_projection.py and by asv run --bench hessian.

ROUNDING_MARGIN = 100.0
# A computed number counts as zero below this multiple of the estimate of its rounding error,
# which leaves out constants. Noticed by tests/test_projection.py and tests/test_robustness.py
# (coloops).

SMALLEST_SCALE = 1e-300
# Least quotient of two nonzero slacks that leverage_scores accepts. Smaller quotients, multiplied
# by entries of A, would be denormal. A choice, stated in its docstring. Noticed by
# tests/test_leverage_scores.py (refused).

# --- approximate scores (forward/approximate) ---------------------------------------------------

SKETCH_RTOL = 0.1
# Default of rtol: the relative standard error of an approximate score. A choice: 200 projections.

SIGN_ENTRIES = 5 << 20
# Entries (40 MB) of a block of random sign vectors. A choice: four such arrays are alive in a
# thread.

SIGN_COLUMNS = 32
# Largest number of sign vectors in a block. More of them share a pass over the sparse matrix, but
# leave the cache. Measured crossover: asv run --bench sketch.Time. Noticed by
# tests/test_sketch.py.

PROBES = 4
# Known answers that the solver must find again. The share of a direction in one of them is a
# normal number: it is below PROBE_ERROR in all four with probability 4e-9.

PROBE_ERROR = 0.01
# Norm of what may be left of a known answer, in which every direction has a random share of
# variance 1.

SOLVER_ERROR = 1 / 50
# Relative error of the projections z, in units of rtol. It changes z_i² by twice as much, which is
# less than rtol / 20, as the docstring of leverage_scores states. Noticed by tests/test_sketch.py
# (accuracy).

FEW_ITERATIONS = 200
# Iterations of the probes after which a factor of the Gram matrix is tried. Such a factor costs
# some hundred products with a sparse matrix. Noticed by asv run --bench sketch.Time.

MANY_ITERATIONS = 10000
# Iterations of the probes, without a factor, after which the matrix is refused. A choice:
# minutes.

FACTOR_ENTRIES = 1 << 27
# Largest number of entries in a factor of the Gram matrix, and of products in the Gram matrix
# itself: 12 bytes each, 1.6 GB. A choice: the memory of an ordinary machine. Noticed by
# tests/test_sketch.py.

FACTOR_WORK = 1 << 38
# Largest number of multiply-adds in such a factorisation. A choice: minutes. Noticed by
# tests/test_sketch.py.

LEAST_SINGULAR_VALUE = 1e-9
# Of columns at unit norm: smaller ones cannot be told from 0 by an iteration whose squared values
# are known to ε; the square is above 64 ε times the largest shift. Noticed by
# tests/test_sketch.py (almost dependent columns).

SPARSE_ROUNDING = 64.0
# In units of ε: the bound of the rounding errors of a product with sparse rows. It is the shift
# of the Gram matrix that is factored, and decides which columns count as dependent. Noticed by
# tests/test_sketch.py (dependent columns).

# --- losses and barrier (forward/) --------------------------------------------------------------

DOT_ENTRIES = 8192
# Length of vectors up to which OpenBLAS computes their product on one thread, so that the result
# does not depend on the number of threads. Given by OpenBLAS (10000, interface/dot). Noticed by
# tests/test_threads.py.

STAND_IN_SLACK = math.cbrt(TINY)
# Slack, relative to the smallest other one, that stands for a zero slack in second derivatives:
# its square and the square's reciprocal are normal, and 1 - σ of its row is far below rounding.

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
