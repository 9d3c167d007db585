"""Level, offset, hum, drift, depth: what a verdict must not follow."""
from collections.abc import Iterator

import numpy as np

from tests.robustness.everyday.making.case import (Case, Check, judged, never, put, says,
                                                   scores_like, verdict)
from tests.robustness.everyday.making.sound import RATE, fake, plain, real, written

MOST = 0.3      # by which one recording's score may move; the mean is measured elsewhere


def cases() -> Iterator[Case]:
    """The verdict is of the voice, not of the file."""
    yield from _moved()
    yield Case("level", "float at -50 dB", _file(lambda: real() * _gain(-50), "FLOAT"),
               (judged(), never("likely spoof")), "5", wish=True)
    yield Case("level", "8 bits", _file(real, "PCM_U8"),
               (judged(), says(r"8[ -]bits?", "8 bits told")), "6", wish=True)
    yield Case("level", "8 bits, AIFF", _file(real, "PCM_S8", "AIFF"),
               (judged(), says(r"8[ -]bits?", "8 bits told")), wish=True)
    yield Case("level", "clipped", _file(lambda: np.clip(fake() * 8, -0.99, 0.99)),
               (says("clip", "clipping told"), never("likely bona fide")))
    yield Case("level", "float beyond 1", _file(lambda: fake() * 6, "FLOAT"),
               (never("likely bona fide"), judged()))


def _moved() -> Iterator[Case]:
    for name, wave, word in (("fake", fake, "likely spoof"), ("real", real, "likely bona fide")):
        checks = (verdict(word), *_near(wave))      # rounding at -40 dB and a step are heard
        for offset in (0.05, 0.2, -0.1, 0.01):
            yield _case(f"{name}, offset {offset}", lambda wave=wave, offset=offset:
                        0.7 * wave() + offset, checks, "1")
        for hertz, size in ((50, 0.01), (50, 0.03), (60, 0.03), (25, 0.03)):
            yield _case(f"{name}, hum of {hertz} Hz, {size}", lambda wave=wave, hertz=hertz,
                        size=size: 0.9 * wave() + size * _sine(hertz, wave()), checks, "3")
        yield _case(f"{name}, drift of 4 Hz, 0.05", lambda wave=wave:
                    0.9 * wave() + 0.05 * _sine(4, wave()), checks)
        for decibels in (-12, -20, -30, -40):
            yield _case(f"{name}, {decibels} dB", lambda wave=wave, decibels=decibels:
                        wave() * _gain(decibels), checks[:1] if decibels == -40 else checks, "4")
        yield _case(f"{name}, fading by 20 dB", lambda wave=wave:
                    wave() * np.geomspace(1, 0.1, len(wave())), (verdict(word),))
        yield _case(f"{name}, offset that sets in halfway", lambda wave=wave:
                    0.7 * wave() + 0.1 * (np.arange(len(wave())) > len(wave()) / 2), checks[:1])


def _near(wave) -> tuple[Check, ...]:
    return (scores_like(plain(wave), MOST),)


def _case(name: str, wave, checks: tuple[Check, ...], row: str = "") -> Case:
    return Case("level", name, _file(wave), checks, row)


def _file(wave, subtype: str = "PCM_16", container: str = "WAV"):
    return put(f"a.{container.lower()}", lambda: written(wave(), container, subtype))


def _gain(decibels: float) -> float:
    return 10 ** (decibels / 20)


def _sine(hertz: float, wave: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(len(wave)) / RATE)
