"""The second decoder, PyAV (libav inside its wheel, no ffmpeg on the system): what libsndfile does
not read.
"""
from collections.abc import Iterator

import numpy as np

from utils.audio.file_types import MP4, Kind
from utils.audio.libsndfile import BLOCK, DecoderRefused
from utils.audio.sources import Opened

# an error is an error, not something to cover with silence
STRICT = {"err_detect": "crccheck+explode"}
# codecs whose frames carry a sum, looked at only when asked for
WITH_SUMS = ("flac", "tta", "wavpack")

# Containers whose length is that of the samples, to the sample.
EXACT_LENGTH = ("FLAC", "WAV", "AIFF", "CAF", "WavPack", "TTA", "Monkey's Audio")


class PyavReader:
    """libav. Only the demuxer of the sniffed kind may look at the bytes: no playlists, no other
    files, no network.
    """
    decoder = "PyAV"

    def __init__(self, source: Opened, kind: Kind) -> None:
        import av  # 20 MB of memory, wanted only where libsndfile does not do
        self._errors, self._size = (av.error.FFmpegError, ValueError), source.size
        source.file.seek(0)
        try:
            self._container = av.open(source.file, format=kind.av,
                                      options={"protocol_whitelist": ""} | STRICT)
        except self._errors as error:
            raise DecoderRefused(f"{kind.name}: {_reason(error)}") from error
        self._stream = next(iter(self._container.streams.audio), None)
        if self._stream is None:
            raise DecoderRefused(f"the {kind.name} file holds no sound")
        context = self._stream.codec_context
        if context is None:
            raise DecoderRefused(f"the {kind.name} file has sound in a coding that is not known")
        if context.name in WITH_SUMS:
            context.options = STRICT
        self.container, self.codec = kind.name, context.name
        self.rate, self.channels = context.sample_rate or 0, context.channels or 0
        # as the index of the file lists them
        self.packets = self._stream.frames if kind is MP4 else 0
        self.frames = None
        self.seconds = self._container.duration / av.time_base if self._container.duration else None
        if self._stream.duration and kind.name in EXACT_LENGTH:
            self.frames = round(float(self._stream.duration * self._stream.time_base) * self.rate)

    def blocks(self) -> Iterator[np.ndarray]:
        held, count = [], 0
        refusal = None
        with self._container:
            try:
                for frame in self._decoded():
                    if (frame.sample_rate, frame.layout.nb_channels) != (self.rate, self.channels):
                        if count:
                            yield np.concatenate(held)
                            held, count = [], 0
                        self.rate, self.channels = frame.sample_rate, frame.layout.nb_channels
                    held.append(self._samples(frame))
                    count += frame.samples * self.channels
                    if count >= BLOCK:
                        yield np.concatenate(held)
                        held, count = [], 0
            except DecoderRefused as error:
                refusal = error
            if count:
                yield np.concatenate(held)
            if refusal:
                raise refusal

    def _decoded(self) -> Iterator:
        seen = end = 0
        try:
            for packet in self._container.demux(self._stream):
                end = packet.pos + packet.size if packet.pos is not None else end
                if packet.is_corrupt:
                    raise self._refusal(f"packet {seen} is damaged", end)
                seen += packet.size > 0
                yield from packet.decode()
        except self._errors as error:
            raise self._refusal(_reason(error), end) from error
        if self.packets and seen < self.packets:
            raise DecoderRefused(f"it was cut short: {seen} of {self.packets} packets are there")


    def _refusal(self, reason: str, end: int) -> DecoderRefused:
        refusal = DecoderRefused(reason)
        refusal.at_end = end >= self._size
        return refusal

    def _samples(self, frame) -> np.ndarray:
        try:
            return _samples(frame)
        except self._errors as error:   # integers of 64 bits, which NumPy is not given
            raise DecoderRefused(
                f"samples of the form {frame.format.name}, which are not known") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _samples(frame) -> np.ndarray:
    """(n, channels) of a frame: int16 stays, everything else becomes float32 with full scale 1."""
    array = frame.to_ndarray()
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / 128
    if array.dtype in (np.int32, np.int64):
        return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    return array if array.dtype == np.int16 else array.astype(np.float32)
