"""Around a vocoder: the band, the level and the noise floor that both classes get."""
import numpy as np

from utils.signals import SAMPLE_RATE
from utils.signals.levels import speech_level
from utils.signals.spectra import band_limit

BAND = (60.0, 7600.0)        # Hz; beyond it vocoders differ from recordings for trivial reasons
FLOOR = (35.0, 50.0)         # dB from the speech down to the noise that both classes get
PEAK = 0.999
LEVEL = 10 ** (-26 / 20)     # RMS of the speech that vocoders get, as in their parity checks


def last_stage(samples: np.ndarray, level: float, depth: float, rng: np.random.Generator
               ) -> np.ndarray:
    """Both classes pass it alike: level of the speech, noise floor, band, rounding to int16 (n,).

    The white noise lies `depth` dB below the speech. Without it, silence tells recordings (often
    digital zeros) from vocoders (which hiss). The peak is lowered where it would clip.
    """
    samples = samples * (level / max(speech_level(samples), 1e-9))
    noise = rng.standard_normal(len(samples)) * level * 10 ** (-depth / 20)
    samples = band_limit(samples + noise, *BAND, SAMPLE_RATE)
    samples = samples * min(1.0, PEAK / max(float(np.abs(samples).max()), 1e-9))
    return np.rint(samples * 32767).astype(np.int16)
