"""Every number that decides something: what counts as zero, when an iteration ends, which
algorithm runs, how large a block is.

Each constant stands here once, with its unit, what it decides, what it is derived from and which
test or benchmark notices a change. A module imports those that it uses. What follows from the data
by a formula (a bound of a rounding error, a default that depends on n and d) is computed where it
is used.
"""
import numpy as np

# --- floating-point arithmetic ------------------------------------------------------------------

EPS = float(np.finfo(float).eps)
# Spacing of doubles next to 1.

UNIT_ROUNDOFF = 0.5 * EPS
# Largest relative error of a number rounded to double.

TINY = float(np.finfo(float).tiny)
# Smallest normal double: below it numbers lose relative precision.

# --- checks of arguments (_validate) ------------------------------------------------------------

# --- threads (_parallel) ------------------------------------------------------------------------

# --- storage of A (storage/, _source) -----------------------------------------------------------

# --- scores: basis and projection (forward/basis, forward/projection, forward/leverage) ---------

# --- approximate scores (forward/approximate) ---------------------------------------------------

# --- losses and barrier (forward/) --------------------------------------------------------------

# --- presolve: components, coloops, zero slacks (inverse/stages) --------------------------------

# --- magnitudes (inverse/stages/magnitudes) -----------------------------------------------------

# --- signs (inverse/stages/signs, robust_signs) -------------------------------------------------

# --- recovery of x and refinement (inverse/stages) ----------------------------------------------

# --- verdict (inverse/verdict) ------------------------------------------------------------------

# --- many problems (inverse/invert_many) --------------------------------------------------------

# Read also by the compiled kernels, through cmake/kernel_settings.py: numbers only. The compiled
# route hands every doubtful problem to invert_scores, so its tolerances may be stricter than
# those of the Python stages: a wrong answer is not allowed, a doubtful one costs time. A constant
# with another value than its Python twin says why. All are noticed by tests/test_invert_many.py
# and tests/test_batch_stages.py if a problem is lost or wrong, and by
# benchmarks/benchmarks/throughput.py if time is.

BATCH_SMALLEST_PIVOT = 1e-8
# Relative to unit rows and columns; below it the rank of A, or the independence of the rows that
# take part in the sign search, is in doubt. About √ε: a Cholesky pivot is a square, which is
# known to ε. The Python route decides the rank at n ε, with pivoted QR.

BATCH_ZERO = 1e-7
# Relative to the largest entry; smaller coefficients connect no rows, and a smaller part of b
# outside range(A) is in doubt. Above ε / BATCH_SMALLEST_PIVOT, the rounding error bound of a
# coefficient. The Python twin is 1e-9: its basis rows have a condition number, here only pivots
# are bounded.

BATCH_SMALLEST_SCORE = 1e-12
# Smaller exact scores go to the general route, and bounds of accuracies count from here. Weights
# then span at most 12 decades, which BATCH_SINGULAR still tells from singular.

BATCH_SCORE_MARGIN = 1e-10
# Exact scores closer to 1 go to the general route. 1 - sigma is computed to n ε, and here it has
# to be known to six digits; the Python projection has it without cancellation.

BATCH_MAX_ITERATIONS = 40
# Limit of every iteration that ends by itself after a few steps: conjugate gradients, Newton
# steps and their shortenings, Levenberg-Marquardt, signs that are read off x. One that reaches it
# does not converge, and the general route may do better.

BATCH_STARTS = 12
# Starts of the sign search before the general route takes over, which has 60.

BATCH_ENUMERATED_ROWS = 14
# Up to so many rows all 2^(n-1) sign vectors are tried, to see whether another one fits. The same
# in the Python route: in so few rows other signs often almost fit.

BATCH_SETTLED = 1e7
# Root mean square of the whitened residual above which an x from exact scores is in doubt; the
# same as in the verdict of the general route.

BATCH_MAX_SWEEPS = 8
# Sweeps before Newton steps, each of which halves the error. The Python route has 20: it also
# meets scores that no weights have.

BATCH_SWEPT = 0.1
# Relative error of the scores at which Newton steps replace sweeps: from there they converge
# without shortening. The Python route sweeps above 2 alone.

BATCH_MATCHED = 1e-7
# Relative error of the scores that ends stage 1. Signs need BATCH_FITS, and stage 4 converges
# from there; the Python route goes on to rounding, as it judges on magnitudes alone.

BATCH_FULL_STEPS = 1e-5
# Relative error below which Newton steps are not shortened, and one that does not halve the error
# has met rounding; the same in the Python route.

BATCH_LONGEST_STEP = 4.0
# In any log weight: beyond it the quadratic model says nothing; the same in the Python route.

BATCH_SINGULAR = 1e-12
# Relative Cholesky pivot of a weighted Gram matrix or of JᵀJ below which the matrix counts as
# singular; above n ε, the rounding error bound of its entries for n up to 2000 rows. The Python
# route uses QR and singular values.

BATCH_ISOTROPY_STEPS = 2
# Scalings that bring the rows of [A b] towards isotropic position. The Python route has 5: its
# designs may be structured, here a failed search is repeated there.

BATCH_POWER_STEPS = 20
# Power iterations for the spectral start, of which only signs are used: no convergence is needed,
# and each iteration costs p² flops. The Python route calls an eigenvalue solver.

BATCH_RUN = 400
# Douglas-Rachford iterations before the next start: runs that succeed do so early. The Python
# route has 10 000, as nothing comes after it.

BATCH_CHECK_EVERY = 3
# Iterations between tests of the signs, each the price of one iteration. The Python route has 20.

BATCH_FITS = 1e-6
# Relative distance of the signed magnitudes from range([A b]) at which signs fit: ten times the
# relative error that BATCH_MATCHED leaves; the same in the Python route.

BATCH_ALMOST_FITS = 1e-4
# The same distance of other signs that puts the uniqueness of x in doubt: a hundred times
# BATCH_FITS, so that no second solution is missed.

BATCH_EXPLAINED = 1.5
# Standard deviations of inexact magnitudes that the signs' distance may add; the same in the
# Python route.

BATCH_ILL_CONDITIONED = 1e-2
# Relative Cholesky pivot below which a second pass orthonormalises the basis: the first leaves an
# error of ε over this.

BATCH_AT_ROUNDING = 1e-11
# max |sigma - c| below which a step that does not help has met rounding; the same in the Python
# route.

BATCH_ROUNDINGS = 10.0
# Root mean square error of exact scores, in units of rounding, below which refinement may end.

BATCH_KEEP_JACOBIAN = 1e-2
# The Jacobian is kept while a step reduces the residual to this part or less. It costs n d³, all
# else n d².

BATCH_DAMPING = 1e-6
# Smallest damping of Levenberg-Marquardt, relative to the largest diagonal entry of JᵀJ; less is
# none. The same in the Python route.

BATCH_CLEAR_SIGN = 4.0
# Standard deviations from zero at which the sign of a slack counts; the same in the acceptance
# test.

# --- compiled kernels (_kernels) ----------------------------------------------------------------

SAFE = 1e140
# Numbers between 1/SAFE and SAFE have squares, and sums of 1e28 squares, that neither over- nor
# underflow: SAFE² is 1e280, and doubles end at 1e308. Noticed by tests/test_sparse.py and
# tests/test_leverage_scores.py.

L1_BYTES = 32 * 1024
# Size of a block and its products, so that they stay in an L1 cache, of which processors have 32
# to 64 KiB. Noticed by benchmarks/benchmarks/scores.py and hessian.py.

L2_DOUBLES = 64 * 1024
# Entries of a matrix that an L2 cache holds: a smaller one is not fetched ahead.

PAGE_DOUBLES = 512
# Doubles in 4096 bytes: rows so far apart share one set of the L1 cache, so that packed blocks
# avoid this width.

UNBLOCKED_COLUMNS = 64
# Columns up to which a Gram matrix is factored by loops of our own, without BLAS and its threads.
# Noticed by benchmarks/benchmarks/scores.py and throughput.py.

# --- local methods (inverse/local) --------------------------------------------------------------

# --- inversion of barrier gradients (inverse/barrier_gradient) ----------------------------------

# --- audit (auditing/) --------------------------------------------------------------------------

# --- command line and files (cli/) --------------------------------------------------------------
