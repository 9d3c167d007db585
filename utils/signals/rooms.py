"""Noise and rooms: coloured noise, babble, synthetic room responses, random filters."""
from collections.abc import Callable

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from utils.signals import SAMPLE_RATE
from utils.signals.levels import add_at_snr

COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # power falls as 1 / f**exponent
DECAY_60_DB = 6.9078  # ln(1000): the reverberation time is the time of a decay by 60 dB

# Returns another wave float32 (n,) of the training set.
OtherUtterance = Callable[[np.random.Generator], np.ndarray]


def convolve(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """`wave` through an FIR filter, by FFT, cut to the wave's length."""
    size = next_fast_len(len(wave) + len(response) - 1, real=True)
    return irfft(rfft(wave, size) * rfft(response, size), size)[:len(wave)]


def coloured_noise(n: int, rng: np.random.Generator, exponent: float) -> np.ndarray:
    """Noise (n,) whose power falls as 1 / f**exponent above 20 Hz."""
    size = next_fast_len(n, real=True)
    spectrum = rng.standard_normal(size // 2 + 1) + 1j * rng.standard_normal(size // 2 + 1)
    hertz = np.maximum(np.arange(size // 2 + 1) * SAMPLE_RATE / size, 20)
    return irfft(spectrum * hertz ** (-exponent / 2), size)[:n]


def add_noise(wave: np.ndarray, rng: np.random.Generator,
              snr_db: tuple[float, float] = (10, 40)) -> np.ndarray:
    """`wave` plus white, pink or brown noise at a random signal-to-noise ratio."""
    exponent = COLOURS[str(rng.choice(sorted(COLOURS)))]
    noise = coloured_noise(len(wave), rng, exponent)
    return add_at_snr(wave, noise, rng.uniform(*snr_db))


def add_babble(wave: np.ndarray, rng: np.random.Generator, other: OtherUtterance,
               talkers: tuple[int, int] = (3, 6),
               snr_db: tuple[float, float] = (10, 25)) -> np.ndarray:
    """`wave` plus several other utterances of equal power, each from a random start."""
    babble = np.zeros(len(wave))
    for _ in range(int(rng.integers(talkers[0], talkers[1] + 1))):
        talker = other(rng)
        power = np.dot(talker, talker)
        if power > 0:
            start = int(rng.integers(len(talker)))
            babble += np.resize(np.roll(talker, -start), len(wave)) / np.sqrt(power / len(talker))
    return add_at_snr(wave, babble, rng.uniform(*snr_db))


def room_response(rng: np.random.Generator, seconds: tuple[float, float] = (0.1, 0.7),
                  direct_db: tuple[float, float] = (-3, 15)) -> np.ndarray:
    """A room's impulse response: the direct sound, then decaying noise.

    The noise falls by 60 dB within a random time from the range `seconds`. High frequencies
    decay faster: in 0.4 to 0.9 of that time. `direct_db` is the range of the ratio between the
    energies of the direct sound and of the decaying tail.
    """
    time60 = rng.uniform(*seconds)
    n = int(time60 * SAMPLE_RATE)
    time = np.arange(n) / SAMPLE_RATE
    noise = rng.standard_normal(n)
    smooth = convolve(noise, np.full(8, 1 / 8))
    high = (noise - smooth) * np.exp(-DECAY_60_DB * time / (time60 * rng.uniform(0.4, 0.9)))
    tail = smooth * np.exp(-DECAY_60_DB * time / time60) + high
    tail[:int(rng.uniform(0.001, 0.01) * SAMPLE_RATE)] = 0  # the gap before the first reflection
    tail *= 10 ** (-rng.uniform(*direct_db) / 20) / np.sqrt(np.dot(tail, tail))
    tail[0] = 1
    return tail


def small_room_response(rng: np.random.Generator) -> np.ndarray:
    """A small room's response: decaying noise, T60 0.1 to 0.4 s, direct sound 6 to 20 dB above it.

    It is simpler than `room_response`; the default corpus must repeat it bit for bit.
    """
    decay = rng.uniform(0.1, 0.4)
    length = int(decay * SAMPLE_RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[:int(0.002 * SAMPLE_RATE)] = 0
    tail *= 10 ** (-rng.uniform(6, 20) / 20) / np.sqrt(np.sum(tail ** 2))
    tail[0] = 1.0
    return tail


def reverberate(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`wave` in a synthetic room, at its old level."""
    wet = convolve(wave, room_response(rng))
    return wet * np.sqrt(np.dot(wave, wave) / max(np.dot(wet, wet), 1e-12))


def equalise(wave: np.ndarray, rng: np.random.Generator, points: int = 8,
             spread_db: float = 4) -> np.ndarray:
    """`wave` filtered by a smooth random curve.

    The curve joins random gains at `points` frequencies, spaced evenly in log from 60 Hz to 8 kHz.
    """
    size = next_fast_len(len(wave) + 512, real=True)
    hertz = np.maximum(np.arange(size // 2 + 1) * SAMPLE_RATE / size, 1)
    knots = np.geomspace(60, SAMPLE_RATE / 2, points)
    decibels = np.interp(np.log(hertz), np.log(knots), rng.normal(0, spread_db, points))
    gain = 10 ** (decibels / 20)
    return irfft(rfft(wave, size) * gain, size)[:len(wave)]


def mask_bands(wave: np.ndarray, rng: np.random.Generator,
               width_hz: tuple[float, float] = (100, 1000), floor_db: float = -40) -> np.ndarray:
    """`wave` with one random frequency band weakened by 40 dB; the band's edges are soft."""
    size = next_fast_len(len(wave) + 512, real=True)
    hertz = np.arange(size // 2 + 1) * SAMPLE_RATE / size
    width = rng.uniform(*width_hz)
    centre = rng.uniform(200, SAMPLE_RATE / 2)
    inside = np.clip((width / 2 - np.abs(hertz - centre)) / 50 + 0.5, 0, 1)
    return irfft(rfft(wave, size) * 10 ** (floor_db / 20 * inside), size)[:len(wave)]


def mask_times(wave: np.ndarray, rng: np.random.Generator,
               seconds: tuple[float, float] = (0.02, 0.2)) -> np.ndarray:
    """`wave` with one random stretch of time weakened by 40 dB; its edges last 5 ms."""
    n = len(wave)
    edge = int(0.005 * SAMPLE_RATE)
    width = rng.uniform(*seconds) * SAMPLE_RATE
    centre = rng.uniform(0, n)
    inside = np.clip((width / 2 - np.abs(np.arange(n) - centre)) / edge + 0.5, 0, 1)
    return wave * 10 ** (-2 * inside)
