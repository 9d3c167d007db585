"""The one way audio becomes samples: any file → 16 kHz int16, in blocks, at the file's own times.

libav decodes to the end of what is there. Afterwards, `AudioInfo` says what is missing or odd.
"""
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from utils.audio.file_types import FORMATS, id3_length, not_audio
from utils.audio.libav import DecoderRefused, Reader
from utils.audio.pieces import pieces
from utils.audio.promises import TOLERANCE, promised_seconds, slack
from utils.audio.sources import AudioError, AudioSource, Opened, open_source, part_of
from utils.common.errors import printable
from utils.signals import SAMPLE_RATE
from utils.signals.resampling import FULL_SCALE, Resampler

HEAD = 4096                 # bytes in which an ID3 tag, or what is no audio, shows
MIN_RATE, MAX_RATE = 4000, 768_000      # Hz: beyond these a header is wrong, not unusual
# times full scale (+24 dB): integers stored as float, or not sound at all
ABSURD_PEAK = 16.0
PLAYED_OVER = 0.03          # s: so little may be missing where a piece could not be decoded
MAX_PAUSES = 5              # told one by one
# where full scale lies lower
_CLIP_LEVEL = {"pcm_u8": 127 / 128, "pcm_s8": 127 / 128, "pcm_mulaw": 0.98, "pcm_alaw": 0.98}


@dataclass(slots=True)
class AudioInfo:
    """What was decoded, for warnings and records. Complete once the stream is exhausted."""
    sample_rate: int = 0         # Hz, of the source
    channels: int = 0            # of the track
    tracks: int = 0              # sound tracks in the file
    format: str = ""             # container, e.g. WAV
    subtype: str = ""            # codec, e.g. pcm_s16le
    frames: int = 0              # samples per channel in the source, pauses included
    n_samples: int = 0           # samples handed out per channel, at 16 kHz
    seconds: float = 0.0         # from the file's zero, pauses included
    # what the file says of its length, if it does: known from the first block
    expected_seconds: float | None = None
    peak: float = 0.0            # largest magnitude in the source; 1 is full scale
    clipped_fraction: float = 0.0  # share of the source's samples at full scale
    # the format cannot tell whether the recording ends here or was cut between two frames
    unmarked_end: bool = False
    missing: list[str] = field(default_factory=list)    # sentences: what could not be decoded
    remarks: list[str] = field(default_factory=list)    # sentences: what is odd, and was heard
    exact: bool = False          # lossless sound, so that a promise is kept to the sample
    inexact: bool = False        # the promise is not kept quite


class AudioStream:
    """Context manager and iterator of int16 blocks at 16 kHz, in constant memory: (n,) mono, or
    (n, channels). `info` is complete at the end.

    Raises `AudioError`, at any block: samples already handed out of a file that ends in an error
    are not to be used.
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
        self._stack = ExitStack()
        self._clipped = 0.0
        self.info = AudioInfo()

    def __enter__(self) -> "AudioStream":
        self._opened = self._stack.enter_context(open_source(self._source))
        try:
            self._opened = _without_tag(self._opened)
            self._pieces = pieces(self._opened, self._track)
            self._first = next(self._pieces)
        except DecoderRefused as refusal:
            self._stack.close()
            raise self._fail(_refusal(self._opened, refusal)) from refusal
        except OSError as error:
            self._stack.close()
            raise self._fail(f"cannot be read ({printable(error)})") from error
        except AudioError:
            self._stack.close()
            raise
        self._describe(self._first[1])
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
                    yield self._count(resampler.finish())
                resampler = Resampler(rate, *block.shape[1:])
                form = rate, block.shape[1:]
            if block.dtype == np.int16:
                block = block.astype(np.float32) / np.float32(FULL_SCALE)
            yield self._count(resampler.push(block))
        if resampler is not None:
            yield self._count(resampler.finish())

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
        """(rate, block) of all pieces as the source has them; then what was promised is compared."""
        done: list[tuple[Reader, float | None]] = []
        piece = self._first
        while piece:
            promised = None
            begun = False
            for rate, block in piece[1].blocks():
                if not begun:
                    begun = True
                    promised = promised_seconds(*piece)
                    self.info.expected_seconds = self.info.expected_seconds or promised
                self._measure(rate, block)
                yield rate, block
            done.append((piece[1], promised))
            piece = next(self._pieces, None)
        if not self.info.frames:
            raise self._fail(
                "holds no sound that can be decoded: it is damaged or was cut short"
                if done[0][0].packets or done[0][0].total else "holds no sound, only a header")
        self._compare(done)

    def _measure(self, rate: int, block: np.ndarray) -> None:
        """Refuse what is no sound; keep the figures of `info`."""
        info = self.info
        if not MIN_RATE <= rate <= MAX_RATE:
            raise self._fail(
                f"declares a sampling rate of {rate} Hz, outside {MIN_RATE} to {MAX_RATE}")
        full = FULL_SCALE if block.dtype == np.int16 else 1.0
        peak = max(float(block.max()), -float(block.min())) / full
        if not peak < ABSURD_PEAK:  # NaN compares false
            raise self._fail(
                f"holds values that are no sound (magnitude {peak:.3g} where full scale is 1)"
                if np.isfinite(peak) else "holds NaN or infinity instead of sound")
        info.peak = max(info.peak, peak)
        level = _CLIP_LEVEL.get(info.subtype, 32767 / 32768)
        if peak >= level:
            loud = np.abs(block.astype(np.float32)) >= level * full
            self._clipped += int(np.count_nonzero(loud)) / block.shape[1]
        info.frames += len(block)
        info.seconds += len(block) / rate
        info.clipped_fraction = self._clipped / info.frames

    def _describe(self, reader: Reader) -> None:
        info = self.info
        info.sample_rate = reader.rate
        info.channels = reader.channels
        info.tracks = reader.tracks
        info.format = FORMATS[reader.name]
        info.subtype = reader.codec

    def _compare(self, done: list[tuple[Reader, float | None]]) -> None:
        """Say what is missing and what is odd; `AudioError` for that if it must be whole."""
        info = self.info
        first, promised = done[0]
        info.sample_rate = info.sample_rate or first.rate
        info.exact = first.exact
        info.unmarked_end = promised is None
        heard = sum(reader.decoded if reader.exact else reader.length for reader, _ in done)
        if promised is not None:
            info.inexact = first.cut or heard + slack(first) < promised
        if promised is not None and heard + TOLERANCE < promised and len(done) == 1:
            info.missing.append(f"{heard:.1f} of {promised:.1f} s could be decoded")
        elif faults := sum(reader.faults for reader, _ in done):
            info.inexact = True
            count = sum(reader.packets for reader, _ in done)
            if promised is None or heard + PLAYED_OVER < promised:
                info.missing.append(f"{faults} of its {count:,} pieces could not be decoded")
        self._odd(done, promised, heard)
        if self._whole and (info.missing or info.remarks or info.inexact):
            said = [*info.missing, *info.remarks, f"{heard:.4f} of {promised or heard:.4f} s are there"]
            raise self._fail(f"is not one whole recording: {said[0]}")

    def _odd(self, done: list[tuple[Reader, float | None]], promised: float | None,
             heard: float) -> None:
        """Remarks on joints, on a length that is older than the sound, and on pauses."""
        info = self.info
        files = sum(reader.form is None for reader, _ in done)
        if files > 1:
            info.remarks.append(f"{files} recordings lie one behind the other in this file: "
                                "all are judged")
        elif promised is not None and promised + TOLERANCE < heard:
            info.remarks.append(f"the file says that it lasts {promised:.1f} s, but "
                                f"{heard:.1f} s are there: all is judged")
        first = done[0][0]
        if first.name == "ogg" and first.zero > TOLERANCE:
            info.remarks.append(f"its clock begins at {first.zero:.1f} s: what was before that is "
                                "lost, or was not recorded")
        if first.lead:
            info.remarks.append(f"the sound begins {first.lead:.1f} s after the start of the file")
        for at, seconds in first.pauses[:MAX_PAUSES]:
            info.remarks.append(f"nothing from {at:.1f} to {at + seconds:.1f} s: a pause, or a "
                                "part that is lost")


def _without_tag(opened: Opened) -> Opened:
    """The file without the ID3 tags that may precede any kind; `AudioError` if nothing follows."""
    while tag := id3_length(_head(opened)):
        if tag >= opened.size:
            raise AudioError(
                f"{opened.name} holds no sound, only a tag, or was cut short within it")
        opened = part_of(opened, tag, opened.size)
    return opened


def _head(opened: Opened) -> bytes:
    opened.file.seek(0)
    return opened.file.read(HEAD)


def _refusal(opened: Opened, refusal: DecoderRefused) -> str:
    """Why a file cannot be opened, in words for a person."""
    if what := not_audio(_head(opened)):
        return f"is not audio: it is {what}"
    if "Invalid data" not in str(refusal) and "End of file" not in str(refusal):
        return f"cannot be decoded ({refusal})"
    return ("is not audio of a kind that can be read, or was cut short before its sound begins: "
            "convert it to WAV or FLAC first")


def open_audio(source: AudioSource, track: int = 0, channels: Sequence[int] | None = None, *,
               whole: bool = False) -> AudioStream:
    """The mono stream of a sound track of `source`: int16 blocks (n,). Use it in a with statement.

    source: a path, (path, offset, size) of a slice, or a binary file object.
    channels: numbers of the channels to average; all by default.
    whole: refuse what is not one whole recording, as corpora and published scores ask.
    """
    return AudioStream(source, track, channels, whole=whole)


def open_channels(source: AudioSource, track: int = 0) -> AudioStream:
    """As `open_audio`, every channel by itself: int16 blocks (n, channels)."""
    return AudioStream(source, track, each=True)


def load_audio(source: AudioSource) -> np.ndarray:
    """All of `source` as int16 (n,), 16 kHz mono; it must be one whole recording.

    Raises `AudioError`.
    """
    with open_audio(source, whole=True) as stream:
        blocks = list(stream)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
