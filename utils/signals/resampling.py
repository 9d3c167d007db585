"""Changes of the sampling rate: a streaming resampler, and two for whole waveforms."""
import numpy as np
import soxr

from utils.signals import SAMPLE_RATE
from utils.signals.length import mirror_ends

FULL_SCALE = 32768.0


class Resampler:
    """Turns blocks of any rate into 16 kHz float32, in constant memory, by soxr HQ."""

    def __init__(self, rate: int, channels: int = 0) -> None:
        """`rate` is the source's sampling rate in Hz; 0 channels: blocks (n,)."""
        self._shape = (0, channels) if channels else (0,)
        self._soxr = None
        if rate != SAMPLE_RATE:
            self._soxr = soxr.ResampleStream(rate, SAMPLE_RATE, channels or 1, "float32", "HQ")

    def push(self, block: np.ndarray) -> np.ndarray:
        """The samples (m,) or (m, channels) that are ready after `block`, full scale 1."""
        block = np.ascontiguousarray(block, np.float32)
        return block if self._soxr is None else self._soxr.resample_chunk(block)

    def finish(self) -> np.ndarray:
        """The last samples, which the filter still holds."""
        nothing = np.zeros(self._shape, np.float32)
        return nothing if self._soxr is None else self._soxr.resample_chunk(nothing, last=True)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Float samples with full scale 1 as int16: rounded to the nearest value, clipped."""
    return np.clip(np.rint(samples * FULL_SCALE), -32768, 32767).astype(np.int16)


def resample(samples: np.ndarray, rate_from: float, rate_to: float) -> np.ndarray:
    """`samples` (n,) at another rate, by soxr HQ; the dtype stays."""
    if rate_from == rate_to:
        return samples
    return soxr.resample(samples, rate_from, rate_to, "HQ")


def fourier_resample(samples: np.ndarray, rate_from: int, rate_to: int) -> np.ndarray:
    """Ideal resampling of a whole clip by Fourier transform, float64.

    Resampling forth and back returns the clip, up to the lower band limit. soxr's filter would
    weaken 7.3 to 8 kHz each time, and so mark the clips that passed through another rate.
    """
    if rate_from == rate_to:
        return samples
    common = int(np.gcd(rate_from, rate_to))
    up = rate_to // common
    down = rate_from // common
    margin = -(-rate_from // 10 // down) * down  # 0.1 s, mirrored, to keep the two ends apart
    length = -(-len(samples) * up // down)
    padded = mirror_ends(samples, margin, margin + -len(samples) % down)
    target = len(padded) // down * up
    spectrum = np.fft.rfft(padded)
    bins = np.zeros(target // 2 + 1, complex)
    kept = min(len(bins), len(spectrum))
    bins[:kept] = spectrum[:kept]
    start = margin // down * up
    return np.fft.irfft(bins, target)[start:start + length] * (up / down)
