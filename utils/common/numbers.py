"""A check that stops NaN and infinity from passing as a score."""
import numpy as np

from utils.common.errors import InputError


def finite(numbers: np.ndarray, what: str) -> np.ndarray:
    """`numbers`, unchanged. Raises `InputError` for NaN and infinity, which pooling could hide."""
    if not np.isfinite(numbers).all():
        raise InputError(f"the {what} are not all finite numbers: the audio or the model is "
                         "damaged; try another recording or model")
    return numbers
