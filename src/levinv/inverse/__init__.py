"""From leverage scores back to row weights, slack, signs and x.

``invert_scores``, ``invert_many``, ``barrier_gradient.invert_gradient`` and ``forster_weights``
check the arguments of the public functions. ``driver`` is the whole inversion in one function,
``search`` runs the stages without a starting point. ``values`` holds the frozen values that are
passed between them, ``stages`` the algorithms, ``verdict`` the judgement of the x found, ``local``
the local methods.
"""
