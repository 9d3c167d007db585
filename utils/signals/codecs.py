"""Lossy codecs and telephone channels on a waveform in memory, at 16 kHz in and out.

PyAV encodes mp3, AAC, Opus, AMR and G.722; libsndfile encodes others, such as Vorbis. G.711 is a
formula.
"""
import functools
import io
from collections.abc import Iterator

import numpy as np

from utils.signals import SAMPLE_RATE
from utils.signals.length import cut_or_pad
from utils.signals.resampling import resample

MU = 255
PEAK = 0.99         # louder waves are turned down before a codec, which would clip them
G722_FRAME = 320    # samples
LONGEST_DELAY = 4000    # samples

# name: (encoder, sample rate in Hz, sample format, bit rates in bit/s; None if there is only one)
CODECS: dict[str, tuple[str, int, str, tuple[int, ...] | None]] = {
    "mp3": ("libmp3lame", 16000, "s16p", (24000, 32000, 48000, 64000)),
    "aac": ("aac", 16000, "fltp", (24000, 32000, 48000, 64000)),
    "opus": ("libopus", 16000, "s16", (10000, 16000, 24000, 32000)),
    "amr": ("libopencore_amrnb", 8000, "s16", (4750, 5900, 7950, 12200)),
    "g722": ("g722", 16000, "s16", None),
}


@functools.cache
def available() -> tuple[str, ...]:
    """The names in `CODECS` that this PyAV build can encode."""
    import av
    found = []
    for name, (encoder, *_) in CODECS.items():
        try:
            av.Codec(encoder, "w")
        except (ValueError, av.FFmpegError):
            continue
        found.append(name)
    return tuple(found)


def band_limited(wave: np.ndarray, rate: float) -> np.ndarray:
    """`wave` resampled to `rate` in Hz and back, so without all above rate / 2; float32."""
    narrow = resample(wave.astype(np.float32), SAMPLE_RATE, rate)
    return cut_or_pad(resample(narrow, rate, SAMPLE_RATE), len(wave))


def mu_law(wave: np.ndarray) -> np.ndarray:
    """`wave` through 8 bits of G.711's mu-law curve (the continuous formula) and back; float32."""
    level = np.sign(wave) * np.log1p(MU * np.minimum(np.abs(wave), 1)) / np.log1p(MU)
    code = np.round((level + 1) / 2 * MU) / MU * 2 - 1
    return (np.sign(code) * np.expm1(np.abs(code) * np.log1p(MU)) / MU).astype(np.float32)


def telephone(wave: np.ndarray, coded: bool = True) -> np.ndarray:
    """`wave` over a telephone line: 300 to 3400 Hz at 8 kHz, mu-law if `coded`; float32 (n,)."""
    from scipy.signal import sosfilt
    line = sosfilt(_telephone_band(), resample(wave.astype(np.float32), SAMPLE_RATE, 8000))
    if coded:
        line = mu_law(line)
    return cut_or_pad(resample(line.astype(np.float32), 8000, SAMPLE_RATE), len(wave))


@functools.cache
def _telephone_band() -> np.ndarray:
    from scipy.signal import butter
    return butter(4, (300, 3400), "bandpass", fs=8000, output="sos")


def coded(wave: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """`wave` (n,) through the codec `name` at a random bit rate; float32 (n,)."""
    bit_rates = CODECS[name][3]
    return coded_at(wave, name, int(rng.choice(bit_rates)) if bit_rates else None)


def coded_at(wave: np.ndarray, name: str, bit_rate: int | None) -> np.ndarray:
    """`wave` (n,) through the codec `name` at `bit_rate` in bit/s; float32 (n,).

    The codec's delay is removed, to within a few samples.
    """
    encoder, rate, sample_format, _ = CODECS[name]
    line = resample(wave.astype(np.float32), SAMPLE_RATE, rate)
    peak = float(np.abs(line).max(initial=0))  # of the resampled wave, which may overshoot
    gain = PEAK / peak if peak > PEAK else 1.0
    late = _encode_and_decode(line * gain, encoder, rate, sample_format, bit_rate)
    line = _aligned(late, line) / gain
    if rate != SAMPLE_RATE:
        line = resample(line.astype(np.float32), rate, SAMPLE_RATE)
    return cut_or_pad(line, len(wave)).astype(np.float32)


def _encode_and_decode(wave: np.ndarray, encoder_name: str, rate: int, sample_format: str,
                       bit_rate: int | None) -> np.ndarray:
    """`wave` after the codec: float32 at the codec's own rate, delayed by the codec."""
    import av
    encoder = av.CodecContext.create(encoder_name, "w")
    encoder.sample_rate = rate
    encoder.layout = "mono"
    encoder.format = sample_format
    if bit_rate is not None:
        encoder.bit_rate = bit_rate
    encoder.open()
    frames = _frames(wave, rate, sample_format, encoder.frame_size or 320)
    packets = [packet for frame in frames for packet in encoder.encode(frame)]
    packets += encoder.encode(None)
    return _decoded(encoder, packets, rate)


def _frames(wave: np.ndarray, rate: int, sample_format: str, size: int) -> Iterator:
    """Yields the wave as PyAV frames of `size` samples; the last one is shorter."""
    import av
    if sample_format != "fltp":
        wave = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
    for start in range(0, len(wave), size):
        part = np.ascontiguousarray(wave[None, start:start + size])
        frame = av.AudioFrame.from_ndarray(part, format=sample_format, layout="mono")
        frame.sample_rate = rate
        frame.pts = start
        yield frame


def _decoded(encoder: object, packets: list, rate: int) -> np.ndarray:
    """The packets decoded by the decoder that belongs to `encoder`: float32 at `rate`."""
    import av
    decoder = av.CodecContext.create(av.Codec(encoder.codec.canonical_name, "r").name, "r")
    decoder.sample_rate = rate
    decoder.layout = "mono"
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    parts = []
    decoded_rate = rate
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            decoded_rate = frame.sample_rate
            samples = frame.to_ndarray().reshape(-1)
            scale = 32768 if samples.dtype == np.int16 else 1
            parts.append(samples.astype(np.float32) / scale)
    whole = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return resample(whole, decoded_rate, rate)


def _aligned(late: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`late` (n,) shifted so that it matches `reference` best."""
    from scipy.fft import irfft, next_fast_len, rfft
    size = next_fast_len(len(late) + len(reference), real=True)
    match = irfft(rfft(late, size) * np.conj(rfft(reference, size)), size)[:LONGEST_DELAY]
    return late[int(np.argmax(match)):]


def decode_g722(data: bytes) -> np.ndarray:
    """Decode a raw G.722 stream of 64 kbit/s: float64 at 16 kHz."""
    import av
    with av.open(io.BytesIO(data), format="g722") as container:
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float64) / 32768 if frames else np.zeros(0)


def through_g722(samples: np.ndarray) -> np.ndarray:
    """`samples` (n,) after 64 kbit/s G.722, the format of telephone prompts; float64 (n,).

    `coded` also offers G.722, but scales to 32767. The default corpus must repeat this function
    bit for bit.
    """
    import av
    pcm = np.round(np.clip(samples, -1, 32767 / 32768) * 32768).astype(np.int16)
    pcm = np.pad(pcm, (0, -len(pcm) % G722_FRAME))
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate = SAMPLE_RATE
    encoder.format = "s16"
    encoder.layout = "mono"
    packets = []
    for start in range(0, len(pcm), G722_FRAME):
        part = pcm[None, start:start + G722_FRAME]
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return cut_or_pad(decode_g722(b"".join(bytes(packet) for packet in packets)), len(samples))


def through_file_format(samples: np.ndarray, container: str, subtype: str, quality: float,
                        rate: int = SAMPLE_RATE) -> np.ndarray:
    """`samples` (n,) after a lossy file format of libsndfile at `rate` in Hz; float64 (n,).

    `quality` lies between 0 (best) and 1 (smallest file).
    """
    import soundfile
    buffer = io.BytesIO()
    soundfile.write(buffer, resample(samples, SAMPLE_RATE, rate), rate, format=container,
                    subtype=subtype, compression_level=quality)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float64")
    return cut_or_pad(resample(decoded, rate, SAMPLE_RATE), len(samples))
