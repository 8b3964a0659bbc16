"""Gradient inversion: find x from the gradient of the volumetric barrier, on one sign cell."""
