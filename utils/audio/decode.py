"""The one way audio becomes samples: any file → 16 kHz, in blocks, at the file's own times.

libav decodes to the end of what is there. Afterwards, `AudioInfo` says what is missing or odd.
"""
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice

import numpy as np

from utils.audio.file_types import id3_length, not_audio
from utils.audio.info import AudioInfo
from utils.audio.libav import DecoderRefused, Reader
from utils.audio.pieces import pieces
from utils.audio.promises import promised_seconds
from utils.audio.sources import AudioError, AudioSource, Opened, open_source, part_of
from utils.common.errors import printable
from utils.signals import SAMPLE_RATE
from utils.signals.resampling import FULL_SCALE, Resampler, to_int16

HEAD = 4096                 # bytes in which an ID3 tag, or what is no audio, shows
LEAST_ZEROS = 16            # before the sound; formats begin with fewer
MOST_TAGS = 64              # before the sound
ABSURD_PEAK = 16.0          # times full scale (+24 dB): integers as float, or no sound at all


class AudioStream:
    """Context manager and iterator of blocks at 16 kHz, (n,) or (n, channels), in constant memory.

    Samples have the unit of int16. Those that the file holds so are int16; others are float32 and
    not rounded, so a soft recording of more bits loses nothing. `whole`: all are int16.
    `info` is complete at the end. Raises `AudioError`, at any block: then the samples handed out
    before are not to be used.
    """

    def __init__(self, source: AudioSource, track: int = 0,
                 channels: Sequence[int] | None = None, *, each: bool = False,
                 whole: bool = False) -> None:
        """See `open_audio`; `each`: blocks (n, channels) instead of their mean."""
        self._source = source
        self._track = track
        self._channels = list(channels) if channels is not None else None
        self._each = each
        self._whole = whole
        self.info = AudioInfo()

    def __enter__(self) -> "AudioStream":
        with ExitStack() as stack:
            self._opened = self._open(stack)
            try:
                self._pieces = self._files()
                self._first = next(self._pieces)
            except DecoderRefused as refusal:
                raise self._fail(self._refused(refusal)) from refusal
            except OSError as error:
                raise self._fail(f"cannot be read ({printable(error)})") from error
            self._stack = stack.pop_all()
        self.info.describe(self._first[1], self._first[0].offset - self._opened.offset)
        self._blocks = self._decode()
        return self

    def __exit__(self, *exc_info) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        try:
            return next(self._blocks)
        except DecoderRefused as refusal:
            raise self._fail(f"cannot be decoded ({refusal})") from refusal
        except OSError as error:
            raise self._fail(f"cannot be read ({printable(error)})") from error

    def _open(self, stack: ExitStack) -> Opened:
        return _without_tag(stack.enter_context(open_source(self._source)))

    def _files(self) -> Iterator[tuple[Opened, Reader]]:
        return pieces(self._opened, self._track)

    def _refused(self, refusal: DecoderRefused) -> str:
        """Why it cannot be opened, in words for a person."""
        if what := not_audio(self._opened.read(0, HEAD)):
            return f"is not audio: it is {what}"
        if "Invalid data" not in str(refusal) and "End of file" not in str(refusal):
            return f"cannot be decoded ({refusal})"
        return ("is not audio of a kind that can be read, or was cut short (an MP4 then lacks its "
                "index): get the whole file, or convert it to WAV or FLAC")

    def _without_sound(self, reader: Reader) -> str:
        """Why nothing came of it."""
        if reader.packets or reader.total:
            return "holds no sound that can be decoded: it is damaged or was cut short"
        return "holds no sound, only a header"

    def _fail(self, reason: str) -> AudioError:
        return AudioError(f"{self._opened.name} {reason}")

    def _decode(self) -> Iterator[np.ndarray]:
        """Blocks at 16 kHz; a change of rate inside the file begins a new resampler."""
        resampler = None
        form = None
        for rate, block in self._source_blocks():
            if not self._each:
                block = self._mixed(block)
            if rate == SAMPLE_RATE and block.dtype == np.int16 and resampler is None:
                yield self._count(block)
                continue
            if form != (rate, block.shape[1:]):
                if resampler is not None:
                    yield self._made(resampler.finish())
                resampler = Resampler(rate, *block.shape[1:])
                form = rate, block.shape[1:]
            if block.dtype == np.int16:
                block = block.astype(np.float32) / np.float32(FULL_SCALE)
            yield self._made(resampler.push(block))
        if resampler is not None:
            yield self._made(resampler.finish())

    def _made(self, samples: np.ndarray) -> np.ndarray:
        """Samples with full scale 1, as they are handed out."""
        return self._count(to_int16(samples) if self._whole else samples * np.float32(FULL_SCALE))

    def _mixed(self, block: np.ndarray) -> np.ndarray:
        """The mean (n,) of the chosen channels."""
        if self._channels is not None and max(self._channels) < block.shape[1]:
            block = block[:, self._channels]
        if block.shape[1] == 1:
            return block[:, 0]
        if block.dtype == np.int16:
            block = block.astype(np.float32) / np.float32(FULL_SCALE)
        return block.mean(axis=1)

    def _count(self, block: np.ndarray) -> np.ndarray:
        self.info.n_samples += len(block)
        return block

    def _source_blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(rate, block) of all pieces as the source has them; then promises are compared."""
        done = []
        piece: tuple[Opened, Reader] | None = self._first
        while piece:
            reader = piece[1]
            blocks = reader.blocks()
            first = list(islice(blocks, 1))
            promised = promised_seconds(*piece) if first else None
            self.info.expected_seconds = self.info.expected_seconds or promised
            for rate, block in chain(first, blocks):
                self._check(self.info.measure(rate, block))
                if self._whole and reader.pauses:       # its zeros need not be stored
                    at, seconds = reader.pauses[0]
                    raise self._fail("is not one whole recording: nothing from "
                                     f"{at:.1f} to {at + seconds:.1f} s")
                yield rate, block
            done.append((reader, promised))
            piece = next(self._pieces, None)
        if not self.info.frames:
            raise self._fail(self._without_sound(done[0][0]))
        self.info.compare(done)
        if self._whole and self.info.flaws:
            raise self._fail(f"is not one whole recording: {self.info.flaws[0]}")

    def _check(self, peak: float) -> None:
        """Refuse what is no sound."""
        if not peak < ABSURD_PEAK:  # NaN compares false
            raise self._fail(
                f"holds values that are no sound (magnitude {peak:.3g} where full scale is 1)"
                if np.isfinite(peak) else "holds NaN or infinity instead of sound")


def _without_tag(opened: Opened) -> Opened:
    """The file without the ID3 tags and zeros that may precede any kind."""
    start = 0
    for _ in range(MOST_TAGS):
        if start >= opened.size:
            break
        head = opened.read(start, HEAD)
        zeros = len(head) - len(head.lstrip(b"\0"))
        zeros -= 3 * (head[zeros + 1:zeros + 5] == b"ftyp")     # the length of an MP4's first box
        more = id3_length(head) or zeros * (zeros >= LEAST_ZEROS)
        if not more:
            return part_of(opened, start, opened.size) if start else opened
        start += more
    raise AudioError(f"{opened.name} is not audio, only a tag or zeros, or was cut short within "
                     "them")


def open_audio(source: AudioSource, track: int = 0, channels: Sequence[int] | None = None, *,
               whole: bool = False) -> AudioStream:
    """The mono stream of a sound track of `source`: blocks (n,). Use it in a with statement.

    source: a path, (path, offset, size) of a slice, or a binary file object.
    channels: numbers of the channels to average; all by default.
    whole: refuse what is not one whole recording, and round, as corpora and published scores ask.
    """
    return AudioStream(source, track, channels, whole=whole)


def open_channels(source: AudioSource, track: int = 0) -> AudioStream:
    """As `open_audio`, every channel by itself: blocks (n, channels)."""
    return AudioStream(source, track, each=True)


def load_audio(source: AudioSource) -> np.ndarray:
    """All of `source`, one whole recording, as int16 (n,), 16 kHz mono. Raises `AudioError`."""
    with open_audio(source, whole=True) as stream:
        blocks = list(stream)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
