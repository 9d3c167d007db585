"""The spectral features that each vocoder was trained on. Samples are float, full scale 1.

Each function repeats the analysis of the network's authors; scale, floor and padding all matter.
"""
from functools import lru_cache

import numpy as np

from utils.signals.mel import slaney_bank, triangles
from utils.signals.spectra import hann, magnitudes

INT16 = 32768.0  # some networks were trained on samples of this full scale


@lru_cache(maxsize=1)
def _nsf_bank() -> np.ndarray:
    """80 bands at 16 kHz, FFT 2048. Band 0 is DC; the rest are linear below 1 kHz, then mel."""
    mel = np.linspace(0, 1127.01048 * np.log1p(8000 / 700), 81)
    points = 700 * np.expm1(mel / 1127.01048)
    linear = int(np.sum(points < 1000))
    points[:linear + 1] = np.linspace(points[0], points[linear], linear + 1)
    bank = np.zeros((80, 1025))
    bank[0, 0] = 2048 / 16000
    area = (2 / (points[2:] - points[:-2]))[:, None]
    bank[1:] = triangles(points, np.linspace(0, 8000, 1025)) * area
    return bank


@lru_cache(maxsize=1)
def _lyra_bank() -> np.ndarray:
    """160 triangular bands of peak 1 up to 7920 Hz, equally spaced in mel, without the DC bin."""
    points = np.linspace(0, 1127 * np.log1p(7920 / 700), 162)
    bank = triangles(points, 1127 * np.log1p(np.linspace(0, 8000, 1025) / 700))
    bank[:, 0] = 0
    return bank


def hifigan_mel(samples: np.ndarray, rate: int = 22050, size: int = 1024, window: int = 1024,
                hop: int = 256, bands: int = 80, low: float = 0.0, high: float = 8000.0,
                frames: int | None = None) -> np.ndarray:
    """(bands, frames): natural logarithm; the samples are padded by (size - hop) / 2 at each end.

    If `frames` is given, that number is spread evenly over the samples and replaces the hop.
    """
    padded = np.pad(samples, (size - hop) // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    starts = np.arange(0, len(windows), hop)
    if frames is not None:
        starts = np.linspace(0, len(windows) - 1, frames).round().astype(int)
    shape = np.pad(hann(window), ((size - window) // 2, size - window - (size - window) // 2))
    spectra = np.sqrt(np.abs(np.fft.rfft(windows[starts] * shape, axis=1)) ** 2 + 1e-9)
    return np.log(np.maximum(slaney_bank(rate, size, bands, low, high) @ spectra.T, 1e-5))


def pwg_mel(samples: np.ndarray) -> np.ndarray:
    """(80, frames) at 22.05 kHz: decimal logarithm, 80 to 7600 Hz, centred frames."""
    spectra = magnitudes(np.pad(samples, 512, mode="reflect"), hann(1024), 256, 1024)
    return np.log10(np.maximum(slaney_bank(22050, 1024, 80, 80.0, 7600.0) @ spectra.T, 1e-10))


def nsf_mel(samples: np.ndarray) -> np.ndarray:
    """(frames, 80) at 16 kHz, a frame every 5 ms: natural logarithm, Blackman window of power 1."""
    window = np.blackman(400)
    padded = np.pad(samples * INT16, 200)
    spectra = magnitudes(padded, window / np.sqrt(np.sum(window ** 2)), 80, 2048)
    return np.log(np.maximum(spectra, 1e-12) @ _nsf_bank().T)


def lyra_mel(samples: np.ndarray) -> np.ndarray:
    """(frames, 160) at 16 kHz, a frame every 40 ms: natural logarithm / 10, floor 500."""
    spectra = magnitudes(np.pad(samples * INT16, (640, 0)), hann(1280), 640, 2048)
    return np.log(np.maximum(spectra @ _lyra_bank().T, 500.0)) / 10


def wavernn_mel(samples: np.ndarray) -> np.ndarray:
    """(80, frames) at 16 kHz, every 200 samples: -100 to 0 dB become -4 to 4, clipped."""
    spectra = magnitudes(np.pad(samples, 400), hann(800), 200, 2048)
    mel = slaney_bank(16000, 2048, 80, 95.0, 7600.0) @ spectra.T
    decibels = 20 * np.log10(np.maximum(1e-5, mel)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4)
