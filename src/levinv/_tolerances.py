"""Every number that decides something: what counts as zero, when an iteration ends, which
algorithm runs, how large a block is.

Each constant stands here once, with its unit, what it decides, what it is derived from and which
test or benchmark notices a change. A module imports those that it uses. What follows from the data
by a formula (a bound of a rounding error, a default that depends on n and d) is computed where it
is used.
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

EVALUATIONS = 30
# Evaluations of all scores. Rough cost of one inversion; decides whether threads are worth it.

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

ROUNDING_FACTOR = 100.0
# In units of a first-order estimate of a rounding error, or of tol: what an error may reach.
# Estimates leave out constants. leverage_scores promises errors of at most 100 ε κ, κ the condition
# number of the scaled rows with columns at unit norm; a number below such an error counts as zero.
# Noticed by tests/acceptance.py (accuracy of scores) and tests/test_robustness.py (coloops).

ONE_PASS_CONDITION = 64.0
# Largest κ at which one Cholesky factorisation decides. Its error is about ε κ², which must not
# exceed ROUNDING_FACTOR ε κ; the margin covers the constant in it. Noticed by tests/acceptance.py
# (accuracy of scores) and by asv run --bench scores.

INDEPENDENT_CONDITION = math.sqrt(ROUNDING_FACTOR)
# ONE_PASS_CONDITION for independent columns that were chosen among dependent ones. The κ of all
# columns may then be close to 1, so that ε κ² must not exceed ROUNDING_FACTOR ε.

TWO_PASS_CONDITION = 5e6
# Largest κ at which two Cholesky factorisations (CholeskyQR2) decide. The first leaves columns
# that are orthonormal to ε κ², which must be well below 1: here it is below 1/100. Noticed by
# tests/test_leverage_scores.py (condition numbers up to 1e15).

REORTHOGONALISATIONS = 2
# Projections that remove a subspace to rounding: "twice is enough" (Kahan; Parlett, The Symmetric
# Eigenvalue Problem, 1998, section 6.9). Derived; a third one would change nothing.

HEAVY_COMPLEMENT = 1e-3
# Rows with a smaller 1 - σ are eliminated as heavy (or with a smaller 1 / (4 rank)). In other
# rows 1 - σ, and the Laplacian, lose at most three digits by cancellation. Noticed by
# tests/test_projection.py (rows near a zero slack).

ROUGH_COMPLEMENT = 1e-7
# HEAVY_COMPLEMENT of rough projections. Their derivatives keep some eight digits, enough for a
# step of an iteration. Noticed by tests/test_polish.py (rough projections) and by the inversion's
# benchmarks.

OWN_FORMS_CONDITION = 2.0
# In units of √rank: largest κ up to which derivatives are computed from A's own columns, without
# the transform. Beyond it the errors of second derivatives exceeded ROUNDING_FACTOR ε κ ten times
# as often. Noticed by tests/test_projection.py (a moderately conditioned design with small slacks)
# and by asv run --bench hessian.

SMALLEST_SCALE = 1e-300
# Least quotient of two nonzero slacks that leverage_scores accepts. Smaller quotients, multiplied
# by entries of A, would be denormal. A choice, stated in its docstring. Noticed by
# tests/test_robustness.py (slacks over too many orders of magnitude).

# --- approximate scores (forward/approximate) ---------------------------------------------------

SKETCH_RTOL = 0.1
# Default of rtol: the relative standard error of an approximate score. A choice: 200 projections.

SIGN_ENTRIES = 5 << 20
# Entries (40 MB) of a block of random sign vectors. A choice: four such arrays are alive in a
# thread.

SIGN_COLUMNS = 32
# Largest number of sign vectors in a block. More of them share a pass over the sparse matrix, but
# leave the cache. Noticed by tests/acceptance_of_sketch.py (times) and tests/test_sketch.py (the
# scores of a given seed).

PROBES = 4
# Known answers that the solver must find again. The share of a direction in one of them is a
# normal number: it is below PROBE_ERROR in all four with probability 4e-9. A choice of that
# probability; the probes cost little beside 200 projections.

PROBE_ERROR = 0.01
# Norm of what may be left of a known answer, in which every direction has a random share of
# variance 1. With PROBES it decides the probability that a direction is overlooked.

SOLVER_ERROR = 1 / 50
# Relative error of the projections z, in units of rtol. It changes z_i² by twice as much, which is
# less than rtol / 20, as the docstring of leverage_scores states. Noticed by tests/test_sketch.py
# (accuracy).

FEW_ITERATIONS = 200
# Iterations of the probes after which a factor of the Gram matrix is tried. Such a factor costs
# some hundred products with a sparse matrix. Noticed by tests/acceptance_of_sketch.py (times).

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
# Of columns at unit norm. The iteration resolves squared singular values of 1e-18 only if N⁻¹
# removes all but FEW_ROUNDINGS of them, 1e-14: a factor 1e4 above its own rounding. Smaller
# nonzero values are refused. Noticed by tests/test_sketch.py (rows of little weight).

# --- losses and barrier (forward/) --------------------------------------------------------------

DOT_ENTRIES = 8192
# Length of vectors up to which OpenBLAS computes their product on one thread, so that the result
# does not depend on the number of threads. Given by OpenBLAS (10000, interface/dot). Noticed by
# tests/test_threads.py.

STAND_IN_SLACK = math.cbrt(TINY)
# Slack, relative to the smallest other one, that stands for a zero slack in second derivatives:
# its square and the square's reciprocal are normal, and 1 - σ of its row is far below rounding.

# --- presolve: components, coloops, zero slacks (inverse/stages) --------------------------------

ALLOWED_ROUNDINGS = 1e3
# In units of a rounding error bound, or of ε: what counts as rounding in b outside range(A), in a
# gradient, in the last pivot of a basis. Bounds leave out constants. tests/test_stages.py.

ZERO_ENTRY = 1e-9
# Relative to the largest entry of a row of A A_basis⁻¹, or to |y|: smaller entries are zero. It is
# above the rounding error of bad bases, below entries that users mean. tests/test_nearly.py.

FEW_ROUNDINGS = 64 * EPS
# Relative to the result: bound of the error of a sum of scores, or of an entry of A A_basis⁻¹ of a
# well-conditioned basis. tests/test_robustness.py and tests/test_stages.py.

SAMPLE_ROWS, SAMPLE_FACTOR = 2048, 16
# Least rows of a sample; rows for each column (of a basis) or for each entry of the k x k matrix
# (of a Jacobian). Measured: inverse/stages/whitened_jacobian.py. tests/test_stages.py.

SAMPLE_SEED = 5396
# Seed of all samples, so that results are reproducible. It is not 0: test data are often drawn from
# the seed 0, and the sample would depend on them.

# --- magnitudes (inverse/stages/magnitudes) -----------------------------------------------------

DIRECT_ROWS = 128
# Rows. In shorter problems work of n³ flops pays: the Laplacian is factored, and the refinement
# computes every Jacobian. Measured crossover: benchmarks/benchmarks/inversion.py, Solvers.

DIRECT_PER_RANK = 8
# The same in rows for each column: a factorisation takes n³/3 flops, a product with the Laplacian
# 4 n d². Measured crossover: the same benchmark.

LONGEST_STEP = 4.0
# Change of a log weight in one step. Where weights change by e⁴ the quadratic model is not valid.
# Half of it changes the number of evaluations by 4 per cent.

QUADRATIC = 1e-5
# Relative error of the scores, or Newton decrement, below which Newton's method converges
# quadratically: full steps are taken, and one without progress is rounding. tests/test_nearly.py.

PATIENCE = 20
# Iterations before a question that costs about as much as some of them: is there progress, do the
# signs fit, is the problem infeasible? tests/test_stages.py; benchmarks/benchmarks/gradient.py.

LEVEL_SETS = 32
# Level sets tried in one search for an infeasible set: those at the widest gaps. Each takes a rank.
# tests/test_stages.py compares with all sets of rows.

# --- signs (inverse/stages/signs, robust_signs) -------------------------------------------------

ENUMERATED = 14
# Rows up to which all 2^(n-1) sign vectors are tried. 8192 of them take some milliseconds, and each
# further row doubles time and memory. tests/test_uniqueness.py.

RESTARTS = 60
# Starts of the sign search on a component. A choice, stated in the docstring of invert_scores:
# seconds at most. tests/acceptance.py signs.

SUBSET_PER_UNKNOWN = 8
# Rows for each unknown that the search for signs uses. Two determine the signs; more of them make
# starts succeed sooner and iterations dearer. tests/acceptance.py signs.

FEW_ROUNDS = 5
# Rounds of an iteration that need not converge: isotropic position, signs read off x, concentration
# steps, replaced scores. Each takes most of the rest of the way. tests/acceptance.py signs.

CLOSEST = 5
# Sign vectors that are kept although they do not fit: those of smallest misfit. Each costs a
# refinement of x. tests/test_noise.py.

TRIMMED_STARTS = 400
# Starts of least trimmed squares. Rousseeuw and Van Driessen use 500. tests/test_noise.py.

# --- recovery of x and refinement (inverse/stages) ----------------------------------------------

SIGN_TOLERANCE = 1e-6
# Relative misfit up to which exact magnitudes accept a sign vector, and 1 - σ up to which they may
# not show a sign: √ε times the condition of a typical sign problem. tests/acceptance.py signs.

EARLY_ACCURACIES = (1e-8,), (0.1, 0.01)
# Relative errors of the scores at which stage 1 is interrupted in a long matrix: signs unknown
# (well below SIGN_TOLERANCE), signs known. benchmarks/benchmarks/inversion.py.

MAX_EVALUATIONS = 10_000
# Evaluations of the scores in one search for signs. Slacks over many orders of magnitude leave
# thousands of sign vectors that fit alike. tests/test_nearly.py (test_search_for_signs_ends).

PREDICTED_DECREASE = 1e-10
# Relative decrease of the squared residual, predicted by the linear model, that ends stage 4: it
# changes x by 1e-5 of its standard errors.

LEAST_DAMPING = 1e-6
# Least damping of Levenberg-Marquardt, relative to the largest squared singular value. Smaller
# ones hardly change a step.

POOR_MODEL = 0.25
# Part of what a model predicts, below which the model is poor; then the step shrinks to this part.
# Value of Nocedal and Wright, Numerical Optimization, algorithm 4.1. tests/test_polish.py.

MAX_USELESS_STEPS = 8, 2
# Useless steps above the rounding error after which quasi-Newton steps end: the second where
# stage 1 can be resumed. tests/test_polish.py.

# --- verdict (inverse/verdict) ------------------------------------------------------------------

CHI_SQUARED_LEVEL = 1e-3
# Level of the tests of noisy scores: the whole residual, and its largest entry (Bonferroni). A
# choice. tests/test_noise.py.

NOISE_UNCERTAINTY = 1.1
# Factor: given noise levels are known to 10 % at best, so that a residual this much larger is
# explained. A choice. tests/test_noise.py.

SIGNIFICANT = 4.0
# Standard deviations that chance does not explain: it exceeds them once in 16 000 times. For
# slacks, misfits of signs, rounded scores, attacks. tests/test_noise.py and tests/test_audit.py.

SETTLED_RESIDUAL = 1e7
# Largest whitened residual (root mean square) of exact scores for which x is trusted to be the only
# solution: about half the digits of the scores agree. tests/test_nearly.py.

MAX_OUTLIERS, OUTLIER_FRACTION = 20, 0.25
# Largest number of rows left out, which is also that of refits; and largest part of the degrees of
# freedom: with more rows left out every residual is explained. tests/test_noise.py.

SPOILING_RESIDUAL = 0.05
# Residual, relative to the mean score, from which outliers may have spoilt the magnitudes.

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

BATCH_COLUMNS, BATCH_ROWS = 32, 2000
# Largest problems of the compiled route. Measured: at 2000 x 32 six times as fast as the general
# route (benchmarks/benchmarks/throughput.py), and short enough for an interrupt to be served.

BATCH_WORK, BATCH_CHUNK = 500_000, 256
# n d² of the problems in one kernel call, about 5 ms, so that an interrupt is served; and their
# largest number.

# --- minimisers: local methods and barrier gradients (inverse/descent, local, barrier_gradient) ---

ARMIJO = 1e-4
# Part of the decrease promised by the slope or by the model that a step has to achieve. Value of
# Nocedal and Wright, Numerical Optimization, section 3.1.

MAXITER = {"trust-region": 500, "newton": 100, "gradient-descent": 3000,
           "approximate-newton": 200, "least-squares": 300}
# Default limits of the iterations, as documented for invert_scores and invert_gradient.

INITIAL_RADIUS = 0.01
# First trust-region radius relative to |y|, or to 1 if that is larger. Ten times as much leaves
# the neighbourhood of a good start. tests/test_local_methods.py; tests/acceptance.py local.

DIRECT_DIMENSION = 8
# Largest dimension in which a Newton direction is found with a factored Hessian instead of
# conjugate gradients. Measured crossover: benchmarks/benchmarks/gradient.py, Direction.

INSIDE = 0.95
# Part of the way to the cell's boundary that a step goes where no model says how far. Usual in
# interior-point methods. tests/test_invert_gradient.py (test_extreme_targets).

LP_ROUNDING = 1e-6
# Relative size below which numbers of a scaled linear program are rounding: ten times the tolerance
# to which HiGHS satisfies constraints. tests/test_invert_gradient.py.

SAMPLES = 10
# Default number of sampled rows in units of d log(d + 2): the sampled Hessian is then wrong by
# about a third. Measured: benchmarks/benchmarks/gradient.py, SampleSize.

EXACT_FLOPS = 1e11
# Flops, n d³, of the largest Hessian formed for the standard errors; beyond it bounds within a
# factor of 3 replace it. A choice, stated in the docstring of invert_gradient: some seconds.

# --- audit (auditing/) --------------------------------------------------------------------------

GIVEN_AWAY = 0.1
# Relative to the size of a coefficient. A coefficient of smaller standard error is given away. A
# choice of meaning: the documentation says "to within 10 %". tests/test_audit.py.

LARGEST_DEPARTURE = 0.3
# Relative to the linear change of the scores. Above it the linear prediction fails: its standard
# errors are then off by about this part. tests/test_audit.py (3 fails).

DEPARTURE_DRAWS = 8
# Random errors of x, of whose departures the median is taken. Each takes two evaluations of the
# scores, and LARGEST_DEPARTURE needs one digit only.

AUDIT_SEED = 0
# Seed of the noise, the starts and the random errors of an audit, so that reports are reproducible.
# tests/test_audit.py (test_reproducible).

# --- command line (cli/) ------------------------------------------------------------------------

MAX_EXPANSION, HARMLESS_BYTES = 100, 1 << 30
# A file is refused if it takes more bytes in memory than the first for each of its own, and more
# than the second in all. Deflate stays far below 100 on data. tests/test_hostile_files.py.
