"""From a fit of statsmodels or scikit-learn to a FittedModel."""
from __future__ import annotations

from typing import Any

from levinv._typing import MatrixLike, VectorLike
from levinv.models import from_sklearn, from_statsmodels
from levinv.models.fitted import FittedModel


def is_fit(value: object) -> bool:
    """Whether an object is one of statsmodels or scikit-learn."""
    return _library(value) in ("statsmodels", "sklearn")


def read(fit: Any, X: MatrixLike | None = None, y: VectorLike | None = None,
         sample_weight: VectorLike | None = None) -> FittedModel:
    """What levinv needs of a fit.

    A fit of statsmodels keeps its data. One of scikit-learn needs its design, and the weights that
    were given to its method fit. Raises TypeError for what is not a supported fit, ValueError for
    a fit whose hat values are not defined here.
    """
    library = _library(fit)
    if library == "sklearn":
        return from_sklearn.read(fit, X, y, sample_weight)
    if library != "statsmodels":
        raise TypeError("fit must be a fitted regression of statsmodels "
                        f"({', '.join(from_statsmodels.MODELS)}) or scikit-learn "
                        f"({', '.join(from_sklearn.ESTIMATORS)}), got {type(fit).__name__}")
    for name, value in (("X", X), ("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name} must not be given: a fit of statsmodels keeps its data")
    return from_statsmodels.read(fit)


def _library(value: object) -> str:
    return type(value).__module__.partition(".")[0]
