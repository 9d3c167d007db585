"""Files that are in more than one subset: the same folder, or links to it, below two of data/raw/train, dev and eval."""
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from utils.trials.trial import Trial
from utils.common.errors import InputError

Spot = tuple[str, str, int]      # the folder of a file with its links followed, its name there, the first byte in it


class Overlap:
    """Takes the subsets one after another and compares the files themselves, whatever links lead to them."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.seen: dict[str, set[Spot]] = {}
        self._folder = lru_cache(maxsize=4096)(os.path.realpath)

    def add(self, subset: str, trials: list[Trial], say: Callable[[str], object] = print) -> None:
        """Compare a subset with those before it: `InputError` for train and another, a loud note for dev and eval."""
        spots = {self._spot(trial): trial.container for trial in trials}
        for other, before in self.seen.items():
            if both := spots.keys() & before:
                self._tell(subset, other, [spots[spot] for spot in both], say)
        self.seen[subset] = set(spots)

    def _spot(self, trial: Trial) -> Spot:
        path = os.path.join(self.data_dir, trial.container)
        if os.path.islink(path):
            path = os.path.realpath(path)
        folder, name = os.path.split(path)
        return self._folder(folder), name, trial.offset

    @staticmethod
    def _tell(subset: str, other: str, names: list[str], say: Callable[[str], object]) -> None:
        if "train" in (subset, other):
            held = other if subset == "train" else subset
            raise InputError(
                f"train and {held} share {_files(names)}: keep them apart with --where "
                f"train:COLUMN=VALUE and --where {held}:COLUMN!=VALUE, or take the folder out of {held} and have it cut from "
                "train with --split_by source")
        say(f"CAREFUL: {other} and {subset} share {_files(names)}: what is chosen and calibrated on dev "
            "looks better on eval than it is; keep them apart with --where dev:COLUMN=VALUE and --where eval:COLUMN!=VALUE")


def _files(names: list[str]) -> str:
    return min(names) if len(names) == 1 else f"{len(names):,} files, {min(names)} first"
