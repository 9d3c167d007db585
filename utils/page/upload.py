"""Uploads: the files of a multipart request, written piece by piece to disk, within limits."""
import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from utils.common.errors import printable

FIELD = b"file"             # the form field that holds a recording
MOST_FILES = 20             # in one request
MOST_PARTS = 40
PIECE_SECONDS = 30.0        # to wait for the next piece of an upload
WHOLE_SECONDS = 900.0       # for the whole of it
LONGEST_NAME = 200          # characters
LONGEST_BOUNDARY = 70       # RFC 2046, section 5.1.1


class Refused(Exception):
    """A request that is not served: its HTTP status, and one sentence why."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


@dataclass
class Upload:
    """A file that was uploaded: what its sender calls it, and where it lies."""
    name: str
    path: Path


async def receive(request: Request, folder: Path, most_bytes: int) -> list[Upload]:
    """The files of a request, in `folder`. Raises `Refused`; then nothing is left there."""
    saver = _Saver(folder)
    try:
        parser = MultipartParser(_boundary(request), saver.callbacks())
        if int(_digits(request.headers.get("content-length"))) > most_bytes:
            raise _too_large(most_bytes)
        size = 0
        async for piece in _pieces(request):
            size += len(piece)
            if size > most_bytes:
                raise _too_large(most_bytes)
            parser.write(piece)
        parser.finalize()
        if not saver.ended:
            raise Refused(400, "the upload was cut short: send it again")
        if not saver.uploads:
            raise Refused(400, "no recording was sent: send it as the form field 'file'")
    except (FormParserError, UnicodeError) as error:
        saver.discard()
        raise Refused(400, "the upload is no valid multipart form: send it again") from error
    except OSError as error:
        saver.discard()
        raise Refused(507, "the disk of the server is full, or refuses to store the upload: "
                           "try again later") from error
    except BaseException:
        saver.discard()
        raise
    return saver.uploads


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise Refused(415, "send recordings as multipart/form-data, in the form field 'file'")
    return boundary


def _digits(text: str | None) -> str:
    return text if text and re.fullmatch(r"\d{1,18}", text, re.ASCII) else "0"


def _too_large(most_bytes: int) -> Refused:
    return Refused(413, f"an upload may have at most {most_bytes / 1e6:g} MB: shorten the "
                        "recording, or judge it on the command line")


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body piece by piece; `Refused` if it stops coming."""
    stream = request.stream()
    late = Refused(408, "the upload came too slowly: send it again")
    end = asyncio.get_running_loop().time() + WHOLE_SECONDS
    while asyncio.get_running_loop().time() < end:
        try:
            yield await asyncio.wait_for(anext(stream), PIECE_SECONDS)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            break
    raise late


class _Saver:
    """Writes the files of a form as its parser finds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uploads: list[Upload] = []
        self.ended = False
        self._parts = 0
        self._file = None
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}

    def callbacks(self) -> dict:
        """What the parser calls."""
        return {"on_part_begin": self._begin, "on_header_field": self._field,
                "on_header_value": self._value, "on_header_end": self._header_end,
                "on_headers_finished": self._open, "on_part_data": self._data,
                "on_part_end": self._close, "on_end": self._end}

    def discard(self) -> None:
        """Delete what was written."""
        self._close()
        for upload in self.uploads:
            with contextlib.suppress(OSError):
                upload.path.unlink()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Refused(413, f"a form may have at most {MOST_PARTS} parts")
        self._headers = {}

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if options.get(b"name") != FIELD or b"filename" not in options:
            return
        if len(self.uploads) == MOST_FILES:
            raise Refused(413, f"one request may hold at most {MOST_FILES} recordings: send more "
                               "requests")
        self._file = tempfile.NamedTemporaryFile(dir=self.folder, delete=False)
        self.uploads.append(Upload(shown_name(options[b"filename"]), Path(self._file.name)))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _end(self) -> None:
        self.ended = True


def shown_name(name: bytes) -> str:
    """What the answer calls a file: the last part of the name that it was sent with, printable."""
    last = re.split(r"[/\\]", name.decode("utf-8", "replace"))[-1]
    return printable(last)[:LONGEST_NAME].strip() or "recording"
