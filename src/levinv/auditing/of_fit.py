"""What a fit supplies to an audit, and penalties as rows of the design.

A ridge penalty λ_j adds the row √λ_j e_j to the rows √w_i a_i whose leverage scores the hat values
are. A row δ_j e_j of the design with the prior weight λ_j / (δ_j² w(0)) adds the same row: with δ_j
small enough its linear predictor δ_j x_j is 0 to rounding, and the weight w(0) there does not
depend on x. A penalised fit of n rows is therefore a fit of n + k rows without a penalty. Whoever
knows the penalty knows these rows, but not their hat values, which are not published.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from levinv import _validate, storage
from levinv._tolerances import EPS
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.models import reading
from levinv.models.fitted import FittedModel, rank
from levinv.weighting.protocol import Weighting


class Subject(NamedTuple):
    """A model whose hat values are audited."""

    A: MatrixLike                     # (n + k, d)
    x: Floats                         # (d,)
    weighting: Weighting
    offset: Floats | None             # (n + k,)
    prior_weights: Floats | None      # (n + k,)
    axes: _validate.Axes              # the labels of the n rows, and of the columns
    penalties: int                    # k rows, the last ones, have no published score
    weighted: bool                    # whether the n rows have prior weights


def subject_of(fit: Any, X: MatrixLike | None, sample_weight: VectorLike | None) -> Subject:
    """What a fit supplies. Rows of weight 0 are left out: their hat values are 0."""
    model = reading.read(fit, X, sample_weight=sample_weight)
    if model.weighting.kind == "constant":
        raise ValueError(f"fit must have hat values that depend on its coefficients: those of "
                         f"{model.kind} depend on the design, known weights and penalties alone, "
                         "and give nothing of the coefficients away")
    A, offset, prior, rows = model.design, model.offset, model.prior_weights, model.labels
    if prior is not None and not prior.all():
        used = np.flatnonzero(prior)
        A, prior = A[used], prior[used]
        offset = None if offset is None else offset[used]
        rows = None if rows is None else rows[used]
    axes = _validate.Axes(_validate.Axis(rows, "the fit's rows", fixed=True),
                          _validate.Axis(model.names, "the fit's columns", fixed=True, named=True))
    subject = Subject(A, model.params, model.weighting, offset, prior, axes, 0, prior is not None)
    return subject if model.ridge is None else _with_penalty(subject, model, model.ridge)


def _with_penalty(subject: Subject, model: FittedModel, ridge: Floats) -> Subject:
    """The rows of the penalty below those of the data."""
    n, d = subject.A.shape
    full = rank(subject.A)
    if full < d:
        # the fit has chosen x in the row space, and to whoever knows that it is the only one
        raise ValueError(f"fit must have independent columns, but those of {model.kind} have rank "
                         f"{full}, less than {d}: its penalty alone determines some combinations "
                         "of coefficients (leave out columns, such as one level of each factor)")
    columns = np.flatnonzero(ridge)
    size = storage.of(subject.A).column_norms()[columns] / np.sqrt(n)
    # a linear predictor of ordinary size becomes ε² of it
    delta = EPS ** 2 * np.where(size > 0, size, 1.0)
    at_zero = np.exp(model.weighting.log_weight(np.zeros(1)))
    own = np.ones(n) if subject.prior_weights is None else subject.prior_weights
    rows = scipy.sparse.csr_array((delta, (np.arange(len(columns)), columns)),
                                  shape=(len(columns), d))
    return subject._replace(
        A=scipy.sparse.vstack([subject.A, rows], format="csr")
        if scipy.sparse.issparse(subject.A) else np.vstack([subject.A, rows.toarray()]),
        offset=None if subject.offset is None else np.append(subject.offset,
                                                             np.zeros(len(columns))),
        prior_weights=np.append(own, ridge[columns] / delta ** 2 / at_zero),
        penalties=len(columns))
