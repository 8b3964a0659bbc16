"""Leverage scores, forward and inverse.

Each name is imported when it is first asked for: ``import levinv`` takes no time, and
:func:`leverage_scores` does not wait for what only the inversion needs.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_HOMES = {
    "AuditReport": "auditing.report",
    "GradientLoss": "forward.gradient_loss",
    "InversionResult": "inverse.result",
    "LeverageMap": "forward.leverage_map",
    "ManyResult": "inverse.many",
    "NoSolutionError": "inverse.reduction",
    "ScoreLoss": "forward.score_loss",
    "VolumetricBarrier": "forward.barrier",
    "audit": "auditing.audit",
    "forster_weights": "inverse.forster",
    "invert_gradient": "inverse.gradient.invert",
    "invert_many": "inverse.many",
    "invert_scores": "inverse.invert",
    "leverage_scores": "forward.scores",
}

if not TYPE_CHECKING:             # to a type checker a name that is not above is an error
    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module 'levinv' has no attribute {name!r}")
        if name not in _HOMES:
            return importlib.import_module(f"levinv.{name}")
        value = getattr(importlib.import_module(f"levinv.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
