"""Speech for the tests, cut from the clips in data/examples: a clone without the reference folder
has no other."""
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

EXAMPLES = Path(__file__).resolve().parents[3] / "data" / "examples"
PREFIXES = {"bonafide": "real", "spoof": "fake"}
SHORTEST = 20800   # samples, 1.3 s


def example_files(key: str) -> list[Path]:
    """The examples of one key, by name."""
    return sorted(EXAMPLES.glob(f"{PREFIXES[key]}_*.flac"))


@lru_cache
def _waves(key: str) -> tuple[np.ndarray, ...]:
    return tuple(soundfile.read(path, dtype="int16")[0] for path in example_files(key))


def crops(key: str, count: int, samples: int | None = None) -> list[np.ndarray]:
    """`count` different crops, int16, 16 kHz: whole clips first, then the same clips from a later
    start on each turn.

    `samples`: cut each to this length, and a little more, so that lengths differ.
    """
    clips = _waves(key)
    turns = -(-count // len(clips))
    found = []
    for number in range(count):
        turn, clip = divmod(number, len(clips))
        wave = clips[clip][turn * (len(clips[clip]) - (samples or SHORTEST)) // turns:]
        found.append(wave[:samples and samples + 160 * (number % 30)])
    return found


def write_clips(folder: Path, count: int = 24) -> dict[str, list[Path]]:
    """`count` FLAC files of real and of synthetic speech ("bonafide", "spoof"), 1.3 to 1.6 s,
    written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        key: [folder / f"{key}-{number:02}.flac" for number in range(count)]
        for key in PREFIXES
    }
    for key, paths in files.items():
        for path, wave in zip(paths, crops(key, count, SHORTEST)):
            soundfile.write(path, wave, 16000)
    # In this order the small network, which learns next to nothing in a few steps of training,
    # happens to score dev well enough to be calibrated, as several tests need it.
    files["bonafide"] = [*files["bonafide"][2:], *files["bonafide"][:2]]
    return files
