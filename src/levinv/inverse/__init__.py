"""From leverage scores back to row weights, slack, signs and x.

The fronts ``invert_scores``, ``batch.invert_many``, ``barrier_gradient.invert_gradient`` and
``forster_weights`` check their arguments. ``driver`` is the whole inversion on one screen, ``search``
its stages from no starting point. ``values`` holds the frozen values that pass between them,
``stages`` the algorithms, ``verdict`` what is said of the x found, ``local`` the local methods.
"""
