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

# --- local methods (inverse/local) --------------------------------------------------------------

# --- inversion of barrier gradients (inverse/barrier_gradient) ----------------------------------

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
