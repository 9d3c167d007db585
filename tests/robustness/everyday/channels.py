"""Channels: two talkers, dead or hissing ones, opposite phase, more than two."""
from collections.abc import Callable, Iterator

import numpy as np

from tests.robustness.everyday.making.case import (Case, Check, both_judged, lasts, never, put,
                                                   says, scores_like, silent_about, verdict)
from tests.robustness.everyday.making.containers import with_layout, with_sound_box
from tests.robustness.everyday.making.sound import (RATE, Track, fake, muxed, plain, real, seconds,
                                                    written)

Wave = Callable[[], np.ndarray]


def cases() -> Iterator[Case]:
    yield from _two_talkers()
    yield from _in_a_part()
    yield from _one_of_two()
    yield from _as_recorders_do()
    yield from _more_than_two()
    yield from _layouts()
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


def _in_a_part() -> Iterator[Case]:
    """Two talkers where the number of channels changes."""
    checks = (says("left", "left named"), says("right", "right named"),
              says("likely spoof", "the fake told"), lasts(2 * seconds(real()), 0.1))

    def talkers() -> np.ndarray:
        return _beside(real(), fake())
    yield Case("channels", "WAV: one channel, then two talkers", put(
        "a.wav", lambda: written(real()) + written(talkers())), checks)
    yield Case("channels", "WAV: two talkers, then one channel", put(
        "a.wav", lambda: written(talkers()) + written(real())), checks)
    yield Case("channels", "Ogg Opus: one channel, then two talkers", put("a.opus", lambda: muxed(
        "ogg", [Track(real(), "libopus", 48000)]) + muxed("ogg", [Track(
            talkers(), "libopus", 48000)])), checks)
    yield Case("channels", "FLAC: one channel, then the same speech on two", put(
        "a.flac", lambda: written(real(), "FLAC") + written(_beside(real(), real()), "FLAC")),
        (verdict("likely bona fide"), silent_about("different", "no second talker")))


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


def _as_recorders_do() -> Iterator[Case]:
    both = (both_judged(),)
    yield _wav("a talker on 5, another on 8, of 8", lambda: _alone(real(), 8, 4)
               + _alone(_long(), 8, 7), both)
    yield _wav("left real, right fake, each 30 dB down on the other", lambda: _beside(
        real() + 0.03 * _long(), _long() + 0.03 * real()), both)
    yield _wav("left real, right fake, 40 dB softer", lambda: _beside(real(), 0.01 * fake()), both)
    for name, wave, word in (("real", real, "likely bona fide"), ("fake", _long, "likely spoof")):
        like = (verdict(word), scores_like(plain(wave), 0.3))
        for other, change in (
                ("left hisses louder than the voice", lambda wave: 0.3 * _noise(len(wave))),
                ("left buzzes", lambda wave: 0.3 * _buzz(wave)),
                ("left holds a tone", lambda wave: 0.5 * np.sin(40 * np.pi / RATE * np.arange(
                    len(wave)) * 50)),
                ("left 60 dB softer", lambda wave: 0.001 * wave),
                ("left a soft room, as of a side signal", lambda wave: 0.05 * _noise(len(wave)))):
            yield _wav(f"{name}, {other}", lambda wave=wave, change=change: _beside(
                change(wave()), wave()), like)
        for other, change in (
                ("clipped", lambda wave: np.clip(8 * wave, -1, 1)),
                ("3 ms later", lambda wave: _late(wave, 48)),
                ("30 ms later", lambda wave: _late(wave, 480)),
                ("300 ms later", lambda wave: _late(wave, 4800))):
            yield _wav(f"{name}, right {other}", lambda wave=wave, change=change: _beside(
                wave(), change(wave())), (verdict(word),))
        told = (verdict(word), says("phase", "opposite phase told"))
        yield _wav(f"{name}, opposite, 6 dB softer", lambda wave=wave: _beside(
            wave(), -0.5 * wave()), told)
        yield _wav(f"{name}, opposite and 2 ms later", lambda wave=wave: _beside(
            wave(), -_late(wave(), 32)), told)
        yield _wav(f"{name}, microphones for all directions", lambda wave=wave: np.stack(
            [0.7 * wave(), 0.7 * wave(), -0.5 * wave(), 0.01 * _noise(len(wave()))], 1), told)


def _more_than_two() -> Iterator[Case]:
    for count, at in ((6, 2), (8, 2), (4, 3), (3, 1), (6, 5)):
        for name, wave, word in (("real", real, "likely bona fide"),
                                 ("fake", fake, "likely spoof")):
            yield _wav(f"{count} channels, {name} in number {at + 1} alone",
                       lambda count=count, at=at, wave=wave: _alone(wave(), count, at),
                       (verdict(word), scores_like(plain(wave), 0.1)), "14" if count == 6 else "",
                       wish=count == 6)
    for name, file, container, codec, rate in (
            ("AAC", "a.m4a", "ipod", "aac", 48000), ("Opus", "a.opus", "ogg", "libopus", 48000),
            ("WavPack", "a.wv", "wv", "wavpack", 16000)):
        yield Case("channels", f"7.1 in {name}, fake in the middle alone", put(
            file, lambda container=container, codec=codec, rate=rate: muxed(
                container, [Track(_alone(fake(), 8, 2), codec, rate)])), (verdict("likely spoof"),))
    yield Case("channels", "5.1 in AAC, real in the middle alone", put(
        "a.m4a", lambda: muxed("ipod", [Track(_alone(real(), 6, 2), "aac", 48000)])),
        (verdict("likely bona fide"), never("likely spoof")))


def _layouts() -> Iterator[Case]:
    """What a file says of the channels' places is of no use here, and often wrong."""
    checks = (verdict("likely spoof"), scores_like(plain(fake), 0.1))

    def sound(kind: str, count: int) -> bytes:
        wave = _alone(fake(), count, count // 2)
        return written(wave, kind) if kind in ("CAF", "AIFF") else muxed(
            kind.lower(), [Track(wave, "pcm_s16le", 16000)])
    for kind in ("CAF", "AIFF", "MOV"):
        for number in (126, 128, 144):
            yield Case("channels", f"{kind}, 8 channels, layout {number}", put(
                f"a.{kind.lower()}", lambda kind=kind, number=number: with_layout(
                    sound(kind, 8), number)), checks)
        for count, told in ((2, 2), (2, 24), (2, 1), (6, 24), (8, 16), (24, 24)):
            yield Case("channels", f"{kind}, {count} channels, {told} told, all on the left", put(
                f"a.{kind.lower()}", lambda kind=kind, count=count, told=told: with_layout(
                    sound(kind, count), places=told * [1])), checks)
    for count, told in ((2, 1), (2, 24), (8, 8), (8, 24)):
        yield Case("channels", f"MP4, {count} channels, {told} told, all on the left", put(
            "a.mp4", lambda count=count, told=told: with_sound_box(
                sound("MP4", count), b"chnl", b"\0\0\0\0\1\0" + told * b"\3")), checks)
    for told in (2, 24):
        yield Case("channels", f"MOV, ALAC, 2 channels, {told} told, all on the left", put(
            "a.mov", lambda told=told: with_layout(muxed("mov", [Track(_alone(
                fake(), 2, 1), "alac", 16000)]), places=told * [1])), checks)
    for codec, container, rate, options in (
            ("libopus", "ogg", 48000, (("mapping_family", "255"),)), ("wavpack", "wv", 16000, ())):
        yield Case("channels", f"24 channels, {codec}", put(
            f"a.{container}", lambda codec=codec, container=container, rate=rate, options=options:
            muxed(container, [Track(_alone(fake(), 24, 12), codec, rate, options=options)])), (
                verdict("likely spoof"),))


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


def _long() -> np.ndarray:
    """The synthetic speech, as long as the real."""
    return np.pad(fake(), (0, len(real()) - len(fake())))


def _buzz(wave: np.ndarray) -> np.ndarray:
    """Mains hum with all its harmonics up to 2 kHz."""
    phase = 2 * np.pi * 50 * np.arange(len(wave)) / RATE
    return sum(np.sin(number * phase) / number for number in range(1, 40)) / 3


def _hum(wave: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 50 * np.arange(len(wave)) / RATE)


def _wav(name: str, wave: Wave, checks: tuple[Check, ...], row: str = "",
         wish: bool = False) -> Case:
    return Case("channels", name, put("a.wav", lambda: written(wave())), checks, row, wish)

