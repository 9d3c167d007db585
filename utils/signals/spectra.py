"""Short-time spectra and filters made in the frequency domain."""
import numpy as np
import scipy.signal

from utils.signals.length import mirror_ends

EDGE_SHARE = 0.05     # width of a band limit's cosine edge, as a share of its frequency
MOMENTUM = 0.99       # of Griffin-Lim: Perraudin, Balazs and Sondergaard, 2013


def hann(size: int) -> np.ndarray:
    """Periodic Hann window (size,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


def magnitudes(samples: np.ndarray, window: np.ndarray, hop: int, size: int) -> np.ndarray:
    """Magnitude spectra (frames, size // 2 + 1) of all whole frames; the FFT has `size` points."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, len(window))[::hop]
    return np.abs(np.fft.rfft(frames * window, size, axis=1))


def stft(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Spectra (frames, size // 2 + 1) of centred frames under a Hann window."""
    mode = "reflect" if len(samples) > size // 2 else "constant"
    padded = np.pad(samples, size // 2, mode=mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.fft.rfft(frames * scipy.signal.get_window("hann", size), axis=1)


def istft(spectra: np.ndarray, size: int, hop: int, length: int) -> np.ndarray:
    """Samples (length,): the least-squares inverse of `stft`."""
    window = scipy.signal.get_window("hann", size)
    frames = np.fft.irfft(spectra, size, axis=1) * window
    total = np.zeros((len(frames) - 1) * hop + size)
    weight = np.full_like(total, 1e-8)
    for index, frame in enumerate(frames):
        total[index * hop:index * hop + size] += frame
        weight[index * hop:index * hop + size] += window ** 2
    return np.pad(total / weight, (0, length))[size // 2:size // 2 + length]


def griffin_lim(magnitude: np.ndarray, size: int, hop: int, length: int, iterations: int,
                rng: np.random.Generator) -> np.ndarray:
    """Samples (length,) whose magnitude spectrogram is nearly `magnitude` (frames, size // 2 + 1).

    Griffin and Lim, 1984, with momentum; the first phases are random.
    """
    angles = np.exp(2j * np.pi * rng.random(magnitude.shape))
    previous = np.zeros_like(angles)
    for _ in range(iterations):
        samples = istft(magnitude * angles, size, hop, length)
        rebuilt = stft(samples, size, hop)[:len(magnitude)]
        angles = rebuilt + MOMENTUM / (1 + MOMENTUM) * (rebuilt - previous)
        angles /= np.abs(angles) + 1e-16
        previous = rebuilt
    return istft(magnitude * angles, size, hop, length)


def band_limit(samples: np.ndarray, low: float, high: float, rate: int) -> np.ndarray:
    """The samples between two frequencies in Hz: zero phase, cosine edges inside the band."""
    margin = rate // 10
    padded = mirror_ends(samples, margin, margin)
    frequencies = np.fft.rfftfreq(len(padded), 1 / rate)
    rise = np.clip((frequencies - low) / (EDGE_SHARE * 4 * low), 0, 1)
    fall = np.clip((high - frequencies) / (EDGE_SHARE * high), 0, 1)
    gain = (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))
    return np.fft.irfft(np.fft.rfft(padded) * gain, len(padded))[margin:margin + len(samples)]


def minimum_phase(decibels: np.ndarray) -> np.ndarray:
    """A minimum-phase FIR (2 n - 2,) with this gain in dB (n,), by the real cepstrum."""
    size = 2 * len(decibels) - 2
    cepstrum = np.fft.irfft(np.log(10) / 20 * decibels, size)
    cepstrum[1:size // 2] *= 2
    cepstrum[size // 2 + 1:] = 0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)
