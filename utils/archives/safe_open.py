"""Gzip files that others made: a torn download and a bomb end in a sentence."""
import gzip
import zlib
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import reading

STEP = 1 << 20


class BoundedGzip:
    """The content of a gzip file: `read` and a `seek` that only goes forward. Use as a context manager."""

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most, self._position = path, most, 0
        with reading(path):
            self._file = gzip.open(path, "rb")

    def __enter__(self) -> "BoundedGzip":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, count: int) -> bytes:
        """Up to `count` bytes. `InputError` for a file that is cut short, damaged, or larger inside than the bound."""
        try:
            content = self._file.read(count)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{self._path} is cut short or damaged ({error}): download it again") from error
        self._position += len(content)
        if self._position > self._most:
            raise InputError(f"{self._path} unpacks to more than {self._most:,} bytes, which no protocol archive does: "
                             "do not use it, download it again from its publisher")
        return content

    def seek(self, offset: int) -> int:
        """Go forward to `offset`, or to the end where that comes first."""
        if offset < self._position:
            raise ValueError("a compressed file is read forward only")
        while self._position < offset and self.read(min(STEP, offset - self._position)):
            pass
        return self._position
