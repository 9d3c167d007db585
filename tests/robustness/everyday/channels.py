"""Channels: two talkers, dead or hissing ones, opposite phase, more than two."""
from collections.abc import Callable, Iterator

import numpy as np

from tests.robustness.everyday.making.case import (Case, Check, both_judged, never, put, says,
                                                   scores_like, verdict)
from tests.robustness.everyday.making.sound import RATE, Track, fake, muxed, plain, real, written

Wave = Callable[[], np.ndarray]


def cases() -> Iterator[Case]:
    yield from _two_talkers()
    yield from _one_of_two()
    yield from _more_than_two()
    yield _wav("two microphones 10 ms apart", lambda: _beside(real(), _late(real(), 160)),
               (says("comb|apart|delay|later", "the delay told"),), "10", wish=True)
    half = (says("phase", "opposite phase told"), verdict("likely bona fide"))
    yield _wav("opposite phase from the middle on", lambda: _beside(real(), real() * np.where(
        np.arange(len(real())) < len(real()) / 2, 1, -1)), half, "12", wish=True)
    yield _wav("opposite phase throughout", lambda: _beside(real(), -real()), half)
    yield _wav("opposite phase at the end alone", lambda: _beside(real(), real() * np.where(
        np.arange(len(real())) < len(real()) * 0.7, 1, -1)), half)


def _two_talkers() -> Iterator[Case]:
    checks = (both_judged(), says("left", "left named"), says("right", "right named"))
    yield _wav("left real, right fake", lambda: _beside(real(), fake()), checks, "8")
    yield _wav("left fake, right real", lambda: _beside(fake(), real()), checks)
    yield _wav("in turns, as in a call", lambda: _beside(
        np.pad(real(), (0, len(fake()))), np.pad(fake(), (len(real()), 0))), checks)
    yield _wav("right fake, 12 dB softer", lambda: _beside(real(), fake() / 4), checks)
    for name, container, codec in (("FLAC", "flac", "flac"), ("M4A", "ipod", "aac"),
                                   ("MP3", "mp3", "libmp3lame"), ("Ogg Opus", "ogg", "libopus"),
                                   ("WebM", "webm", "libopus")):
        rate = {"libopus": 48000, "flac": 16000}.get(codec, 44100)
        yield Case("channels", f"left real, right fake, {name}", put(
            f"a.{container}", lambda container=container, codec=codec, rate=rate: muxed(
                container, [Track(_beside(real(), fake()), codec, rate)])), checks)


def _one_of_two() -> Iterator[Case]:
    for name, wave, word in (("real", real, "likely bona fide"), ("fake", fake, "likely spoof")):
        checks = (verdict(word), scores_like(plain(wave), 0.3))
        yield _wav(f"{name}, left dead", lambda wave=wave: _beside(0 * wave(), wave()), checks)
        yield _wav(f"{name}, right dead", lambda wave=wave: _beside(wave(), 0 * wave()), checks)
        yield _wav(f"{name}, left hisses", lambda wave=wave: _beside(
            0.02 * _noise(len(wave())), wave()), checks)
        yield _wav(f"{name}, both with opposite hum", lambda wave=wave: _beside(
            0.9 * wave() + 0.03 * _hum(wave()), 0.9 * wave() - 0.03 * _hum(wave())), checks, "3")
        yield _wav(f"{name}, dead left with hum", lambda wave=wave: _beside(
            0.03 * _hum(wave()), wave()), checks, "3")
        yield _wav(f"{name}, dead left with an offset", lambda wave=wave: _beside(
            np.full(len(wave()), 0.3), wave()), checks)
        yield _wav(f"{name}, left 20 dB softer", lambda wave=wave: _beside(
            0.1 * wave(), wave()), checks)


def _more_than_two() -> Iterator[Case]:
    for count, at in ((6, 2), (8, 2), (4, 3), (3, 1), (6, 5)):
        for name, wave, word in (("real", real, "likely bona fide"),
                                 ("fake", fake, "likely spoof")):
            yield _wav(f"{count} channels, {name} in number {at + 1} alone",
                       lambda count=count, at=at, wave=wave: _alone(wave(), count, at),
                       (verdict(word), scores_like(plain(wave), 0.1)), "14" if count == 6 else "",
                       wish=count == 6)
    yield Case("channels", "5.1 in AAC, real in the middle alone", put(
        "a.m4a", lambda: muxed("ipod", [Track(_alone(real(), 6, 2), "aac", 48000)])),
        (verdict("likely bona fide"), never("likely spoof")))


def _alone(wave: np.ndarray, count: int, at: int) -> np.ndarray:
    channels = np.zeros((len(wave), count))
    channels[:, at] = wave
    return channels


def _beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    length = max(len(left), len(right))
    return np.stack([np.pad(wave, (0, length - len(wave))) for wave in (left, right)], axis=1)


def _late(wave: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples), wave[:-samples]])


def _noise(samples: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(samples).clip(-4, 4) / 4


def _hum(wave: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 50 * np.arange(len(wave)) / RATE)


def _wav(name: str, wave: Wave, checks: tuple[Check, ...], row: str = "",
         wish: bool = False) -> Case:
    return Case("channels", name, put("a.wav", lambda: written(wave())), checks, row, wish)

