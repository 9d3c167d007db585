"""Files that two subsets share: one folder, or links to it, below data/raw/train, dev and eval."""
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from utils.common.errors import InputError
from utils.trials.trial import Trial

# the folder of a file with its links resolved, its name there, its first byte in that file
Spot = tuple[str, str, int]


class Overlap:
    """Compares the files of each subset with those of earlier ones, and follows links to them."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.seen: dict[str, set[Spot]] = {}
        self._folder = lru_cache(maxsize=4096)(os.path.realpath)

    def add(self, subset: str, trials: list[Trial], say: Callable[[str], object] = print) -> None:
        """Compare a subset with earlier ones.

        `InputError` where train shares files with another subset; a warning for dev and eval.
        """
        spots = {self._spot(trial): trial.container for trial in trials}
        for other, before in self.seen.items():
            if both := spots.keys() & before:
                _report(subset, other, _files([spots[spot] for spot in both]), say)
        self.seen[subset] = set(spots)

    def _spot(self, trial: Trial) -> Spot:
        path = os.path.join(self.data_dir, trial.container)
        if os.path.islink(path):
            path = os.path.realpath(path)
        folder, name = os.path.split(path)
        return self._folder(folder), name, trial.offset


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
