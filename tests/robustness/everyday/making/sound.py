"""The speech that every case starts from, and the ways to write it down: soundfile, PyAV."""
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from tests.conftest import ROOT

RATE = 16000
MODEL = ROOT / "models" / "pretrained" / "detector.onnx"
EXAMPLES = ROOT / "data" / "examples"


@lru_cache
def real() -> np.ndarray:
    """4.8 s of real speech, clearly judged, float64: a clip, and its beginning again."""
    return np.resize(soundfile.read(EXAMPLES / "real_fleurs_ca.flac")[0], 76800)


@lru_cache
def fake() -> np.ndarray:
    """4.5 s of synthetic speech, clearly judged, float64."""
    return soundfile.read(EXAMPLES / "fake_kokoro_en.flac")[0]


def both() -> np.ndarray:
    """The real speech, then the synthetic."""
    return np.concatenate([real(), fake()])


def seconds(wave: np.ndarray) -> float:
    return len(wave) / RATE


def written(wave: np.ndarray, container: str = "WAV", subtype: str | None = None,
            rate: int = RATE) -> bytes:
    """`wave`, (n,) or (n, channels), encoded by libsndfile."""
    buffer = io.BytesIO()
    wave = wave if rate == RATE else np.clip(soxr.resample(wave, RATE, rate), -1, 1)
    soundfile.write(buffer, wave, rate, subtype, format=container)
    return buffer.getvalue()


def plain(wave: np.ndarray | Callable[[], np.ndarray]) -> Callable[[], bytes]:
    """The wave as WAV of 16 bits, made when asked for."""
    return lambda: written(wave() if callable(wave) else wave)


@dataclass(frozen=True)
class Track:
    """A sound track: its wave, (n,) or (n, channels) at 16 kHz, and how it is stored."""
    wave: np.ndarray
    codec: str = "aac"
    rate: int = 44100
    start: float = 0.0          # seconds
    default: bool = False
    options: tuple[tuple[str, str], ...] = ()   # of the encoder
    gap: tuple[float, float] = (0.0, 0.0)    # from that second on, so many seconds later


def muxed(container: str, tracks: Sequence[Track], picture: str = "", picture_seconds: float = 0.0,
          picture_rate: int = 5, **options: str) -> bytes:
    """A file with these sound tracks and, where `picture` names a codec, a film before them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        with av.open(path, "w", format=container, options=options) as file:
            film = _film(file, picture, picture_rate) if picture else None
            streams = [_stream(file, track) for track in tracks]
            packets = [packet for stream, track in zip(streams, tracks)
                       for packet in _sound_packets(stream, track)]
            if film:
                length = picture_seconds or max(len(track.wave) / RATE for track in tracks)
                packets += _film_packets(film, length)
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                file.mux(packet)
        return path.read_bytes()


def _stream(file, track: Track):
    count = np.atleast_2d(track.wave.T).shape[0]
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}.get(count, f"{count}C")
    stream = file.add_stream(track.codec, rate=track.rate, layout=layout,
                             options=dict(track.options))
    if track.codec == "wmav2":
        stream.bit_rate, stream.format = 64000, "fltp"
    if track.codec in ("tta", "wavpack"):       # else 8 bits
        stream.format = {"tta": "s16", "wavpack": "s16p"}[track.codec]
    stream.time_base = Fraction(1, track.rate)
    if track.default:
        stream.disposition = av.stream.Disposition.default
    stream.codec_context.open()
    return stream


def _sound_packets(stream, track: Track) -> list:
    context = stream.codec_context
    wave = track.wave if track.rate == RATE else soxr.resample(track.wave, RATE, track.rate)
    packed = np.clip(wave, -1, 1).astype(np.float32).reshape(1, -1)
    layout = context.layout.name
    fit = av.AudioResampler(format=context.format, layout=layout, rate=track.rate,
                            frame_size=context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
    frame.sample_rate, frame.pts = track.rate, 0
    packets = []
    for fitted in [*fit.resample(frame), *fit.resample(None), None]:
        packets += stream.encode(fitted)
    for packet in packets:
        later = track.start
        if track.gap[1] and packet.pts * packet.time_base >= track.gap[0]:
            later += track.gap[1]
        shift = round(later / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    return packets


def _film(file, codec: str, rate: int):
    film = file.add_stream(codec, rate=rate)
    film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
    if codec == "mpeg2video":
        film.codec_context.framerate = Fraction(25)
        film.codec_context.time_base = Fraction(1, 25)
    return film


def _film_packets(film, length: float) -> list:
    packets = []
    step = 1 / float(film.codec_context.framerate or 5)
    for number in range(max(1, round(length / step))):
        frame = av.VideoFrame.from_ndarray(np.full((72, 64), number % 200, np.uint8), "yuv420p")
        frame.pts = number
        frame.time_base = Fraction(step).limit_denominator(100)
        packets += film.encode(frame)
    return packets + film.encode(None)
