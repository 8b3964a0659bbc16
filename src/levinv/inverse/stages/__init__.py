"""The stages of score inversion: presolve, magnitudes, signs, recovery of x, refinement."""
