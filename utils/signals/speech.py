"""Before and after a vocoder: resampling without a band edge of its own, the level of speech, the common last stage."""
import numpy as np

RATE = 16000                # Hz, of every clip between the steps
BAND = (60.0, 7600.0)       # Hz that both classes keep: beyond it, vocoders differ from recordings for trivial reasons
FLOOR = (35.0, 50.0)        # dB from the speech down to the noise that both classes get
EDGE_SHARE = 0.05           # width of the band's cosine edges, as a share of the frequency
PEAK = 0.999
LEVEL = 10 ** (-26 / 20)     # RMS of the speech that vocoders are given, as they were checked with it


def resample(samples: np.ndarray, rate_from: int, rate_to: int) -> np.ndarray:
    """Ideal (Fourier) resampling of a whole clip; there and back gives the clip again, up to the lower of the bands.

    A practical filter would take away 7.3 to 8 kHz at each passage and so mark what passed through another rate.
    """
    if rate_from == rate_to:
        return samples
    common = int(np.gcd(rate_from, rate_to))
    up, down = rate_to // common, rate_from // common
    margin = -(-rate_from // 10 // down) * down  # 0.1 s, reflected, so that start and end do not meet
    length = -(-len(samples) * up // down)
    padded = _reflect(samples, margin, margin + -len(samples) % down)
    target = len(padded) // down * up
    spectrum = np.fft.rfft(padded)
    bins = np.zeros(target // 2 + 1, complex)
    kept = min(len(bins), len(spectrum))
    bins[:kept] = spectrum[:kept]
    start = margin // down * up
    return np.fft.irfft(bins, target)[start:start + length] * (up / down)


def _reflect(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    return np.pad(samples, (before, after), mode="reflect" if len(samples) > 1 else "edge")


def lengthen(samples: np.ndarray, extra: int) -> np.ndarray:
    """The samples with `extra` more at the end, mirrored: what a vocoder needs to reach the end."""
    return _reflect(samples, 0, extra)


def fit(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut, or filled up with zeros, to `length`."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def speech_level(samples: np.ndarray) -> float:
    """RMS over the 20 ms frames that lie within 30 dB of the loudest; 0 for silence."""
    frames = samples[:len(samples) // 320 * 320].reshape(-1, 320)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    if not len(powers) or powers.max() <= 0:
        return 0.0
    return float(np.sqrt(powers[powers >= powers.max() * 1e-3].mean()))


def band_limit(samples: np.ndarray, low: float = BAND[0], high: float = BAND[1], rate: int = RATE) -> np.ndarray:
    """The samples between two frequencies, zero phase, cosine edges inside the band."""
    margin = rate // 10
    padded = _reflect(samples, margin, margin)
    frequencies = np.fft.rfftfreq(len(padded), 1 / rate)
    rise = np.clip((frequencies - low) / (EDGE_SHARE * 4 * low), 0, 1)
    fall = np.clip((high - frequencies) / (EDGE_SHARE * high), 0, 1)
    gain = (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))
    return np.fft.irfft(np.fft.rfft(padded) * gain, len(padded))[margin:margin + len(samples)]


def last_stage(samples: np.ndarray, level: float, depth: float, rng: np.random.Generator) -> np.ndarray:
    """What both classes pass through alike: level of the speech, a noise floor, band, one rounding to int16 (n,).

    The white noise lies `depth` dB under the speech: without it, silence tells recordings (often digital zeros) from
    vocoders (which hiss). The peak is brought down where it would clip.
    """
    samples = samples * (level / max(speech_level(samples), 1e-9))
    samples = band_limit(samples + rng.standard_normal(len(samples)) * level * 10 ** (-depth / 20))
    samples = samples * min(1.0, PEAK / max(float(np.abs(samples).max()), 1e-9))
    return np.rint(samples * 32767).astype(np.int16)
