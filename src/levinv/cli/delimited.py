"""Tables in text files: .csv and .tsv, also compressed (.csv.gz), and the standard input.

A field that is True or False is 1 or 0. Lines that are blank or begin with # are skipped; what
follows a # after the last field is, too.

Names and labels are recognised where nothing else is possible. The first line holds names if no
field of it is a number. A first column without a name, as pandas and R write it, holds the labels
of the rows. Whole numbers in the first line may be names (pandas has 0, 1, 2, ...) or data; if they
look like names the file is refused until the caller decides, and so is a first column 0, 1, 2, ...
without a header.
"""
from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from levinv._typing import Floats
from levinv.cli.status import InputError
from levinv.cli.tables import Layout, Table, Wanted, counts, listed
from levinv.cli.unpacked import Unpacked

MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "."))
TRUTH = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}
SWAPPED = str.maketrans(",.", ".,")
Rows = list[list[str]]


def read(file: IO[bytes], path: Path, layout: Layout, wanted: Wanted) -> Table:
    """The table in a file. Raises InputError with the line for whatever cannot be read."""
    delimiter = layout.delimiter or ("\t" if ".tsv" in path.suffixes[-2:] else ",")
    if path.suffix.lower() == ".gz":
        file = cast(IO[bytes], Unpacked(file, path))
    if delimiter == layout.decimal:
        raise InputError(f"{path}: {delimiter!r} cannot divide both columns and decimals: give "
                         "another --delimiter")
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    lines = _Lines(text, delimiter)
    try:
        return _Reading(path, layout, wanted, lines).table()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text") from error
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}, line {lines.number + 1}: {error}") from error
    finally:
        text.detach()                     # closing it would close the standard input


class _Lines:
    """The lines of a file without blank lines and comments; the number of the last one."""

    def __init__(self, text: io.TextIOWrapper, delimiter: str) -> None:
        self.text, self.delimiter, self.number = text, delimiter, 0
        self.width = 0                            # fields of the first line, once it is known
        self.underscores = False                  # whether a line has one: float accepts 1_000

    def __iter__(self) -> Iterator[str]:
        for line in self.text:
            self.number += 1
            if "#" in line and '"' not in line:
                before, _, _ = line.partition("#")
                if not before.strip():
                    continue
                if self.width and before.count(self.delimiter) + 1 >= self.width:
                    line = before
            self.underscores = self.underscores or "_" in line
            if line.strip(" \r\n") or (self.delimiter == "\t" and line.strip("\r\n")):
                yield line


@dataclass(frozen=True)
class _Form:
    """What the columns of a file are."""

    header: list[str] | None           # all fields of the first line
    index: int | None                  # the column of labels
    used: list[int]                    # columns of numbers, in the order in which they are wanted
    notes: tuple[str, ...]
    unsaid: bool                       # whether the first column may be labels without saying so


class _Reading:
    """The reading of one file."""

    def __init__(self, path: Path, layout: Layout, wanted: Wanted, lines: _Lines) -> None:
        self.path, self.layout, self.wanted, self.lines = path, layout, wanted, lines
        self.rows = self._rows()

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The fields of each row and the number of its last line."""
        space = self.lines.delimiter == " "
        for fields in csv.reader(self.lines, delimiter=self.lines.delimiter,
                                 skipinitialspace=space):
            if space and len(fields) > 1 and not fields[-1]:
                fields = fields[:-1]
            if fields:
                self.lines.width = self.lines.width or len(fields)
                yield self.lines.number, fields

    def table(self) -> Table:
        """The whole table."""
        size = 1 << 12
        chunk = list(itertools.islice(self.rows, size))
        if not chunk:
            raise InputError(f"{self.path}: holds no numbers")
        form = self._form(chunk)
        if form.header is not None:
            self.lines.underscores = any("_" in field for _, row in chunk[1:] for field in row)
            del chunk[0]
        parts: list[Floats] = []
        labels: list[str] = []
        while chunk:
            self._check_widths(chunk)
            rows = [fields for _, fields in chunk]
            if form.index is not None:
                labels += [fields[form.index].strip() for fields in rows]
            parts.append(self._numbers(chunk, form))
            chunk = list(itertools.islice(self.rows, size))
        if not parts or not form.used:
            raise InputError(f"{self.path}: holds no numbers"
                             f"{self._other_delimiter(form.header or ())}")
        numbers = np.concatenate(parts)
        if form.unsaid and len(numbers) > 2 and np.array_equal(
                numbers[:, 0], numbers[0, 0] + np.arange(len(numbers))) and numbers[0, 0] <= 1:
            raise InputError(f"{self.path}: the first column counts the rows: --index 1 takes it "
                             "for their labels, --no-index for numbers")
        names = None if form.header is None else [self._name(form, j) for j in form.used]
        index = ("" if form.index is None or form.header is None
                 else form.header[form.index].strip())
        return Table(numbers, names, None if form.index is None else labels,
                     "" if index.startswith("Unnamed:") else index, form.notes)

    def _refuse(self, line: int, why: str) -> InputError:
        return InputError(f"{self.path}, line {line}: {why}")

    # --- names and labels -----------------------------------------------------------------------

    def _form(self, chunk: list[tuple[int, list[str]]]) -> _Form:
        first, rest = chunk[0][1], [fields for _, fields in chunk[1:]]
        self._check_widths(chunk)
        index = self._declared_index(first)
        header = self._is_header(chunk[0][0], first, rest, index)
        names = [name.strip() for name in first] if header else None
        notes: list[str] = []
        if index is None and self.layout.index is not False and len(first) > 1:
            index = self._found_index(names, rest if header else [first, *rest])
            if index is not None and not self.wanted.vector:
                notes.append(f"{self.path}: the first column has no name and is taken for the "
                             "labels of the rows (--no-index: for numbers)")
        used = [j for j in range(len(first)) if j != index]
        if self.wanted.columns is not None:
            used = self._chosen(names)
        elif self.wanted.skip_text:
            text = [j for j in used if rest and not any(self._is_number(row[j]) for row in rest)
                    and any(row[j].strip().lower() not in MISSING for row in rest)
                    and names is not None and names[j] not in self.wanted.required]
            if text and names is not None:
                used = [j for j in used if j not in text]
                notes.append(f"{self.path}: left out, because they are not numbers: "
                             f"{listed([names[j] for j in text])}")
        unsaid = (not header and index is None and self.layout.index is None
                  and not self.wanted.vector and len(first) > 1 and _is_whole(first[0]))
        return _Form(names, index, used, tuple(notes), unsaid)

    def _declared_index(self, first: Sequence[str]) -> int | None:
        """The column that the caller names; None if a vector has no such column."""
        given = self.layout.index
        if given is None or isinstance(given, bool):
            return None
        names = [name.strip() for name in first]
        if given in names and self.layout.header is not False:
            return names.index(given)
        if given.isdigit() and 1 <= int(given) <= len(first):
            return int(given) - 1 if len(first) > 1 else None
        if self.wanted.vector and (len(first) == 1 or not given.isdigit()):
            return None                    # it is A that has this column
        raise InputError(f"{self.path}: no column is named {given!r}"
                         + (f", and columns are counted from 1 to {len(first)}"
                            if given.isdigit() else f"; there are {listed(names)}"))

    def _is_header(self, line: int, first: list[str], rest: Rows, index: int | None) -> bool:
        if self.layout.header is not None:
            # the numbers of a vector are counted: without a header there is one less
            return self.layout.header and not (self.wanted.vector and len(first) == 1
                                               and self._is_number(first[0]))
        fields = [field for j, field in enumerate(first) if j != index]
        numbers = [field for field in fields if self._is_number(field)]
        if not numbers:
            return True
        unnamed = first[0].strip() in ("", "Unnamed: 0") and len(numbers) == len(first) - 1
        if unnamed and counts(numbers) and numbers[0] == "0":
            return True
        if self.wanted.vector and len(first) == 1:
            return False
        if unnamed or (rest and len(numbers) == len(fields) and _like_names(numbers, rest, index)):
            raise self._refuse(line, f"{', '.join(first[:8])} may be names or numbers: --header "
                                     "takes the line for names, --no-header for numbers")
        if len(numbers) < len(fields):
            [wrong, *_] = [field for field in fields if not self._is_number(field)]
            if self._labels_of_a_vector([first, *rest]):
                return False
            if wrong.strip().lower() not in MISSING:
                raise self._refuse(line, f"expected names or numbers, got {wrong!r} beside "
                                         f"{numbers[0]!r}: --header takes the line for names, "
                                         "--index 1 the first column for labels of rows")
        return False

    def _labels_of_a_vector(self, rows: Rows) -> bool:
        return (self.wanted.vector and len(rows[0]) == 2
                and not any(self._is_number(row[0]) for row in rows))

    def _found_index(self, names: list[str] | None, rows: Rows) -> int | None:
        """The column of labels that is recognised: one without a name, or beside a vector."""
        if names is not None and (not names[0] or names[0] == "Unnamed: 0"):
            return 0
        if rows and self._labels_of_a_vector(rows):
            return 0
        if (names is None and self.wanted.vector and len(rows[0]) == 2 and len(rows) > 1
                and counts([row[0].strip() for row in rows])):
            return 0
        return None

    def _chosen(self, names: list[str] | None) -> list[int]:
        """The columns that are asked for by their names."""
        if names is None:
            raise InputError(f"{self.path}: columns are asked for by name, but the first line "
                             "holds no names (--header if it does)")
        assert self.wanted.columns is not None
        return [place(name, names, self.path) for name in self.wanted.columns]

    def _name(self, form: _Form, j: int) -> str:
        assert form.header is not None
        return form.header[j] or f"column {j + 1}"

    # --- numbers --------------------------------------------------------------------------------

    def _is_number(self, field: str) -> bool:
        return self._number(field) is not None

    def _number(self, field: str) -> float | None:
        if field in TRUTH:
            return TRUTH[field]
        if self.layout.decimal == ",":
            field = field.translate(SWAPPED)
        try:
            return None if "_" in field else float(field)
        except ValueError:
            return None

    def _check_widths(self, chunk: list[tuple[int, list[str]]]) -> None:
        width = self.lines.width
        for line, fields in chunk:
            if len(fields) != width:
                hint = self._other_delimiter(fields)
                if not hint and self.lines.delimiter == "," and len(fields) == 2 * width:
                    hint = " (--decimal , if these are decimal commas)"
                raise self._refuse(line, f"the number of columns changed from {width} to "
                                         f"{len(fields)}{hint}")

    def _numbers(self, chunk: list[tuple[int, list[str]]], form: _Form) -> Floats:
        rows = [fields for _, fields in chunk]
        if len(form.used) != self.lines.width or form.used != sorted(form.used):
            rows = [[fields[j] for j in form.used] for fields in rows]
        if self.layout.decimal == ",":
            rows = [[field.translate(SWAPPED) for field in fields] for fields in rows]
        try:
            numbers = np.array(rows, dtype=np.float64)
            if np.isfinite(numbers).all() and not self.lines.underscores:
                return numbers
        except ValueError:
            pass
        return np.array([[self._checked(line, fields, j, form) for j in form.used]
                         for line, fields in chunk])

    def _checked(self, line: int, fields: Sequence[str], j: int, form: _Form) -> float:
        field = fields[j]
        number = self._number(field)
        if number is not None and np.isfinite(number):
            return number
        column = f"column {j + 1}" if form.header is None else f"column {self._name(form, j)!r}"
        label = "" if form.index is None else f", row {fields[form.index].strip()!r}"
        if number is not None or field.strip().lower() in MISSING:
            raise self._refuse(line, f"{self.wanted.role} must be finite, got {field!r} in "
                                     f"{column}{label}: leave the row out or fill in a number")
        hint = self._other_delimiter(fields)
        if not hint and "," in field and self.layout.decimal == ".":
            hint = " (--decimal , if it is a decimal comma)"
        elif not hint and j == 0 and form.index is None:
            hint = " (--index 1 takes the column for labels of rows)"
        elif not hint and form.header is not None and not self.wanted.required:
            hint = " (--columns chooses among the columns)"
        raise self._refuse(line, f"expected a number in {column}{label}, got {field!r}{hint}")

    def _other_delimiter(self, fields: Sequence[str]) -> str:
        for delimiter, name in ((";", "';'"), ("\t", "tab")):
            if delimiter != self.lines.delimiter and any(delimiter in field for field in fields):
                return f" (--delimiter {name} if that divides the columns)"
        return ""


def place(name: str, names: Sequence[str], path: object) -> int:
    """The place of a name. Raises InputError if there is none, or more than one."""
    found = [j for j, other in enumerate(names) if other == name]
    if len(found) != 1:
        raise InputError(f"{path}: {'no' if not found else 'more than one'} column is named "
                         f"{name!r}" + ("" if found else f"; there are {listed(list(names))}"))
    return found[0]


def _is_whole(field: str) -> bool:
    return field.strip().isdecimal()


def _like_names(numbers: Sequence[str], rest: Rows, index: int | None) -> bool:
    """Whether a line of numbers looks like names: whole, different, and 0, 1, 2, ..., or 1, 2, 3,
    ... or any others above a table without whole numbers.
    """
    if not all(map(_is_whole, numbers)) or len(set(numbers)) < len(numbers):
        return False
    if counts(numbers) and numbers[0] == "0" and len(numbers) > 1:
        return True
    below = [field for row in rest for j, field in enumerate(row) if j != index]
    whole = sum(map(_is_whole, below))
    return not whole or (counts(numbers) and len(numbers) > 2 and whole < len(below))
