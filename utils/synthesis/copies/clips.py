"""The bona fide clips to copy: found in a folder, chosen and cropped by seed."""
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError
from utils.common.generators import generator
from utils.signals import SAMPLE_RATE
from utils.signals.levels import speech_level

SHORTEST = 0.5   # seconds; shorter clips are not copied
SILENT = 1e-4    # speech level (-80 dBFS) below which a clip is silent


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording.

    `source` is its path in the input folder. `name` is the path of its copies, without suffix.
    """
    source: str
    name: str

    @property
    def speaker(self) -> str:
        """The first folder of the name."""
        return self.name.split("/")[0]


def find_clips(folder: Path) -> list[Clip]:
    """Every recording below `folder`, sorted; hidden files and links to folders are ignored.

    SPEAKER/x.wav is named SPEAKER/x. A recording outside a speaker's folder gets its own folder,
    so a split by speaker keeps it together with its copies. Raises `InputError` if `folder` is
    not a folder, has no audio, or has two recordings of the same name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give a folder of real speech with --input")
    clips: dict[str, Clip] = {}
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                clip = _clip((Path(here) / name).relative_to(folder))
                if clip.name in clips:
                    raise InputError(f"{folder} holds {clips[clip.name].source} and {clip.source}; "
                                     "their copies would have the same name: rename or remove one "
                                     "of them")
                clips[clip.name] = clip
    if not clips:
        raise InputError(f"{folder} holds no audio file: give a folder of real speech with --input")
    return [clips[name] for name in sorted(clips)]


def _clip(path: Path) -> Clip:
    if not path.as_posix().isprintable():
        raise InputError(f"the file name {path.as_posix()} has control characters, which no list "
                         "can hold: rename the file")
    stem = path.with_suffix("").as_posix()
    return Clip(path.as_posix(), stem if "/" in stem else f"{stem}/{stem}")


def choose(clips: list[Clip], limit: int | None, seed: int) -> list[Clip]:
    """The first `limit` clips in a random order; a larger limit only adds clips."""
    order = sorted(clips, key=lambda clip: generator(seed, clip.name).random())
    return order[:limit]


def choose_for(attack: str, clips: list[Clip], count: int | None, seed: int) -> list[Clip]:
    """The clips that an attack copies: all, or `count` of them from a place set by its name."""
    if count is None or count >= len(clips):
        return clips
    start = int(generator(seed, attack).integers(len(clips)))
    return (clips + clips)[start:start + count]


def read_crop(folder: Path, clip: Clip, max_seconds: float, seed: int) -> np.ndarray:
    """At most `max_seconds` of a recording, float64 (n,) at 16 kHz.

    Of four random places, it takes the one with most speech. Raises `InputError` if the
    recording cannot be decoded, or is too short or silent.
    """
    from utils.audio.decode import load_audio
    samples = load_audio(folder / clip.source)
    if len(samples) < SHORTEST * SAMPLE_RATE:
        raise InputError(f"{clip.source} is shorter than {SHORTEST} s")
    length = min(len(samples), max(int(max_seconds * SAMPLE_RATE), int(SHORTEST * SAMPLE_RATE)))
    crop = _most_speech(samples / 32768, length, generator(seed, clip.name, "crop"))
    if speech_level(crop) < SILENT:
        raise InputError(f"{clip.source} is silent")
    return crop


def _most_speech(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    starts = rng.integers(len(samples) - length + 1, size=4)
    # 20 dB below the level of the speech
    floor = max(speech_level(samples) ** 2 * 0.01, SILENT ** 2)

    def active(start: int) -> int:
        frames = samples[start:start + length // 320 * 320].reshape(-1, 320)
        return int(np.sum(np.mean(frames ** 2, axis=1) > floor))
    start = max(starts, key=active)
    return samples[start:start + length]
