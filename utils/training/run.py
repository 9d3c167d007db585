"""A training run on disk: its folder, the state that a later run goes on from, and the history a person reads."""
import csv
import random
from pathlib import Path

import numpy as np
import torch

from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.detector.checkpoint import read_pickle
from utils.training.recipes import DEFAULT_RECIPE

LAST, BEST = "last.pt", "best.pt"
BEST_EPOCH = "best_epoch.pt"   # where best.pt may be an average of epochs instead
# Arguments that may differ when a run goes on: how far and where, not what is learnt.
FREE_ARGUMENTS = ("epochs", "resume", "test", "num_workers", "device", "run_name",
                  "early_stop", "more_data", "seeds",
                  "small_model", "recipe", "augment")   # the last three: their effect is compared, not their name
BEFORE_TRAINING = 2 ** 31   # stands for an epoch where the first weights are drawn
HISTORY_COLUMNS = ("epoch", "learning_rate", "train_loss", "dev_loss", "dev_eer", "best", "seconds")


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed every generator for one epoch, so that a run resumed there draws what an unbroken one would have drawn."""
    value = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def choose_run(checkpoint_dir: Path, architecture: str, run_name: str | None, resume: bool) -> str:
    """The name of the run: the one asked for; without one the newest to resume, or the first free `<architecture>-<n>`."""
    def taken(name: str) -> bool:
        return (checkpoint_dir / name / "last.pt").exists()

    if run_name is None and resume:
        runs = sorted(checkpoint_dir.glob(f"{architecture}-[0-9]*/last.pt"), key=lambda path: path.stat().st_mtime)
        if not runs:
            raise InputError(f"there is no run of {architecture} to resume in {checkpoint_dir}: leave out --resume, "
                             "or name one with --run_name")
        return runs[-1].parent.name
    if run_name is None:
        return next(name for n in range(1, 10 ** 6) if not taken(name := f"{architecture}-{n}"))
    if Path(run_name).name != run_name or run_name.startswith("."):
        raise InputError(f"--run_name {run_name} cannot be a folder's name: use letters, digits, - and _")
    if taken(run_name) and not resume:
        raise InputError(f"the run {run_name} exists in {checkpoint_dir}: add --resume to go on with it, or choose another --run_name")
    return run_name


def load_state(path: Path, arguments: dict, data: dict, more_data: bool = False) -> dict:
    """The last checkpoint of an earlier part of this run. `InputError` where it cannot be read, or arguments or data differ.

    With `more_data` the data may differ, and so may --max_samples.
    """
    state = read_pickle(path)
    if not isinstance(state, dict) or not {"args", "history", "training", "trained_on"} <= state.keys():
        raise InputError(f"{path} is not the state of a training run: delete its folder and train anew")
    before = _as_of_now(state["args"])
    for name, value in arguments.items():
        if name not in FREE_ARGUMENTS and before.get(name) != value and not (more_data and name == "max_samples"):
            raise InputError(f"{path.parent.name} was trained with {name} = {before.get(name)}, not {value}: repeat the earlier "
                             "value, or choose another --run_name (for run.sh and run.bat: another RUN_NAME)")
    if state["trained_on"].get("data") != data and not more_data:
        raise InputError(f"{path.parent.name} was trained on other data than data/processed holds now: bring those back, add --more_data "
                         "to go on with these, or choose another --run_name (for run.sh and run.bat: another RUN_NAME)")
    return state


def _as_of_now(arguments: dict) -> dict:
    """The arguments of a run of an earlier version, which knew fewer: what it did not know had today's default."""
    known = {"balance": "attack" if arguments.get("balanced", True) else "none"} if "balance" not in arguments else {}
    return DEFAULT_RECIPE | arguments | known


def write_history(path: Path, history: list[dict]) -> None:
    """The history as CSV, one row per epoch."""
    with atomic_write(path) as file:
        rows = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(history)
