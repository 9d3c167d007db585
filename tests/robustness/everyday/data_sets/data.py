"""Data sets of the user's own: how folders are filled, and what prepare must make of them."""
import csv
import re
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from tests.helpers.audio.example_speech import crops
from tests.robustness.everyday.making.case import Check, Seen
from tests.robustness.everyday.making.sound import written

PREPARE = "utils/prepare_dataset.py"
SUBSETS = ("train", "dev", "eval")
KEYS = ("bonafide", "spoof")
TAKEN = "using the default corpus"


@lru_cache
def clips(key: str, count: int = 24, container: str = "WAV") -> tuple[bytes, ...]:
    """Different pieces of real ("bonafide") or synthetic ("spoof") speech, 1.3 to 1.6 s."""
    return tuple(written(wave, container) for wave in crops(key, count, 20800))


class Tree:
    """data/raw in a case's folder, filled with speech."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.raw = self.data / "raw"
        self.raw.mkdir(parents=True)
        self.used = dict.fromkeys(KEYS, 0)

    def speech(self, key: str, *paths: str) -> None:
        """Put the next piece with this key to each path below data/raw."""
        for path in paths:
            container = "FLAC" if path.lower().endswith(".flac") else "WAV"
            self.put(path, clips(key, container=container)[self.used[key] % 24])
            self.used[key] += 1

    def many(self, key: str, pattern: str, count: int) -> None:
        """The same for `count` paths, numbered from 0 where the pattern says {}; {s} is one of six
        numbers, for speakers."""
        for number in range(count):
            self.speech(key, pattern.format(number, s=number % 6))

    def put(self, path: str, content: bytes | str) -> None:
        """Write a file below data/raw."""
        target = self.raw / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    @property
    def command(self) -> list[str]:
        return ["--data_dir", str(self.data)]


Fill = Callable[[Tree], None]


def filled(fill: Fill) -> Callable[[Path], list[str]]:
    """Makes a data set and returns the command line."""
    def make(folder: Path) -> list[str]:
        tree = Tree(folder)
        fill(tree)
        return tree.command
    return make


def trials(seen: Seen) -> dict[str, list[dict[str, str]]]:
    """The trial lists that prepare wrote."""
    found = {}
    for subset in SUBSETS:
        path = seen.folder / "data" / "protocols" / f"{subset}.tsv"
        if path.is_file():
            with open(path, encoding="utf-8", newline="") as file:
                found[subset] = list(csv.DictReader(file, delimiter="\t",
                                                    quoting=csv.QUOTE_NONE))
    return found


def counts(seen: Seen, subset: str) -> tuple[int, int]:
    rows = trials(seen).get(subset, [])
    return tuple(sum(row["key"] == key for row in rows) for key in KEYS)


def in_all(bonafide: int, spoof: int) -> Check:
    """So many trials, over all subsets."""
    def holds(seen: Seen) -> bool:
        if seen.code or TAKEN in seen.out:
            return False
        return tuple(map(sum, zip(*(counts(seen, subset) for subset in SUBSETS)))) == (
            bonafide, spoof)
    return Check(f"{bonafide} bona fide and {spoof} spoofed trials", holds)


def in_subset(subset: str, bonafide: int, spoof: int) -> Check:
    return Check(f"{subset}: {bonafide} and {spoof}", lambda seen: not seen.code and counts(
        seen, subset) == (bonafide, spoof))


def every_subset() -> Check:
    return Check("trials of both keys in every subset", lambda seen: all(
        min(counts(seen, subset)) > 0 for subset in SUBSETS))


def has_labels(column: str, *values: str) -> Check:
    """The column of the lists holds exactly these values."""
    return Check(f"{column}: {', '.join(values[:3])}, ...", lambda seen: {
        row[column] for rows in trials(seen).values() for row in rows} == set(values))


def stops(pattern: str, words: str) -> Check:
    """Prepare stops with a sentence; the default corpus is not taken."""
    return Check(words, lambda seen: seen.code == 1 and TAKEN not in seen.out and bool(
        re.search(pattern, seen.err, re.IGNORECASE)))


def not_instead() -> Check:
    return Check("the default corpus is not taken", lambda seen: TAKEN not in seen.out)


def used_or_told() -> Check:
    """The 12 and 12 files are used, or prepare stops and says what it found."""
    return Check("used, or a stop that tells what lies there", lambda seen: in_all(
        12, 12).holds(seen) or stops(r"\b12\b|\b24\b|bonafide", "").holds(seen))


def zipped(tree: Tree, name: str) -> None:
    """Put everything in data/raw into an archive there instead."""
    made = shutil.make_archive(str(tree.data / "packed"), "zip", tree.raw)
    shutil.rmtree(tree.raw)
    tree.raw.mkdir()
    shutil.move(made, tree.raw / name)
