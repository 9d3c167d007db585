"""Levels of speech, and where speech is active. Samples are mono float in [-1, 1] at 16 kHz."""
import numpy as np

FRAME = 320               # samples: 20 ms
EDGE_SILENCE_DB = 35.0    # below the loudest frame, for `without_edge_silence`


def frame_levels(samples: np.ndarray, frame: int = FRAME) -> np.ndarray:
    """Level in dB of each whole frame, (frames,); silence is -120."""
    usable = samples[:len(samples) // frame * frame].reshape(-1, frame)
    return 10 * np.log10(np.mean(usable ** 2, axis=1) + 1e-12)


def active_span(samples: np.ndarray, below: float = 35.0, frame: int = FRAME) -> tuple[int, int]:
    """First and last sample of the frames within `below` dB of the levels' 95th percentile."""
    levels = frame_levels(samples, frame)
    if not len(levels):
        return 0, 0
    active = np.flatnonzero(levels > np.percentile(levels, 95) - below)
    return int(active[0]) * frame, min(len(samples), (int(active[-1]) + 1) * frame)


def active_rms(samples: np.ndarray, below: float = 30.0) -> float:
    """RMS over the frames within `below` dB of the loudest one; 0 for silence.

    This averages levels that were rounded through dB; `speech_level` averages powers. The default
    corpus uses this one, the vocoders use `speech_level`. Both must repeat their files bit for bit.
    """
    levels = frame_levels(samples)
    if not len(levels) or levels.max() < -110:
        return 0.0
    return float(np.sqrt(np.mean(10 ** (levels[levels > levels.max() - below] / 10))))


def speech_level(samples: np.ndarray) -> float:
    """RMS over the 20 ms frames that lie within 30 dB of the loudest one; 0 for silence."""
    frames = samples[:len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    if not len(powers) or powers.max() <= 0:
        return 0.0
    return float(np.sqrt(powers[powers >= powers.max() * 1e-3].mean()))


def without_edge_silence(samples: np.ndarray) -> np.ndarray:
    """`samples` from their first to their last 20 ms frame within 35 dB of the loudest one.

    Silent samples, and samples shorter than two frames, stay unchanged.
    """
    count = len(samples) // FRAME
    if count < 2:
        return samples
    frames = samples[:count * FRAME].reshape(count, FRAME)
    power = (frames.astype(np.float64) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-EDGE_SILENCE_DB / 10))
    return samples[loud[0] * FRAME:(loud[-1] + 1) * FRAME] if len(loud) else samples


def within_full_scale(samples: np.ndarray) -> np.ndarray:
    """`samples`, divided by their peak if it exceeds 1."""
    peak = np.abs(samples).max(initial=0)
    return samples / peak if peak > 1 else samples


def add_at_snr(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """`samples` plus `noise` (n,) at this power ratio; unchanged if one of them is silent."""
    signal_power = np.dot(samples, samples)
    noise_power = np.dot(noise, noise)
    if signal_power == 0 or noise_power == 0:
        return samples
    return samples + noise * np.sqrt(signal_power / noise_power * 10 ** (-snr_db / 10))
