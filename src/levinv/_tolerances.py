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
# evaluations of all scores; the work of one inversion, from which the number of threads is decided.

# --- storage of A (storage/, _source) -----------------------------------------------------------

COPY_ENTRIES = 1 << 24
# entries; the largest dense array that may be made besides A.

# --- scores: basis and projection (forward/basis, forward/projection, forward/leverage) ---------

# --- approximate scores (forward/approximate) ---------------------------------------------------

# --- losses and barrier (forward/) --------------------------------------------------------------

# --- presolve: components, coloops, zero slacks (inverse/stages) --------------------------------

UNCONNECTED = 1e-9
UNCONNECTED_SURELY = 1e-14
INDEPENDENT_PIVOT = 1e4 * EPS
SAMPLE_ROWS = 2048
SAMPLE_SEED = 5396
SUM_ROUNDING = 64 * EPS

# --- magnitudes (inverse/stages/magnitudes) -----------------------------------------------------

DIRECT_ROWS = 128
DIRECT_PER_RANK = 8
LONGEST_STEP = 4.0
FIRST_CG_DAMPING = 1e-2
MAX_CG_ITERATIONS = 200
SWEEP_ABOVE = 2.0
MAX_SWEEPS = 20
LATE = 1e-5
MAX_STALLED = 5
CERTIFY_EVERY = 10
LEVEL_SETS = 32

# --- signs (inverse/stages/signs, robust_signs) -------------------------------------------------

ENUMERATED = 14
SUBSET_PER_UNKNOWN = 8
ISOTROPY_STEPS = 5
MAX_REFLECTIONS = 10_000
REFLECTIONS_PER_CALL = 500
REFLECTIONS_PER_CHECK = 20
MISFIT_DEVIATIONS = 3.0
MAX_FLIPS = 40
CLOSEST = 5

TRIMMED_STARTS = 400
FIRST_CONCENTRATION_STEPS = 3
CONCENTRATION_STEPS = 12
MOST_CONCENTRATED = 10
LARGEST_TRIMMED = 1 << 18

# --- recovery of x and refinement (inverse/stages) ----------------------------------------------

# --- verdict (inverse/verdict) ------------------------------------------------------------------

# --- many problems (inverse/invert_many) --------------------------------------------------------

# --- local methods (inverse/local) --------------------------------------------------------------

# --- inversion of barrier gradients (inverse/barrier_gradient) ----------------------------------

# --- audit (auditing/) --------------------------------------------------------------------------

# --- command line and files (cli/) --------------------------------------------------------------
