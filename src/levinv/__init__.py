"""Leverage scores, forward and inverse.

Public are the names in ``levinv.__all__``, those in ``__all__`` of ``levinv.papers``,
``levinv.theory``, ``levinv.plot``, ``levinv.weighting`` and ``levinv.data``, and the command line.
Everything else is inner: it may change in any version. Names are imported at first use, so that
``import levinv`` takes no time and :func:`leverage_scores` does not wait for the inversion.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from levinv import papers, plot, theory, weighting
    from levinv.auditing.audit import audit
    from levinv.auditing.report import AuditReport
    from levinv.errors import NoSolutionError
    from levinv.forward.barrier import VolumetricBarrier
    from levinv.forward.gradient_loss import GradientLoss
    from levinv.forward.hat_entries import hat_entries
    from levinv.forward.jeffreys_penalty import JeffreysPenalty
    from levinv.forward.leverage import leverage_scores
    from levinv.forward.leverage_map import LeverageMap
    from levinv.forward.score_loss import ScoreLoss
    from levinv.inverse.barrier_gradient.invert_gradient import invert_gradient
    from levinv.inverse.forster_weights import forster_weights
    from levinv.inverse.invert_many import ManyResult, invert_many
    from levinv.inverse.invert_scores import invert_scores
    from levinv.inverse.result import InversionResult
    from levinv.models.diagnostics import diagnostics
    from levinv.models.hat_values import hat_values

__all__ = [
    "AuditReport", "GradientLoss", "InversionResult", "JeffreysPenalty", "LeverageMap",
    "ManyResult", "NoSolutionError", "ScoreLoss", "VolumetricBarrier", "audit", "diagnostics",
    "forster_weights", "hat_entries", "hat_values", "invert_gradient", "invert_many",
    "invert_scores", "leverage_scores", "papers", "plot", "theory", "weighting",
]

_HOMES = {
    "AuditReport": "auditing.report",
    "GradientLoss": "forward.gradient_loss",
    "InversionResult": "inverse.result",
    "JeffreysPenalty": "forward.jeffreys_penalty",
    "LeverageMap": "forward.leverage_map",
    "ManyResult": "inverse.invert_many",
    "NoSolutionError": "errors",
    "ScoreLoss": "forward.score_loss",
    "VolumetricBarrier": "forward.barrier",
    "audit": "auditing.audit",
    "diagnostics": "models.diagnostics",
    "forster_weights": "inverse.forster_weights",
    "hat_entries": "forward.hat_entries",
    "hat_values": "models.hat_values",
    "invert_gradient": "inverse.barrier_gradient.invert_gradient",
    "invert_many": "inverse.invert_many",
    "invert_scores": "inverse.invert_scores",
    "leverage_scores": "forward.leverage",
}

if not TYPE_CHECKING:             # for a type checker a name that is not above is an error
    def __getattr__(name):
        if name == "__version__":
            return importlib.import_module("importlib.metadata").version("levinv")
        if name not in __all__:
            raise AttributeError(f"module 'levinv' has no attribute {name!r}")
        if name not in _HOMES:
            return importlib.import_module(f"levinv.{name}")
        value = getattr(importlib.import_module(f"levinv.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
