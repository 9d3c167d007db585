"""Reading of untrusted gzip files: an incomplete download or a bomb ends in an `InputError`."""
import gzip
import zlib
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import reading

STEP = 1 << 20      # bytes read at a time


class BoundedGzip:
    """The content of a gzip file, read forward only; a context manager."""

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self._position = 0
        with reading(path):
            self._file = gzip.open(path, "rb")

    def __enter__(self) -> "BoundedGzip":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, count: int) -> bytes:
        """Up to `count` bytes. Raises `InputError` for an incomplete, damaged or too large file."""
        try:
            content = self._file.read(count)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{self._path} is cut short or damaged ({error}): "
                             "download it again") from error
        self._position += len(content)
        if self._position > self._most:
            raise InputError(f"{self._path} unpacks to more than {self._most:,} bytes, too many "
                             "for protocols: delete it and download it again from its publisher")
        return content

    def seek(self, offset: int) -> int:
        """Move forward to `offset`, or to the end if that comes first."""
        if offset < self._position:
            raise ValueError("a compressed file is read forward only")
        while self._position < offset and self.read(min(STEP, offset - self._position)):
            pass
        return self._position
