"""The words of a report: those of residuals and slacks, or those of a regression model.

A report on scores of diag(1/(A x - b)) A speaks of x, b and the signs of A x - b. A report on the
hat values of a model speaks of coefficients, the design matrix and linear predictors.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levinv._tolerances import EPS
from levinv.auditing.figures import AuditFigures


@dataclass(frozen=True)
class Words:
    """Nouns for the templates of texts."""

    x: str = "x"
    value: str = "x"                     # head of a column
    scores: str = "scores"
    score: str = "score"
    title: str = "leverage scores"
    holds: str = "A and b"               # what an attacker has besides the scores
    predictor: str = "A x"
    predictors: str = "the slacks"
    moving: str = ("x moves such\nthat the slacks A x − b move by relative amounts whose squares "
                   "sum to 1")


def words(figures: AuditFigures) -> Words:
    """The words for this report."""
    if not figures.setting.regression:
        return Words()
    return Words(
        "the coefficients", "value", "hat values", "hat value", "hat values",
        " and ".join(filter(None, [", ".join(_had(figures)[:-1]), _had(figures)[-1]])),
        "the linear predictors", "they", "the coefficients move by one standard error of their fit "
        "(dispersion 1)")


def _had(figures: AuditFigures, shape: str = "") -> list[str]:
    """What an attacker has, with the shape of the first."""
    setting = figures.setting
    return [f"the design matrix{shape}" if setting.regression else f"A{shape}",
            *((["the offset"] if setting.offset else []) if setting.regression else ["b"]),
            *(["the prior weights"] if setting.prior else []),
            *(["the penalty"] if setting.penalty else [])]


def known(figures: AuditFigures) -> str:
    """What an attacker knows besides signs and scores."""
    return ", ".join(_had(figures, f" ({len(figures.scores)} x {len(figures.x)})"))


def published(figures: AuditFigures) -> str:
    """What the scores are of."""
    setting = figures.setting
    if setting.regression:
        return f"hat values of {yours(figures)}"
    if setting.weighting != "weights |A x - b|^-2":
        said = f"leverage scores of A with the {setting.weighting}"
    elif setting.prior:
        said = "leverage scores of A with the weights |A x - b|^-2"
    else:
        said = "leverage scores of diag(1/(A x - b)) A"
    return said + (", times prior weights" if setting.prior else "")


def yours(figures: AuditFigures) -> str:
    """The model in the words of its owner: "your logistic regression"."""
    article, _, noun = figures.setting.weighting.partition(" ")
    return f"your {noun}" if article in ("a", "an") else f"the model {figures.setting.weighting}"


def signs(figures: AuditFigures) -> str:
    """What the signs are of."""
    setting = figures.setting
    if not setting.regression:
        return "the signs of A x - b"
    if setting.mode:
        return f"on which side of {setting.mode:.3g} each linear predictor lies"
    return "the signs of the linear predictors"


def choice(figures: AuditFigures) -> str:
    """Up to what the hat values of a model determine the coefficients, if only signs are open."""
    count = len(figures.alternatives)
    if count > 1:
        return f"up to one common sign in each of {count} groups of rows"
    negative = np.abs(figures.alternatives[0] + figures.x).max()
    if negative <= np.sqrt(EPS) * np.abs(figures.x).max():
        return "up to one common sign"
    return "up to a choice between two mirror images"
