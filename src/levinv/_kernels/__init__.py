"""Compiled arithmetic on blocks of rows. No checks here: the Python layer above passes clean
arrays.
"""
