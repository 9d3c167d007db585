"""RawBoost, written from the formulae of its paper: noise added to waves, float (n,).

Tak et al., "RawBoost: a raw data boosting and augmentation method applied to automatic speaker
verification anti-spoofing", ICASSP 2022. Every filter runs by FFT, in blocks and in float32.
There are three noises. LnL (`convolve_nonlinear`) is linear and non-linear convolutive noise. ISD
(`add_impulses`) is impulsive and depends on the signal. SSI (`add_stationary`) is stationary and
independent of the signal.
"""
import functools
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft

from utils.signals import SAMPLE_RATE
from utils.signals.levels import within_full_scale

RESPONSE_POINTS = 512  # frequencies at which a filter's gain is measured, as published
BLOCK = 4096           # samples per transform, several times the longest filter (5 * 99 taps)
# Samples transformed in one call. The system takes larger arrays back, which costs page faults.
AT_ONCE = 1 << 15

# What each published algorithm applies, in order. Algorithm 8 adds its two results instead.
ALGORITHMS: dict[int, tuple[str, ...]] = {
    1: ("lnl",), 2: ("isd",), 3: ("ssi",), 4: ("lnl", "isd", "ssi"), 5: ("lnl", "isd"),
    6: ("lnl", "ssi"), 7: ("isd", "ssi"), 8: ("lnl", "isd")}
PARALLEL = 8


@dataclass(frozen=True)
class Settings:
    """The published settings; ranges are drawn from uniformly."""
    bands: int = 5                                # notches per filter
    centre_hz: tuple[float, float] = (20, 8000)
    width_hz: tuple[float, float] = (100, 1000)
    taps: tuple[int, int] = (10, 100)             # per notch; made odd
    gain_db: tuple[float, float] = (0, 0)         # of a filter's strongest frequency
    orders: int = 5                               # powers of the wave in LnL
    order_loss_db: tuple[float, float] = (5, 20)  # LnL's powers above one are so much weaker
    impulse_percent: float = 10                   # at most, of the samples
    impulse_gain: float = 2
    snr_db: tuple[float, float] = (10, 40)        # of SSI


PUBLISHED = Settings()
hamming = functools.cache(np.hamming)   # few lengths occur


def band_stop(taps: int, low: float, high: float) -> np.ndarray:
    """Linear-phase band-stop of odd length with a Hamming window, equal to scipy's `firwin`.

    Its gain is 1 at 0 Hz.
    """
    left, right = 2 * low / SAMPLE_RATE, 2 * high / SAMPLE_RATE
    angle = np.pi * np.arange(1, taps // 2 + 1)
    half = (np.sin(left * angle) - np.sin(right * angle)) / angle
    windowed = np.concatenate([half[::-1], [1 + left - right], half]) * hamming(taps)
    return windowed / windowed.sum()


def draw_filter(rng: np.random.Generator, settings: Settings = PUBLISHED,
                gain_db: tuple[float, float] | None = None) -> np.ndarray:
    """A cascade of random notches as one FIR filter (taps,).

    The gain of its strongest frequency is random.
    """
    response, total = np.ones(1), np.ones(1)
    for _ in range(settings.bands):
        centre, width = rng.uniform(*settings.centre_hz), rng.uniform(*settings.width_hz)
        taps = int(rng.uniform(*settings.taps)) | 1
        low, high = max(centre - width / 2, 1e-3), min(centre + width / 2, SAMPLE_RATE / 2 - 1e-3)
        total = np.convolve(band_stop(taps, low, high), total)
    response = np.abs(rfft(total, 2 * RESPONSE_POINTS)[:RESPONSE_POINTS])
    gain = rng.uniform(*sorted(settings.gain_db if gain_db is None else gain_db))
    return 10 ** (gain / 20) * total / response.max()


def draw_filters(rng: np.random.Generator, settings: Settings = PUBLISHED) -> list[np.ndarray]:
    """LnL's filters, one for each power of the wave; those above the first are weaker."""
    low, high = settings.gain_db
    lower, upper = settings.order_loss_db
    return [draw_filter(rng, settings, (low, high) if order == 0 else (low - lower, high - upper))
            for order in range(settings.orders)]


def _delay(taps: int) -> int:
    return (taps + 1) // 2  # samples cut in front, as published


def filtered_sum(waves: np.ndarray, filters: list[np.ndarray]) -> np.ndarray:
    """(n,) float32: the sum of the waves (k, n), each through its own filter, without delay.

    Overlap-save: the delays of the filters are aligned, so the filtered waves add up before the one
    inverse transform.
    """
    front = max(_delay(len(taps)) for taps in filters)
    aligned = [np.pad(taps, (front - _delay(len(taps)), 0)) for taps in filters]
    span = max(front + 1, *map(len, aligned))
    size = max(BLOCK, 1 << (2 * span).bit_length())
    step, n = size - span + 1, waves.shape[1]
    count = -(-n // step)
    padded = np.zeros((len(filters), (count - 1) * step + size), np.float32)
    padded[:, span - 1 - front:span - 1 - front + n] = waves
    blocks = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::step]
    responses = np.stack([rfft(taps.astype(np.float32), size) for taps in aligned])[:, None]
    out, at_once = np.empty((count, step), np.float32), max(1, AT_ONCE // (size * len(filters)))
    for k in range(0, count, at_once):
        spectra = rfft(blocks[:, k:k + at_once], axis=-1)
        spectra *= responses
        out[k:k + at_once] = irfft(spectra.sum(axis=0), size)[:, span - 1:]
    return out.reshape(-1)[:n]


def convolve_nonlinear(wave: np.ndarray, filters: list[np.ndarray]) -> np.ndarray:
    """LnL: the sum over k of wave**k through filter k, without delay and mean; peak at most 1."""
    powers = np.empty((len(filters), len(wave)), np.float32)
    powers[0] = wave
    for k in range(1, len(filters)):
        np.multiply(powers[k - 1], powers[0], out=powers[k])
    shaped = filtered_sum(powers, filters)
    return within_full_scale(shaped - shaped.mean())


def add_impulses(wave: np.ndarray, places: np.ndarray, factors: np.ndarray,
                 gain: float = PUBLISHED.impulse_gain) -> np.ndarray:
    """ISD: at `places` (k,) the samples change by gain * factor * sample."""
    noisy = wave.astype(np.float32)
    noisy[places] *= 1 + gain * factors
    return within_full_scale(noisy)


def white_noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) float32 standard normal, up to 5.8 deviations, by Box and Muller (1958).

    It takes a third of the time of numpy's own.
    """
    noise = rng.random((2, -(-n // 2)), np.float32)
    radius, angle = np.sqrt(-2 * np.log(1 - noise[0])), noise[1] * np.float32(2 * np.pi)
    np.multiply(radius, np.cos(angle), out=noise[0])
    np.multiply(radius, np.sin(angle), out=noise[1])
    return noise.reshape(-1)[:n]


def add_stationary(wave: np.ndarray, noise: np.ndarray, taps: np.ndarray,
                   snr_db: float) -> np.ndarray:
    """SSI: white `noise` (n,) through the filter, added at the signal-to-noise ratio."""
    coloured = filtered_sum(noise[None], [taps])
    level = np.linalg.norm(coloured)
    if level == 0:
        return wave
    coloured *= np.float32(np.linalg.norm(wave) / level / 10 ** (0.05 * snr_db))
    coloured += wave
    return coloured


NOISES = {"lnl": convolve_nonlinear, "isd": add_impulses, "ssi": add_stationary}


def draw(name: str, n: int, rng: np.random.Generator, settings: Settings = PUBLISHED) -> tuple:
    """What a noise of `NOISES` takes after a wave of n samples."""
    if name == "lnl":
        return (draw_filters(rng, settings),)
    if name == "isd":
        count = int(n * rng.uniform(0, settings.impulse_percent) / 100)
        places = rng.choice(n, count, replace=False, shuffle=False)
        return places, rng.uniform(-1, 1, count) * rng.uniform(-1, 1, count), settings.impulse_gain
    return white_noise(n, rng), draw_filter(rng, settings), rng.uniform(*settings.snr_db)


def rawboost(wave: np.ndarray, rng: np.random.Generator, algorithm: int,
             settings: Settings = PUBLISHED) -> np.ndarray:
    """One of the published combinations, 1 to 8 (`ALGORITHMS`): float32 (n,)."""
    steps = ALGORITHMS[algorithm]
    if algorithm == PARALLEL:
        return within_full_scale(
            sum(NOISES[name](wave, *draw(name, len(wave), rng, settings))
                for name in steps)).astype(np.float32)
    for name in steps:
        wave = NOISES[name](wave, *draw(name, len(wave), rng, settings))
    return wave.astype(np.float32)
