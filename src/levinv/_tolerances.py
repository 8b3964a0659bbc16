"""Every number that decides something: what counts as zero, when an iteration ends, which algorithm
runs, how large a block is.

Each constant stands here once, with its unit, what it decides, what it is derived from and which test
or benchmark notices a change. A module imports those that it uses. What follows from the data by a
formula (a bound of a rounding error, a default that depends on n and d) is computed where it is used.
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

EVALUATIONS = 30
# Evaluations of all scores. Rough cost of one inversion; decides whether threads are worth it.

# --- storage of A (storage/, _source) -----------------------------------------------------------

COPY_ENTRIES = 1 << 24
# Entries, 128 MB. Largest dense array that may be made besides A.

# --- scores: basis and projection (forward/basis, forward/projection, forward/leverage) ---------

# --- approximate scores (forward/approximate) ---------------------------------------------------

# --- losses and barrier (forward/) --------------------------------------------------------------

# --- presolve: components, coloops, zero slacks (inverse/stages) --------------------------------

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

# --- verdict (inverse/verdict) ------------------------------------------------------------------

# --- many problems (inverse/invert_many) --------------------------------------------------------

# --- local methods (inverse/local) --------------------------------------------------------------

# --- inversion of barrier gradients (inverse/barrier_gradient) ----------------------------------

# --- audit (auditing/) --------------------------------------------------------------------------

# --- command line and files (cli/) --------------------------------------------------------------
