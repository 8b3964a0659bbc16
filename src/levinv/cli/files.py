"""Matrices and vectors in files: reading .npy, .npz, .mtx and tables, writing .npy and .csv.

A .npy file is mapped into memory, so that a matrix may be larger than memory. No file is trusted:
the size that its header claims is compared with the bytes of the file before memory is allocated.
A compressed or sparse file that would take more than MAX_EXPANSION times its own size is refused,
unless that is below HARMLESS_BYTES.

A file is written under a temporary name in the directory of its target and flushed to disk. Then it
replaces the target in one step (os.replace). After any failure the target is the old file, absent
or complete. The name - stands for the standard input and output.
"""
import contextlib
import csv
import functools
import io
import math
import os
import secrets
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from levinv._tolerances import HARMLESS_BYTES, MAX_EXPANSION
from levinv._typing import MatrixLike, SignsLike
from levinv.cli import delimited
from levinv.cli.status import InputError
from levinv.cli.tables import LabelledVector, Layout, Table, Wanted
from levinv.cli.unpacked import Unpacked

STANDARD = "-"                         # the standard input or output
READ = (".npy", ".npz", ".csv", ".mtx", ".tsv", ".npy.gz", ".csv.gz", ".tsv.gz", ".parquet")
INDICES = tuple(f"{name}.npy" for name in ("shape", "indices", "indptr", "row", "col", "coords",
                                           "offsets"))
NAMED_SIGNS: dict[str, SignsLike] = {"positive": 1, "negative": -1}


def read_table(path: str | Path, layout: Layout | None = None,
               wanted: Wanted | None = None) -> Table:
    """The matrix in a file, with the names and labels that it has: an array (for a .npy file a
    memory map), or a sparse matrix. The dtype and the entries are checked only for tables.

    The suffix is ``.npy``, ``.csv`` or ``.tsv``, each also with ``.gz``; ``.npz`` written by
    scipy.sparse.save_npz; ``.mtx`` (Matrix Market, dense or sparse); ``.parquet``. Raises
    InputError if the file cannot be read, has another suffix, or does not hold a matrix.
    """
    wanted = wanted or Wanted()
    table = _read(path, layout or Layout(), wanted)
    if table.numbers.ndim != 2:
        raise InputError(f"{path}: expected a matrix, got an array of shape {table.numbers.shape}")
    if wanted.columns is not None and table.columns is None:
        raise InputError(f"{path}: columns are asked for by name, but this file has no names")
    return table


def read_matrix(path: str | Path) -> MatrixLike:
    """The matrix of :func:`read_table`."""
    return read_table(path).numbers


def read_labelled(path: str | Path, role: str = "entries", length: int | None = None,
                  layout: Layout | None = None) -> LabelledVector:
    """The vector in a file, or a matrix's only row or column, with its labels; otherwise as
    :func:`read_table`. If the ``length`` is known, a first number too much may be a name.
    """
    layout = layout or Layout()
    table = _read(path, layout, Wanted(role, vector=True))
    array = table.numbers
    if array.ndim != 1 and not (array.ndim == 2 and 1 in array.shape):
        hint = (" (--index says which column holds labels)"
                if array.ndim == 2 and array.shape[1] == 2 and table.columns is not None else "")
        raise InputError(f"{path}: expected a vector, got an array of shape {array.shape}{hint}")
    try:
        vector = np.array(array if isinstance(array, np.ndarray) else array.toarray()).ravel()
    except (MemoryError, ValueError) as error:
        raise InputError(f"{path}: a vector of shape {array.shape} does not fit in memory"
                         ) from error
    labels = table.labels
    if array.ndim == 2 and array.shape[0] == 1 < array.shape[1]:
        labels = table.columns
    unnamed = table.columns is None and labels is None and vector.dtype.kind == "f"
    if unnamed and len(vector) - 1 == length and vector[0] == 0 and array.shape[-1] == 1:
        # pandas names the column of a series 0
        if layout.header is None:
            raise InputError(f"{path}: {role} must have length {length}, got {length + 1}, the "
                             "first of them 0: --header if that is a name")
        vector = vector[1:] if layout.header else vector
    return LabelledVector(str(path), vector, labels)


def read_vector(path: str | Path) -> npt.NDArray[Any]:
    """The numbers of :func:`read_labelled`."""
    return read_labelled(path).numbers


def check_target(path: str | Path, *, force: bool = False, page: bool = False) -> None:
    """Raise InputError if :func:`write_vector`, or with ``page`` :func:`write_page`, could not
    write to ``path``, before long work.
    """
    if path == STANDARD and not page:
        return
    path = Path(path)
    _format(path, _PAGE_WRITERS if page else _WRITERS, "write")
    if path.is_dir():
        raise InputError(f"{path}: is a directory")
    if path.exists() and not force:
        raise InputError(f"{path}: exists; --force overwrites it")
    directory = Path(os.path.realpath(path)).parent
    if not directory.is_dir():
        raise InputError(f"{path}: the directory {directory} does not exist")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the directory {directory} is not writable")


def write_vector(path: str | Path, vector: npt.NDArray[Any], *, force: bool = False,
                 labels: Sequence[str] | None = None, index: str = "", name: str = "") -> None:
    """Write a vector, all of it or nothing, to ``.npy``, or to ``.csv`` with one value per line in
    full precision; there with labels in a first column, if they are given, under the names
    ``index`` and ``name``. Raises InputError on another suffix, an existing file without ``force``,
    or a file that cannot be written.
    """
    check_target(path, force=force)
    if path == STANDARD:
        sys.stdout.write(_lines(vector, labels, index, name))
    elif labels is not None and Path(path).suffix.lower() == ".csv":
        _write(Path(path), _TEXT_WRITERS, _lines(vector, labels, index, name))
    else:
        _write(Path(path), _WRITERS, vector)


def _lines(vector: npt.NDArray[Any], labels: Sequence[str] | None, index: str, name: str) -> str:
    """A vector as lines of text, with labels if there are any."""
    text = io.StringIO()
    values = [f"{value:.17g}" for value in vector]
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows(zip(values) if labels is None else
                   [(index, name), *zip(labels, values, strict=True)])
    return text.getvalue()


def write_page(path: str | Path, page: str, *, force: bool = False) -> None:
    """Write a whole page of HTML or nothing; raises the errors of :func:`write_vector`."""
    check_target(path, force=force, page=True)
    _write(Path(path), _PAGE_WRITERS, page)


def _write(path: Path, writers: dict[str, Any], content: Any) -> None:
    try:
        # Writing replaces the file behind a symbolic link and keeps the link.
        with _replacing(Path(os.path.realpath(path))) as file:
            _format(path, writers, "write")(file, content)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from error


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A binary file that replaces ``target`` if the block succeeds, and is deleted otherwise."""
    # tempfile is not used: its files are private to the user, so the target would be private too.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path: str | Path, layout: Layout, wanted: Wanted) -> Table:
    try:
        if str(path) == STANDARD:
            return delimited.read(sys.stdin.buffer, Path("standard input"), layout, wanted)
        path = Path(path)
        read, table = _reader(path)
        with open(path, "rb") as file:
            found = read(file, path, layout, wanted) if table else Table(read(file, path))
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit in memory") from error
    array = found.numbers
    if not isinstance(array, np.ndarray):      # sparse: even empty rows and columns take memory
        _check_size(8 * sum(array.shape), path, f" (shape {array.shape})")
    return found


def _reader(path: Path) -> tuple[Any, bool]:
    """The reader for a suffix, and whether it reads a table."""
    name = path.name.lower()
    for suffix, reader in _TABLE_READERS.items():
        if name.endswith(suffix):
            return reader, True
    return _read_npy_gz if name.endswith(".npy.gz") else _format(
        path, _READERS, "read", READ), False


def _read_npy(file: io.BufferedReader, path: Path) -> npt.NDArray[Any]:
    if file.peek(4).startswith(b"PK\x03\x04"):
        raise InputError(f"{path}: not a .npy file but an archive")
    with _refused(path, "not a .npy file of numbers"):
        shape, fortran_order, dtype = _npy_header(file, os.fstat(file.fileno()).st_size)
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran_order else "C")


def _read_npy_gz(file: io.BufferedReader, path: Path) -> npt.NDArray[Any]:
    unpacked, own = cast(IO[bytes], Unpacked(file, path)), os.fstat(file.fileno()).st_size
    with _refused(path, "not a compressed .npy file of numbers"):
        shape, fortran_order, dtype = _npy_header(
            unpacked, max(MAX_EXPANSION * own, HARMLESS_BYTES))
        size, entries = math.prod(shape) * dtype.itemsize, bytearray()
        while part := unpacked.read():                    # to the end, where the checksum is
            entries += part
        if len(entries) < size:
            raise ValueError(f"an array of shape {shape} and dtype {dtype} takes {size} bytes, "
                             f"{len(entries)} are there")
        return np.frombuffer(entries, dtype, math.prod(shape)).reshape(
            shape, order="F" if fortran_order else "C")


def _npy_header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype of a stream's array; the stream then is at the entries."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"format version {version} is not read")
    try:
        shape, fortran_order, dtype = _HEADERS[version](file)
    except (MemoryError, RecursionError) as error:    # the parser's own limits
        raise ValueError("a header that cannot be parsed") from error
    if dtype.hasobject:
        raise ValueError("Python objects are not read")
    if dtype.kind not in "biufcSU":                   # S, U: the format of a sparse matrix
        raise ValueError(f"dtype {dtype} is not one")
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {shape}")
    claimed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if claimed > there:
        raise ValueError(f"an array of shape {shape} and dtype {dtype} takes {claimed} bytes, "
                         f"{there} are there")
    return shape, fortran_order, dtype


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0}


def _read_npz(file: io.BufferedReader, path: Path) -> MatrixLike:
    import scipy.sparse

    with _refused(path, "not a sparse matrix as scipy.sparse.save_npz writes it (numpy.save writes "
                        "a dense one, as .npy)"):
        _check_archive(file, path)
        file.seek(0)
        matrix = scipy.sparse.load_npz(file)
        if hasattr(matrix, "check_format"):
            # load_npz does not check indices. Indices out of range make toarray write outside
            # of its array.
            matrix.check_format(full_check=True)
        return matrix


def _check_archive(file: io.BufferedReader, path: Path) -> None:
    """Refuse an archive of anything but arrays of numbers, or one that expands too much."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        expanded = sum(info.file_size for info in archive.infolist())
        _check_size(expanded, path,
                    "; scipy.sparse.save_npz(..., compressed=False) writes larger files")
        for info in archive.infolist():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{info.filename} is compressed by method {info.compress_type}")
            with archive.open(info) as member:
                _, _, dtype = _npy_header(member, info.file_size)
            if info.filename in INDICES and dtype.kind not in "iu":
                raise ValueError(f"{info.filename} holds {dtype}, expected integers")
        if len(members) < len(archive.infolist()):
            raise ValueError("two parts have the same name")


def _check_size(size: int, path: Path, more: str) -> None:
    own = os.stat(path).st_size
    if size > max(MAX_EXPANSION * own, HARMLESS_BYTES):
        raise InputError(f"{path}: refused, its {own} bytes would take {size} in memory{more}")


@contextlib.contextmanager
def _refused(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a parser raises on unexpected bytes into InputError."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{path}: {what}: {_reason(error)}") from error


def _read_parquet(file: io.BufferedReader, path: Path, layout: Layout, wanted: Wanted) -> Table:
    from levinv.cli import parquet

    with _refused(path, "not a Parquet file"):
        _check_size(parquet.size(file), path, "")
        file.seek(0)
        return parquet.read(file, path, layout, wanted)


def _read_mtx(file: io.BufferedReader, path: Path) -> MatrixLike:
    from levinv.cli import matrix_market

    with _refused(path, "not a Matrix Market file"):
        return matrix_market.read(path)


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".mtx": _read_mtx}
_TABLE_READERS = {**dict.fromkeys((".csv", ".tsv", ".csv.gz", ".tsv.gz"), delimited.read),
                  ".parquet": _read_parquet}
_WRITERS = {".npy": functools.partial(np.save, allow_pickle=False),
            ".csv": functools.partial(np.savetxt, fmt="%.17g")}
_TEXT_WRITERS = {".csv": lambda file, text: file.write(text.encode())}
_PAGE_WRITERS = dict.fromkeys((".html", ".htm"), lambda file, page: file.write(page.encode()))


def _format(path: Path, known: dict[str, Any], verb: str, named: Sequence[str] = ()) -> Any:
    try:
        return known[path.suffix.lower()]
    except KeyError:
        suffixes = ", ".join(dict.fromkeys(named or known))
        raise InputError(f"{path}: cannot {verb} a file with suffix {path.suffix!r}, only "
                         f"{suffixes}") from None


def _reason(error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()) or type(error).__name__
