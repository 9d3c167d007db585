"""The sources of the neural source-filter models, from F0 in Hz at every sample (0 if unvoiced)."""
import importlib.util

import numpy as np
import scipy.signal

from utils.common.errors import InputError
from utils.signals import SAMPLE_RATE

HARMONICS = 8
AMPLITUDE = 0.1
NOISE = 0.003
# of a cyclic-noise pulse: time constant and length, in periods of the mean pitch
DECAY = 0.870
REACH = 4.6


def pitch(samples: np.ndarray) -> np.ndarray:
    """F0 in Hz every 5 ms, 0 if unvoiced: Harvest (Morise, 2017), 60 to 500 Hz."""
    if importlib.util.find_spec("pyworld") is None:
        raise InputError("the NSF vocoders need the package pyworld for the pitch: "
                         "pip install pyworld-prebuilt")
    import pyworld
    samples = np.ascontiguousarray(samples, np.float64)
    return pyworld.harvest(samples, SAMPLE_RATE, f0_floor=60.0, f0_ceil=500.0, frame_period=5.0)[0]


def harmonic_source(f0: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sines at F0 and its harmonics, plus noise, (time, 8); harmonics start at random phases."""
    voiced = (f0 > 0)[:, None]
    turns = np.cumsum(np.outer(f0 / SAMPLE_RATE, np.arange(1, HARMONICS + 1)), axis=0)
    turns[:, 1:] += rng.random(HARMONICS - 1)
    noise = rng.standard_normal(turns.shape) * np.where(voiced, NOISE, AMPLITUDE / 3)
    return np.where(voiced, AMPLITUDE * np.sin(2 * np.pi * turns), 0.0) + noise


def _pulses(f0: np.ndarray) -> np.ndarray:
    """A cosine at F0 at voiced onsets and at its peaks in voiced parts, else 0; (time,)."""
    voiced = f0 > 0
    onset = voiced & ~np.concatenate(([False], voiced[:-1]))
    turns = np.cumsum(f0 / SAMPLE_RATE)
    start = np.maximum.accumulate(np.where(onset, np.arange(len(f0)), 0))
    wave = np.where(voiced, np.cos(2 * np.pi * (turns - turns[start])), 0.0)
    before, after = np.concatenate(([0.0], wave[:-1])), np.concatenate((wave[1:], [0.0]))
    inside = voiced & np.concatenate(([False], voiced[:-1])) & np.concatenate((voiced[1:], [False]))
    return np.where((inside & (wave >= before) & (wave > after)) | onset, wave, 0.0)


def cyclic_source(f0: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pulses at F0, each followed by the same decaying noise burst, (time,).

    Unvoiced parts are plain noise.
    """
    voiced = f0 > 0
    noise = rng.standard_normal(len(f0)) * NOISE
    if not voiced.any():
        return noise
    pulses, mean = _pulses(f0), f0[voiced].mean()
    length = int(REACH * SAMPLE_RATE / mean)
    decay = np.exp(-np.arange(length) * mean / (DECAY * SAMPLE_RATE))
    burst = rng.standard_normal(length) * NOISE * decay
    excitation = pulses + noise * (pulses != 0) + noise * ~voiced - noise
    return scipy.signal.fftconvolve(excitation, burst)[:len(f0)] + noise * ~voiced
