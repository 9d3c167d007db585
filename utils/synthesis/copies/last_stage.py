"""The last stage of both classes: the same band, level and noise floor."""
import numpy as np

from utils.signals import SAMPLE_RATE
from utils.signals.levels import speech_level
from utils.signals.spectra import band_limit

BAND = (60.0, 7600.0)        # Hz; outside it, vocoders differ from recordings trivially
FLOOR = (35.0, 50.0)         # range in dB from the speech down to the added noise
PEAK = 0.999
LEVEL = 10 ** (-26 / 20)     # RMS of the speech at a vocoder's input, as in its comparison tests


def last_stage(samples: np.ndarray, level: float, depth: float, rng: np.random.Generator
               ) -> np.ndarray:
    """Speech level, noise floor and band of both classes; returns int16 (n,).

    The white noise lies `depth` dB below the speech. Without it, silence would separate the
    classes: recordings often have digital zeros, vocoders hiss. A clipping peak is lowered.
    """
    samples = samples * (level / max(speech_level(samples), 1e-9))
    noise = rng.standard_normal(len(samples)) * level * 10 ** (-depth / 20)
    samples = band_limit(samples + noise, *BAND, SAMPLE_RATE)
    samples = samples * min(1.0, PEAK / max(float(np.abs(samples).max()), 1e-9))
    return np.rint(samples * 32767).astype(np.int16)
