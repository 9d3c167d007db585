"""A recording that comes through a pipe: decoded once, from its beginning on, as it comes."""
from collections.abc import Iterator
from contextlib import ExitStack
from types import FrameType
from typing import BinaryIO

from utils.audio.decode import HEAD, AudioStream
from utils.audio.file_types import not_audio
from utils.audio.libav import ENDLESS, DecoderRefused, Reader
from utils.audio.promises import PLACEHOLDER
from utils.audio.sources import AudioError, Opened

RAW = "s16le"               # raw samples: 16 bits, little endian, one channel
INDEXED = ("mov", "caf")    # formats whose index may stand behind the sound
NAME_IT = "a file whose index stands at its end, as in most MP4 and M4A, must be named as a file"


class Pipe:
    """Bytes that can be read only once; the first HEAD of them may be looked at again.

    `stop` ends it early, as the reaction to Ctrl-C.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """`file` is unbuffered: its `read` returns what has come."""
        self.name = name
        self.stopped = False
        self.count = 0              # bytes that came
        self._file = file
        self._reading = False
        self._head = b""            # kept
        self._ahead = b""           # looked at, and not read yet

    def seekable(self) -> bool:
        return False

    def read(self, count: int = -1) -> bytes:
        """Up to `count` of the next bytes; none at the end."""
        if self._ahead:
            found, self._ahead = self._ahead[:count], self._ahead[count:]
            return found
        return self._next(count)

    def look(self, start: int, count: int) -> bytes:
        """`count` bytes from `start`, where they belong to the first HEAD; else none."""
        if not 0 <= start <= start + count <= HEAD:
            return b""
        while len(self._head) < start + count and (more := self._next(HEAD - len(self._head))):
            self._ahead += more
        return self._head[start:start + count]

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """The pipe ends here; the second time, the program does."""
        again = self.stopped
        self.stopped = True
        if again or self._reading:
            raise KeyboardInterrupt

    def _next(self, count: int) -> bytes:
        if self.stopped:
            return b""
        try:
            self._reading = True
            found = self._file.read(count) or b""
        except KeyboardInterrupt:
            found = b""
        finally:
            self._reading = False
        self.count += len(found)
        self._head += found[:HEAD - len(self._head)]
        return found


class Piped(Opened):
    """A pipe in place of a file; of its length nothing is known."""

    def read(self, position: int, count: int) -> bytes:
        """Bytes from `position`, where they stand at its beginning; else none."""
        return self.file.look(position, count)


class PipeStream(AudioStream):
    """As `open_channels`, of what comes through a pipe, in blocks as small as they come."""

    def __init__(self, pipe: Pipe, rate: int | None = None) -> None:
        """`rate` in Hz: the pipe holds raw samples, 16 bits, little endian, one channel."""
        super().__init__(pipe, each=True)
        self._rate = rate

    def _open(self, _stack: ExitStack) -> Opened:
        if not self._source.look(0, 1):
            raise AudioError(f"{self._source.name} is empty: the program before the pipe wrote "
                             "nothing, or has failed")
        return Piped(self._source, self._source.name, 0, self._source, 0)

    def _files(self) -> Iterator[tuple[Opened, Reader]]:
        if self._rate:
            reader = Reader(self._opened, 0, RAW, sample_rate=str(self._rate), ch_layout="1C")
        else:
            reader = Reader(self._opened, 0, **(ENDLESS if _endless(self._source) else {}))
        reader.block = 1
        yield self._opened, reader
        behind = self._source.count - reader.end
        pcm = reader.name == "wav" and reader.codec.startswith("pcm_")
        if pcm and behind > reader.width * reader.rate:     # more than a tag: a second
            self.info.remarks.append(f"{behind:,} bytes follow behind the end that its header "
                                     "promises: they are not judged")

    def _refused(self, refusal: DecoderRefused) -> str:
        if what := not_audio(self._opened.read(0, HEAD)):
            return f"is not audio: it is {what}"
        return ("is not audio that can be read from a pipe: for raw samples of 16 bits, say --raw "
                f"and their rate; {NAME_IT}")

    def _without_sound(self, reader: Reader) -> str:
        if reader.name in INDEXED:
            return f"cannot be read from a pipe: {NAME_IT}"
        return super()._without_sound(reader)


def _endless(pipe: Pipe) -> bool:
    """Whether a WAV's length is one that its writer could not know."""
    head = pipe.look(0, HEAD // 2)
    at = head.find(b"data", 12)
    length = int.from_bytes(head[at + 4:at + 8], "little")
    return head[:4] == b"RIFF" and at > 0 and length >= PLACEHOLDER
