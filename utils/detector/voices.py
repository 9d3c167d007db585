"""What of a file is judged: its sound tracks, and channels that hold speech of their own.

Channels are compared behind the high-pass, so hum and offset do not count. Channels of the same
sound are averaged. If they would cancel each other, as in opposite phase or if one is later than
the other, the loudest is taken alone. Channels that differ are judged each.
"""
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from utils.audio.decode import AudioStream, open_audio, open_channels
from utils.audio.sources import AudioError, AudioSource
from utils.detector.speech_activity import Activity
from utils.signals import N_SAMPLES
from utils.signals.front import high_passed

PIECE = 4000            # samples compared at once: 0.25 s
LATEST = 160            # samples by which one of two microphones may be later: 10 ms
SAME = 0.7              # correlation, of either sign, from which two channels hold the same sound
OPPOSITE = -0.5         # correlation of a piece below which two channels cancel each other
CANCELS = 0.05          # share of such pieces, by power, from which they are not averaged
TOGETHER = 0.8          # share of the correlation that must be left without a delay, likewise

Tap = Callable[[AudioStream], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Voice:
    """A part of a file that is judged by itself; `name` is empty if it is all."""
    name: str = ""
    track: int = 0
    channels: tuple[int, ...] | None = None     # averaged; None: all

    def open(self, source: AudioSource):
        """The voice's stream of blocks (n,)."""
        return open_audio(source, self.track, self.channels)


@dataclass
class Voices:
    """The voices of a file, in order, and what a person must know of the rest, in sentences."""
    found: list[Voice] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: bool = True       # false: taken for one channel, as it begins with


def voices(source: AudioSource, watch: Tap = iter, compare: bool = False) -> Voices:
    """The voices of a file. Only a file with several tracks or channels is decoded for it.

    `compare`: decode it anyway, since more channels follow one. `watch` sees the blocks
    (n, channels) of each track that is decoded, and passes them on. Raises `AudioError` if the
    file cannot be read.
    """
    with open_audio(source) as stream:
        tracks = stream.info.tracks
        if tracks == 1 and stream.info.channels == 1 and not compare:
            return Voices([Voice()], compared=False)
    if tracks == 1:
        found = _of_track(source, 0, "", watch)
        return found if found.found else Voices([Voice()])
    return _of_tracks(source, tracks, watch)


def _of_tracks(source: AudioSource, tracks: int, watch: Tap) -> Voices:
    told = Voices(notes=[f"{tracks} sound tracks"])
    silent = []
    for number in range(tracks):
        name = f"track {number + 1}"
        try:
            inside = _of_track(source, number, name, watch)
        except AudioError as error:
            told.notes.append(f"{name} is not judged: {error}")
            continue
        if not inside.found:
            silent.append(name)
        told.found += inside.found
        told.notes += inside.notes
    if silent:
        told.notes.append(_left_out(silent))
    elif len(told.found) >= tracks:
        told.notes[0] += ", each judged"
    return told if told.found else Voices([Voice()], told.notes)


def _of_track(source: AudioSource, track: int, name: str, watch: Tap) -> Voices:
    """The voices of one track; none if it holds no speech."""
    compared = Comparison()
    with open_channels(source, track) as stream:
        for start, samples in windows(watch(stream)):
            compared.add(start, samples)
    return grouped(compared, track, name)


def grouped(compared: "Comparison", track: int = 0, name: str = "") -> Voices:
    """The voices of a track whose channels were compared; none if it holds no speech."""
    told = Voices()
    speaking = compared.speaking()
    if not compared.alike:
        return Voices([Voice(name, track)], [
            f"{name}{', ' * bool(name)}the number of channels changes: their mean is judged"])
    groups = compared.groups(speaking)
    total = len(compared.activities)
    silent = [channel for channel in range(total) if channel not in speaking]
    prefix = f"{name}, " if name else ""
    for group in groups:
        chosen = tuple(group)
        if compared.cancel(group):
            chosen = (compared.loudest(group),)
            told.notes.append(
                f"{prefix}its channels would cancel each other out (opposite phase, or one is "
                f"later than the other): the {_channel(chosen[0], total)} alone is judged")
        part = " and ".join(_channel(channel, total) for channel in chosen)
        alone = len(groups) == 1
        told.found.append(Voice(name if alone else prefix + part, track,
                                None if len(chosen) == total else chosen))
    if len(groups) > 1:
        told.notes.insert(0, f"{prefix}its channels hold different sound, each is judged")
    if silent and speaking:
        told.notes.append(prefix + _left_out([_channel(channel, total) for channel in silent]))
    return told


def _left_out(names: list[str]) -> str:
    joined = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{joined} {'holds' if len(names) == 1 else 'hold'} no speech: left out"


def _channel(number: int, total: int) -> str:
    return ("left channel", "right channel")[number] if total == 2 else f"channel {number + 1}"


def windows(blocks: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """(start, samples) of blocks (n, channels), cut into windows that do not overlap.

    A change of the number of channels ends a window.
    """
    held: list[np.ndarray] = []
    size = start = 0
    for block in blocks:
        while len(block):
            if held and block.shape[1] != held[0].shape[1]:
                yield start, np.concatenate(held)
                start += size
                held, size = [], 0
            taken = block[:N_SAMPLES - size]
            block = block[len(taken):]
            held.append(taken)
            size += len(taken)
            if size == N_SAMPLES:
                yield start, np.concatenate(held)
                start += size
                held, size = [], 0
    if held:
        yield start, np.concatenate(held)


class Comparison:
    """The channels of a track, compared piece by piece. Its tables are (channels, channels)."""

    def __init__(self) -> None:
        self.activities: list[Activity] = []
        self.alike = True                   # every window has the same number of channels
        self._same = np.zeros(0)            # products at the best delay, signs left out
        self._now = np.zeros(0)             # products without a delay, signs left out
        self._opposite = np.zeros(0)        # the same, of pieces in opposite phase alone

    def add(self, start: int, samples: np.ndarray) -> None:
        """Add a window (n, channels). One channel stands for all of a file that has more."""
        count = samples.shape[1]
        if not self.activities or len(self.activities) == 1 < count:
            begun = self.activities or [Activity()]
            self.activities = [deepcopy(begun[0]) for _ in range(count)]
            self._same, self._now, self._opposite = np.zeros((3, count, count))
        self.alike &= count in (1, len(self.activities))
        if not self.alike:
            return
        waves = np.stack([np.concatenate(list(high_passed([channel]))) for channel in samples.T])
        for number, activity in enumerate(self.activities):
            activity.add(start, waves[min(number, count - 1)])
        for at in range(0, len(samples) * (count > 1), PIECE):
            self._add(waves[:, at:at + PIECE].astype(np.float64))

    def _add(self, piece: np.ndarray) -> None:
        now = piece @ piece.T
        self._now += np.abs(now)
        self._opposite += np.where(_correlation(now) < OPPOSITE, np.abs(now), 0)
        spectra = np.fft.rfft(piece, 2 * PIECE)
        for number, spectrum in enumerate(spectra):
            products = np.abs(np.fft.irfft(spectra * spectrum.conj()))
            near = np.concatenate([products[:, :LATEST], products[:, -LATEST:]], axis=1)
            self._same[number] += near.max(axis=1)

    def speaking(self) -> list[int]:
        """The channels with speech."""
        return [number for number, activity in enumerate(self.activities)
                if np.isfinite(activity.level)]

    def groups(self, channels: list[int]) -> list[list[int]]:
        """The channels, joined where they hold the same sound."""
        same = _correlation(self._same) >= SAME
        groups: list[list[int]] = []
        for channel in channels:
            group = next((group for group in groups if same[group[0], channel]), None)
            if group is None:
                groups.append([channel])
            else:
                group.append(channel)
        return groups

    def cancel(self, group: list[int]) -> bool:
        """Whether the mean of these channels would lose sound, in a part of the track at least."""
        part = np.ix_(group, group)
        return bool((self._opposite[part] > CANCELS * self._now[part]).any()
                    or (self._now[part] < TOGETHER * self._same[part]).any())

    def loudest(self, group: list[int]) -> int:
        """The channel with the loudest speech."""
        return max(group, key=lambda channel: self.activities[channel].level)


def _correlation(products: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.diag(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(products / np.outer(scale, scale))
