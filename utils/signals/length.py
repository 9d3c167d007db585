"""Changes of a waveform's length."""
import numpy as np


def cut_or_pad(samples: np.ndarray, length: int) -> np.ndarray:
    """`samples` (n,) cut, or padded with zeros at the end, to (length,)."""
    if len(samples) >= length:
        return samples[:length]
    return np.pad(samples, (0, length - len(samples)))


def repeat_from(samples: np.ndarray, length: int, start: int = 0) -> np.ndarray:
    """(length,) samples from `start` on; at the end, `samples` starts again from its beginning."""
    return np.resize(np.roll(samples, -start), length)


def mirror_ends(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """`samples` with mirrored samples added at both ends; a single sample is repeated."""
    return np.pad(samples, (before, after), mode="reflect" if len(samples) > 1 else "edge")
