"""Leverage scores and their derivatives."""
