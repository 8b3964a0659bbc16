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
# Largest size of the largest entry of A and b; its reciprocal is the smallest, and stands for a
# zero slack. Products of three such numbers are in the range of doubles. Noticed by
# tests/test_robustness.py and tests/test_invert_many.py.

# --- threads (_parallel) ------------------------------------------------------------------------

WORTH_SHARING = 3 << 24
# Flops of a call from which a second thread pays. Measured crossover: asv run --bench
# storage.Sharing. Two cores gain 0.9 at 20000 x 20, 1.2 at 10000 x 40, 1.85 at 20000 x 200.

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
# Evaluations of all scores. Rough cost of one inversion, which decides whether threads pay.

# --- storage of A (storage/, _source) -----------------------------------------------------------

PASS_ENTRIES = 1 << 19
# Entries of A (4 MB) that are read, checked, factorised or multiplied by a vector at a time. This
# takes a few tenths of a millisecond from memory, ten times as long as handing it to a thread.
# Noticed by asv run --bench products.Time.

COPY_ENTRIES = 1 << 24
# Entries (128 MB) of the largest dense copy of rows, and of the largest sum of which each chunk of
# sparse rows has a copy. A choice: little of the memory of an ordinary machine. Noticed by
# tests/acceptance_of_mapped.py (memory).

CACHE_ENTRIES = 1 << 17
# Entries (1 MB) of a block of sparse rows that is made dense; more dense entries are fetched ahead.
# Derived from the size of a core's second cache, 1 to 2 MB. Noticed by asv run --bench
# storage.Sparse.

CHUNK_WORK = 1 << 22
# Multiply-adds in a chunk of rows: a twentieth of a millisecond, ten times as long as handing it to
# a thread. In longer chunks threads wait at the end. Noticed by asv run --bench storage.Sharing.

DENSE_GAIN = 16
# Dense multiply-adds in the time of one that is scattered into, or gathered from, a d x d matrix.
# A quarter of it along the rows of a transform. Measured crossover: asv run --bench storage.Sparse
# (8 to 25 in Gram matrices, 5 to 20 in forms, 2 to 8 along rows).

LARGEST_DIMENSION = 20000
# Columns of sparse rows, beyond which five dense d x d matrices would take over 15 GB. A choice.
# Noticed by tests/test_sparse.py (test of the message).

TASK_PARTS = 8
# Parts that one dask task adds up. A choice: a level of the tree takes some 10 ms on a cluster, as
# long as a few parts take to arrive. Noticed by tests/acceptance_of_cluster.py.

# --- scores: basis and projection (forward/basis, forward/projection, forward/leverage) ---------

ROUNDING_FACTOR = 100.0
# In units of a first-order estimate of a rounding error, or of tol: what an error may reach, since
# estimates leave out constants. leverage_scores promises errors of at most 100 ε κ. Noticed by
# tests/acceptance.py (accuracy of scores) and tests/test_robustness.py (coloops).

ONE_PASS_CONDITION = 64.0
# Largest κ at which one Cholesky factorisation decides. Its error is about ε κ², which must not
# exceed ROUNDING_FACTOR ε κ; the margin covers the constant in it. Noticed by tests/acceptance.py
# (accuracy of scores) and by asv run --bench scores.

HEAVY_COMPLEMENT = 1e-3
# Rows with a smaller 1 - σ are eliminated as heavy (or with a smaller 1 / (4 rank)). In other
# rows 1 - σ, and the Laplacian, lose at most three digits by cancellation. Noticed by
# tests/test_projection.py (rows near a zero slack).

OWN_FORMS_CONDITION = 2.0
# In units of √rank: largest κ up to which derivatives are computed from A's own columns. Beyond it
# the errors of second derivatives exceeded ROUNDING_FACTOR ε κ ten times as often. Noticed by
# tests/test_projection.py and by asv run --bench hessian.

# --- approximate scores (forward/approximate) ---------------------------------------------------

SKETCH_RTOL = 0.1
# Default of rtol: the relative standard error of an approximate score. A choice: 200 projections.

SIGN_COLUMNS = 32
# Largest number of sign vectors in a block. More of them share a pass over the sparse matrix, but
# leave the cache. Noticed by tests/acceptance_of_sketch.py (times) and tests/test_sketch.py (the
# scores of a given seed).

PROBE_ERROR = 0.01
# Norm of what may be left of a known answer whose directions have random shares of variance 1; and
# relative error of projections z, in units of rtol: z_i² changes by less than rtol / 20, as
# leverage_scores states. Noticed by tests/test_sketch.py (accuracy).

FEW_ITERATIONS = 200
# Iterations of the probes after which a factor of the Gram matrix is tried. Such a factor costs
# some hundred products with a sparse matrix. Noticed by tests/acceptance_of_sketch.py (times).

MANY_ITERATIONS = 10000
# Iterations of the probes, without a factor, after which the matrix is refused. A choice:
# minutes.

FACTOR_WORK = 1 << 38
# Largest number of multiply-adds in such a factorisation. A choice: minutes. Noticed by
# tests/test_sketch.py.

LEAST_SINGULAR_VALUE = 1e-9
# Of columns at unit norm; smaller nonzero values are refused. N⁻¹ must remove all but FEW_ROUNDINGS
# of squares of 1e-18: a factor 1e4 above its own rounding. Noticed by tests/test_sketch.py (rows of
# little weight).

# --- losses and barrier (forward/) --------------------------------------------------------------

DOT_ENTRIES = 8192
# Length of vectors up to which OpenBLAS multiplies them on one thread (10000, interface/dot), so
# that the result does not depend on the number of threads. Noticed by tests/test_threads.py.

# --- presolve: components, coloops, zero slacks (inverse/stages) --------------------------------

SMALLEST_SCORE = 1e-30
# Scores are positive; below this they count as this in relative errors, so that weights do not
# overflow. Exact scores of that size are known to full relative precision only by chance.

SMALLEST_ROW = 1e-140
# Norm. Rows of A that are shorter are refused: 1/norm² of two rows must not overflow in a product.

ROUNDINGS_IN_RANGE = 1e3
# Units of the rounding of A and b. b lies in range(A) if its residual is smaller: bounds of rounding
# errors ignore constants, which 1e3 covers. tests/acceptance.py signs, tests/test_stages.py.

UNCONNECTED = 1e-9
# Relative to the largest entry of the row. Entries of A A_basis⁻¹ below it do not connect rows. It
# stands between the rounding of ill-conditioned bases and the smallest ratios of entries that
# users mean. Nearly connected rows are tested in tests/test_nearly.py and tests/test_robustness.py.

FEW_ROUNDINGS = 64 * EPS
# Relative to the result. Bound of the error of a sum of scores, or of an entry of A A_basis⁻¹ of a
# well-conditioned basis: a few roundings, each at most ε/2. Entries between FEW_ROUNDINGS and
# UNCONNECTED connect rows if the scores contradict the components found without them
# (tests/test_robustness.py). Twice this decides whether the scores of a set of rows exceed
# its rank (tests/test_stages.py).

INDEPENDENT_PIVOT = 1e4 * EPS
# Relative to the first pivot. Least last pivot of rows of unit length that are taken for a basis.
# The error of A A_basis⁻¹ is about ε over the pivot, 1e-4 at worst here; the evidence reports both.
# A singular basis is tested in tests/test_stages.py.

SAMPLE_ROWS = 2048
# Rows. Size of the sample in which a basis of rows is looked for. Half as many are in the first
# block whose connections are computed, and later blocks grow to four times as many. The sample
# holds 16 rows for each column at least, so more rows do not improve the basis.
# tests/test_stages.py notices more than 3300.

SAMPLE_SEED = 5396
# Seed of the row samples. It is not 0 because test data are often drawn from the seed 0, and the
# sample would depend on them: it would hold the rows of smallest slack.

# --- magnitudes (inverse/stages/magnitudes) -----------------------------------------------------

DIRECT_ROWS = 128
# Rows. Up to so many the Laplacian is factored instead of using conjugate gradients. Measured
# crossover: benchmarks/benchmarks/inversion.py, Solvers.

DIRECT_PER_RANK = 8
# Rows for each column. Up to so many the Laplacian is factored, too: that takes n³/3 operations, a
# product with the Laplacian 4 n d². Measured crossover, by the same benchmark.

LONGEST_STEP = 4.0
# Change of a log weight, in one step. Longer Newton steps are shortened, and steps twice as long
# make the solver damp: where weights change by a factor of e⁴ the quadratic model is no longer
# valid. Half of it changes the number of evaluations by 4 per cent.

FIRST_CG_DAMPING = 1e-2
# Relative to the degrees of the graph. Least damping used with conjugate gradients: a few
# iterations do not notice less, and each attempt costs a solve. Starting from sqrt(ε) costs 5 per
# cent more products with the Laplacian.

MAX_CG_ITERATIONS = 200
# Products in one solve. A truncated solve is still a descent direction. It rarely binds: of solves
# for Cauchy designs with slacks over 8 decades the longest took 42.

LATE = 1e-5
# Relative error of the scores. From here on Newton's method converges quadratically: full steps are
# taken, an error that is not halved counts as stagnation, and there is a solution, so that no
# infeasible set is looked for. A requested accuracy above it permits cheaper projections.

CERTIFY_EVERY = 10
# Iterations between two searches for an infeasible set. Each search computes up to LEVEL_SETS
# ranks. Infeasible scores are tested in tests/test_stages.py.

LEVEL_SETS = 32
# Level sets tried in one search for an infeasible set: those at the widest gaps. Each takes a rank.
# tests/test_stages.py compares with all sets of rows.

# --- signs (inverse/stages/signs, robust_signs) -------------------------------------------------

ENUMERATED = 14
# Rows. Up to so many all 2^(n-1) sign vectors are tried, 8192 of them in some milliseconds; each further
# row doubles time and memory. tests/test_uniqueness.py.

SUBSET_PER_UNKNOWN = 8
# Rows for each unknown that the search for signs uses. Random rows determine signs from two for
# each unknown; more of them make starts succeed sooner and iterations dearer (tests/acceptance.py
# signs).

ISOTROPY_STEPS = 5
# Steps that bring the rows of the subset close to isotropic. Without them Cauchy designs of 5 rows
# for each unknown take a hundred times as many iterations (tests/acceptance.py signs).

MAX_REFLECTIONS = 10_000
# Iterations of one start. Starts that succeed do so early, with 5 rows for each unknown within 40
# iterations; then a new start is worth more than patience (tests/acceptance.py signs).

REFLECTIONS_PER_CALL = 500
# Iterations of one call of the compiled routine. Ctrl-C works between calls: 500 iterations take
# a second with 500 unknowns.

REFLECTIONS_PER_CHECK = 20
# Iterations between two tests of the sign vector. A test costs as much as an iteration.

MISFIT_DEVIATIONS = 3.0
# Standard deviations. Largest misfit of signs that inexact magnitudes explain. The deviations are
# first-order estimates, so a test at a level of per cents would reject right signs
# (tests/test_noise.py).

CLOSEST = 5
# Sign vectors that are kept although they do not fit: those of smallest misfit. Each costs a
# refinement of x (tests/test_noise.py).

TRIMMED_STARTS = 400
# Starts of least trimmed squares. Rousseeuw and Van Driessen use 500. tests/test_noise.py,
# outliers.

CONCENTRATION_STEPS = 4
# Steps that all starts make before the closest go on until they converge. Two are enough in
# regression (Rousseeuw and Van Driessen); here signs change, too.

LARGEST_TRIMMED = 1 << 18
# n p², p the number of unknowns. Largest component with least trimmed squares. In more rows one
# wrong score changes the magnitudes of the others too little to matter, and least trimmed
# squares need n p² products of columns in memory.

# --- recovery of x and refinement (inverse/stages) ----------------------------------------------

SIGN_TOLERANCE = 1e-6
# Relative misfit with which exact magnitudes accept a sign vector; √ε times the condition of a
# typical sign problem. tests/acceptance.py signs.

EARLY_ACCURACIES = (1e-8,), (0.1, 0.01)
# Relative errors of the scores at which stage 1 is interrupted in a long matrix: signs unknown (the
# search needs magnitudes to SIGN_TOLERANCE), signs known. benchmarks/benchmarks/inversion.py.

RESTARTS_WITHOUT_HOPE = 3
# Starts of the sign search if the scores are known to have no solution: the closest x is reported.

MAX_EVALUATIONS = 10_000
# Of the scores in one search for signs. Slacks over many orders of magnitude leave thousands of sign
# vectors that fit alike. tests/test_nearly.py::test_search_for_signs_ends.

LARGEST_PROPAGATED = 1000
# Rows up to which errors of all scores are propagated to every magnitude, by an n x n inverse.

LONG_ROWS, LONG_PER_RANK = 128, 8
# Rows, and rows per column, from which stage 4 reuses one Jacobian. Measured crossover: half the time
# at 300 x 10 to 900 x 20 (benchmarks/benchmarks/inversion.py).

SAMPLED_ROWS = 16, 2048
# Rows in a sample of the Jacobian, in units of k², and at least. Measured: see
# inverse/stages/whitened_jacobian.py. tests/test_polish.py::test_a_sample_of_rows_stands_for_all.

KEPT_ENTRIES = 1 << 20
# Entries of a Jacobian that is kept for the report: 8 MB.

PREDICTED_DECREASE = 1e-10
# Relative decrease of the squared residual, predicted by the linear model, that ends stage 4.

ROUNDED_RESIDUAL = 1e-11
# max |sigma - c| below which a step without progress is due to rounding.

LEAST_DAMPING, LARGEST_DAMPING = 1e-6, 1e8
# Of Levenberg-Marquardt, relative to the largest squared singular value. Smaller ones do not change a
# step in double precision by much; a step with the largest one is a short gradient step.

USELESS_STEP = 0.25
# Part of the predicted decrease that a useless quasi-Newton step leaves.

MAX_USELESS_STEPS = 8, 2
# Useless steps above the rounding error after which stage 4 gives up: normally Levenberg-Marquardt
# takes over; the second where stage 1 can be resumed.

# --- verdict (inverse/verdict) ------------------------------------------------------------------

CHI_SQUARED_LEVEL = 1e-3
# Level of the tests of noisy scores: the whole residual, and its largest entry (Bonferroni).

NOISE_UNCERTAINTY = 1.1
# Noise levels that are given are known to 10 % at best: a residual this much larger is explained.

SIGNIFICANT = 4.0
# Standard deviations at which a slack differs from zero: one sign in 16 000 differs by chance.

SETTLED_RESIDUAL = 1e7
# Largest whitened residual (RMS) of exact scores for which x is trusted to be the only solution: half
# the digits of the scores agree (1e7 u = √ε/10).

UNEXPLAINED_RESIDUAL, EXPLAINED_PART = 10.0, 0.01
# RMS of the whitened residual of exact scores that is too large to be rounding; the part of it that a
# refit leaves if it found the cause. tests/test_nearly.py.

HIDDEN_SIGN = 1e-6
# 1 - sigma of rows whose sign the other scores may not show. tests/test_nearly.py.

MAX_OUTLIERS, OUTLIER_FRACTION = 20, 0.25
# Rows that may be left out, at most, and as a part of the degrees of freedom: with more rows left out
# every residual is explained.

MAX_REFITS = 20
# Fits without outliers, and steps of one such fit.

LEAST_REMAINING_VARIANCE = 1e-3
# 1 - leverage in the whitened Jacobian below which a residual is zero whatever the score is.

SPOILING_RESIDUAL = 0.05
# Residual, relative to the mean score, from which outliers may have spoilt the magnitudes.

POORLY_KNOWN = 1e-6
# Relative error of x from exact scores that the message mentions.

EARLIEST_COINCIDENCE = 5
# Fewer scores than this can look rounded by coincidence.

SMALL_SLACK = 1e-100
# Relative to the other slacks: stands for a slack close to zero, where 1 - sigma is quadratic in it.

# --- many problems (inverse/invert_many) --------------------------------------------------------

# The compiled route leaves every doubtful problem to invert_scores. Its own numbers may therefore
# be stricter; the others are those of the Python stages. cmake/kernel_settings.py reads this table.

BATCH_DOUBT = 1e-7
# Relative to unit rows or the largest entry. Smaller pivots leave the rank in doubt, smaller
# coefficients connect no rows. Above ε / BATCH_DOUBT, the rounding error bound of a coefficient.

BATCH_EXTREME = 1e-12
# Least exact score, and least relative Cholesky pivot, without doubt; above n ε, the rounding error
# bound. 1 - σ must be ROUNDING_FACTOR times as large, so that digits are left. 1e-10 loses half of
# the problems with widely spread slacks to the general route.

BATCH_ITERATIONS = 40
# Limit of iterations that end by themselves after a few steps: sweeps, Newton, conjugate gradients,
# Levenberg-Marquardt. One that reaches it does not converge.

BATCH_STARTS = 12
# Starts of the sign search before the general route takes over. A choice: the
# general route has 60.

BATCH_ROUGHLY = 0.1
# Relative error of the scores at which Newton steps replace sweeps, which halve it; and largest
# relative error of such a step.

BATCH_COLUMNS, BATCH_ROWS = 32, 2000
# Largest problems of the compiled route: at 2000 x 32 it is six times as fast as the general route
# (benchmarks/benchmarks/throughput.py).

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

# --- minimisers: local methods and barrier gradients (inverse/descent, local, barrier_gradient) ---

ARMIJO = 1e-4
# Part of the decrease promised by the slope or by the model that a step has to achieve. The value
# of Nocedal and Wright, Numerical Optimization, section 3.1.

MAXITER = {"trust-region": 500, "newton": 100, "gradient-descent": 3000,
           "approximate-newton": 200, "least-squares": 300}
# Default limits of the iterations, as documented for invert_scores and invert_gradient.

# --- local methods (inverse/local) --------------------------------------------------------------

INITIAL_RADIUS = 0.01
# First trust-region radius relative to |y| (or to 1 if that is larger). Ten times as much leaves
# the neighbourhood of a good start; test_local_methods and acceptance.py local notice.

POOR_MODEL = 0.25
# The trust region shrinks, to this part of the step, where the decrease is less than this part of
# the predicted one; it grows where it is more than 1 - POOR_MODEL. Values of Nocedal and Wright,
# algorithm 4.1.

# --- inversion of barrier gradients (inverse/barrier_gradient) ----------------------------------

DIRECT_DIMENSION = 8
# Largest dimension in which a Newton direction is found with a factored Hessian instead of
# conjugate gradients. Measured crossover: class Direction of benchmarks/benchmarks/gradient.py.

ROUGHLY = 0.25
# A line search ends where the slope has fallen to this part; conjugate gradients far from the
# solution end at half of it, so that the direction is not what limits the step. Twice as much for
# the direction costs 6 % more steps, a fifth saves none; test_random_polytopes counts them.

INSIDE = 0.95
# Part of the way to the cell's boundary that a step goes where no model says how far. Usual in
# interior-point methods; test_extreme_targets and acceptance.py gradient notice.

QUADRATIC = 1e-5
# Newton decrement below which full steps converge quadratically: they are taken without a line
# search, and a decrement that no longer falls is rounding. A rounding floor above it means that g
# does not determine x in some direction, which is no success. test_nearly notices.

GRADIENT_ROUNDING = 1e3
# In ε: rounding error allowed in a component of the gradient, beside a sum of its terms. Covers the
# error of the scores, which depends on the rows; test_nearly and the torture notice.

PATIENCE = 20
# Trials of one line search; steps after which the linear program is asked whether g has a preimage
# (Newton's method takes 6 to 14: benchmarks/benchmarks/gradient.py), and steps without progress
# after which only rounding is left.

LP_ROUNDING = 1e-6
# Ten times the tolerance to which HiGHS satisfies the constraints of a scaled linear program.

CONE_ROUNDING = 1e-9
# Largest violation, relative to |y|, of the constraints of a recession cone by a direction y that a
# simplex method found at a vertex. test_unbounded_cell_without_a_preimage notices.

SAMPLES = 10
# Default number of sampled rows in units of d log(d + 2): the sampled Hessian is then wrong by
# about a third. Measured: class SampleSize of benchmarks/benchmarks/gradient.py.

EXACT_FLOPS = 1e11
# Flops, n d³, of the largest Hessian that is formed for the standard errors; beyond, bounds within
# a factor of 3 replace it. As documented in invert_gradient.

# --- audit (auditing/) --------------------------------------------------------------------------

GIVEN_AWAY = 0.1
# Relative to the size of a coefficient. A coefficient whose standard error is at most this counts
# as given away. A choice of meaning: the documentation says "to within 10 %". Noticed by
# tests/test_audit.py.

LARGEST_DEPARTURE = 0.3
# Relative to the linear change of the scores. Above it the linear prediction counts as failed: its
# standard errors are then off by about this part. Noticed by tests/test_audit.py (3 fails).

LARGEST_MISS = 4.0
# In units of the predicted error of x. An attack that misses x by more contradicts the prediction.
# Normal noise exceeds four standard deviations with probability 6e-5. Noticed by
# tests/test_audit.py (0.4 fails).

NOTICEABLE_CHANGE = 1e-7
# Absolute change of the scores. The departure from the linear prediction is measured at errors that
# change them by at least this, and scaled down: the second-order part of the change, about 1e-14,
# is then above the rounding error ε of the scores. At much larger changes the departure is no
# longer proportional to the errors. Noticed by tests/test_audit.py (1e-8 fails).

DEPARTURE_DRAWS = 8
# Number of random errors of x. The departure is the median over them; each takes two evaluations
# of the scores. LARGEST_DEPARTURE needs one digit only. Noticed by the time of an audit.

AUDIT_SEED = 0
# Seed of the noise and the starts of the attack, and of the errors of x for the departure. It is
# fixed, so that reports are reproducible: tests/test_audit.py (test_reproducible).

# --- command line and files (cli/) --------------------------------------------------------------

MAX_EXPANSION = 100
# Bytes in memory per byte of a file. A compressed or sparse file that claims more is refused if it
# also claims more than HARMLESS_BYTES. Deflate reaches 1032 on constant data and stays far below
# 100 on measured data. It matters for files above 10 MB only, and no test writes one.

HARMLESS_BYTES = 1 << 30
# Bytes in memory that a file may always take, whatever its own size: one GiB, which every machine
# that runs an inversion has. Noticed by tests/test_hostile_files.py.

PROGRESS_DELAY = 1.0
# Seconds. Work that is shorter shows no progress. Noticed by tests/test_cli.py.

PROGRESS_INTERVAL = 5.0
# Seconds between two lines of progress, without tqdm. Noticed by tests/test_cli.py.
