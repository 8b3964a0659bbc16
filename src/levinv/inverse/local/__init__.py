"""Local methods of score inversion: from a starting point to a nearby minimiser of the loss.

The ``methods`` are functions that take a ``ScaledLoss`` and return an ``Outcome``. They know
nothing of score inversion. ``solve`` runs the method that was chosen and reports the result as the
global method does.
"""
