"""What commands read: the matrix A and the vectors that belong to it, in one order of labels.

Either every vector is a file of its own, or all are columns of one file of data. Of data the design
consists of the other columns, after a column of ones.
"""
from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from levinv._typing import Floats, SignsLike
from levinv.cli.delimited import place
from levinv.cli.files import NAMED_SIGNS, read_labelled, read_table
from levinv.cli.status import InputError, input_errors
from levinv.cli.tables import Layout, Table, Wanted, listed
from levinv.cli.weighting import family_of, parameters_of, weighting_of
from levinv.models.fit import FitError, Regression, fit
from levinv.models.fitted import FittedModel
from levinv.models.likelihood import likelihood
from levinv.weighting.protocol import Weighting


@dataclass(frozen=True, eq=False)
class Inputs:
    """A, and how the other files are read."""

    path: str
    table: Table
    layout: Layout

    def vector(self, path: str | None, role: str, *, of_rows: bool = True) -> Any:
        """The numbers of a file in the order of A's rows or columns; None without a file."""
        if path is None:
            return None
        length = self.table.numbers.shape[0 if of_rows else 1]
        found = read_labelled(path, role, length, self.layout)
        labels = self.table.labels if of_rows else self.table.columns
        return found.aligned(labels, role, "A" if of_rows else "A's header")

    def signs(self, given: str | None) -> SignsLike | None:
        """The signs +1 or -1 by name, or those in a file; None if none are given."""
        if given is None or given in NAMED_SIGNS:
            return None if given is None else NAMED_SIGNS[given]
        signs: npt.NDArray[Any] = self.vector(given, "signs")
        return signs


def layout_of(arguments: argparse.Namespace) -> Layout:
    """How text files are laid out."""
    return Layout(arguments.header, arguments.index, arguments.delimiter, arguments.decimal)


def _columns(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    if arguments.columns is None:
        return None
    try:
        names = next(csv.reader([arguments.columns], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise InputError(f"--columns {arguments.columns}: {error}") from None
    return tuple(name.strip() for name in names)


def _tell(arguments: argparse.Namespace, *notes: str) -> None:
    if not getattr(arguments, "quiet", False):
        for note in notes:
            print(f"levinv: note: {note}", file=sys.stderr)


def inputs_of(arguments: argparse.Namespace) -> Inputs:
    """A in a file of its own, of which the vectors are read."""
    layout = layout_of(arguments)
    table = read_table(arguments.A, layout, Wanted("A", _columns(arguments)))
    if arguments.intercept:
        if not isinstance(table.numbers, np.ndarray):
            raise InputError(f"{arguments.A}: --intercept needs a dense matrix")
        table = table.with_intercept(arguments.A)
    _tell(arguments, *table.notes)
    return Inputs(arguments.A, table, layout)


def model_of(arguments: argparse.Namespace, inputs: Inputs) -> dict[str, Any]:
    """The arguments b, weighting, offset and prior_weights of the library."""
    return {"weighting": weighting_of(arguments),
            "b": inputs.vector(arguments.b, "b"),
            "offset": inputs.vector(arguments.offset, "offset"),
            "prior_weights": inputs.vector(arguments.prior_weights, "prior_weights")}


@dataclass(frozen=True, eq=False)
class Data:
    """A file of data: the design and the columns with a part of their own."""

    path: str
    design: Table
    target: Floats                        # (n,) the responses, or the scores
    offset: Floats | None
    prior_weights: Floats | None


def data_of(arguments: argparse.Namespace, target: str) -> Data:
    """The design and the other columns of a file of data, the column ``target`` among them."""
    path, chosen = arguments.A, _columns(arguments)
    special = [target, *(name for name in (arguments.offset, arguments.prior_weights)
                         if name is not None)]
    twice = [name for name in special if special.count(name) > 1 or name in (chosen or ())]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} has two parts to play")
    table = read_table(path, layout_of(arguments), Wanted(
        "data", None if chosen is None else (*chosen, *special), skip_text=True,
        required=tuple(special)))
    if table.columns is None:
        raise InputError(f"{path}: the columns need names, in the first line (--header if it holds "
                         "them)")
    for name in special:
        place(name, table.columns, path)
    rest = [name for name in table.columns if name not in special]
    repeated = [name for name in rest if rest.count(name) > 1]
    if repeated:
        raise InputError(f"{path}: more than one column is named {repeated[0]!r}")
    _tell(arguments, *table.notes)
    design = table.select(rest)
    if arguments.intercept is not False:
        design = design.with_intercept(path)
    if not design.numbers.shape[1]:
        raise InputError(f"{path}: no columns are left for the design")
    offset, prior = (None if name is None else table.column(name)
                     for name in (arguments.offset, arguments.prior_weights))
    if prior is not None and (prior < 0).any():
        raise InputError(f"{path}: prior weights must be at least 0, got {prior.min():g} in column "
                         f"{arguments.prior_weights!r}")
    return Data(path, design, table.column(target), offset, prior)


def data_weighting(arguments: argparse.Namespace) -> Weighting:
    """The weighting of the family that data are of."""
    weighting = weighting_of(arguments)
    if weighting is None:
        raise InputError("data need the family of their regression: --family")
    return weighting


def fitted_of(arguments: argparse.Namespace, data: Data) -> FittedModel:
    """The fit of the response; rows keep their labels."""
    named = family_of(arguments)
    if named is None or named[0] == "power":
        raise InputError("--response needs a family of regressions: --family")
    with input_errors():
        of = likelihood(*named, **parameters_of(arguments))
    design, names = data.design, data.design.columns or []
    try:
        model = fit(Regression(of, np.ascontiguousarray(design.numbers), names, data.target,
                               data.offset, data.prior_weights, design.labels))
    except FitError as error:
        columns = [names[j] for j in error.columns]
        raise InputError(f"{data.path}: {error}" + (f" (columns {listed(columns)})" if columns
                                                    else "")) from error
    _tell(arguments, f"{data.path}: fitted {model.kind} of {arguments.response!r} on "
                     f"{listed(names)}, {len(data.target)} rows")
    return model
