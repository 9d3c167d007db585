"""What every decoder hands over, and the one that uses libsndfile (through soundfile)."""
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import soundfile

from utils.signals import SAMPLE_RATE
from utils.audio.sources import Opened

BLOCK = 1 << 18  # samples (all channels together) in one block: most utterances are one block
_INT16 = ("PCM_16", "PCM_S8", "PCM_U8")  # subtypes whose every sample is an int16


class DecoderRefused(Exception):
    """This decoder cannot read these bytes; another may. The message is the decoder's own.

    `at_end`: it stopped at the very last piece of the file, as it does where the rest was cut off.
    """
    at_end = False


class Reader(Protocol):
    """A decoder at work on one file."""
    rate: int          # Hz
    channels: int
    container: str
    codec: str
    decoder: str
    frames: int | None  # what the file promises, where the decoder knows
    seconds: float | None  # about how long it is, where the container says; not checked

    def blocks(self) -> Iterator[np.ndarray]:
        """(n, channels) per block: int16, or float32 with full scale 1. Raises `DecoderRefused`
        where the bytes are broken.
        """
        ...


class SoundfileReader:
    """libsndfile. 16-bit mono at 16 kHz comes out as the int16 it is; everything else as float32.
    """
    decoder, seconds = "soundfile", None

    def __init__(self, source: Opened) -> None:
        source.file.seek(0)
        try:
            self._file = soundfile.SoundFile(source.file)
        except soundfile.LibsndfileError as error:
            raise DecoderRefused(error.error_string) from error
        self.rate = self._file.samplerate
        self.channels = self._file.channels
        self.frames = self._file.frames
        self.container, self.codec = self._file.format, self._file.subtype
        if self.frames >= 1 << 62:  # libsndfile's way to say that the header does not tell
            self.frames = None

    def blocks(self) -> Iterator[np.ndarray]:
        exact = self.rate == SAMPLE_RATE and self.channels == 1 and self.codec in _INT16
        count = max(1, BLOCK // self.channels)
        with self._file as file:
            while True:
                try:
                    block = file.read(count, dtype="int16" if exact else "float32", always_2d=True)
                except soundfile.LibsndfileError as error:
                    raise DecoderRefused(error.error_string) from error
                if len(block):
                    yield block
                if len(block) < count:
                    return

