"""Local methods of score inversion: from a starting point to a nearby minimiser of the loss.

``trust_region``, ``newton`` and ``gradient_descent`` each have one function ``minimise`` that takes
a ``ScaledLoss`` (``loss``) and returns an ``Outcome``. They know nothing of score inversion.
``solve`` runs the method that was chosen and reports the result as the global method does.
"""
