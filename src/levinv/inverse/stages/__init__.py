"""The stages of score inversion, as functions of frozen values.

Presolve: ``components``, ``reduction``, ``range``, ``presolve``. Stage 1, magnitudes of the slack:
``magnitudes``, ``magnitude_stage``. Stage 2, its signs: ``signs``, ``robust_signs``. Stage 3, x:
``recover``. Stage 4, refinement: ``point``, ``whitened_jacobian``, ``streaming_loss``, ``refine``.
"""
