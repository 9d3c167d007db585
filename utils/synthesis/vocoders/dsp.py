"""Vocoders that are signal processing only, at 16 kHz.

WORLD: Morise et al., 2016. Griffin-Lim: Griffin and Lim, 1984.
"""
import importlib.util
from functools import lru_cache

import numpy as np

from utils.common.errors import InputError
from utils.signals import SAMPLE_RATE, spectra
from utils.signals.length import cut_or_pad, mirror_ends
from utils.signals.mel import slaney_bank

SIZE, HOP, BANDS = 1024, 256, 80    # of Griffin-Lim's mel spectrogram


@lru_cache(maxsize=1)
def _inverse_bank() -> np.ndarray:
    return np.linalg.pinv(slaney_bank(SAMPLE_RATE, SIZE, BANDS, 0.0, SAMPLE_RATE / 2))


def griffin_lim(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech from its 80-band mel spectrogram by Griffin-Lim, 24 to 48 iterations."""
    mel = np.abs(spectra.stft(samples, SIZE, HOP)) @ slaney_bank(SAMPLE_RATE, SIZE, BANDS, 0.0, SAMPLE_RATE / 2).T
    magnitude = np.maximum(0, mel @ _inverse_bank().T)
    return spectra.griffin_lim(magnitude, SIZE, HOP, len(samples), int(rng.integers(24, 49)), rng)


def world_analysis(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """WORLD's F0 in Hz, spectral envelope and aperiodicity, every 5 ms."""
    if importlib.util.find_spec("pyworld") is None:
        raise InputError("WORLD needs the package pyworld: pip install pyworld-prebuilt")
    import pyworld
    samples = np.ascontiguousarray(samples)
    f0, times = pyworld.harvest(samples, SAMPLE_RATE, f0_floor=60.0, f0_ceil=600.0)
    return f0, pyworld.cheaptrick(samples, f0, times, SAMPLE_RATE), pyworld.d4c(samples, f0, times, SAMPLE_RATE)


def world_copy(samples: np.ndarray) -> np.ndarray:
    """WORLD analysis and synthesis, nothing changed."""
    parameters = world_analysis(samples)
    import pyworld
    return pyworld.synthesize(*parameters, SAMPLE_RATE)[:len(samples)]


class World:
    """WORLD in the form of the neural vocoders."""
    rate, batch = SAMPLE_RATE, 1

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips at 16 kHz → their copies, of the same lengths. WORLD draws nothing from `rngs`."""
        return [cut_or_pad(world_copy(clip), len(clip)) for clip in clips]


class GriffinLim:
    """Griffin-Lim in the form of the neural vocoders."""
    rate, batch = SAMPLE_RATE, 1

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips at 16 kHz → their copies, of the same lengths; the iterations and the first phases are drawn."""
        return [cut_or_pad(griffin_lim(mirror_ends(clip, 0, SIZE // 2), rng), len(clip)) for clip, rng in zip(clips, rngs)]
