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
# Other lengths are computed in units of the largest entry. Derived from TINY and EPS. Noticed by
# tests/test_rows.py (norms) and tests/test_sparse.py (lengths).

# --- checks of arguments (_validate) ------------------------------------------------------------

SAFE_SIZE = 1e100
# Upper limit of the largest entry of A and b; its reciprocal is the lower limit, and stands for a
# zero slack. Products of three such numbers are in the range of doubles. Noticed by
# tests/test_robustness.py and tests/test_invert_many.py.

# --- threads (_parallel) ------------------------------------------------------------------------

WORTH_SHARING = 3 << 24
# Flops of a call from which a second thread saves time. Measured crossover: asv run --bench
# storage.Sharing. Speed-up by two cores: 0.9 at 20000 x 20, 1.2 at 10000 x 40, 1.85 at 20000 x 200.

BLAS_LIMIT = 1 << 21
# Flops of a call from which BLAS is limited to one thread. Setting the limit takes 15 µs, such a
# call about 100 µs; in smaller calls BLAS uses one thread by itself. Noticed by asv run --bench
# scores.Time.

LONG = 1 << 31
# Flops of a tenth of a second (at 2e10 a second). Longer factorisations run on their own
# thread, so that Ctrl-C is heard; chunks of rows are no longer, so that no thread waits at the end.
# Noticed by tests/test_interrupts.py.

HEARD = 0.02
# Seconds between two looks for Ctrl-C while a long call runs on a thread of its own. A person does
# not notice the delay. Noticed by tests/test_interrupts.py.

EVALUATIONS = 30
# Rough cost of one inversion, in evaluations of all scores. It decides whether threads are used.

# --- storage of A (storage/, _source) -----------------------------------------------------------

PASS_ENTRIES = 1 << 19
# Entries of A (4 MB) that are read, checked, factorised or multiplied by a vector at a time: much
# longer than handing them to a thread takes. Noticed by asv run --bench products.Time.

COPY_ENTRIES = 1 << 24
# Entries (128 MB) of the largest dense copy of rows, and of the largest sum of which each chunk of
# sparse rows has a copy. A choice: little of the memory of an ordinary machine. Noticed by
# python tests/acceptance.py mapped.

CACHE_ENTRIES = 1 << 17
# Entries (1 MB) of a block of sparse rows that is made dense; more dense entries are fetched ahead.
# Derived from the size of a core's second cache, 1 to 2 MB. Noticed by asv run --bench
# storage.Sparse.

CHUNK_WORK = 1 << 22
# Multiply-adds in a chunk of rows: much longer than handing it to a thread takes. In longer chunks
# threads wait at the end. Noticed by asv run --bench storage.Sharing.

DENSE_GAIN = 16
# Dense multiply-adds that take as long as one scattered into, or gathered from, a d x d matrix.
# Along the rows of a transform the number is a quarter of this. Measured crossover: asv run --bench
# storage.Sparse (8 to 25 in Gram matrices, 5 to 20 in forms, 2 to 8 along rows).

LARGEST_DIMENSION = 20000
# Columns of sparse rows, beyond which five dense d x d matrices would take over 15 GB. A choice.
# Noticed by tests/test_sparse.py (test of the message).

TASK_PARTS = 8
# Parts that one dask task adds up. A choice: a level of the tree takes some 10 ms on a cluster, as
# long as a few parts take to arrive. Noticed by python tests/acceptance.py cluster.

# --- scores: basis and projection (forward/basis, forward/projection, forward/leverage) ---------

ROUNDING_FACTOR = 100.0
# Largest error, in units of a first-order estimate of a rounding error, or of tol; such estimates
# leave out constants. leverage_scores promises errors of at most 100 ε κ. Noticed by
# tests/acceptance.py (accuracy of scores) and tests/test_robustness.py (coloops).

ONE_PASS_CONDITION = 64.0
# Largest κ at which one Cholesky factorisation decides. Its error is about ε κ², which must not
# exceed ROUNDING_FACTOR ε κ; the margin covers the constant in it. Noticed by tests/acceptance.py
# (accuracy of scores) and by asv run --bench scores.

HEAVY_COMPLEMENT = 1e-3
# Rows with 1 - σ below this, and below 1 / (4 rank), are eliminated as heavy. In other
# rows 1 - σ, and the Laplacian, lose at most three digits by cancellation. Noticed by
# tests/test_projection.py (rows near a zero slack).

OWN_FORMS_CONDITION = 2.0
# In units of √rank: largest κ up to which derivatives are computed from A's own columns. Beyond it
# the errors of second derivatives exceeded ROUNDING_FACTOR ε κ ten times as often. Noticed by
# tests/test_projection.py and by asv run --bench hessian.

TIED_SINGULAR_VALUES = 1e-10
# Relative to the largest: least gap between singular values k and k + 1. Errors of scores are about
# ROUNDING_FACTOR ε / gap: three digits are left. Noticed by tests/test_more_scores.py (ties).

# --- approximate scores (forward/approximate) ---------------------------------------------------

SKETCH_RTOL = 0.1
# Default of rtol: the relative standard error of an approximate score. A choice: 200 projections.

SIGN_COLUMNS = 32
# Largest number of sign vectors in a block. More of them share a pass over the sparse matrix, but
# leave the cache. Noticed by python tests/acceptance.py sketch and tests/test_sketch.py (the
# scores of a given seed).

PROBE_ERROR = 0.01
# Largest norm of the error of a known answer, whose components are random, of variance 1. Also the
# relative error of projections z, in units of rtol: z_i² changes by less than rtol / 20, as
# leverage_scores states. Noticed by tests/test_sketch.py (accuracy).

FEW_ITERATIONS = 200
# Iterations of the probes after which a factor of the Gram matrix is tried. Such a factor costs
# some hundred products with a sparse matrix. Noticed by python tests/acceptance.py sketch.

MANY_ITERATIONS = 10000
# Iterations of the probes, without a factor, after which the matrix is refused. A choice: minutes.

FACTOR_WORK = 1 << 38
# Largest number of multiply-adds in such a factorisation. A choice: minutes. Noticed by
# tests/test_sketch.py.

FACTOR_ENTRIES = 8 * COPY_ENTRIES
# Largest number of products in a Gram matrix, and of entries of its factor: 12 bytes each, 1.6 GB.
# A choice. Noticed by tests/test_sketch.py.

LEAST_SINGULAR_VALUE = 1e-9
# For columns at unit norm; smaller nonzero singular values are refused. N⁻¹ must remove all but
# FEW_ROUNDINGS of squares of 1e-18: a factor 1e4 above its own rounding. Noticed by
# tests/test_sketch.py (rows of little weight).

# --- losses and barrier (forward/) --------------------------------------------------------------

DOT_ENTRIES = 8192
# Length of vectors up to which OpenBLAS multiplies them on one thread (10000, interface/dot), so
# that the result does not depend on the number of threads. Noticed by tests/test_threads.py.

# --- presolve: components, coloops, zero slacks (inverse/stages) --------------------------------

ALLOWED_ROUNDINGS = 1e3
# In units of a rounding error bound, or of ε: up to this, b outside range(A), a gradient, or the
# last pivot of a basis counts as rounding. Bounds leave out constants. tests/test_stages.py.

ZERO_ENTRY = 1e-9
# Relative to the largest entry of a row of A A_basis⁻¹, or to |y|: smaller entries are zero. It is
# above the rounding error of bad bases, below entries that users mean.
# tests/test_rounding_decisions.py.

FEW_ROUNDINGS = 64 * EPS
# Relative to the result: bound of the error of a sum of scores, or of an entry of A A_basis⁻¹ of a
# well-conditioned basis. tests/test_robustness.py and tests/test_stages.py.

SAMPLE_ROWS, SAMPLE_FACTOR = 2048, 16
# Least number of rows of a sample; its rows for each column (of a basis) or each entry of the
# k x k matrix (of a Jacobian). Measured: inverse/stages/whitened_jacobian.py. tests/test_stages.py.

SAMPLE_SEED = 5396
# Seed of all samples and of an audit, so that results are reproducible. It is not 0: test data are
# often drawn from the seed 0, and the sample would depend on them.

# --- magnitudes (inverse/stages/magnitudes) -----------------------------------------------------

DIRECT_ROWS = 128
# Number of rows below which n³ flops pay off: the Laplacian is factored, and the refinement
# computes every Jacobian. Measured crossover: benchmarks/benchmarks/inversion.py, Solvers.

DIRECT_PER_RANK = 8
# The same in rows for each column: a factorisation takes n³/3 flops, a product with the Laplacian
# 4 n d². Measured crossover: the same benchmark.

LONGEST_STEP = 4.0
# Change of a log weight in one step. Where weights change by e⁴ the quadratic model is not valid.
# Half of it changes the number of evaluations by 4 per cent.

QUADRATIC = 1e-5
# Relative error of the scores, or Newton decrement, below which Newton's method converges
# quadratically: full steps are taken, and one without progress is rounding.
# tests/test_rounding_decisions.py.

PATIENCE = 20
# Iterations before a check that costs about as much as several of them: is there progress, do the
# signs fit, is the problem infeasible? tests/test_stages.py; benchmarks/benchmarks/gradient.py.

LEVEL_SETS = 32
# Level sets tried in one search for an infeasible set: those at the widest gaps. Each needs a rank.
# tests/test_stages.py compares with all sets of rows.

# --- signs (inverse/stages/signs) ---------------------------------------------------------------

ENUMERATED, SIGN_RANK = 14, 21
# Rows up to which all sides of a peak are tried at many levels; rank of [A b] up to which all sign
# vectors are found: 2^(20/2) sums take 10 µs, less than 5 % of an inversion. tests/test_sides.py.

RESTARTS = 60
# Starts of the sign search on a component. A choice, stated in the docstring of invert_scores.

SUBSET_PER_UNKNOWN = 8
# Rows for each unknown that the search for signs uses. Two determine the signs; with more rows,
# starts succeed sooner, but iterations cost more. tests/acceptance.py signs.

FEW_ROUNDS = 5
# Rounds of an iteration that need not converge: isotropic position, signs read off x, concentration
# steps, replaced scores. Later stages improve their result. tests/acceptance.py signs.

CLOSEST = 5
# Number of sign vectors of smallest misfit that are kept although they do not fit. Each costs a
# refinement of x. tests/test_noise.py.

TRIMMED_STARTS = 400
# Starts of least trimmed squares. Rousseeuw and Van Driessen use 500. tests/test_noise.py.

BRANCH_ENTRIES, BRANCH_STARTS, BRANCH_PARTS = 1 << 19, 64, (0.01, 0.1, 0.5)
# Noisy scores: slacks at points in all cells of a component, up to which all cells are tried; cells
# that start; parts of the way from a vertex. Fewer parts miss minima: tests/acceptance.py noise.

FAR_FROM_LIMIT, LINEAR_MARGIN, CHANGE_ROWS, CHANGE_STEPS = 1e-3, 10.0, 256, 1 << 13
# Limit over χ², and relative decrease at which a start so far away ends: 0.02 misses minima. Reach,
# in limits (4 misses minima), most rows and steps of the linear model of sign changes.

# --- recovery of x and refinement (inverse/stages) ----------------------------------------------

SIGN_TOLERANCE = 1e-6
# Relative misfit up to which exact magnitudes accept a sign vector, and 1 - σ up to which they may
# not show a sign: √ε times the condition of a typical sign problem. tests/acceptance.py signs.

EARLY_ACCURACIES = (1e-8,), (0.1, 0.01)
# Relative errors of the scores at which stage 1 is interrupted in a long matrix: signs unknown
# (well below SIGN_TOLERANCE), signs known. benchmarks/benchmarks/inversion.py.

MAX_EVALUATIONS = 10_000
# Evaluations of the scores in one search over levels, of which many may fit alike. A choice: some
# seconds.

PREDICTED_DECREASE = 1e-10
# Relative decrease of the squared residual, predicted by the linear model, that ends stage 4. A
# noisy x then changes by about 1e-5 √n of its standard errors.

LEAST_DAMPING = 1e-6
# Least damping of Levenberg-Marquardt, relative to the largest squared singular value.

POOR_MODEL = 0.25
# Part of what a model predicts, below which it is poor (Nocedal and Wright, algorithm 4.1).

MAX_USELESS_STEPS = 8, 2
# Useless steps above the rounding error after which quasi-Newton steps end; the second number is
# for problems in which stage 1 can be resumed. tests/test_polish.py.

# --- verdict (inverse/verdict) ------------------------------------------------------------------

CHI_SQUARED_LEVEL = 1e-3
# Level of the tests of noisy scores: the whole residual, and its largest entry (Bonferroni). A
# choice.

NOISE_UNCERTAINTY = 1.1
# Factor: given noise levels are known to 10 % at best, so that a residual this much larger is
# explained. A choice.

SIGNIFICANT = 4.0
# Standard deviations that chance does not explain: it exceeds them once in 16 000 times. For
# slacks, misfits of signs, rounded scores, attacks. tests/test_noise.py and tests/test_audit.py.

SETTLED_RESIDUAL = 1e7
# Largest whitened residual (root mean square) of exact scores for which x is trusted to be the only
# solution: about half the digits of the scores agree.

MAX_OUTLIERS, OUTLIER_FRACTION = 20, 0.25
# Largest number of rows left out, and thus of refits; largest number of them relative to the
# degrees of freedom: if more rows are left out, every residual is explained.

SPOILING_RESIDUAL = 0.05
# Residual, relative to the mean score, from which outliers may have spoilt the magnitudes.

# --- many problems (inverse/invert_many) --------------------------------------------------------

# The compiled route leaves every doubtful problem to invert_scores. Its own numbers may therefore
# be stricter; the others are those of the Python stages. cmake/kernel_settings.py reads this table.

BATCH_DOUBT = 1e-7
# Relative to unit rows or the largest entry. Smaller pivots leave the rank in doubt, smaller
# coefficients connect no rows. Above the rounding error bound ε / BATCH_DOUBT of a coefficient.

BATCH_EXTREME = 1e-12
# Least exact score, and least relative Cholesky pivot, without doubt; above n ε, the rounding error
# bound. 1 - σ must be ROUNDING_FACTOR times as large, so that digits are left. 1e-10 loses half of
# the problems with widely spread slacks to the general route.

BATCH_ITERATIONS = 40
# Limit of iterations that end by themselves after a few steps: sweeps, Newton, conjugate gradients,
# Levenberg-Marquardt. One that reaches it does not converge.

BATCH_STARTS = 12
# Starts of the sign search, or levels, before the general route takes over. A choice: it has 60.

BATCH_ROUGHLY = 0.1
# Relative error of the scores at which Newton steps replace sweeps, which halve it; and largest
# relative error of such a step.

BATCH_COLUMNS, BATCH_ROWS = 32, 2000
# Largest problems of the compiled route: at 2000 x 32 it is six times as fast as the general route
# (benchmarks/benchmarks/throughput.py).

BATCH_WORK = 1 << 20
# Largest n d² of a single inversion by the kernel, whose flops are slower than the tiles. Measured.

BATCH_CHUNK = 256
# Largest number of problems in one kernel call: a few milliseconds, so that Ctrl-C is heard.
# Noticed by tests/test_invert_many.py (interrupts).

# --- compiled kernels (_kernels) ----------------------------------------------------------------

L1_BYTES = 32 * 1024
# Size of a block and its products, so that they stay in the first cache, which has 32 to 64 KiB.
# Noticed by benchmarks/benchmarks/scores.py and hessian.py.

UNBLOCKED_COLUMNS = 64
# Columns up to which a Gram matrix is factored by loops of our own, without BLAS and its threads.
# Noticed by benchmarks/benchmarks/scores.py and throughput.py.

# --- minimisers: local methods and barrier gradients (inverse/local, barrier_gradient) ------------

ARMIJO = 1e-4
# Part of the promised decrease that a step has to achieve: Nocedal and Wright, section 3.1.

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
# Longest step, as a part of the way to the cell's boundary. Usual in interior-point methods.

LOG_WEIGHT_STEP = 16.0
# Largest change of a log weight in one Newton step in an unbounded direction: MAXITER steps reach
# the ends of WEIGHT_RANGE. A choice. tests/test_invert_gradient.py.

CUTS = 200
# Most cutting planes in a proof that exponential weights have no such gradient. A choice.

LP_ROUNDING = 1e-6
# Rounding in a scaled linear program: ten times the tolerance of HiGHS for constraints.

SAMPLES = 10
# Default number of sampled rows in units of d log(d + 2): the sampled Hessian is then wrong by
# about a third. Measured: benchmarks/benchmarks/gradient.py, SampleSize.

EXACT_FLOPS = 1e11
# Flops, n d³, of the largest Hessian formed for the standard errors; beyond it bounds within a
# factor of 3 replace it. A choice, stated in the docstring of invert_gradient: some seconds.

# --- fitted models (models/) and audit (auditing/) ----------------------------------------------

FIT_DEPARTURE = 0.1
# Largest step, in standard errors, that would still improve a fit. tests/test_fitted_models.py.

GIVEN_AWAY = 0.1
# A coefficient of smaller relative standard error is given away: "to within 10 %". A choice.

LARGEST_DEPARTURE = 0.3
# Relative to the linear change of the scores. Above it the linear prediction fails: its standard
# errors are then off by about this part. tests/test_audit.py (3 fails).

DEPARTURE_DRAWS = 8
# Number of random errors of x, whose median departure is taken: LARGEST_DEPARTURE needs one digit.

# --- command line (cli/) ------------------------------------------------------------------------

MAX_EXPANSION, HARMLESS_BYTES = 100, 1 << 30
# A file is refused if it takes more bytes in memory than the first number for each of its own, and
# more than the second in all. Deflate stays far below 100 on data. tests/test_hostile_files.py.

# --- weightings (weighting/) and weights far apart (forward/score_map) --------------------------

COMPILED_LENGTH = 2000
# Most rows whose weights a scalar loop computes sooner than NumPy's vectors. Measured crossover.

SMALL_ARGUMENT = 1e-3
# Below it a function that cancels is computed by the first terms of its series, whose next one is
# below rounding: u⁴/2880 (cloglog). Noticed by tests/test_weighting.py.

TAIL_START, TAIL_TERMS = 3.0, 50
# From |η| = TAIL_START on, the normal tail is a continued fraction of TAIL_TERMS terms: 40 reach
# rounding. Noticed by tests/test_weighting.py.

BRANCH_NODES, BRANCH_REACH, BRANCH_STEPS = 1000, math.log(1e150), 4
# Table from which a log weight's inverse starts: its points, the largest logarithm of |η - start|
# (squares stay in range), and the Newton steps from it. Noticed by tests/test_weighting.py.

KIND_NODES, KIND_REACH = 4001, 1e3
# Points and largest |η| of the grid on which the signs of a log weight's derivative decide its
# kind, and on which levels of monotone weightings are tried. Noticed by tests/test_weighting.py.

WEIGHT_RANGE = 1400.0
# Largest logarithm of the ratio of two weights whose roots' quotient is a normal double: just below
# -2 log(TINY). Noticed by tests/test_models_forward.py.

WEIGHTED_ROUNDING = 1e-3
# Largest bound of the rounding errors of a projection that its weights may cause; errors of the
# scores are about its square. Also the spread of the weights' roots within which they cause few.
# Noticed by tests/test_models_forward.py.

# --- stages 2 and 3 of weightings that are not powers (inverse/stages/levels) -------------------

LEVELS, LEAST_GAP, GREATEST_GAP = 24, 1e-11, 30.0
# Number and range of the levels at which signs are looked for: of the gap between the peak of the
# log weight and that of the row closest to it. Signs found at a level are mostly right over a
# factor of ten of the gap. tests/acceptance.py models.

LEVEL_REFLECTIONS, LEVEL_STEPS = 300, 40
# Most Douglas-Rachford iterations at one level, and most Levenberg-Marquardt steps in (y, level)
# from one start. Starts that succeed do so early. tests/acceptance.py models.

FAR_BRANCH, NOISY_STARTS = 8.0, 30
# Ratio of distances from the mode beyond which a row is first put on the nearer branch (models);
# starts of a noisy search, of which the closest solutions are tried (acceptance.py fitted).

ROUNDED_PATTERN = 1e-10
# Relative difference of random combinations of two rows below which the rows count as equal: far
# above rounding and below differences of data. tests/test_models.py.

LEVEL_DISTANCE, ENUMERATED_STARTS = 0.3, 200
# Relative distance from the range, at the closest level, beyond which signs are not tried in an
# enumeration; most starts of it, a tenth of a second. tests/acceptance.py sides.
