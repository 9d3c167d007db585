"""Copy-synthesis and conversion: speech in, the same words out. Both are mono float64 at 16 kHz.

WORLD: Morise et al., 2016. Griffin-Lim: Griffin and Lim, 1984, with the momentum of Perraudin et
al., 2013. LPC: Atal and Hanauer, 1971. Phase vocoder: Laroche and Dolson, 1999, without phase
locking.
"""
import numpy as np
import scipy.linalg
import scipy.signal

from utils.signals import SAMPLE_RATE, spectra
from utils.signals.resampling import resample
from utils.signals.time_and_pitch import plain_stretch
from utils.synthesis.vocoders import dsp
from utils.synthesis.vocoders.dsp import world_analysis

griffin_lim = dsp.griffin_lim


def few_iterations(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech from its linear magnitude spectrogram by 4 to 10 iterations.

    The spectrum is right, but the phase has not converged.
    """
    size, hop = 800, 200
    magnitude = np.abs(spectra.stft(samples, size, hop))
    iterations = int(rng.integers(4, 11))
    return spectra.griffin_lim(magnitude, size, hop, len(samples), iterations, rng)


def world_copy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD analysis and synthesis without changes."""
    return dsp.world_copy(samples)


def world_conversion(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD with the pitch moved by 2 to 6 semitones and the vocal tract by 5 to 20 %."""
    import pyworld
    f0, envelope, aperiodicity = world_analysis(samples)
    direction = rng.choice((-1, 1))
    f0 = f0 * 2 ** (direction * rng.uniform(2, 6) / 12)
    warp = 1 + direction * rng.uniform(0.05, 0.20)
    bins = np.arange(envelope.shape[1])
    where = np.minimum(bins / warp, bins[-1])
    envelope = np.exp(
        np.apply_along_axis(lambda row: np.interp(where, bins, row), 1, np.log(envelope)))
    return pyworld.synthesize(f0, np.ascontiguousarray(envelope), aperiodicity,
                              SAMPLE_RATE)[:len(samples)]


def lpc_vocoder(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """LPC of order 16 to 22 every 10 ms, excited by pulses in voiced parts, else by noise."""
    import pyworld
    hop, size, order = 160, 480, int(rng.integers(16, 23))
    f0, _ = pyworld.dio(np.ascontiguousarray(samples), SAMPLE_RATE, f0_floor=60.0, f0_ceil=500.0,
                        frame_period=10.0)
    emphasised = scipy.signal.lfilter([1, -0.95], [1], samples)
    padded = np.pad(emphasised, (size // 2, size))
    state, output, phase = np.zeros(order), np.zeros(len(samples) // hop * hop), 0.0
    window = np.hamming(size)
    for index in range(len(output) // hop):
        coefficients, gain = _lpc(padded[index * hop:index * hop + size] * window, order)
        excitation, phase = _excitation(f0[min(index, len(f0) - 1)], hop, phase, rng)
        block, state = scipy.signal.lfilter([gain], coefficients, excitation, zi=state)
        output[index * hop:(index + 1) * hop] = block
    return scipy.signal.lfilter([1], [1, -0.95], output)


def _lpc(frame: np.ndarray, order: int) -> tuple[np.ndarray, float]:
    """Prediction polynomial and gain by the autocorrelation method."""
    lags = np.correlate(frame, frame, "full")[len(frame) - 1:len(frame) + order] / len(frame)
    lags[0] = lags[0] * 1.0001 + 1e-9
    solution = scipy.linalg.solve_toeplitz(lags[:-1], lags[1:])
    return np.concatenate(([1.0], -solution)), float(
        np.sqrt(max(lags[0] - solution @ lags[1:], 0.0)))


def _excitation(f0: float, hop: int, phase: float,
                rng: np.random.Generator) -> tuple[np.ndarray, float]:
    noise = rng.standard_normal(hop)
    if f0 <= 0:
        return noise, 0.0
    turns = phase + np.arange(1, hop + 1) * f0 / SAMPLE_RATE
    pulses = np.diff(np.floor(np.concatenate(([phase], turns)))) * np.sqrt(SAMPLE_RATE / f0)
    return 0.97 * pulses + 0.1 * noise, float(turns[-1] % 1.0)


def pitch_shift(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch and formants moved by 2 to 5 semitones: a phase vocoder stretches, then resampling."""
    factor = 2 ** (rng.choice((-1, 1)) * rng.uniform(2, 5) / 12)
    stretched = plain_stretch(samples, factor)
    return resample(stretched, int(round(SAMPLE_RATE * factor)), SAMPLE_RATE)[:len(samples)]
