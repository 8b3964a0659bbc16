"""Matrices and vectors in files: reading .npy, .npz, .csv and .mtx, writing .npy and .csv.

A file is written under a temporary name in the directory of its target, flushed to disk, and then
takes the target's place in one step (os.replace): whatever happens, the target is the old file, or
absent, or complete.
"""
import contextlib
import csv
import io
import os
import secrets
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from levinv.cli.status import InputError


def read_matrix(path):
    """The matrix in a file.

    Parameters
    ----------
    path : str or Path
        ``.npy``; ``.npz`` written by scipy.sparse.save_npz; ``.csv`` with commas, and names in the
        first line or none; ``.mtx`` (Matrix Market, dense or sparse).

    Returns
    -------
    ndarray or scipy.sparse array or matrix
        As stored: neither its dtype nor its entries are checked.

    Raises
    ------
    InputError
        The file cannot be read, has another suffix, or does not hold a matrix.
    """
    array = _read(Path(path))
    if array.ndim != 2:
        raise InputError(f"{path}: expected a matrix, got an array of shape {array.shape}")
    return array


def read_vector(path):
    """The vector in a file; an n x 1 or 1 x n matrix counts as one. Otherwise as
    :func:`read_matrix`.
    """
    array = _read(Path(path))
    if array.ndim == 2 and 1 in array.shape:
        return _dense(array, path).ravel()
    if array.ndim != 1:
        raise InputError(f"{path}: expected a vector, got an array of shape {array.shape}")
    return array


def check_target(path, *, force=False):
    """Raise InputError if :func:`write_vector` could not write to ``path``: for use before long
    work.
    """
    path = Path(path)
    _format(path, _WRITERS, "write")
    if path.is_dir():
        raise InputError(f"{path}: is a directory")
    if path.exists() and not force:
        raise InputError(f"{path}: exists; --force overwrites it")
    directory = _resolved(path).parent
    if not directory.is_dir():
        raise InputError(f"{path}: the directory {directory} does not exist")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the directory {directory} is not writable")


def write_vector(path, vector, *, force=False):
    """Write a vector, all of it or nothing.

    Parameters
    ----------
    path : str or Path
        Its suffix chooses the format: ``.npy``, or ``.csv`` with one value a line, in full
        precision.
    vector : (n,) ndarray
    force : bool, default False
        Replace an existing file.

    Raises
    ------
    InputError
        Another suffix, an existing file without ``force``, or a file that cannot be written.
    """
    path = Path(path)
    check_target(path, force=force)
    write = _format(path, _WRITERS, "write")
    try:
        with _replacing(_resolved(path)) as file:
            write(file, vector)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from error


@contextlib.contextmanager
def _replacing(target):
    """A binary file that takes the place of ``target`` when the block ends well, and vanishes
    otherwise.
    """
    # Not tempfile: its files are private to the user, and the target would stay so.
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


def _read(path):
    read = _format(path, _READERS, "read")
    try:
        with open(path, "rb") as file:
            return read(file, path)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit in memory") from error


def _read_npy(file, path):
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        why = "Python objects are not read" if "allow_pickle" in str(error) else _reason(error)
        raise InputError(f"{path}: not a .npy file of numbers: {why}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{path}: not a .npy file but an archive")
    return array


def _read_npz(file, path):
    import scipy.sparse

    try:
        matrix = scipy.sparse.load_npz(file)
        if hasattr(matrix, "check_format"):
            # load_npz leaves indices unchecked; out of range ones make toarray write outside its
            # array.
            matrix.check_format(full_check=True)
    except (ValueError, TypeError, KeyError, EOFError, NotImplementedError, AttributeError,
            zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a sparse matrix as scipy.sparse.save_npz writes it: "
                         f"{_reason(error)}") from error
    return matrix


def _read_csv(file, path):
    line_number = 0

    def lines(text):
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
    except ValueError as error:
        # loadtxt counts rows from the first row of numbers; lines are what an editor shows.
        why = _reason(error).partition(" at row ")[0]
        raise InputError(f"{path}, line {line_number}: {why}") from error
    if not array.size:
        raise InputError(f"{path}: holds no numbers")
    return array


def _is_header(line):
    """No field of a header is a number; a line with both is an error for the reader to report."""
    return bool(line.strip()) and not any(map(_is_number, next(csv.reader([line]))))


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_mtx(file, path):
    import scipy.io

    try:
        return scipy.io.mmread(file)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: not a Matrix Market file: {_reason(error)}") from error


def _dense(vector, path):
    if isinstance(vector, np.ndarray):
        return vector
    try:
        return vector.toarray()
    except (MemoryError, ValueError) as error:
        raise InputError(f"{path}: a sparse vector of shape {vector.shape} does not fit in memory "
                         "as a dense one") from error


def _write_npy(file, vector):
    np.save(file, vector, allow_pickle=False)


def _write_csv(file, vector):
    np.savetxt(file, vector, fmt="%.17g")


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv, ".mtx": _read_mtx}
_WRITERS = {".npy": _write_npy, ".csv": _write_csv}


def _format(path, known, verb):
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise InputError(f"{path}: cannot {verb} a file with suffix {path.suffix!r}, only "
                         f"{', '.join(known)}") from None


def _resolved(path):
    """The file behind a symbolic link, so that the link stays one."""
    return Path(os.path.realpath(path))


def _reason(error):
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()) or type(error).__name__
