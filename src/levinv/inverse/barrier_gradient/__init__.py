"""Gradient inversion: find x in one sign cell from the gradient of the volumetric barrier there.

``invert_gradient`` checks the arguments and decides what is tried: ``feasibility`` (a start in the
cell, or a proof that there is none), ``descend`` (the loop of all methods), ``assembly`` (the
result). The methods ``newton``, ``subsampled`` and ``least_squares`` propose a step at a
``problem.State``.

For other weights than 1/s² the barrier is Jeffreys' penalty. ``penalty`` has its problem and its
State, ``damped`` Newton's method for a convex penalty, and ``slopes`` the proof that no x has the
gradient with exponential weights.
"""
