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

BATCH_SMALLEST_PIVOT = 1e-8
BATCH_ZERO = 1e-7
BATCH_SCORE_MARGIN = 1e-10
BATCH_SMALLEST_SCORE = 1e-12
BATCH_MAX_ITERATIONS = 40
BATCH_STARTS = 12
BATCH_ENUMERATED_ROWS = 14
BATCH_SETTLED = 1e7
BATCH_MAX_SWEEPS = 8
BATCH_SWEPT = 0.1
BATCH_MATCHED = 1e-7
BATCH_FULL_STEPS = 1e-5
BATCH_LONGEST_STEP = 4.0
BATCH_SINGULAR = 1e-12
BATCH_ISOTROPY_STEPS = 2
BATCH_POWER_STEPS = 20
BATCH_RUN = 400
BATCH_CHECK_EVERY = 3
BATCH_FITS = 1e-6
BATCH_ALMOST_FITS = 1e-4
BATCH_EXPLAINED = 1.5
BATCH_ILL_CONDITIONED = 1e-2
BATCH_AT_ROUNDING = 1e-11
BATCH_ROUNDINGS = 10.0
BATCH_KEEP_JACOBIAN = 1e-2
BATCH_DAMPING = 1e-6
BATCH_CLEAR_SIGN = 4.0
SAFE = 1e140

# --- local methods (inverse/local) --------------------------------------------------------------

# --- inversion of barrier gradients (inverse/barrier_gradient) ----------------------------------

# --- audit (auditing/) --------------------------------------------------------------------------

# --- command line and files (cli/) --------------------------------------------------------------
