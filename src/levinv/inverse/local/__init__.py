"""Local methods: from a starting point they minimise the loss of the scores.

``loss`` is the loss in scaled coordinates, ``trust_region``, ``newton`` and ``gradient_descent`` are
the methods, ``solve`` runs one of them and reports as the global inversion does.
"""
