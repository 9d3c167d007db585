"""Copy-synthesis and conversion: speech in, the same words out of a vocoder. Mono float64 at 16 kHz on both sides.

WORLD: Morise et al., 2016. Griffin-Lim: Griffin and Lim, 1984, with the momentum of Perraudin et al., 2013.
LPC: Atal and Hanauer, 1971. Phase vocoder: Laroche and Dolson, 1999 (here without phase locking).
"""
from functools import lru_cache

import numpy as np
import scipy.linalg
import scipy.signal

from utils.corpora.default_corpus.speech import RATE, resample

FLOOR = 1e-5


def stft(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Centred Hann STFT, (frames, size // 2 + 1)."""
    padded = np.pad(samples, size // 2, mode="reflect" if len(samples) > size // 2 else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.fft.rfft(frames * scipy.signal.get_window("hann", size), axis=1)


def istft(spectrum: np.ndarray, size: int, hop: int, length: int) -> np.ndarray:
    """Least-squares inverse of `stft`."""
    window = scipy.signal.get_window("hann", size)
    frames = np.fft.irfft(spectrum, size, axis=1) * window
    total = np.zeros((len(frames) - 1) * hop + size)
    weight = np.full_like(total, 1e-8)
    for index, frame in enumerate(frames):
        total[index * hop:index * hop + size] += frame
        weight[index * hop:index * hop + size] += window ** 2
    return np.pad(total / weight, (0, length))[size // 2:size // 2 + length]


@lru_cache(maxsize=4)
def mel_bank(rate: int, size: int, bands: int, low: float, high: float) -> np.ndarray:
    """Slaney-scale, area-normalised triangular mel filters, (bands, size // 2 + 1)."""
    def to_mel(hertz: np.ndarray) -> np.ndarray:
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + np.log(np.maximum(hertz, 1e-9) / 1000) * 27 / np.log(6.4))

    def to_hertz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
    edges = to_hertz(np.linspace(to_mel(np.array(low)), to_mel(np.array(high)), bands + 2))
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def _rebuild_phase(magnitude: np.ndarray, size: int, hop: int, length: int, iterations: int, rng: np.random.Generator) -> np.ndarray:
    """Griffin-Lim with momentum 0.99 from random phases."""
    angles = np.exp(2j * np.pi * rng.random(magnitude.shape))
    previous = np.zeros_like(angles)
    for _ in range(iterations):
        rebuilt = stft(istft(magnitude * angles, size, hop, length), size, hop)[:len(magnitude)]
        angles = rebuilt + 0.99 / 1.99 * (rebuilt - previous)
        angles /= np.abs(angles) + 1e-16
        previous = rebuilt
    return istft(magnitude * angles, size, hop, length)


def griffin_lim(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech from its 80-band mel spectrogram by Griffin-Lim, 24 to 48 iterations."""
    size, hop = 1024, 256
    bank = mel_bank(RATE, size, 80, 0.0, 8000.0)
    mel = np.abs(stft(samples, size, hop)) @ bank.T
    magnitude = np.maximum(0, mel @ _inverse_bank(size).T)
    return _rebuild_phase(magnitude, size, hop, len(samples), int(rng.integers(24, 49)), rng)


@lru_cache(maxsize=1)
def _inverse_bank(size: int) -> np.ndarray:
    return np.linalg.pinv(mel_bank(RATE, size, 80, 0.0, 8000.0))


def few_iterations(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech from its linear magnitude spectrogram by 4 to 10 iterations: right spectrum, phase half found."""
    size, hop = 800, 200
    return _rebuild_phase(np.abs(stft(samples, size, hop)), size, hop, len(samples), int(rng.integers(4, 11)), rng)


def _world(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import pyworld
    samples = np.ascontiguousarray(samples)
    f0, times = pyworld.harvest(samples, RATE, f0_floor=60.0, f0_ceil=600.0)
    return f0, pyworld.cheaptrick(samples, f0, times, RATE), pyworld.d4c(samples, f0, times, RATE)


def world_copy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD analysis and synthesis, nothing changed."""
    import pyworld
    return pyworld.synthesize(*_world(samples), RATE)[:len(samples)]


def world_conversion(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD with the pitch moved by 2 to 6 semitones and the vocal tract made 5 to 20 % shorter or longer."""
    import pyworld
    f0, envelope, aperiodicity = _world(samples)
    direction = rng.choice((-1, 1))
    f0 = f0 * 2 ** (direction * rng.uniform(2, 6) / 12)
    warp = 1 + direction * rng.uniform(0.05, 0.20)
    bins = np.arange(envelope.shape[1])
    where = np.minimum(bins / warp, bins[-1])
    envelope = np.exp(np.apply_along_axis(lambda row: np.interp(where, bins, row), 1, np.log(envelope)))
    return pyworld.synthesize(f0, np.ascontiguousarray(envelope), aperiodicity, RATE)[:len(samples)]


def lpc_vocoder(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """LPC of order 16 to 22 every 10 ms, excited by pulses where voiced and by noise elsewhere."""
    import pyworld
    hop, size, order = 160, 480, int(rng.integers(16, 23))
    f0, _ = pyworld.dio(np.ascontiguousarray(samples), RATE, f0_floor=60.0, f0_ceil=500.0, frame_period=10.0)
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
    return np.concatenate(([1.0], -solution)), float(np.sqrt(max(lags[0] - solution @ lags[1:], 0.0)))


def _excitation(f0: float, hop: int, phase: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    noise = rng.standard_normal(hop)
    if f0 <= 0:
        return noise, 0.0
    turns = phase + np.arange(1, hop + 1) * f0 / RATE
    pulses = np.diff(np.floor(np.concatenate(([phase], turns)))) * np.sqrt(RATE / f0)
    return 0.97 * pulses + 0.1 * noise, float(turns[-1] % 1.0)


def pitch_shift(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch and formants moved by 2 to 5 semitones: stretched by a phase vocoder, then resampled back."""
    factor = 2 ** (rng.choice((-1, 1)) * rng.uniform(2, 5) / 12)
    stretched = _stretch(samples, factor)
    return resample(stretched, int(round(RATE * factor)), RATE)[:len(samples)]


def _stretch(samples: np.ndarray, factor: float, size: int = 1024, hop: int = 256) -> np.ndarray:
    """The samples `factor` times as long at the same pitch."""
    spectrum = stft(samples, size, hop)
    steps = np.arange(0, len(spectrum) - 1, 1 / factor)
    advance = 2 * np.pi * hop * np.arange(size // 2 + 1) / size
    phase, frames = np.angle(spectrum[0]), []
    for step in steps:
        left, right = spectrum[int(step)], spectrum[int(step) + 1]
        part = step - int(step)
        frames.append(((1 - part) * np.abs(left) + part * np.abs(right)) * np.exp(1j * phase))
        change = np.angle(right) - np.angle(left) - advance
        phase = phase + advance + change - 2 * np.pi * np.round(change / (2 * np.pi))
    return istft(np.array(frames), size, hop, int(len(samples) * factor))
