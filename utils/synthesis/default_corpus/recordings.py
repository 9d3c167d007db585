"""Small signal tools shared by the engines and the equalisation: mono float64 waveforms in [-1, 1], sample rates in Hz."""
import io
from pathlib import Path

import numpy as np
import soundfile
import soxr

from utils.common.errors import InputError

RATE = 16000


def read_recording(path: Path) -> np.ndarray:
    """A recording as mono float64 at 16 kHz; raw G.722 by its suffix. `InputError` where it cannot be decoded."""
    try:
        if path.suffix == ".g722":
            return _decode_g722(path.read_bytes())
        samples, rate = soundfile.read(str(path), dtype="float64", always_2d=True)
    except (OSError, soundfile.LibsndfileError, ValueError) as error:
        raise InputError(f"{path} cannot be decoded ({error}): delete it and run the same command again") from error
    return resample(samples.mean(axis=1), rate, RATE)


def resample(samples: np.ndarray, rate_from: int, rate_to: int) -> np.ndarray:
    """soxr HQ resampling."""
    return samples if rate_from == rate_to else soxr.resample(samples, rate_from, rate_to, "HQ")


def _decode_g722(data: bytes) -> np.ndarray:
    import av
    with av.open(io.BytesIO(data), format="g722") as container:
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float64) / 32768 if frames else np.zeros(0)


def through_g722(samples: np.ndarray) -> np.ndarray:
    """A 16 kHz waveform after 64 kbit/s G.722, as telephone prompts are stored."""
    import av
    pcm = np.round(np.clip(samples, -1, 32767 / 32768) * 32768).astype(np.int16)
    pcm = np.pad(pcm, (0, -len(pcm) % 320))
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.format, encoder.layout = RATE, "s16", "mono"
    packets = []
    for start in range(0, len(pcm), 320):
        frame = av.AudioFrame.from_ndarray(pcm[None, start:start + 320], format="s16", layout="mono")
        frame.sample_rate = RATE
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return _fit(_decode_g722(b"".join(bytes(packet) for packet in packets)), len(samples))


def through_file(samples: np.ndarray, container: str, subtype: str, quality: float, rate: int = RATE) -> np.ndarray:
    """A 16 kHz waveform after a lossy format of libsndfile at `rate`; `quality` 0 (best) to 1 (smallest)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, resample(samples, RATE, rate), rate, format=container, subtype=subtype, compression_level=quality)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float64")
    return _fit(resample(decoded, rate, RATE), len(samples))


def _fit(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples, (0, max(0, length - len(samples))))[:length]


def frame_levels(samples: np.ndarray, frame: int = 320) -> np.ndarray:
    """Level in dB of each 20 ms frame (silence: -120)."""
    usable = samples[:len(samples) // frame * frame].reshape(-1, frame)
    return 10 * np.log10(np.mean(usable ** 2, axis=1) + 1e-12)


def active_span(samples: np.ndarray, below: float = 35.0, frame: int = 320) -> tuple[int, int]:
    """First and last sample of speech: frames within `below` dB of the loudest (by the 95th percentile)."""
    levels = frame_levels(samples, frame)
    if not len(levels):
        return 0, 0
    active = np.flatnonzero(levels > np.percentile(levels, 95) - below)
    return int(active[0]) * frame, min(len(samples), (int(active[-1]) + 1) * frame)


def active_rms(samples: np.ndarray, below: float = 30.0) -> float:
    """RMS over the frames within `below` dB of the loudest; 0 for silence."""
    levels = frame_levels(samples)
    if not len(levels) or levels.max() < -110:
        return 0.0
    return float(np.sqrt(np.mean(10 ** (levels[levels > levels.max() - below] / 10))))
