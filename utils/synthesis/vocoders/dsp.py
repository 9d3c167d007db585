"""Vocoders that are signal processing only, at 16 kHz.

WORLD: Morise et al., 2016. Griffin-Lim: Griffin and Lim, 1984.
"""
import importlib.util
from functools import lru_cache

import numpy as np
import scipy.signal

from utils.common.errors import InputError
from utils.signals.mel import slaney_bank
from utils.signals.speech import RATE, fit, lengthen

SIZE, HOP, BANDS = 1024, 256, 80    # of Griffin-Lim's mel spectrogram
MOMENTUM = 0.99                     # Perraudin, Balazs and Sondergaard, 2013


def stft(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Centred Hann STFT, (frames, size // 2 + 1)."""
    padded = np.pad(samples, size // 2, mode="reflect" if len(samples) > size // 2 else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.fft.rfft(frames * scipy.signal.get_window("hann", size), axis=1)


def istft(spectrum: np.ndarray, size: int, hop: int, length: int) -> np.ndarray:
    """Least-squares inverse of `stft`."""
    window = scipy.signal.get_window("hann", size)
    frames = np.fft.irfft(spectrum, size, axis=1) * window
    total = np.zeros((len(frames) - 1) * hop + size)
    weight = np.full_like(total, 1e-8)
    for index, frame in enumerate(frames):
        total[index * hop:index * hop + size] += frame
        weight[index * hop:index * hop + size] += window ** 2
    return np.pad(total / weight, (0, length))[size // 2:size // 2 + length]


def rebuild_phase(magnitude: np.ndarray, size: int, hop: int, length: int, iterations: int,
                  rng: np.random.Generator) -> np.ndarray:
    """Samples (length,) with nearly this magnitude spectrogram (frames, bins), by Griffin-Lim with momentum.

    The first phases are drawn.
    """
    angles = np.exp(2j * np.pi * rng.random(magnitude.shape))
    previous = np.zeros_like(angles)
    for _ in range(iterations):
        rebuilt = stft(istft(magnitude * angles, size, hop, length), size, hop)[:len(magnitude)]
        angles = rebuilt + MOMENTUM / (1 + MOMENTUM) * (rebuilt - previous)
        angles /= np.abs(angles) + 1e-16
        previous = rebuilt
    return istft(magnitude * angles, size, hop, length)


@lru_cache(maxsize=1)
def _inverse_bank() -> np.ndarray:
    return np.linalg.pinv(slaney_bank(RATE, SIZE, BANDS, 0.0, RATE / 2))


def griffin_lim(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech from its 80-band mel spectrogram by Griffin-Lim, 24 to 48 iterations."""
    mel = np.abs(stft(samples, SIZE, HOP)) @ slaney_bank(RATE, SIZE, BANDS, 0.0, RATE / 2).T
    magnitude = np.maximum(0, mel @ _inverse_bank().T)
    return rebuild_phase(magnitude, SIZE, HOP, len(samples), int(rng.integers(24, 49)), rng)


def world_analysis(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """WORLD's F0 in Hz, spectral envelope and aperiodicity, every 5 ms."""
    if importlib.util.find_spec("pyworld") is None:
        raise InputError("WORLD needs the package pyworld: pip install pyworld-prebuilt")
    import pyworld
    samples = np.ascontiguousarray(samples)
    f0, times = pyworld.harvest(samples, RATE, f0_floor=60.0, f0_ceil=600.0)
    return f0, pyworld.cheaptrick(samples, f0, times, RATE), pyworld.d4c(samples, f0, times, RATE)


def world_copy(samples: np.ndarray) -> np.ndarray:
    """WORLD analysis and synthesis, nothing changed."""
    parameters = world_analysis(samples)
    import pyworld
    return pyworld.synthesize(*parameters, RATE)[:len(samples)]


class World:
    """WORLD in the form of the neural vocoders."""
    rate, batch = RATE, 1

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips at 16 kHz → their copies, of the same lengths. WORLD draws nothing from `rngs`."""
        return [fit(world_copy(clip), len(clip)) for clip in clips]


class GriffinLim:
    """Griffin-Lim in the form of the neural vocoders."""
    rate, batch = RATE, 1

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips at 16 kHz → their copies, of the same lengths; the iterations and the first phases are drawn."""
        return [fit(griffin_lim(lengthen(clip, SIZE // 2), rng), len(clip)) for clip, rng in zip(clips, rngs)]
