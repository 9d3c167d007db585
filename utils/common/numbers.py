"""A NaN or an infinity never passes for a score."""
import numpy as np

from utils.common.errors import InputError


def finite(numbers: np.ndarray, what: str) -> np.ndarray:
    """`numbers`, unchanged. Raises `InputError` for NaN and infinity, which pooling could hide."""
    if not np.isfinite(numbers).all():
        raise InputError(f"the {what} are not all finite numbers: "
                         "the audio or the model is damaged")
    return numbers
