"""Lossy codecs and telephone channels on a wave in memory: mp3, AAC, Opus, AMR and G.722 by PyAV, G.711 by formula."""
import functools

import numpy as np

SAMPLE_RATE = 16000
MU = 255
PEAK = 0.99  # louder waves are turned down before a codec, or it would clip them

# name: (encoder, sample rate in Hz, sample format, bit rates in bit/s; None where the codec has only one)
CODECS: dict[str, tuple[str, int, str, tuple[int, ...] | None]] = {
    "mp3": ("libmp3lame", 16000, "s16p", (24000, 32000, 48000, 64000)),
    "aac": ("aac", 16000, "fltp", (24000, 32000, 48000, 64000)),
    "opus": ("libopus", 16000, "s16", (10000, 16000, 24000, 32000)),
    "amr": ("libopencore_amrnb", 8000, "s16", (4750, 5900, 7950, 12200)),
    "g722": ("g722", 16000, "s16", None),
}


@functools.cache
def available() -> tuple[str, ...]:
    """The names of `CODECS` that this PyAV build can encode."""
    import av
    found = []
    for name, (encoder, *_) in CODECS.items():
        try:
            av.Codec(encoder, "w")
        except (ValueError, av.FFmpegError):
            continue
        found.append(name)
    return tuple(found)


def resampled(wave: np.ndarray, rate_in: float, rate_out: float) -> np.ndarray:
    """`wave` at another rate (soxr, high quality), float32."""
    import soxr
    return soxr.resample(wave.astype(np.float32), rate_in, rate_out, quality="HQ")


def fitted(wave: np.ndarray, n: int) -> np.ndarray:
    """`wave` cut, or padded with zeros, to n samples."""
    return wave[:n] if len(wave) >= n else np.pad(wave, (0, n - len(wave)))


def band_limited(wave: np.ndarray, rate: float) -> np.ndarray:
    """Down to `rate` and back: nothing above rate / 2 is left; same length."""
    return fitted(resampled(resampled(wave, SAMPLE_RATE, rate), rate, SAMPLE_RATE), len(wave))


def mu_law(wave: np.ndarray) -> np.ndarray:
    """Through 8 bits of G.711's mu-law curve (the continuous formula) and back."""
    level = np.sign(wave) * np.log1p(MU * np.minimum(np.abs(wave), 1)) / np.log1p(MU)
    code = np.round((level + 1) / 2 * MU) / MU * 2 - 1
    return (np.sign(code) * np.expm1(np.abs(code) * np.log1p(MU)) / MU).astype(np.float32)


def telephone(wave: np.ndarray, coded: bool = True) -> np.ndarray:
    """A telephone line: 300 to 3400 Hz at 8 kHz, through mu-law if `coded`, back at 16 kHz; same length."""
    from scipy.signal import sosfilt
    line = sosfilt(_telephone_band(), resampled(wave, SAMPLE_RATE, 8000))
    if coded:
        line = mu_law(line)
    return fitted(resampled(line, 8000, SAMPLE_RATE), len(wave))


@functools.cache
def _telephone_band() -> np.ndarray:
    from scipy.signal import butter
    return butter(4, (300, 3400), "bandpass", fs=8000, output="sos")


def _frames(wave: np.ndarray, rate: int, sample_format: str, size: int):
    """The wave as PyAV frames of `size` samples, the last one shorter."""
    import av
    if sample_format != "fltp":
        wave = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
    for start in range(0, len(wave), size):
        part = np.ascontiguousarray(wave[None, start:start + size])
        frame = av.AudioFrame.from_ndarray(part, format=sample_format, layout="mono")
        frame.sample_rate, frame.pts = rate, start
        yield frame


def _through(wave: np.ndarray, encoder_name: str, rate: int, sample_format: str, bit_rate: int | None) -> np.ndarray:
    """Encode and decode at the codec's own rate: float32, delayed by the codec."""
    import av
    encoder = av.CodecContext.create(encoder_name, "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", sample_format
    if bit_rate is not None:
        encoder.bit_rate = bit_rate
    encoder.open()
    frames = _frames(wave, rate, sample_format, encoder.frame_size or 320)
    packets = [packet for frame in frames for packet in encoder.encode(frame)]
    packets += encoder.encode(None)
    decoder = av.CodecContext.create(av.Codec(encoder.codec.canonical_name, "r").name, "r")
    decoder.sample_rate, decoder.layout = rate, "mono"
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    decoded, out_rate = [], rate
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            out_rate = frame.sample_rate
            samples = frame.to_ndarray().reshape(-1)
            decoded.append(samples.astype(np.float32) / (32768 if samples.dtype == np.int16 else 1))
    out = np.concatenate(decoded) if decoded else np.zeros(0, np.float32)
    return out if out_rate == rate else resampled(out, out_rate, rate)


def coded(wave: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """`wave` (n,) through the codec at one of its bit rates, in place of time to within a few samples; float32 (n,)."""
    encoder, rate, sample_format, bit_rates = CODECS[name]
    bit_rate = int(rng.choice(bit_rates)) if bit_rates else None
    line = resampled(wave, SAMPLE_RATE, rate) if rate != SAMPLE_RATE else wave.astype(np.float32)
    peak = float(np.abs(line).max(initial=0))  # of the line: resampling overshoots
    gain = PEAK / peak if peak > PEAK else 1.0
    line = _aligned(_through(line * gain, encoder, rate, sample_format, bit_rate), line) / gain
    return fitted(resampled(line, rate, SAMPLE_RATE) if rate != SAMPLE_RATE else line, len(wave)).astype(np.float32)


def _aligned(late: np.ndarray, reference: np.ndarray, longest: int = 4000) -> np.ndarray:
    """`late` without the delay (up to `longest` samples) at which it fits the reference best."""
    from scipy.fft import irfft, next_fast_len, rfft
    size = next_fast_len(len(late) + len(reference), real=True)
    match = irfft(rfft(late, size) * np.conj(rfft(reference, size)), size)[:longest]
    return late[int(np.argmax(match)):]
