"""The front stage: what makes recordings comparable before a model scores or learns from them.

1. A high-pass takes away a constant offset, drift, rumble and mains hum: a linear-phase FIR filter
   (windowed sinc, Kaiser 1974). It passes 100 Hz and above within 0.1 dB. It takes at least 55 dB
   from 60 Hz and below. Its delay of 46 ms is taken back.
2. Each window is scaled so that its speech lies at LEVEL_DBFS, by at most MAX_GAIN_DB.
3. Faint white noise, always the same, covers what lies far below the speech. Rounding a soft
   recording to 16 bits changes little but that.

A model's metadata say under "front" that it was trained behind this stage. A model without that
entry gets none.
"""
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from utils.signals import N_SAMPLES, SAMPLE_RATE

# what metadata say; another stage, other words
FRONT = "high-pass 60-100 Hz, speech at -26 dBFS, noise 40 dB below"
STOP_HZ, PASS_HZ = 60.0, 100.0
HUM_HZ = (50.0, 60.0)
HALF = 736                      # samples: the filter has 2 * HALF + 1 taps
KAISER_BETA = 5.65              # 60 dB
LEVEL_DBFS = -26.0
COVER_DB = 40.0                 # of the noise below the speech
MAX_GAIN_DB = 50.0              # silence and faint noise stay below speech
GATE = 0.1                      # frames within 10 dB of the mean power count as speech
FRAME = 320                     # samples: 20 ms
BLOCK = 16384                   # samples filtered at once: 1.02 s


def _taps() -> np.ndarray:
    cutoff = (STOP_HZ + PASS_HZ) / SAMPLE_RATE      # of the middle, as a share of half the rate
    low_pass = cutoff * np.sinc(cutoff * np.arange(-HALF, HALF + 1))
    low_pass *= np.kaiser(2 * HALF + 1, KAISER_BETA)
    taps = -low_pass / low_pass.sum()               # nothing of a constant passes
    taps[HALF] += 1
    return taps


def _cover() -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(N_SAMPLES, np.float32)
    return noise * np.float32(10 ** ((LEVEL_DBFS - COVER_DB) / 20))


TAPS = _taps()
COVER = _cover()


class HighPass:
    """The high-pass over a recording that arrives in blocks of any size.

    It filters pieces of BLOCK samples, so the blocks' sizes change no bit of what comes out.
    Memory: one piece, one block and 3 * HALF samples.
    """

    def __init__(self) -> None:
        self._held = np.empty(0)
        self._old = 0               # samples of `_held` that were filtered before

    def push(self, block: np.ndarray) -> np.ndarray:
        """The float32 samples (m,) that are ready after `block` (n,), in the same unit."""
        self._held = np.concatenate([self._held, block.astype(np.float64)])
        ready = [np.empty(0, np.float32)]
        while len(self._held) >= self._old + BLOCK:
            piece = self._held[:self._old + BLOCK]
            self._held = self._held[len(piece) - 2 * HALF:]
            ready.append(_filtered(piece if self._old else np.concatenate([_before(piece), piece])))
            self._old = 2 * HALF
        return np.concatenate(ready)

    def finish(self) -> np.ndarray:
        """The last samples; as many have come out as went in."""
        if not len(self._held):
            return np.empty(0, np.float32)
        start = self._held[:0] if self._old else _before(self._held)
        return _filtered(np.concatenate([start, self._held, _before(self._held[::-1])[::-1]]))


def high_passed(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The recording of `blocks` (n,) behind the high-pass, as float32 blocks in the same unit."""
    stage = HighPass()
    for block in blocks:
        ready = stage.push(block)
        if len(ready):
            yield ready
    ready = stage.finish()
    if len(ready):
        yield ready


def _before(edge: np.ndarray) -> np.ndarray:
    """HALF samples that may have come before a recording's first ones, `edge` (n,).

    Mirrored samples alone would break hum and drift, and a break is heard. So these are fitted by
    least squares and continued, and only the rest is mirrored.
    """
    edge = edge[:2 * HALF]
    time = np.arange(-HALF, len(edge)) / (2 * HALF)
    angle = 4 * np.pi * HALF / SAMPLE_RATE * np.outer(time, HUM_HZ)
    below = np.hstack([time[:, None] ** np.arange(3), np.cos(angle), np.sin(angle)])
    if len(edge) < 2 * HALF:
        below = below[:, :1]        # so short: a constant alone
    below = below @ np.linalg.lstsq(below[HALF:], edge, rcond=None)[0]
    return below[:HALF] + np.pad(edge - below[HALF:], (HALF, 0), "symmetric")[:HALF]


@lru_cache(maxsize=16)
def _response(size: int) -> np.ndarray:
    return np.fft.rfft(TAPS, size)


def _filtered(samples: np.ndarray) -> np.ndarray:
    size = 1 << (len(samples) + 2 * HALF).bit_length()
    product = np.fft.rfft(samples, size) * _response(size)
    return np.fft.irfft(product, size)[2 * HALF:len(samples)].astype(np.float32)


def at_speech_level(wave: np.ndarray) -> np.ndarray:
    """A window, float32 (n,) in [-1, 1], with its speech at LEVEL_DBFS, above faint noise.

    Peaks may exceed 1.
    """
    gain = 10 ** (LEVEL_DBFS / 20) / max(speech_rms(wave), 1e-9)
    return wave * np.float32(min(gain, 10 ** (MAX_GAIN_DB / 20))) + np.resize(COVER, len(wave))


def speech_rms(wave: np.ndarray) -> float:
    """RMS of the 20 ms frames that reach a tenth of the mean power of all (as in ITU-R BS.1770)."""
    count = max(1, len(wave) // FRAME)
    frames = wave[:count * FRAME].reshape(count, -1)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return float(np.sqrt(powers[powers >= GATE * powers.mean()].mean()))


def front_stage(wave: np.ndarray) -> np.ndarray:
    """A whole window, float32 (n,) in [-1, 1], behind all steps."""
    return at_speech_level(np.concatenate(list(high_passed([wave]))))
