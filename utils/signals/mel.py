"""Mel filter banks (bands, bins)."""
from functools import lru_cache

import numpy as np


def triangles(points: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Triangular filters of peak 1: each rises from one point to the next, and falls to the third.

    `points` (bands + 2,) and `bins` (n,) have the same unit.
    """
    rising = (bins - points[:-2, None]) / np.diff(points)[:-1, None]
    falling = (points[2:, None] - bins) / np.diff(points)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _to_slaney(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + np.log(hertz / 1000) * 27 / np.log(6.4)


@lru_cache(maxsize=8)
def slaney_bank(rate: int, size: int, bands: int, low: float, high: float) -> np.ndarray:
    """Filters (bands, size // 2 + 1) of Slaney's Auditory Toolbox, each of area 1.

    Their scale is linear below 1 kHz. `low` and `high` are in Hz.
    """
    mel = np.linspace(_to_slaney(low), _to_slaney(high), bands + 2)
    points = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
    bank = triangles(points, np.linspace(0, rate / 2, size // 2 + 1))
    return bank * (2 / (points[2:] - points[:-2]))[:, None]
