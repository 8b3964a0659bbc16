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

# --- minimisers: local methods and barrier gradients (inverse/descent, local, barrier_gradient) ---

ARMIJO = 1e-4
# Part of the decrease promised by the slope or by the model that a step has to achieve. The value in
# Nocedal and Wright, Numerical Optimization, section 3.1.

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

# --- audit (auditing/) --------------------------------------------------------------------------

# --- command line and files (cli/) --------------------------------------------------------------
