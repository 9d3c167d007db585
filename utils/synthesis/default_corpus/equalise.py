"""The stages that make both classes equal in everything but the synthesis, as far as possible.

`as_recorded` treats spoofs only. Each passes once through the lossy coding of its original
recording (G.722, Vorbis or none), as that recording did. Speech made from text also gets a real
recording's long-term spectrum (within limits) and noise floor. Half of these clips get a simulated
room. Bona fide speech keeps its own rooms, noise floors and codings.

`final_stage` treats every clip by the same random rules: crop, sometimes a room, a slight tilt,
band limits, a soft limiter, noise, sometimes a lossy coding, level. The classes still differ in
what `as_recorded` imitates badly or leaves behind. `leaks.py` measures how far simple features show
this, over all attacks and for each.
"""
import numpy as np
import scipy.signal

from utils.signals import SAMPLE_RATE
from utils.signals.codecs import through_file_format, through_g722
from utils.signals.levels import active_rms, active_span
from utils.signals.rooms import small_room_response
from utils.signals.spectra import minimum_phase, stft

SIZE, HOP = 512, 256
LEVEL_DBFS, LEVEL_SPREAD = -25.0, 2.5
# dB: how far an engine's spectrum may be moved towards that of a recording
GAIN_LIMITS = (-40.0, 18.0)
# Both classes move slightly towards another recording's spectrum, and sometimes get a room. A full
# move, plus that recording's noise floor, buried the traces of synthesis: a detector's EER on dev
# stayed at 31 %.
TILT_LIMITS = (-6.0, 6.0)     # dB
ROOM_SHARE = 0.15


def _powers(samples: np.ndarray) -> np.ndarray:
    return np.abs(stft(samples, SIZE, HOP)) ** 2 + 1e-14


def _smooth(decibels: np.ndarray) -> np.ndarray:
    """A spectrum in dB, averaged over about a sixth of an octave (at least 3 bins)."""
    sums = np.concatenate(([0.0], np.cumsum(decibels)))
    bins = np.arange(len(decibels))
    half = np.maximum(1, np.round(bins * 0.06)).astype(int)
    low, high = np.maximum(0, bins - half), np.minimum(len(decibels), bins + half + 1)
    return (sums[high] - sums[low]) / (high - low)


def long_term_spectrum(samples: np.ndarray) -> np.ndarray:
    """Mean power spectrum of the speech frames in dB, smoothed.

    It is relative to its own mean between 100 Hz and 6 kHz.
    """
    powers = _powers(samples)
    energy = powers.sum(axis=1)
    spectrum = _smooth(10 * np.log10(powers[energy > energy.max() * 1e-3].mean(axis=0)))
    return spectrum - spectrum[3:192].mean()


def noise_floor(samples: np.ndarray) -> np.ndarray:
    """Smoothed power spectrum of the quietest tenth of the frames, in dB relative to the speech."""
    powers = _powers(samples)
    quiet = np.argsort(powers.sum(axis=1))[:max(3, len(powers) // 10)]
    level = 20 * np.log10(active_rms(samples) + 1e-9)
    return _smooth(10 * np.log10(powers[quiet].mean(axis=0))) - level


def match_spectrum(samples: np.ndarray, reference: np.ndarray,
                   limits: tuple[float, float] = GAIN_LIMITS) -> np.ndarray:
    """`samples` with the long-term spectrum of the reference recording, within `limits` (dB)."""
    gain = np.clip(long_term_spectrum(reference) - long_term_spectrum(samples), *limits)
    return scipy.signal.fftconvolve(samples, minimum_phase(gain))[:len(samples)]


def add_floor(samples: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`samples` plus stationary noise with the floor of the reference recording."""
    floor = noise_floor(reference) + 20 * np.log10(active_rms(samples) + 1e-9)
    # In each STFT bin, white noise of variance s has power s * sum(window ** 2) = s * 3/8 * SIZE.
    shape = minimum_phase(floor - 10 * np.log10(0.375 * SIZE))
    noise = rng.standard_normal(len(samples) + SIZE)
    return samples + scipy.signal.fftconvolve(noise, shape)[SIZE:SIZE + len(samples)]


def reverberate(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`samples` in a random small room."""
    return scipy.signal.fftconvolve(samples, small_room_response(rng))[:len(samples)]


def as_recorded(samples: np.ndarray, reference: "np.ndarray | None", coding: str,
                rng: np.random.Generator) -> np.ndarray:
    """An engine's output, processed as if it were recorded and stored like a bona fide source.

    `reference` (only for speech made from text) lends its spectrum and noise floor. `coding` is
    the coding of that source.
    """
    if reference is not None:
        if rng.random() < 0.5:
            samples = reverberate(samples, rng)
        samples = add_floor(match_spectrum(samples, reference), reference, rng)
    samples = samples * (0.08 / (active_rms(samples) + 1e-9))
    samples = samples / max(1.0, np.abs(samples).max())
    if coding == "g722":
        return through_g722(samples)
    if coding.startswith("vorbis:"):
        return through_file_format(samples, "OGG", "VORBIS", rng.uniform(0.4, 0.8), int(coding[7:]))
    return samples


def crop(samples: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A random stretch of at most `seconds`, with up to 0.1 s of the sound around the speech."""
    first, last = active_span(samples)
    first = max(0, first - int(rng.uniform(0, 0.1) * SAMPLE_RATE))
    last = min(len(samples), last + int(rng.uniform(0, 0.1) * SAMPLE_RATE))
    length = min(int(seconds * SAMPLE_RATE), last - first)
    start = first + int(rng.integers(last - first - length + 1))
    return samples[start:start + length]


def _limit_crest(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`samples` with rounded peaks, 11 to 16 dB above the speech, like a recording limiter."""
    ceiling = active_rms(samples) * 10 ** (rng.uniform(11, 16) / 20)
    return ceiling * np.tanh(samples / ceiling)


def _band_limit(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low = rng.uniform(60, 110)
    high = rng.uniform(6000, 7700)
    high_pass = scipy.signal.butter(2, low, "highpass", fs=SAMPLE_RATE, output="sos")
    low_pass = scipy.signal.butter(8, high, "lowpass", fs=SAMPLE_RATE, output="sos")
    return scipy.signal.sosfilt(np.vstack((high_pass, low_pass)), samples)


def _common_noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`samples` plus noise 40 to 65 dB below the speech, of a colour between white and brown."""
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    spectrum *= np.maximum(np.arange(len(spectrum)), 8.0) ** -rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, len(samples))
    depth = 10 ** (-rng.uniform(40, 65) / 20)
    return samples + noise * active_rms(samples) * depth / (np.std(noise) + 1e-12)


def _common_coding(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    formats = (None, ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("OGG", "OPUS"))
    chosen = formats[int(rng.choice(4, p=(0.6, 0.2, 0.1, 0.1)))]
    if chosen is None:
        return samples
    return through_file_format(samples, *chosen, rng.uniform(0.1, 0.6))


def final_stage(samples: np.ndarray, seconds: float, reference: np.ndarray,
                rng: np.random.Generator) -> np.ndarray:
    """The treatment of both classes; returns int16 (n,) at 16 kHz.

    Crop, room, tilt towards a reference's spectrum, band, limiter, noise, coding, level. Raises
    `ValueError` if less than 0.3 s, or almost only silence, is left.
    """
    samples = crop(samples, seconds, rng)
    if len(samples) < 0.3 * SAMPLE_RATE or active_rms(samples) < 1e-5:
        raise ValueError("too little speech")
    if rng.random() < ROOM_SHARE:
        samples = reverberate(samples, rng)
    samples = match_spectrum(samples, reference, TILT_LIMITS)
    samples = _common_noise(_limit_crest(_band_limit(samples, rng), rng), rng)
    samples = samples * (10 ** (LEVEL_DBFS / 20) / (np.sqrt(np.mean(samples ** 2)) + 1e-12))
    samples = _common_coding(samples * min(1.0, 0.99 / np.abs(samples).max()), rng)
    level = 10 ** (np.clip(rng.normal(LEVEL_DBFS, LEVEL_SPREAD), -33, -18)
                   / 20) / (np.sqrt(np.mean(samples ** 2)) + 1e-12)
    samples = samples * min(level, 0.98 / np.abs(samples).max())
    return np.round(samples * 32767).astype(np.int16)
