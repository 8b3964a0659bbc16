"""Files that gzip has compressed."""
import gzip
import io
import os
from pathlib import Path
from typing import IO

from levinv._tolerances import HARMLESS_BYTES, MAX_EXPANSION
from levinv.cli.status import InputError


class Unpacked(io.BufferedIOBase):
    """The bytes of a gzip file, up to as many as levinv accepts from a file of this size."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._inner, self._path, self._read = gzip.GzipFile(fileobj=file), path, 0
        self._own = os.stat(path).st_size

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._read

    def read1(self, size: int | None = -1, /) -> bytes:
        found = self._inner.read1(size if size and size > 0 else io.DEFAULT_BUFFER_SIZE)
        self._read += len(found)
        if self._read > max(MAX_EXPANSION * self._own, HARMLESS_BYTES):
            raise InputError(f"{self._path}: refused, its {self._own} bytes would take more than "
                             f"{self._read} in memory")
        return found

    read = read1
