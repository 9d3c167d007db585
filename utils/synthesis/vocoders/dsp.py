"""Vocoders of signal processing only, without networks, at 16 kHz.

WORLD: Morise et al., 2016. Griffin-Lim: Griffin and Lim, 1984.
"""
import importlib.util
from functools import lru_cache

import numpy as np

from utils.common.errors import InputError
from utils.signals import SAMPLE_RATE, spectra
from utils.signals.length import cut_or_pad, mirror_ends
from utils.signals.mel import slaney_bank

SIZE = 1024    # FFT size of Griffin-Lim's mel spectrogram
HOP = 256
BANDS = 80


def _bank() -> np.ndarray:
    return slaney_bank(SAMPLE_RATE, SIZE, BANDS, 0.0, SAMPLE_RATE / 2)


@lru_cache(maxsize=1)
def _inverse_bank() -> np.ndarray:
    return np.linalg.pinv(_bank())


def griffin_lim(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech from its 80-band mel spectrogram, by 24 to 48 iterations of Griffin-Lim."""
    mel = np.abs(spectra.stft(samples, SIZE, HOP)) @ _bank().T
    magnitude = np.maximum(0, mel @ _inverse_bank().T)
    iterations = int(rng.integers(24, 49))
    return spectra.griffin_lim(magnitude, SIZE, HOP, len(samples), iterations, rng)


def world_analysis(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """WORLD's F0 in Hz, spectral envelope and aperiodicity, every 5 ms."""
    if importlib.util.find_spec("pyworld") is None:
        raise InputError("WORLD needs the package pyworld: pip install pyworld-prebuilt")
    import pyworld
    samples = np.ascontiguousarray(samples)
    f0, times = pyworld.harvest(samples, SAMPLE_RATE, f0_floor=60.0, f0_ceil=600.0)
    envelope = pyworld.cheaptrick(samples, f0, times, SAMPLE_RATE)
    return f0, envelope, pyworld.d4c(samples, f0, times, SAMPLE_RATE)


def world_copy(samples: np.ndarray) -> np.ndarray:
    """WORLD analysis and synthesis without changes."""
    parameters = world_analysis(samples)
    import pyworld
    return pyworld.synthesize(*parameters, SAMPLE_RATE)[:len(samples)]


class World:
    """WORLD with the methods of a neural vocoder."""
    batch = 1

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Copies of clips (n,) at 16 kHz, of the same lengths. WORLD uses no random numbers."""
        return [cut_or_pad(world_copy(clip), len(clip)) for clip in clips]


class GriffinLim:
    """Griffin-Lim with the methods of a neural vocoder."""
    batch = 1

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Copies of clips (n,) at 16 kHz, of the same lengths; iterations and phases are random."""
        return [cut_or_pad(griffin_lim(mirror_ends(clip, 0, SIZE // 2), rng), len(clip))
                for clip, rng in zip(clips, rngs)]
