"""The real recordings that the default corpus starts from."""
from pathlib import Path

import numpy as np
import soundfile

from utils.common.errors import InputError
from utils.signals import SAMPLE_RATE
from utils.signals.codecs import decode_g722
from utils.signals.resampling import resample


def read_recording(path: Path) -> np.ndarray:
    """A recording as mono float64 (n,) at 16 kHz; the suffix .g722 means raw G.722.

    Raises `InputError` if the file cannot be decoded.
    """
    try:
        if path.suffix == ".g722":
            return decode_g722(path.read_bytes())
        samples, rate = soundfile.read(str(path), dtype="float64", always_2d=True)
    except (OSError, soundfile.LibsndfileError, ValueError) as error:
        raise InputError(f"{path} cannot be decoded ({error}): delete it and run the same command "
                         "again") from error
    return resample(samples.mean(axis=1), rate, SAMPLE_RATE)
