"""Recordings that two subsets share: by place (one folder, or links to it), and by content.

Contents are compared by size, then by some bytes in the middle, and last as a whole. So only files
that are very likely equal are read to their end. A file in an archive is compared where it lies.
"""
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from utils.common.errors import InputError
from utils.common.files import reading
from utils.common.text import counted
from utils.trials.trial import Trial

# the folder of a file with its links resolved, its name there, its first byte in that file
Spot = tuple[str, str, int]
Item = TypeVar("Item")
MIDDLE = 4096       # bytes in the middle of a recording that are compared first
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Held:
    """A recording of a subset."""
    subset: str
    trial: Trial


class Overlap:
    """Compares the recordings of all subsets, and follows links to them."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.seen: dict[str, set[Spot]] = {}
        self.held: dict[int, dict[Spot, _Held]] = defaultdict(dict)     # by size
        self._folder = lru_cache(maxsize=4096)(os.path.realpath)

    def add(self, subset: str, trials: list[Trial], say: Callable[[str], object] = print) -> None:
        """Compare the places of a subset with those of earlier ones.

        `InputError` where train shares files with another subset; a warning for dev and eval.
        """
        spots = {self._spot(trial): trial.container for trial in trials}
        for other, before in self.seen.items():
            if both := spots.keys() & before:
                _report(subset, other, _files([spots[spot] for spot in both]), say)
        self.seen[subset] = set(spots)
        for trial in trials:
            self.held[trial.size].setdefault(self._spot(trial), _Held(subset, trial))

    def alike(self, trials: Iterable[Trial]) -> list[list[Trial]]:
        """The trials with equal recordings, two or more at a time."""
        one_part = Overlap(self.data_dir)
        places: dict[Spot, list[Trial]] = defaultdict(list)
        for trial in trials:
            spot = one_part._spot(trial)
            places[spot].append(trial)
            one_part.held[trial.size].setdefault(spot, _Held("", trial))
        shared = [found for found in places.values() if len(found) > 1]
        return shared + [[held.trial for held in group] for group in one_part._equal()]

    def compare(self, say: Callable[[str], object] = print) -> None:
        """Compare the contents of all recordings added, and tell which are equal.

        `InputError` where train and another subset hold equal recordings.
        """
        copies = 0
        keys: list[list[_Held]] = []
        subsets: dict[tuple[str, str], list[list[_Held]]] = defaultdict(list)
        for group in self._equal():
            copies += len(group) - 1
            if len({held.trial.labels.key for held in group}) > 1:
                keys.append(group)
            first: dict[str, _Held] = {}
            for held in group:
                first.setdefault(held.subset, held)
            for at, other in enumerate(first):
                for subset in list(first)[at + 1:]:
                    subsets[other, subset].append([first[other], first[subset]])
        if keys:
            under_both_keys(len(keys), _example(keys), say)
        for (other, subset), groups in subsets.items():
            copies_between(other, subset, len(groups), _example(groups), say)
        if copies:
            say(f"recordings that equal another: {copies:,}")

    def _equal(self) -> Iterator[list[_Held]]:
        """Groups of recordings of equal content, at different places."""
        for same_size in self.held.values():
            for alike in sharing(same_size.values(), self._middle):
                yield from sharing(alike, self._sum)

    def _middle(self, held: _Held) -> bytes:
        trial = held.trial
        return b"".join(self._read(trial, max(0, trial.size - MIDDLE) // 2, MIDDLE))

    def _sum(self, held: _Held) -> bytes:
        total = hashlib.sha256()
        for block in self._read(held.trial, 0, held.trial.size):
            total.update(block)
        return total.digest()

    def _read(self, trial: Trial, start: int, size: int) -> Iterator[bytes]:
        path = self.data_dir / trial.container
        with reading(path), open(path, "rb") as file:
            file.seek(trial.offset + start)
            left = min(size, trial.size - start)
            while block := file.read(min(BLOCK, left)):
                left -= len(block)
                yield block

    def _spot(self, trial: Trial) -> Spot:
        path = os.path.join(self.data_dir, trial.container)
        if os.path.islink(path):
            path = os.path.realpath(path)
        folder, name = os.path.split(path)
        return self._folder(folder), name, trial.offset


def sharing(items: Iterable[Item], what: Callable[[Item], bytes]) -> Iterator[list[Item]]:
    """Those of `items` that share `what`, two or more at a time."""
    items = list(items)
    if len(items) < 2:
        return
    found: dict[bytes, list[Item]] = defaultdict(list)
    for item in items:
        found[what(item)].append(item)
    yield from (group for group in found.values() if len(group) > 1)


def _example(groups: list[list[_Held]]) -> str:
    return " and ".join(held.trial.container for held in groups[0][:2])


def under_both_keys(number: int, example: str, say: Callable[[str], object]) -> None:
    """Tell that `number` recordings have a copy under the other key."""
    say(f"CAREFUL: {counted(number, 'recording')} under both keys, such as {example}: the "
        "contents are equal. Remove the copy whose key is wrong")


def copies_between(other: str, subset: str, number: int, example: str,
                   say: Callable[[str], object]) -> None:
    """Refuse copies in train and another subset (`InputError`); tell of those in dev and eval."""
    sentence = (f"{other} and {subset} share {counted(number, 'recording')} of equal content, "
                f"such as {example}.")
    if "train" in (subset, other):
        raise InputError(f"{sentence} Remove the copies from one of the two subsets")
    say(f"CAREFUL: {sentence} Figures look better than they are: remove the copies")


def _report(subset: str, other: str, files: str, say: Callable[[str], object]) -> None:
    if "train" in (subset, other):
        held = other if subset == "train" else subset
        raise InputError(
            f"train and {held} share {files}: separate them with --where train:COLUMN=VALUE and "
            f"--where {held}:COLUMN!=VALUE. Or remove the folder from {held} and cut {held} from "
            "train with --split_by source")
    say(f"CAREFUL: {other} and {subset} share {files}. Figures on eval look better than they are, "
        "since the model is chosen and calibrated on dev. Separate them with "
        "--where dev:COLUMN=VALUE and --where eval:COLUMN!=VALUE")


def _files(names: list[str]) -> str:
    return min(names) if len(names) == 1 else f"{len(names):,} files, {min(names)} first"
