"""Leverage scores, forward and inverse."""
from levinv import papers, plot, theory
from levinv.auditing.audit import audit
from levinv.auditing.report import AuditReport
from levinv.forward.barrier import VolumetricBarrier
from levinv.forward.gradient_loss import GradientLoss
from levinv.forward.leverage_map import LeverageMap
from levinv.forward.score_loss import ScoreLoss
from levinv.forward.scores import leverage_scores
from levinv.inverse.forster import forster_weights
from levinv.inverse.gradient.invert import invert_gradient
from levinv.inverse.invert import invert_scores
from levinv.inverse.many import ManyResult, invert_many
from levinv.inverse.reduction import NoSolutionError
from levinv.inverse.result import InversionResult

__all__ = [
    "AuditReport",
    "GradientLoss",
    "InversionResult",
    "LeverageMap",
    "ManyResult",
    "NoSolutionError",
    "ScoreLoss",
    "VolumetricBarrier",
    "audit",
    "forster_weights",
    "invert_gradient",
    "invert_many",
    "invert_scores",
    "leverage_scores",
    "papers",
    "plot",
    "theory",
]
