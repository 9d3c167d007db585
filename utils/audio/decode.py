"""The one way audio becomes samples: any file → 16 kHz mono int16, in blocks, whole or none.

soundfile reads what it reads well, PyAV the rest and what libsndfile refuses although it is sound.
"""
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from utils.signals import SAMPLE_RATE
from utils.audio.containers import check_container
from utils.audio.file_types import FLAC, HEAD, OTHER, Kind, id3_length, not_audio, sniff
from utils.audio.libav import PyavReader
from utils.audio.libsndfile import DecoderRefused, Reader, SoundfileReader
from utils.signals.resampling import FULL_SCALE, Resampler
from utils.audio.sources import AudioError, AudioSource, Opened, open_source, part_of
from utils.common.errors import printable

MIN_RATE, MAX_RATE = 4000, 768_000  # Hz: beyond these a header is wrong, not unusual
# times full scale (+24 dB): integers stored as float, or not sound at all
ABSURD_PEAK = 16.0
# where full scale lies lower
_CLIP_LEVEL = {"PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "ULAW": 0.98, "ALAW": 0.98}


@dataclass(slots=True)
class AudioInfo:
    """What was decoded, for warnings and records. Complete once the stream is exhausted."""
    sample_rate: int = 0         # Hz, of the source
    channels: int = 0
    format: str = ""             # container, e.g. WAV
    subtype: str = ""            # codec, e.g. PCM_16
    decoder: str = ""            # soundfile or PyAV
    frames: int = 0              # samples per channel in the source
    n_samples: int = 0           # samples handed out, at 16 kHz
    seconds: float = 0.0
    # what the file says of its length, where it does: known from the first block
    expected_seconds: float | None = None
    peak: float = 0.0            # largest magnitude in the source; 1 is full scale
    clipped_fraction: float = 0.0  # share of the source's samples at full scale
    # power of the channels' sum over the sum of their powers: 0 where they cancel out
    in_phase: float = 1.0
    # the format cannot tell whether the recording ends here or was cut between two frames
    unmarked_end: bool = False


class AudioStream:
    """Context manager and iterator of int16 blocks (n,), 16 kHz mono, in constant memory. `info` is
    complete at the end.

    Raises `AudioError`, at any block: samples already handed out of a file that ends in an error
    are not to be used.
    """

    def __init__(self, source: AudioSource) -> None:
        self._source, self._stack, self.info = source, ExitStack(), AudioInfo()

    def __enter__(self) -> "AudioStream":
        self._opened = self._stack.enter_context(open_source(self._source))
        try:
            self._opened, self._kind = _identify(self._opened)
            self._facts = check_container(self._opened, self._kind)
            if self._facts.end is not None:
                self._opened = part_of(self._opened, 0, self._facts.end)
            self.info.unmarked_end = self._facts.unmarked_end
            self._blocks = self._decode()
        except OSError as error:
            self._stack.close()
            raise self._fail(f"cannot be read ({printable(error)})") from error
        except AudioError:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc_info) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        try:
            return next(self._blocks)
        except OSError as error:
            raise self._fail(f"cannot be read ({printable(error)})") from error

    def _fail(self, reason: str) -> AudioError:
        return AudioError(f"{self._opened.name} {reason}")

    def _decode(self) -> Iterator[np.ndarray]:
        """int16 blocks at 16 kHz; a change of rate inside the file (chained streams) begins a new
        resampler.
        """
        resampler = None
        for rate, block in self._source_blocks():
            as_it_is = rate == SAMPLE_RATE and block.shape[1] == 1 and block.dtype == np.int16
            if as_it_is and resampler is None:
                yield self._count(block[:, 0])
                continue
            if resampler is None or resampler.rate != rate:
                if resampler is not None:
                    yield self._count(resampler.finish())
                resampler = Resampler(rate)
            if block.dtype == np.int16:
                block = block.astype(np.float32) / np.float32(FULL_SCALE)
            yield self._count(resampler.push(block))
        if resampler is not None:
            yield self._count(resampler.finish())

    def _count(self, block: np.ndarray) -> np.ndarray:
        self.info.n_samples += len(block)
        return block

    def _source_blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(rate, block) as the source has them; PyAV where libsndfile refuses, which for FLAC may
        be in the middle.
        """
        refusal = None
        if self._kind.soundfile and self._facts.libsndfile:
            try:
                yield from self._read(SoundfileReader(self._opened), skip=0)
                return
            except DecoderRefused as error:
                refusal = error
        done = self.info.frames
        if self._kind.av is None or (done and self._kind is not FLAC):
            raise self._fail(f"cannot be decoded ({refusal})") from refusal
        try:
            yield from self._read(PyavReader(self._opened, self._kind), skip=done)
        except DecoderRefused as error:
            raise self._broken_off(error) from error

    def _broken_off(self, error: DecoderRefused) -> AudioError:
        """What to say of a file in which a decoder stuck: cut short where that was its very end,
        else damaged.
        """
        promised = self._facts.frames
        if not error.at_end or promised and self.info.frames >= promised:
            return self._fail(f"cannot be decoded ({error})")
        of = f" of {promised}" if promised else ""
        return self._fail("was cut short or is damaged at its end: "
                          f"{self.info.frames}{of} samples could be decoded")

    def _read(self, reader: Reader, skip: int) -> Iterator[tuple[int, np.ndarray]]:
        """(rate, block) of one decoder, without the first `skip` samples; the whole is checked at
        its end.
        """
        done, flac_sum = 0, self._facts.flac_sum if isinstance(reader, PyavReader) else None
        for block in reader.blocks():
            if flac_sum is not None:
                flac_sum.update(block)
            fresh = block[max(0, skip - done):]
            done += len(block)
            if len(fresh):
                self._measure(reader, fresh)
                yield reader.rate, fresh
        self._check_whole(reader, done)
        if flac_sum is not None and not flac_sum.matches():
            raise self._fail(
                "is damaged: its samples do not have the sum that was stored with them")

    def _measure(self, reader: Reader, block: np.ndarray) -> None:
        """Refuse what is no sound; keep the figures of `info`."""
        info = self.info
        if not info.frames:
            self._describe(reader)
        low, high = block.min(), block.max()
        full = FULL_SCALE if block.dtype == np.int16 else 1.0
        peak = max(float(high), -float(low)) / full
        if not peak < ABSURD_PEAK:  # NaN compares false
            raise self._fail(
                f"holds values that are no sound (magnitude {peak:.3g} where full scale is 1)"
                if np.isfinite(peak) else "holds NaN or infinity instead of sound")
        info.peak = max(info.peak, peak)
        if peak >= self._clip_level:
            loud = np.abs(block.astype(np.float32)) >= self._clip_level * full
            at_full_scale = int(np.count_nonzero(loud))
            self._clipped += at_full_scale / block.shape[1]
        if block.shape[1] > 1:
            self._mixed(block)
        info.frames += len(block)
        info.seconds += len(block) / reader.rate
        info.clipped_fraction = self._clipped / info.frames

    def _mixed(self, block: np.ndarray) -> None:
        """Note how much of the channels is left when they are mixed to mono."""
        wave = block.astype(np.float32, copy=False)
        mono = wave.sum(axis=1)
        self._of_sum, self._of_channels = (so_far + float(np.vdot(now, now)) for so_far, now in
                                           ((self._of_sum, mono), (self._of_channels, wave)))
        if self._of_channels:
            self.info.in_phase = self._of_sum / self._of_channels

    def _describe(self, reader: Reader) -> None:
        info = self.info
        info.sample_rate, info.channels, info.decoder = reader.rate, reader.channels, reader.decoder
        info.format, info.subtype = reader.container, reader.codec
        self._of_sum = self._of_channels = 0.0
        self._clipped, self._clip_level = 0.0, _CLIP_LEVEL.get(reader.codec, 32767 / 32768)
        promised = self._facts.frames or reader.frames
        info.expected_seconds = (promised / reader.rate if promised and reader.rate
                                 else self._facts.seconds or reader.seconds)
        if not MIN_RATE <= reader.rate <= MAX_RATE:
            raise self._fail(
                f"declares a sampling rate of {reader.rate} Hz, outside {MIN_RATE} to {MAX_RATE}")

    def _check_whole(self, reader: Reader, done: int) -> None:
        """Compare what was decoded with what was promised."""
        promised = self._facts.frames or reader.frames
        if promised and done < promised:
            raise self._fail(f"was cut short: {done} of {promised} samples are there")
        if self._facts.frames and done > self._facts.frames:
            raise self._fail(
                f"is damaged: {done} samples where its header says {self._facts.frames}")
        seconds, expected = self.info.seconds, self._facts.seconds
        if expected is not None and seconds + self._facts.slack < expected:
            raise self._fail(f"is damaged: {seconds:.2f} of {expected:.2f} s could be decoded")
        if not done:
            raise self._fail("holds no sound, only a header")


def _identify(opened: Opened) -> tuple[Opened, Kind]:
    """The kind of the file, and the file without the ID3 tags that may precede any kind."""
    head = opened.file.read(HEAD)
    while tag := id3_length(head):
        if tag >= opened.size:
            raise AudioError(
                f"{opened.name} holds no sound, only a tag, or was cut short within it")
        opened = part_of(opened, tag, opened.size)
        head = opened.file.read(HEAD)
    kind = sniff(head, opened.name)
    if kind is OTHER:
        what = not_audio(head)
        if what:
            raise AudioError(f"{opened.name} is not audio: it is {what}")
        raise AudioError(f"{opened.name} is not audio of a kind that can be read: "
                         "convert it to WAV or FLAC first")
    return opened, kind


def open_audio(source: AudioSource) -> AudioStream:
    """The stream of `source`: a path, (path, offset, size) of a slice, or a binary file object. Use
    it in a with statement.
    """
    return AudioStream(source)


def load_audio(source: AudioSource) -> np.ndarray:
    """All of `source` as int16 (n,), 16 kHz mono: exactly the blocks of `open_audio`, joined.
    Raises `AudioError`.
    """
    with open_audio(source) as stream:
        blocks = list(stream)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
