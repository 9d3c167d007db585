"""Where audio bytes come from: a file, a slice of an archive or a stream, as one seekable file."""
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from utils.common.errors import InputError, printable

# bytes: what is smaller is read whole, which is faster than asking the file for every piece
SMALL = 4 << 20
BUFFER = 1 << 16     # bytes that a larger one is read by


class AudioError(InputError):
    """Audio that cannot be used. The message is one sentence that names the file and the reason."""


AudioSource = str | os.PathLike | tuple[str | os.PathLike, int, int] | BinaryIO


@dataclass(frozen=True, slots=True)
class Opened:
    """A seekable file with a name for messages and its length; and what it is a part of."""
    file: BinaryIO
    name: str
    size: int
    of: BinaryIO
    offset: int         # bytes

    def read(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position`; a decoder at work goes on where it was."""
        before = self.file.tell()
        self.file.seek(max(0, position))
        found = self.file.read(count)
        self.file.seek(before)
        return found


class Slice(io.RawIOBase):
    """`size` bytes of `file` from `offset`, as a file of its own; closing it leaves `file` open.

    `patch` stands in place of those from `place` on.
    """

    def __init__(self, file: BinaryIO, offset: int, size: int, patch: bytes = b"",
                 place: int = 0) -> None:
        super().__init__()
        self._file, self._offset, self._size, self._at = file, offset, size, 0
        self._patch, self._place = patch, place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer) -> int:
        view = memoryview(buffer).cast("B")[:max(0, self._size - self._at)]
        if not view:
            return 0
        self._file.seek(self._offset + self._at)
        count = self._file.readinto(view)
        low = max(self._at, self._place)
        new = self._patch[low - self._place:max(low, self._at + count) - self._place]
        view[low - self._at:low - self._at + len(new)] = new
        self._at += count
        return count


def part_of(opened: Opened, start: int, end: int) -> Opened:
    """The same bytes without those before `start` and from `end` on."""
    return _slice(opened.of, opened.name, opened.offset + start, end - start)


def patched(opened: Opened, patch: bytes, start: int = 0, place: int = 0) -> Opened:
    """The same bytes from `start` on, with `patch` in place of those from `place` on."""
    return _slice(opened.of, opened.name, opened.offset + start, opened.size - start, patch, place)


def _slice(file: BinaryIO, name: str, offset: int, size: int, *patch: bytes | int) -> Opened:
    part = io.BufferedReader(Slice(file, offset, size, *patch), BUFFER)
    return Opened(part, name, size, file, offset)


def source_name(source: AudioSource) -> str:
    """A name for messages: the path, `path at byte N` for a slice, or the stream's own name."""
    if isinstance(source, tuple):
        return source_name(source[0]) + (f" at byte {source[1]}" if source[1] else "")
    is_path = isinstance(source, (str, os.PathLike))
    name = os.fspath(source) if is_path else getattr(source, "name", None)
    if not isinstance(name, str):
        return "the given stream"
    return name if name.isprintable() else printable(name)


@contextmanager
def seekable(source: AudioSource) -> Iterator[AudioSource]:
    """`source`, or the bytes of a pipe, which can be read only once, kept until the end."""
    if isinstance(source, (tuple, str, os.PathLike)) or source.seekable():
        yield source
        return
    with tempfile.SpooledTemporaryFile(SMALL) as kept:
        shutil.copyfileobj(source, kept)
        yield kept


@contextmanager
def open_source(source: AudioSource) -> Iterator[Opened]:
    """Open `source`; `AudioError` where it is missing, refused, not a file or empty."""
    name = source_name(source)
    if isinstance(source, tuple):
        with _open_path(source[0], name) as file:
            yield _view(file, name, source[1], source[2], os.fstat(file.fileno()).st_size)
    elif isinstance(source, (str, os.PathLike)):
        with _open_path(source, name) as file:
            size = os.fstat(file.fileno()).st_size
            yield _view(file, name, 0, size, size)
    else:
        with seekable(source) as kept:
            size = kept.seek(0, os.SEEK_END)
            yield _view(kept, name, 0, size, size)


def _open_path(path: str | os.PathLike, name: str) -> BinaryIO:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()        # refused without permission
            raise AudioError(f"{name} is a folder, not an audio file")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{name} is a device or a pipe, not an audio file")
        return open(path, "rb", buffering=BUFFER)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{name} does not exist") from error
    except PermissionError as error:
        raise AudioError(f"no permission to read {name}") from error
    except (OSError, ValueError) as error:  # a name too long, a NUL in it, a failing disk
        raise AudioError(f"{name} cannot be opened ({printable(error)})") from error


def _view(file: BinaryIO, name: str, offset: int, size: int, available: int) -> Opened:
    if offset + size > available:
        raise AudioError(f"{name} was cut short: it should have {size} bytes, "
                         "but the file that holds it ends before")
    if size == 0:
        raise AudioError(f"{name} is empty (0 bytes)")
    if size <= SMALL:
        file.seek(offset)
        held = io.BytesIO(file.read(size))
        if len(held.getbuffer()) < size:
            raise AudioError(f"{name} became shorter while it was read")
        return Opened(held, name, size, held, 0)
    if size == available:       # no Python code in a read: a Ctrl-C there would be lost
        return Opened(file, name, size, file, 0)
    return _slice(file, name, offset, size)
