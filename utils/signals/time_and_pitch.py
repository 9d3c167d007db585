"""Changes of time and pitch: speed, phase-vocoder stretch, pitch, silence trimming, placement. All keep the length."""
import numpy as np
from scipy.signal import get_window

from utils.signals.codecs import resampled

SAMPLE_RATE = 16000
N_FFT, HOP = 512, 128          # of the phase vocoder
FRAME = 320                    # samples, for silence
SILENCE_DB = 35                # below the loudest frame


def refilled(wave: np.ndarray, n: int, start: int = 0) -> np.ndarray:
    """n samples of `wave` from `start` (modulo its length), repeated as often as needed."""
    return np.resize(np.roll(wave, -start), n)


def change_speed(wave: np.ndarray, factor: float) -> np.ndarray:
    """Faster and higher by `factor` (a tape's speed); same length, refilled by repetition."""
    return refilled(resampled(wave, SAMPLE_RATE * factor, SAMPLE_RATE), len(wave))


def stretched(wave: np.ndarray, factor: float) -> np.ndarray:
    """About n / factor samples at the same pitch: a phase vocoder, phases locked to the nearest spectral peak
    (Laroche and Dolson, "Improved phase vocoder time-scale modification of audio", 1999)."""
    window = get_window("hann", N_FFT)
    padded = np.pad(wave, (N_FFT, 2 * N_FFT))
    spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP] * window, axis=1)
    magnitude, phase = np.abs(spectra), np.angle(spectra)
    expected = 2 * np.pi * HOP / N_FFT * np.arange(N_FFT // 2 + 1)
    steps = np.arange(0, len(spectra) - 1, factor)
    parts, turned, before = np.empty((len(steps), len(expected)), dtype=complex), phase[0], phase[0]
    for k, step in enumerate(steps):
        at = int(step)
        turn = expected + (phase[at + 1] - phase[at] - expected + np.pi) % (2 * np.pi) - np.pi  # over one hop
        parts[k] = magnitude[at] * np.exp(1j * (phase[at] + turned_by(magnitude[at], turned - before)))
        turned, before = np.angle(parts[k]) + turn, phase[min(int(step + factor), len(spectra) - 1)]
    whole = _overlap_added(np.fft.irfft(parts, N_FFT, axis=1) * window, window)
    return whole[N_FFT:N_FFT + max(1, int(len(wave) / factor))]


def turned_by(magnitude: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The phase turns (bins,), each bin taking that of the spectral peak nearest to it."""
    peaks = 1 + np.flatnonzero((magnitude[1:-1] >= magnitude[:-2]) & (magnitude[1:-1] > magnitude[2:]))
    if len(peaks) < 2:
        return turn
    return turn[peaks[np.searchsorted((peaks[1:] + peaks[:-1]) / 2, np.arange(len(turn)))]]


def _overlap_added(parts: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Frames (k, N_FFT) at hops of HOP, summed and divided by the windows' sum of squares."""
    total, weight = np.zeros((2, (len(parts) - 1) * HOP + N_FFT))
    for k, part in enumerate(parts):
        total[k * HOP:k * HOP + N_FFT] += part
        weight[k * HOP:k * HOP + N_FFT] += window ** 2
    return total / np.maximum(weight, 1e-3)


def stretch_time(wave: np.ndarray, factor: float) -> np.ndarray:
    """Faster by `factor` at the same pitch; same length, refilled by repetition."""
    return refilled(stretched(wave, factor), len(wave))


def shift_pitch(wave: np.ndarray, semitones: float) -> np.ndarray:
    """Higher by `semitones` at the same tempo: stretched, then resampled; same length."""
    ratio = 2 ** (semitones / 12)
    return refilled(resampled(stretched(wave, 1 / ratio), SAMPLE_RATE * ratio, SAMPLE_RATE), len(wave))


def trimmed(wave: np.ndarray) -> np.ndarray:
    """`wave` from its first to its last 20 ms frame within 35 dB of the loudest; itself where shorter or silent."""
    count = len(wave) // FRAME
    if count < 2:
        return wave
    power = (wave[:count * FRAME].reshape(count, FRAME).astype(np.float64) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-SILENCE_DB / 10))
    return wave[loud[0] * FRAME:(loud[-1] + 1) * FRAME] if len(loud) else wave


def placed(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leading and trailing silence cut off, the rest repeated from a random place of itself; same length."""
    core = trimmed(wave)
    return refilled(core, len(wave), int(rng.integers(len(core))))
