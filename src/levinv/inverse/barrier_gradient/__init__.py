"""Gradient inversion: find x in one sign cell from the gradient of the volumetric barrier there.

``invert_gradient`` checks the arguments and runs ``feasibility`` (a start in the cell, or a proof
that there is none), ``descend`` (the loop of all methods) and ``assembly`` (the result). The methods
are ``newton``, ``subsampled`` and ``least_squares``: each proposes a step at a ``problem.State``.
"""
