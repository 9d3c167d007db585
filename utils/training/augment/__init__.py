"""Augmentation of training waves: seeded chains of numpy operations, the same for both classes.

`make_augmentation(name)` gives a callable. It takes a wave float32 (n,) and a random generator, and
returns a wave float32 (n,). The result depends on these two alone. If the generator is seeded by
seed, epoch and utterance, the order and the number of workers do not matter.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from utils.signals import codecs, rooms, time_and_pitch
from utils.signals.length import repeat_from
from utils.signals.levels import within_full_scale, without_edge_silence
from utils.signals.rooms import OtherUtterance
from utils.training.augment.rawboost import ALGORITHMS, rawboost

NAMES = ("none", "speed", "rawboost", "full", "level", "channel")
SOFTEST_DB = -42.0
Operation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Step:
    """One link of a chain: with `probability`, one of `choices` (equally likely)."""
    name: str
    probability: float
    choices: tuple[Operation, ...]
    text: str

    def __call__(self, wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self.probability:
            return wave
        return self.choices[int(rng.integers(len(self.choices)))](wave, rng)


@dataclass(frozen=True)
class Augmentation:
    """A chain of steps, in order. The result is as long as the wave; its peak is at most 1."""
    name: str
    steps: tuple[Step, ...]

    def __call__(self, wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not len(wave):
            return np.zeros(0, np.float32)
        for step in self.steps:
            wave = step(wave, rng)
        return within_full_scale(np.asarray(wave, dtype=np.float32))

    def describe(self) -> str:
        """One line per step, for the log."""
        lines = [f"  {step.probability:4.0%}  {step.name}: {step.text}" for step in self.steps]
        return "\n".join([f"augmentation {self.name}, both classes:", *(lines or ["  nothing"])])


def make_augmentation(name: str, other: OtherUtterance | None = None) -> Augmentation:
    """The chain called `name`, one of `NAMES`.

    `other` draws further utterances for babble; without it there is no babble. Raises `ValueError`
    for another name.
    """
    if name not in NAMES:
        raise ValueError(f"unknown augmentation {name!r}: known are {', '.join(NAMES)}")
    if name == "full":
        return Augmentation(name, _full_steps(other))
    steps = {"none": (), "speed": (_speed_step(1.0, 0.88, 1.12),),
             "rawboost": (_rawboost_step(1.0, tuple(ALGORITHMS)),),
             "level": (Step("level", 1.0, (_soft,), "-42 to 0 dB, rounded to 16 bits"),),
             "channel": (_channel_step(other),)}
    return Augmentation(name, steps[name])


def placed(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The wave without silence at its ends, repeated from a random place; the length stays."""
    core = without_edge_silence(wave)
    return repeat_from(core, len(wave), int(rng.integers(len(core))))


def _gain(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return wave * 10 ** (rng.uniform(-12, 6) / 20)


def _soft(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    soft = wave * 10 ** (rng.uniform(SOFTEST_DB, 0) / 20)
    return np.rint(soft * 32768) / 32768


def _speed_step(probability: float, low: float, high: float) -> Step:
    return Step("speed", probability,
                (lambda w, r: time_and_pitch.change_speed(w, r.uniform(low, high)),),
                f"{low:g} to {high:g}, pitch goes along")


def _rawboost_step(probability: float, algorithms: tuple[int, ...]) -> Step:
    return Step("RawBoost", probability,
                tuple(lambda w, r, k=k: rawboost(w, r, k) for k in algorithms),
                f"algorithm {', '.join(map(str, algorithms))} of Tak et al. 2022")


def _codec_step(probability: float) -> Step:
    names = codecs.available()
    choices = tuple(lambda w, r, k=k: codecs.coded(w, k, r) for k in names)
    channels = (lambda w, r: codecs.telephone(w, coded=bool(r.integers(2))),
                lambda w, r: codecs.mu_law(w))
    return Step("codec", probability, choices + channels,
                f"{', '.join(names)}, telephone band, mu-law")


def _noise_step(probability: float, other: OtherUtterance | None) -> Step:
    choices, text = (rooms.add_noise,), "white, pink or brown at 10 to 40 dB"
    if other is not None:
        choices = (*choices, lambda w, r: rooms.add_babble(w, r, other))
        text = f"{text}, or babble of 3 to 6 at 10 to 25 dB"
    return Step("noise", probability, choices, text)


def _channel_step(other: OtherUtterance | None) -> Step:
    """One of what may happen between talker and listener, each of the four kinds as often."""
    line = _codec_step(1.0)
    noise = _noise_step(1.0, other)
    return Step("channel", 1.0,
                (line, noise, rooms.reverberate, lambda w, r: codecs.telephone(w)),
                f"{line.text}; {noise.text}; a room; a telephone line")


def _full_steps(other: OtherUtterance | None) -> tuple[Step, ...]:
    """From the talker to the listener: delivery, room, noise, equipment, line, level."""
    return (
        Step("placement", 0.5, (placed,),
             "edge silence cut off, the rest repeated from a random place"),
        _speed_step(0.15, 0.9, 1.1),
        # Rare: a phase vocoder leaves traces of its own on bona fide speech.
        Step("pitch or tempo", 0.03,
             (lambda w, r: time_and_pitch.shift_pitch(w, r.uniform(-2, 2)),
              lambda w, r: time_and_pitch.change_tempo(w, r.uniform(0.9, 1.1))),
             "-2 to 2 semitones, or tempo 0.9 to 1.1"),
        Step("room", 0.15, (rooms.reverberate,), "synthetic response, 0.1 to 0.7 s"),
        _noise_step(0.35, other),
        Step("equaliser", 0.5, (rooms.equalise,), "8 random gains of 4 dB (deviation)"),
        _rawboost_step(0.2, (1, 2, 3, 5)),
        Step("bandwidth", 0.2, (lambda w, r: codecs.band_limited(w, r.uniform(7000, 15500)),),
             "3.5 to 7.75 kHz"),
        _codec_step(0.3),
        Step("masking", 0.15, (rooms.mask_bands, rooms.mask_times),
             "a band of 0.1 to 1 kHz, or 20 to 200 ms, by -40 dB"),
        Step("gain", 0.5, (_gain,), "-12 to 6 dB"),
    )
