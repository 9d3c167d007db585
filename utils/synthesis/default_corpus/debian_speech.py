"""The recordings of real speech in Debian packages or in a user's folder, listed with lengths."""
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError
from utils.synthesis.default_corpus.speakers import Voice

G722_BYTES_PER_SECOND = 8000
# subsets of a user's speakers, one after another: two speakers in each, then mostly train
FIRST_DEALT, NEXT_DEALT = ("train", "eval", "dev") * 2, ("train", "train", "eval", "train", "dev")


@dataclass(frozen=True, slots=True)
class Source:
    """One recording of real speech.

    `path` is relative to the folder of recordings. `coding` is "g722", "vorbis:RATE" or "pcm"
    (no known lossy coding).
    """
    path: str
    seconds: float
    speaker: str
    gender: str
    language: str
    coding: str
    subset: str


def wanted_files(voices: Iterable[Voice], package: str) -> str:
    """One pattern for all files needed from a package: recordings, captions and the licence."""
    patterns = [voice.pattern for voice in voices if voice.package == package]
    patterns.append(r"usr/share/doc/.*/copyright")
    if package == "tuxpaint-stamps-default":
        patterns.append(r".*\.txt")
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _measure(path: Path) -> tuple[float, int]:
    """Length in seconds and sample rate in Hz; both are 0 if the file cannot be read."""
    import soundfile
    if path.suffix == ".g722":
        return path.stat().st_size / G722_BYTES_PER_SECOND, 16000
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError:
        return 0.0, 0
    return info.duration, info.samplerate


def list_sources(folder: Path, voices: Iterable[Voice], minimum: float) -> list[Source]:
    """All recordings of the voices that last at least `minimum` seconds, in a fixed order.

    Each package lies unpacked in a folder with its name, below `folder`.
    """
    names: dict[str, list[str]] = {}
    sources = []
    for voice in voices:
        root = folder / voice.package
        if voice.package not in names:
            names[voice.package] = sorted(path.relative_to(root).as_posix()
                                          for path in root.rglob("*.*"))
        for name in filter(re.compile(voice.pattern).fullmatch, names[voice.package]):
            seconds, rate = _measure(root / name)
            if seconds >= minimum:
                coding = f"vorbis:{rate}" if voice.coding == "vorbis" else voice.coding
                sources.append(Source(f"{voice.package}/{name}", seconds, voice.speaker,
                                      voice.gender, voice.language, coding, voice.subset))
    return sources


def list_user_sources(folder: Path, minimum: float) -> list[Source]:
    """The recordings of a user's folder of real speech; each folder in it is a speaker.

    Speakers need a recording of at least `minimum` seconds. They are dealt to the subsets in the
    order of their names. Of the first six, train, eval and dev get two each. Of every further
    five, train gets three, eval and dev one each. All speech counts as English of unknown gender
    that was never coded lossily: spoofs say English texts and get no extra coding. Raises
    `InputError` for fewer than six such speakers.
    """
    speakers: dict[str, list[tuple[str, float]]] = {}
    files = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    for name in sorted(path.relative_to(folder).as_posix() for path in files):
        if "/" in name and (seconds := _measure(folder / name)[0]) >= minimum:
            speakers.setdefault(name.split("/")[0], []).append((name, seconds))
    if len(speakers) < len(FIRST_DEALT):
        raise InputError(f"{folder} has only {len(speakers)} speakers with recordings of "
                         f"{minimum:.1f} s or more: give a folder with at least {len(FIRST_DEALT)} "
                         "folders in it, one per speaker")
    sources, taken = [], set()
    for speaker, subset in zip(speakers, itertools.chain(FIRST_DEALT, itertools.cycle(NEXT_DEALT))):
        taken.add(label := _label(speaker, taken))
        sources += [Source(name, seconds, label, "-", "en", "pcm", subset)
                    for name, seconds in speakers[speaker]]
    return sources


def _label(folder: str, taken: set[str]) -> str:
    """A speaker's name for a protocol column, different from all in `taken`.

    So "a b" and "a_b" remain two speakers.
    """
    plain = re.sub(r"\W", "_", folder)
    names = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)
