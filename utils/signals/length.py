"""Waveforms of another length."""
import numpy as np


def cut_or_pad(samples: np.ndarray, length: int) -> np.ndarray:
    """`samples` (n,) cut, or padded with zeros at the end, to (length,)."""
    if len(samples) >= length:
        return samples[:length]
    return np.pad(samples, (0, length - len(samples)))


def repeat_from(samples: np.ndarray, length: int, start: int = 0) -> np.ndarray:
    """`length` samples from `start` on, repeated from their beginning as often as needed."""
    return np.resize(np.roll(samples, -start), length)


def mirror_ends(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """`samples` with mirrored samples added at both ends; one sample alone is repeated."""
    return np.pad(samples, (before, after), mode="reflect" if len(samples) > 1 else "edge")
