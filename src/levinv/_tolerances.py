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

EVALUATIONS = 30
# Evaluations of the scores in an inversion, roughly: decides whether several threads are worth it.

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

# --- command line and files (cli/) --------------------------------------------------------------
