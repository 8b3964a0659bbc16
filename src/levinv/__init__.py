"""Leverage scores, forward and inverse."""
from levinv.forward.leverage_map import LeverageMap
from levinv.forward.scores import leverage_scores

__all__ = ["LeverageMap", "leverage_scores"]
