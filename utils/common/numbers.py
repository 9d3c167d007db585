"""No number that is none passes for a score."""
import numpy as np

from utils.common.errors import InputError


def finite(numbers: np.ndarray, what: str) -> np.ndarray:
    """`numbers`, checked, so that a NaN never passes for a score: networks can swallow one, in pooling for example."""
    if not np.isfinite(numbers).all():
        raise InputError(f"the {what} are not all finite numbers: the audio or the model is damaged")
    return numbers
