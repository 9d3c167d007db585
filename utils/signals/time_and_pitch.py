"""Changes of tempo and pitch, by playing faster or slower or by phase vocoders."""
import numpy as np
from scipy.signal import get_window

from utils.signals import SAMPLE_RATE
from utils.signals.length import repeat_from
from utils.signals.resampling import resample
from utils.signals.spectra import istft, stft

SIZE = 512    # samples in a frame of `stretch`
HOP = 128


def stretch(samples: np.ndarray, factor: float) -> np.ndarray:
    """About n / factor samples at the same pitch; phases are locked to the nearest spectral peak.

    Laroche and Dolson, "Improved phase vocoder time-scale modification of audio", 1999.
    """
    window = get_window("hann", SIZE)
    padded = np.pad(samples, (SIZE, 2 * SIZE))
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    parts = _relocated(np.fft.rfft(frames * window, axis=1), factor)
    whole = _overlap_add(np.fft.irfft(parts, SIZE, axis=1) * window, window)
    return whole[SIZE:SIZE + max(1, int(len(samples) / factor))]


def _relocated(spectra: np.ndarray, factor: float) -> np.ndarray:
    """Spectra at every `factor`-th hop; the phases continue from one frame to the next."""
    magnitude = np.abs(spectra)
    phase = np.angle(spectra)
    expected = 2 * np.pi * HOP / SIZE * np.arange(SIZE // 2 + 1)
    steps = np.arange(0, len(spectra) - 1, factor)
    parts = np.empty((len(steps), len(expected)), dtype=complex)
    turned = phase[0]
    before = phase[0]
    for k, step in enumerate(steps):
        at = int(step)
        change = phase[at + 1] - phase[at] - expected + np.pi
        turn = expected + change % (2 * np.pi) - np.pi  # over one hop
        locked = lock_to_peaks(magnitude[at], turned - before)
        parts[k] = magnitude[at] * np.exp(1j * (phase[at] + locked))
        turned = np.angle(parts[k]) + turn
        before = phase[min(int(step + factor), len(spectra) - 1)]
    return parts


def lock_to_peaks(magnitude: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Phase turns (bins,): each bin gets the turn of its nearest spectral peak."""
    inner = magnitude[1:-1]
    peaks = 1 + np.flatnonzero((inner >= magnitude[:-2]) & (inner > magnitude[2:]))
    if len(peaks) < 2:
        return turn
    nearest = np.searchsorted((peaks[1:] + peaks[:-1]) / 2, np.arange(len(turn)))
    return turn[peaks[nearest]]


def _overlap_add(parts: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Frames (k, SIZE) at hops of HOP, summed and divided by the windows' sum of squares."""
    total, weight = np.zeros((2, (len(parts) - 1) * HOP + SIZE))
    for k, part in enumerate(parts):
        total[k * HOP:k * HOP + SIZE] += part
        weight[k * HOP:k * HOP + SIZE] += window ** 2
    return total / np.maximum(weight, 1e-3)


def plain_stretch(samples: np.ndarray, factor: float, size: int = 1024, hop: int = 256
                  ) -> np.ndarray:
    """`factor` times as many samples at the same pitch; each bin has its own phase.

    It sounds worse than `stretch` on purpose: the default corpus uses it as an attack.
    """
    spectra = stft(samples, size, hop)
    advance = 2 * np.pi * hop * np.arange(size // 2 + 1) / size
    phase = np.angle(spectra[0])
    frames = []
    for step in np.arange(0, len(spectra) - 1, 1 / factor):
        left, right = spectra[int(step)], spectra[int(step) + 1]
        part = step - int(step)
        magnitude = (1 - part) * np.abs(left) + part * np.abs(right)
        frames.append(magnitude * np.exp(1j * phase))
        change = np.angle(right) - np.angle(left) - advance
        phase = phase + advance + change - 2 * np.pi * np.round(change / (2 * np.pi))
    return istft(np.array(frames), size, hop, int(len(samples) * factor))


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """`samples`, faster and higher by `factor` like a tape; float32, repeated to the old length."""
    faster = resample(samples.astype(np.float32), SAMPLE_RATE * factor, SAMPLE_RATE)
    return repeat_from(faster, len(samples))


def change_tempo(samples: np.ndarray, factor: float) -> np.ndarray:
    """`samples`, faster by `factor` at the same pitch, repeated to the old length."""
    return repeat_from(stretch(samples, factor), len(samples))


def shift_pitch(samples: np.ndarray, semitones: float) -> np.ndarray:
    """`samples`, higher by `semitones` at the same tempo; float32, same length."""
    ratio = 2 ** (semitones / 12)
    longer = stretch(samples, 1 / ratio).astype(np.float32)
    return repeat_from(resample(longer, SAMPLE_RATE * ratio, SAMPLE_RATE), len(samples))
