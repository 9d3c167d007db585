"""From any rate and channel count to 16 kHz mono int16, block by block."""
import numpy as np
import soxr

from utils.signals import SAMPLE_RATE

FULL_SCALE = 32768.0


class Resampler:
    """Mixes down (mean over channels), resamples (soxr HQ, as a stream) and rounds once to int16, clipping not
    wrapping."""

    def __init__(self, rate: int) -> None:
        """`rate` is the source's sampling rate in Hz."""
        self.rate = rate
        self._soxr = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")

    def push(self, block: np.ndarray) -> np.ndarray:
        """`block` float (n, channels), full scale 1 → int16 (m,): what is ready by now."""
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        if self._soxr is not None:
            mono = self._soxr.resample_chunk(np.ascontiguousarray(mono, np.float32))
        return to_int16(mono)

    def finish(self) -> np.ndarray:
        """int16 (m,): what the filter still held at the end."""
        if self._soxr is None:
            return np.zeros(0, np.int16)
        return to_int16(self._soxr.resample_chunk(np.zeros(0, np.float32), last=True))


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Float with full scale 1 → int16, rounded to nearest, clipped."""
    return np.clip(np.rint(wave * FULL_SCALE), -32768, 32767).astype(np.int16)
