"""Real speech in every format the decoder promises, encoded here by soundfile and PyAV: what the
audio tests start from.
"""
import io
from pathlib import Path

import numpy as np
import soundfile
import soxr

# (name, container, subtype, rate, channels): written by libsndfile
SOUNDFILE_KINDS = (
    ("wav-16", "WAV", "PCM_16", 16000, 1), ("wav-8", "WAV", "PCM_U8", 16000, 1),
    ("wav-24", "WAV", "PCM_24", 16000, 1), ("wav-32", "WAV", "PCM_32", 16000, 1),
    ("wav-float", "WAV", "FLOAT", 16000, 1), ("wav-double", "WAV", "DOUBLE", 16000, 1),
    ("wav-ulaw", "WAV", "ULAW", 8000, 1), ("wav-alaw", "WAV", "ALAW", 8000, 1),
    ("wav-ima", "WAV", "IMA_ADPCM", 16000, 1), ("wav-ms", "WAV", "MS_ADPCM", 16000, 1),
    ("wav-gsm", "WAV", "GSM610", 8000, 1), ("wavex-24", "WAVEX", "PCM_24", 48000, 2),
    ("wav-8k", "WAV", "PCM_16", 8000, 1), ("wav-11k", "WAV", "PCM_16", 11025, 1),
    ("wav-22k", "WAV", "PCM_16", 22050, 1), ("wav-44k-stereo", "WAV", "PCM_16", 44100, 2),
    ("wav-48k", "WAV", "PCM_16", 48000, 1), ("wav-96k", "WAV", "PCM_24", 96000, 1),
    ("wav-192k", "WAV", "PCM_16", 192000, 1), ("wav-6ch", "WAV", "PCM_16", 16000, 6),
    ("rf64", "RF64", "PCM_16", 16000, 1), ("w64", "W64", "PCM_16", 16000, 1),
    ("aiff", "AIFF", "PCM_16", 16000, 1), ("aiff-8", "AIFF", "PCM_S8", 16000, 1),
    ("aiff-float", "AIFF", "FLOAT", 44100, 1), ("au", "AU", "PCM_16", 16000, 1),
    ("au-ulaw", "AU", "ULAW", 8000, 1), ("caf", "CAF", "PCM_16", 16000, 1),
    ("caf-alac", "CAF", "ALAC_16", 16000, 1), ("nist", "NIST", "PCM_16", 16000, 1),
    ("flac", "FLAC", "PCM_16", 16000, 1), ("flac-8", "FLAC", "PCM_S8", 16000, 1),
    ("flac-24", "FLAC", "PCM_24", 44100, 2), ("vorbis", "OGG", "VORBIS", 16000, 1),
    ("opus", "OGG", "OPUS", 16000, 1), ("mp3", "MP3", "MPEG_LAYER_III", 16000, 1),
    ("mp3-44k-stereo", "MP3", "MPEG_LAYER_III", 44100, 2),
)
# (name, libav container, encoder, rate, channels): written by PyAV
PYAV_KINDS = (
    ("m4a", "ipod", "aac", 44100, 1), ("m4a-alac", "ipod", "alac", 16000, 1),
    ("mp4", "mp4", "aac", 48000, 2), ("mov", "mov", "aac", 44100, 1),
    ("aac", "adts", "aac", 44100, 1), ("webm", "webm", "libopus", 48000, 1),
    ("mka-aac", "matroska", "aac", 44100, 1), ("mka-flac", "matroska", "flac", 16000, 1),
    ("ogg-flac", "ogg", "flac", 16000, 1), ("3gp-amr", "3gp", "libopencore_amrnb", 8000, 1),
    ("amr", "amr", "libopencore_amrnb", 8000, 1), ("wma", "asf", "wmav2", 44100, 1),
    ("mp2", "mp2", "mp2", 16000, 1), ("ac3", "ac3", "ac3", 48000, 1),
    ("wavpack", "wv", "wavpack", 16000, 1), ("tta", "tta", "tta", 16000, 1),
    ("flv", "flv", "aac", 44100, 1), ("avi", "avi", "libmp3lame", 44100, 1),
    ("mpegts", "mpegts", "aac", 44100, 1), ("wav-g722", "wav", "adpcm_g722", 16000, 1),
    ("wav-mp3", "wav", "libmp3lame", 16000, 1), ("mp4-flac", "mp4", "flac", 16000, 1),
)
# a cut between two frames cannot be seen in these
UNMARKED = ("caf-alac", "aac", "amr", "mp2", "ac3", "flv", "mpegts")


def speech(path: Path, seconds: float = 2.0) -> np.ndarray:
    """The first `seconds` of a 16 kHz file from its first loud sample on, float64."""
    wave, rate = soundfile.read(path)
    assert rate == 16000
    start = int(np.argmax(np.abs(wave) > 0.1 * np.abs(wave).max()))
    return wave[start:start + int(seconds * rate)]


def at_rate(wave: np.ndarray, rate: int, channels: int) -> np.ndarray:
    """`wave` (16 kHz mono) at another rate, (n, channels), every channel with its own level; their
    mean is not louder.
    """
    wave = np.clip(wave if rate == 16000 else soxr.resample(wave, 16000, rate), -1, 1)
    return np.stack([wave * (channel + 1) / channels for channel in range(channels)], axis=1)


def by_soundfile(wave: np.ndarray, container: str, subtype: str, rate: int, channels: int,
                 as_it_is: bool = False) -> bytes:
    """`wave` encoded by libsndfile; `as_it_is`: neither resampled nor limited, (n,) or (n,
    channels).
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, wave if as_it_is else at_rate(wave, rate, channels), rate, subtype,
                    format=container)
    return buffer.getvalue()


def by_pyav(wave: np.ndarray, container: str, encoder: str, rate: int, channels: int) -> bytes:
    """`wave` encoded by libav."""
    import av
    layout = "mono" if channels == 1 else "stereo"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(encoder, rate=rate, layout=layout)
        if encoder == "wmav2":
            stream.bit_rate, stream.format = 64000, "fltp"
        stream.codec_context.open()
        fit = av.AudioResampler(format=stream.format, layout=layout, rate=rate,
                                frame_size=stream.codec_context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(
            at_rate(wave, rate, channels).T, np.float32), "fltp",
                                           layout)
        frame.sample_rate, frame.pts = rate, 0
        for fitted in [*fit.resample(frame), *fit.resample(None)]:
            file.mux(stream.encode(fitted))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def build(wave: np.ndarray) -> dict[str, bytes]:
    """Every kind of the two tables, by name."""
    return ({name: by_soundfile(wave, *how) for name, *how in SOUNDFILE_KINDS}
            | {name: by_pyav(wave, *how) for name, *how in PYAV_KINDS})
