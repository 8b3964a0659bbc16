"""Tables as files have them: numbers, names of columns, labels of rows.

``Layout`` is what the caller says of a file, ``Table`` what is read. Vectors with labels are put in
the order of a table's labels.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from levinv._typing import MatrixLike
from levinv.cli.status import InputError

INTERCEPT = "intercept"
INTERCEPTS = (INTERCEPT, "Intercept", "(Intercept)", "const")       # of levinv, statsmodels, R
NAMED = 6                                                           # names in a message


@dataclass(frozen=True)
class Layout:
    """How text files are laid out, as far as the caller says so."""

    header: bool | None = None           # whether the first line holds names; None: recognise it
    index: str | bool | None = None      # name or number (from 1) of the labels; False: no labels
    delimiter: str | None = None         # None: a tab in .tsv, else a comma
    decimal: str = "."


@dataclass(frozen=True)
class Wanted:
    """What a command needs of a file."""

    role: str = "entries"                          # of the numbers, in messages
    columns: tuple[str, ...] | None = None         # names, in this order; None: all
    vector: bool = False                           # one row or column, besides labels
    skip_text: bool = False                        # leave out columns without numbers,
    required: tuple[str, ...] = ()                 # but not these


@dataclass(frozen=True, eq=False)
class Table:
    """The numbers of a file, with names and labels if it has them."""

    numbers: MatrixLike
    columns: list[str] | None = None
    labels: list[str] | None = None                # of the rows
    index: str = ""                                # the name of the labels
    notes: tuple[str, ...] = ()                    # what the caller should hear

    def column(self, name: str) -> npt.NDArray[Any]:
        """The numbers of a column, (n,)."""
        assert self.columns is not None
        column: npt.NDArray[Any] = self.numbers[:, self.columns.index(name)].copy()
        return column

    def select(self, names: Sequence[str]) -> Table:
        """The table of these columns."""
        assert self.columns is not None
        places = [self.columns.index(name) for name in names]
        return dataclasses.replace(self, numbers=self.numbers[:, places], columns=list(names))

    def with_intercept(self, path: object) -> Table:
        """The table with a first column of ones. Raises InputError if there is a constant one."""
        A = np.asarray(self.numbers, dtype=float)
        names = self.columns or [f"x[{j}]" for j in range(A.shape[1])]
        constant = [name for j, name in enumerate(names) if A[0, j] != 0 and np.all(
            A[:, j] == A[0, j])]
        if constant:
            raise InputError(f"{path}: {listed(constant)} is constant, as the intercept is that "
                             "levinv adds: --no-intercept, or leave it out by --columns")
        return dataclasses.replace(self, numbers=np.column_stack([np.ones(len(A)), A]),
                                   columns=[INTERCEPT, *names])


@dataclass(frozen=True, eq=False)
class LabelledVector:
    """The vector of a file."""

    path: str
    numbers: npt.NDArray[Any]
    labels: list[str] | None = None

    def aligned(self, labels: list[str] | None, role: str, of: str) -> npt.NDArray[Any]:
        """The numbers in the order of ``labels``, if both have labels.

        Labels 0, 1, 2, ... say no more than the order does where the others differ from them.
        Raises InputError if labels differ or are not unique.
        """
        own = self.labels
        if own is None or labels is None or own == labels:
            return self.numbers
        if set(INTERCEPTS) & set(labels) - set(own):            # under another name in each
            own, labels = ([INTERCEPT if label in INTERCEPTS else label for label in these]
                           for these in (own, labels))
        if set(own) == set(labels):
            if len(own) != len(set(own)) or len(labels) != len(set(labels)):
                if own == labels:
                    return self.numbers
                raise InputError(f"{self.path}: {role} has another order of labels than {of}, and "
                                 "a label occurs twice: levinv cannot tell them apart")
            place = {label: row for row, label in enumerate(own)}
            return self.numbers[[place[label] for label in labels]]
        if counts(own) or counts(labels):
            return self.numbers
        own_names, names = set(own), set(labels)
        missing = [label for label in labels if label not in own_names]
        extra = [label for label in own if label not in names]
        said = [f"no entry for {listed(missing)}"] if missing else []
        said += [f"an entry for {listed(extra)}, which {of} has not"] if extra else []
        hint = ""
        if of == "A's header" and extra and set(extra) <= set(INTERCEPTS):
            hint = "; --intercept adds a column of ones"
        elif of == "A's header" and missing and not extra:
            hint = "; --columns chooses among A's columns"
        raise InputError(f"{self.path}: {role} has {' and '.join(said)}{hint}")


def counts(labels: Sequence[str]) -> bool:
    """Whether labels are 0, 1, 2, ..., or 1, 2, 3, ...: numbers of rows."""
    return any(all(label == str(row) for row, label in enumerate(labels, start))
               for start in (0, 1))


def listed(names: Sequence[str]) -> str:
    """Some names of many, in quotes."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"{name!r}" for name in names[:NAMED]) + more
