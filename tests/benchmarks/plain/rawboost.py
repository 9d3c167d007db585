"""RawBoost by its published formulas, with filters in the time domain, to compare with."""
import numpy as np
from scipy import signal

RATE = 16000


def plain_notches(rng: np.random.Generator, gain_db: tuple[float, float]) -> np.ndarray:
    """Five notches in cascade, the strongest frequency at a gain drawn from `gain_db`."""
    total = 1
    for _ in range(5):
        centre = rng.uniform(20, 8000)
        width = rng.uniform(100, 1000)
        taps = int(rng.uniform(10, 100))
        taps += taps % 2 == 0
        edges = [max(centre - width / 2, 1e-3), min(centre + width / 2, RATE / 2 - 1e-3)]
        total = np.convolve(signal.firwin(taps, edges, window="hamming", fs=RATE), total)
    _, response = signal.freqz(total, 1, fs=RATE)
    return 10 ** (rng.uniform(*gain_db) / 20) * total / np.abs(response).max()


def plain_fir(wave: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """`wave` through the filter, its delay cut off."""
    n = len(taps) + 1
    out = signal.lfilter(taps, 1, np.pad(wave, (0, n)))
    return out[n // 2:n // 2 + len(wave)]


def plain_limit(wave: np.ndarray) -> np.ndarray:
    peak = np.abs(wave).max()
    return wave / peak if peak > 1 else wave


def plain_lnl(wave: np.ndarray, filters: list[np.ndarray]) -> np.ndarray:
    """Linear and non-linear convolutive noise."""
    wave = wave.astype(np.float64)
    total = sum(plain_fir(wave ** (k + 1), taps) for k, taps in enumerate(filters))
    return plain_limit(total - total.mean())


def plain_isd(wave: np.ndarray, places: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Impulsive, signal-dependent noise."""
    out = wave.astype(np.float64)
    out[places] = wave[places] + 2 * wave[places] * factors
    return plain_limit(out)


def plain_impulses(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The places and factors of that noise."""
    count = int(n * rng.uniform(0, 10) / 100)
    return rng.permutation(n)[:count], rng.uniform(-1, 1, count) * rng.uniform(-1, 1, count)


def plain_ssi(wave: np.ndarray, noise: np.ndarray, taps: np.ndarray, snr_db: float) -> np.ndarray:
    """Stationary, signal-independent noise."""
    noise = plain_fir(noise, taps)
    noise = noise / np.abs(noise).max()
    return wave + noise / np.linalg.norm(noise) * np.linalg.norm(wave) / 10 ** (0.05 * snr_db)


def plain_rawboost(wave: np.ndarray, rng: np.random.Generator, algorithm: int) -> np.ndarray:
    """Algorithms 1 to 8 as published."""
    def lnl(w: np.ndarray) -> np.ndarray:
        gains = [(0, 0)] + 4 * [(-20, -5)]
        return plain_lnl(w, [plain_notches(rng, gain_db) for gain_db in gains])

    def isd(w: np.ndarray) -> np.ndarray:
        return plain_isd(w, *plain_impulses(len(w), rng))

    def ssi(w: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal(len(w))
        taps = plain_notches(rng, (0, 0))
        return plain_ssi(w, noise, taps, rng.uniform(10, 40))

    return plain_combination(wave, algorithm, lnl, isd, ssi)


def plain_combination(wave: np.ndarray, algorithm: int, lnl, isd, ssi) -> np.ndarray:
    """The three noises, each a function of a wave, in series or side by side."""
    if algorithm == 8:
        return plain_limit(lnl(wave) + isd(wave))
    steps = {1: (lnl,), 2: (isd,), 3: (ssi,), 4: (lnl, isd, ssi), 5: (lnl, isd), 6: (lnl, ssi),
             7: (isd, ssi)}
    for step in steps[algorithm]:
        wave = step(wave)
    return wave
