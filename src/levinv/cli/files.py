"""Matrices and vectors in files: reading .npy, .npz, .csv and .mtx, writing .npy and .csv.

A .npy file is mapped into memory, so that a matrix may be larger than memory. No file is trusted:
the size that its header claims is compared with the bytes of the file before memory is allocated.
A compressed or sparse file that would take more than MAX_EXPANSION times its own size is refused,
unless that is below HARMLESS_BYTES.

A file is written under a temporary name in the directory of its target and flushed to disk. Then it
replaces the target in one step (os.replace). After any failure the target is the old file, absent
or complete.
"""
import contextlib
import csv
import functools
import io
import math
import os
import secrets
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from levinv._tolerances import HARMLESS_BYTES, MAX_EXPANSION
from levinv._typing import MatrixLike, SignsLike
from levinv.cli.status import InputError

INDICES = tuple(f"{name}.npy" for name in ("shape", "indices", "indptr", "row", "col", "coords",
                                           "offsets"))
NAMED_SIGNS: dict[str, SignsLike] = {"positive": 1, "negative": -1}


def read_matrix(path: str | Path) -> MatrixLike:
    """The matrix in a file: an array (for a .npy file a memory map), or a sparse matrix. Its dtype
    and its entries are not checked.

    The suffix is ``.npy``; ``.npz`` written by scipy.sparse.save_npz; ``.csv`` with commas, with or
    without names in the first line; ``.mtx`` (Matrix Market, dense or sparse). Raises InputError if
    the file cannot be read, has another suffix, or does not hold a matrix.
    """
    array = _read(Path(path))
    if array.ndim != 2:
        raise InputError(f"{path}: expected a matrix, got an array of shape {array.shape}")
    return array


def read_vector(path: str | Path) -> npt.NDArray[Any]:
    """The vector in a file, or a matrix's only row or column; otherwise as :func:`read_matrix`."""
    array = _read(Path(path))
    if array.ndim != 1 and not (array.ndim == 2 and 1 in array.shape):
        raise InputError(f"{path}: expected a vector, got an array of shape {array.shape}")
    try:
        return np.array(array if isinstance(array, np.ndarray) else array.toarray()).ravel()
    except (MemoryError, ValueError) as error:
        raise InputError(f"{path}: a vector of shape {array.shape} does not fit in memory"
                         ) from error


def read_signs(given: str | None) -> SignsLike | None:
    """The signs +1 or -1 by name, or those in a file; None if none are given."""
    if given is None:
        return None
    return NAMED_SIGNS[given] if given in NAMED_SIGNS else read_vector(given)


def column_names(path: str | Path) -> list[str] | None:
    """The names in the first line of a ``.csv`` file; None without names, or for other files."""
    path = Path(path)
    if path.suffix.lower() != ".csv":
        return None
    with open(path, encoding="utf-8-sig") as text:
        first = text.readline()
    return next(csv.reader([first])) if _is_header(first) else None


def check_target(path: str | Path, *, force: bool = False, page: bool = False) -> None:
    """Raise InputError if :func:`write_vector`, or with ``page`` :func:`write_page`, could not
    write to ``path``, before long work.
    """
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


def write_vector(path: str | Path, vector: npt.NDArray[Any], *, force: bool = False) -> None:
    """Write a vector, all of it or nothing, to ``.npy``, or to ``.csv`` with one value per line in
    full precision. Raises InputError on another suffix, an existing file without ``force``, or a
    file that cannot be written.
    """
    check_target(path, force=force)
    _write(Path(path), _WRITERS, vector)


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


def _read(path: Path) -> MatrixLike:
    read = _format(path, _READERS, "read")
    try:
        with open(path, "rb") as file:
            array = read(file, path)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit in memory") from error
    if not isinstance(array, np.ndarray):      # sparse: even empty rows and columns take memory
        _check_size(8 * sum(array.shape), path, f" (shape {array.shape})")
    return array


def _read_npy(file: io.BufferedReader, path: Path) -> npt.NDArray[Any]:
    if file.peek(4).startswith(b"PK\x03\x04"):
        raise InputError(f"{path}: not a .npy file but an archive")
    with _refused(path, "not a .npy file of numbers"):
        shape, fortran_order, dtype = _npy_header(file, os.fstat(file.fileno()).st_size)
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran_order else "C")


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

    with _refused(path, "not a sparse matrix as scipy.sparse.save_npz writes it"):
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


def _read_csv(file: io.BufferedReader, path: Path) -> npt.NDArray[Any]:
    line_number = 0

    def lines(text: Iterable[str]) -> Iterator[str]:
        nonlocal line_number
        for line_number, line in enumerate(text, start=1):
            if not (line_number == 1 and _is_header(line)):
                yield line

    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig") as text, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            array = np.loadtxt(lines(text), delimiter=",", quotechar='"', ndmin=2)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text") from error
    except (ValueError, csv.Error) as error:
        # loadtxt counts from the first row of numbers; the message has the line of the file.
        why = _reason(error).partition(" at row ")[0]
        raise InputError(f"{path}, line {line_number}: {why}") from error
    if not array.size:
        raise InputError(f"{path}: holds no numbers")
    return array


def _is_header(line: str) -> bool:
    """Whether no field is a number. The reader refuses a line with both names and numbers."""
    return bool(line.strip()) and not any(map(_is_number, next(csv.reader([line]))))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_mtx(file: io.BufferedReader, path: Path) -> MatrixLike:
    from levinv.cli import matrix_market

    with _refused(path, "not a Matrix Market file"):
        return matrix_market.read(path)


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv, ".mtx": _read_mtx}
_WRITERS = {".npy": functools.partial(np.save, allow_pickle=False),
            ".csv": functools.partial(np.savetxt, fmt="%.17g")}
_PAGE_WRITERS = dict.fromkeys((".html", ".htm"), lambda file, page: file.write(page.encode()))


def _format(path: Path, known: dict[str, Any], verb: str) -> Any:
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise InputError(f"{path}: cannot {verb} a file with suffix {path.suffix!r}, only "
                         f"{', '.join(known)}") from None


def _reason(error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()) or type(error).__name__
