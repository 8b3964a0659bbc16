"""Matrices in Matrix Market files (.mtx; Boisvert, Pozo and Remington, NIST IR 5935, 1996).

    %%MatrixMarket matrix coordinate real general      the banner
    % any number of comments
    rows columns entries                               "rows columns" where it says array
    row column value                                   a line for each entry, counted from 1; only
    ...                                                values, column by column, where it says array

A symmetric matrix is given by its lower triangle, a skew-symmetric one without the diagonal.
SciPy's reader is not used, because it crashes on files with more entries than they announce.
"""
import itertools
import os
from collections.abc import Iterator
from typing import TextIO

import numpy as np
import scipy.sparse

from levinv._typing import Floats

LAYOUTS = {"coordinate": 3, "array": 2}                # numbers in the line of sizes
FIELDS = ("real", "double", "integer", "pattern")      # pattern: no values, all are 1
MIRRORED = {"general": 0, "symmetric": 1, "skew-symmetric": -1}
SHORTEST = {"coordinate": 4, "array": 2}               # bytes of an entry: "1 1\n", "1\n"


def read(path: str | os.PathLike[str]) -> Floats | scipy.sparse.coo_array:
    """An ndarray for the layout "array", else a COO array. Raises ValueError on bad files."""
    with open(path, encoding="latin-1") as text:
        layout, pattern, mirrored = _banner(text.readline())
        lines = _Lines(text)
        rows, columns, *announced = _sizes(next(iter(lines), ""), layout, lines.number)
        if mirrored and rows != columns:
            raise ValueError(f"{rows} x {columns} is not square")
        count, = announced or [rows * (rows + mirrored) // 2 if mirrored else rows * columns]
        size = os.fstat(text.fileno()).st_size
        if count * SHORTEST[layout] > size + 1:              # the last line may lack its end
            raise ValueError(f"{count} entries are announced, in {size} bytes")
        if layout == "array":
            return _dense(_table(lines, count, 1)[:, 0], rows, columns, mirrored)
        return _sparse(_table(lines, count, 2 if pattern else 3), rows, columns, mirrored, lines)


class _Lines:
    """The lines after the banner that are neither blank nor comments; the number of the last one.
    """

    def __init__(self, text: TextIO) -> None:
        self.text, self.number = text, 1

    def __iter__(self) -> Iterator[str]:
        for line in self.text:
            self.number += 1
            if not line.startswith("%") and not line.isspace():
                yield line

    def number_of(self, entry: int) -> int:
        """Read the text again for an entry's line (counted from 0, after the line of sizes)."""
        self.text.seek(0)
        self.number = 0
        for _ in itertools.islice(self, entry + 2):
            pass
        return self.number


def _banner(banner: str) -> tuple[str, bool, int]:
    """The layout, whether the entries have no values, and the sign of the upper triangle."""
    words = banner.lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
        raise ValueError("Line 1: expected '%%MatrixMarket matrix', a layout, a field and a "
                         "symmetry")
    _, _, layout, field, symmetry = words
    for word, known in ((layout, LAYOUTS), (field, FIELDS), (symmetry, MIRRORED)):
        if word not in known:
            raise ValueError(f"Line 1: expected {' or '.join(known)}, got {word!r}")
    if field == "pattern" and layout == "array":
        raise ValueError("Line 1: an array has values, a pattern has none")
    return layout, field == "pattern", MIRRORED[symmetry]


def _sizes(line: str, layout: str, number: int) -> list[int]:
    words = line.split()
    if len(words) != LAYOUTS[layout] or not all(w.isascii() and w.isdigit() and len(w) < 19
                                                for w in words):
        raise ValueError(f"Line {number}: expected {LAYOUTS[layout]} sizes")
    return [int(word) for word in words]


def _table(lines: _Lines, count: int, width: int) -> Floats:
    """The numbers of all further lines, (count, width)."""
    table = np.zeros((0, width))
    for first in lines:
        if len(first.partition("%")[0].split()) != width:
            raise ValueError(f"Line {lines.number}: expected {width} numbers")
        try:
            table = np.loadtxt(itertools.chain([first], lines), comments=None, ndmin=2)
        except ValueError as error:
            # loadtxt counts from the first row of numbers; the message has the line of the file.
            why = str(error).partition(" at row ")[0]
            raise ValueError(f"Line {lines.number}: {why}") from error
    if len(table) != count:
        raise ValueError(f"{count} entries are announced, {len(table)} are there")
    return table


def _dense(values: Floats, rows: int, columns: int, mirrored: int) -> Floats:
    if not mirrored:
        return values.reshape((rows, columns), order="F")
    matrix = np.zeros((rows, columns))
    upper = np.triu_indices(rows, 0 if mirrored == 1 else 1)
    matrix.T[upper] = values                           # row by row above: column by column below
    matrix[upper] = mirrored * values
    return matrix


def _sparse(table: Floats, rows: int, columns: int, mirrored: int,
            lines: _Lines) -> scipy.sparse.coo_array:
    inside = ((table[:, :2] >= 1) & (table[:, :2] <= (rows, columns))
              & (table[:, :2] == np.floor(table[:, :2]))).all(axis=1)
    if not inside.all():
        wrong = int(np.argmin(inside))
        raise ValueError(f"Line {lines.number_of(wrong)}: expected indices in 1..{rows} and "
                         f"1..{columns}")
    row, column = table[:, :2].astype(np.int64).T - 1
    values = table[:, 2] if table.shape[1] == 3 else np.ones(len(table))
    if mirrored:
        off = row != column
        row, column, values = (np.concatenate([row, column[off]]),
                               np.concatenate([column, row[off]]),
                               np.concatenate([values, mirrored * values[off]]))
    return scipy.sparse.coo_array((values, (row, column)), shape=(rows, columns))
