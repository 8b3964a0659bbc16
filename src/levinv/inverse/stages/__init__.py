"""The stages of score inversion, as functions of frozen values.

Presolve: ``reduction``, ``presolve``. Stage 1, magnitudes of the slack: ``infeasible``,
``laplacian``, ``magnitudes``. Stage 2, its signs: ``signs``. Stage 3, x: ``recover``. Stage 4,
refinement: ``loss``, ``whitened_jacobian``, ``refine``.
"""
