"""Compiled arithmetic on blocks of rows. Nothing is checked here: the Python layer above passes
clean arrays (see docs/kernels.md).
"""
