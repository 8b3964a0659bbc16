"""Tables in Parquet files, read by pyarrow (the extra ``parquet``)."""
from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np

from levinv._typing import Floats
from levinv.cli.delimited import place
from levinv.cli.status import InputError
from levinv.cli.tables import Layout, Table, Wanted, listed

NUMBERS = ("int", "uint", "float", "double", "halffloat", "bool", "decimal")


def read(file: IO[bytes], path: Path, layout: Layout, wanted: Wanted) -> Table:
    """The table in a file. Raises InputError for columns that are not numbers, and for missing
    values.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(f'{path}: reading Parquet needs pyarrow: pip install "levinv[parquet]"'
                         ) from None
    source = pyarrow.parquet.ParquetFile(file)
    names = [str(name) for name in source.schema_arrow.names]
    index = _index(source.schema_arrow, names, layout, path)
    columns = [name for name in names if name != index]
    if wanted.columns is not None:
        columns = list(wanted.columns)
        for name in columns:
            place(name, names, path)
    notes: list[str] = []
    text = [name for name in columns if not _is_numbers(source.schema_arrow.field(name).type)]
    if wanted.skip_text and wanted.columns is None:
        skipped = [name for name in text if name not in wanted.required]
        text = [name for name in text if name in wanted.required]
        columns = [name for name in columns if name not in skipped]
        if skipped:
            notes.append(f"{path}: left out, because they are not numbers: {listed(skipped)}")
    if text:
        kind = source.schema_arrow.field(text[0]).type
        raise InputError(f"{path}: expected numbers in column {text[0]!r}, got {kind} "
                         f"(--index {text[0]} takes the column for labels of rows)")
    if not columns or not source.metadata.num_rows:
        raise InputError(f"{path}: holds no numbers")
    found = source.read(columns=[*dict.fromkeys([*columns, *filter(None, [index])])])
    labels = None if index is None else [str(label) for label in found.column(index).to_pylist()]
    numbers = np.column_stack([_column(found.column(name), name, labels, path, wanted)
                               for name in columns])
    return Table(numbers, columns, labels, "" if index is None or index.startswith("__") else index,
                 tuple(notes))


def size(file: IO[bytes]) -> int:
    """Bytes that the numbers of a file take in memory; 0 without pyarrow."""
    try:
        import pyarrow.parquet
    except ImportError:
        return 0
    metadata = pyarrow.parquet.ParquetFile(file).metadata
    return 8 * int(metadata.num_rows) * int(metadata.num_columns)


def _index(schema: Any, names: list[str], layout: Layout, path: Path) -> str | None:
    """The column of labels; None if there is none, or if pandas numbered the rows."""
    if isinstance(layout.index, str):
        if layout.index.isdigit() and layout.index not in names:
            if not 1 <= int(layout.index) <= len(names):
                raise InputError(f"{path}: columns are counted from 1 to {len(names)}, got "
                                 f"--index {layout.index}")
            return names[int(layout.index) - 1]
        return names[place(layout.index, names, path)]
    if layout.index is False:
        return None
    described = (schema.pandas_metadata or {}).get("index_columns", [])
    stored = [name for name in described if isinstance(name, str) and name in names]
    if len(stored) > 1:
        raise InputError(f"{path}: expected labels in one column, got {listed(stored)}")
    unnamed = "Unnamed: 0" if "Unnamed: 0" in names[:1] else None
    return stored[0] if stored else unnamed


def _is_numbers(kind: Any) -> bool:
    """Whether a type of Arrow is one of numbers; categories are of the type of their values."""
    value = str(getattr(kind, "value_type", kind))
    return value.startswith(NUMBERS)


def _column(column: Any, name: str, labels: list[str] | None, path: Path,
            wanted: Wanted) -> Floats:
    if hasattr(column.type, "value_type"):
        column = column.cast(column.type.value_type)
    values = np.asarray(column.cast("float64").to_numpy(), dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        shown = "a missing value" if column[row].as_py() is None else values[row]
        label = "" if labels is None else f" ({labels[row]!r})"
        raise InputError(f"{path}, row {row}{label}: {wanted.role} must be finite, got {shown} in "
                         f"column {name!r}: leave the row out or fill in a number")
    return values
