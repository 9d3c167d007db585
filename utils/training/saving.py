"""What an epoch leaves behind: checkpoints, the state for --resume, and the history as a table."""
import csv
import math
from pathlib import Path

import torch
from torch import nn

from models import build_model
from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.common.provenance import environment
from utils.common.text import counted
from utils.detector.checkpoint import (FORMAT, LABEL_ORDER, load_checkpoint, read_pickle,
                                       save_checkpoint)
from utils.detector.decision import fit_on_dev
from utils.export.calibrating import chosen_on
from utils.signals import N_SAMPLES, SAMPLE_RATE
from utils.signals.front import FRONT
from utils.store.reader import Store
from utils.training.data import check_not_met, met
from utils.training.dev_scoring import score_dev
from utils.training.run import AVERAGE_OF_EPOCHS, BEST, BEST_EPOCH, LAST, Run

# A resumed run may change these. Of the last three, other arguments and values of the recipe hold
# the effect, and those are compared.
FREE_ARGUMENTS = ("epochs", "resume", "test", "num_workers", "device", "run_name", "early_stop",
                  "more_data", "seeds", "small_model", "recipe", "augment")
# What a run was trained with, if its recipe is older than these values.
BEFORE = {"level_penalty": 0.0, "channel_penalty": 0.0}
HISTORY_COLUMNS = ("epoch", "learning_rate", "train_loss", "dev_loss", "dev_eer", "best",
                   "seconds")


def averages_epochs(run: Run) -> bool:
    """Whether the epochs that improve on dev join an average."""
    return run.recipe.get("averaging") == AVERAGE_OF_EPOCHS


def best_path(run: Run) -> Path:
    """Where the best epoch is kept."""
    return run.folder / (BEST_EPOCH if averages_epochs(run) else BEST)


def best_eer(run: Run) -> float:
    """The lowest EER so far, on today's dev set; 1 before the first epoch."""
    ahead = run.history[run.bar["epochs"]:]
    return min([run.bar["dev_eer"], *(row["dev_eer"] for row in ahead)])


def out_of_patience(run: Run) -> bool:
    """Whether --early_stop ends the run: so many epochs without a lower dev EER."""
    if run.early_stop is None:
        return False
    lowest = run.bar["epochs"]
    if best_eer(run) < run.bar["dev_eer"]:
        lowest = next(row["epoch"] for row in run.history[run.bar["epochs"]:]
                      if row["dev_eer"] == best_eer(run))
    return len(run.history) - lowest >= run.early_stop


def check_finite(run: Run, loss: float, epoch: int, step: int) -> None:
    """Raise `InputError` if the loss is not finite; the last good state is kept."""
    if not math.isfinite(loss):
        raise InputError(f"the loss is {loss} in epoch {epoch + 1}, batch {step + 1}: {run.folder} "
                         "keeps the state before this epoch. Lower --learning_rate and train "
                         "under another --run_name")


def save_epoch(run: Run, loss: float, figures: dict, seconds: float) -> None:
    """Save the state of the run, and its model where `figures` of dev are the best so far."""
    best = figures["dev_eer"] <= best_eer(run)
    epoch = len(run.history) + 1
    if best and averages_epochs(run):
        run.learner.average.update_parameters(run.model)
    run.history.append({"epoch": epoch, "learning_rate": run.learner.rate, "train_loss": loss,
                        "dev_loss": figures["dev_loss"], "dev_eer": figures["dev_eer"],
                        "best": int(best), "seconds": round(seconds, 1)})
    if run.processes.lead:
        content = checkpoint(run, run.learner.scored, figures, f"epoch {epoch}")
        if best:
            save_checkpoint(best_path(run), content)
        training = run.learner.state() | {"bar": run.bar, "met": run.met}
        save_checkpoint(run.folder / LAST, content | {"training": training})
        write_history(run)
    left = seconds * (run.epochs - epoch) / 60
    print(f"epoch {epoch}/{run.epochs}: loss {loss:.3f}, dev EER {figures['dev_eer']:.2%}"
          f"{' (best)' if best else ''}, {seconds:.0f} s, about {left:.0f} min left", flush=True)


def checkpoint(run: Run, model: nn.Module, figures: dict, which: str) -> dict:
    """All that scoring with `model` needs, and its origin; `figures` are those of dev.

    Its weights are those of `model` itself where that is on the CPU: save it before they change.
    """
    corpus = run.train.info["corpus"]
    trained_on = {"corpus": corpus["name"], "description": corpus["description"],
                  "demo": corpus["demo"], "utterances": len(run.train),
                  "seed": run.recipe["seed"], "attacks": run.met["train"]["attacks"],
                  "dev_attacks": run.met["dev"]["attacks"], "data": run.data}
    if run.start:
        trained_on["start"] = run.start
    trials = run.dev.info["trial_list_sha256"]
    here = {"threads": torch.get_num_threads(), "processes": run.processes.size}
    return {
        "format": FORMAT, "architecture": run.architecture, "config": run.config,
        "state_dict": {name: value.cpu() for name, value in model.state_dict().items()},
        "label_order": LABEL_ORDER, "n_samples": N_SAMPLES, "sample_rate": SAMPLE_RATE,
        "front": FRONT,
        **fit_on_dev(figures["scores"], [row.labels.key for row in run.dev.rows],
                     chose_epoch=chosen_on(trained_on | {"epochs": run.epochs}, trials),
                     sources=[row.labels.source for row in run.dev.rows]),
        "dev_eer": figures["dev_eer"], "audio": run.audio, "trained_on": trained_on,
        "args": run.args, "history": run.history,
        "environment": environment() | here,
        "origin": f"trained with aasist_training.py, run {run.name}, {which}, "
                  f"dev EER {figures['dev_eer']:.2%}"}


def write_history(run: Run) -> None:
    """The history as CSV, one row per epoch."""
    with atomic_write(run.results_dir / "history.csv") as file:
        rows = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(run.history)


def resume(run: Run) -> None:
    """Load the state of an earlier part of this run, if it exists.

    Raises `InputError` if it cannot be read, or if arguments or data differ. With --more_data the
    data may differ, but dev and eval may hold nothing that the run has met; the best model so far
    is then judged on today's dev set.
    """
    path = run.folder / LAST
    run.met = met(run.train, run.dev, {})
    if not path.exists():
        if run.args["resume"]:
            print(f"{run.folder} holds no run to resume: a new one begins")
        return
    state = read_pickle(path)
    _check_state(run, state, path)
    run.met = met(run.train, run.dev, _met_before(run, state))
    run.learner.load(state["training"])
    run.history = state["history"]
    run.bar = state["training"]["bar"]
    if state["trained_on"]["data"] != run.data:
        _set_bar(run)


def _check_state(run: Run, state: dict, path: Path) -> None:
    expected = {"args", "history", "training", "trained_on"}
    if not isinstance(state, dict) or not expected <= state.keys():
        raise InputError(f"{path} is not the state of a training run: delete its folder and "
                         "train again")
    if state.get("front") != FRONT:
        raise InputError(f"{run.name} was trained with another front stage than this version "
                         "has: train again under another --run_name")
    other_name = "choose another --run_name (for run.sh and run.bat: another RUN_NAME)"
    free = (*FREE_ARGUMENTS, "max_samples") if run.more_data else FREE_ARGUMENTS
    for name, value in run.args.items():
        before = state["args"].get(name)
        if before is None and value is not None:
            before = BEFORE.get(name)
        if name not in free and before != value:
            raise InputError(f"{run.name} was trained with {name} = {before}, not {value}: repeat "
                             f"the earlier value, or {other_name}")
    if state["trained_on"].get("data") != run.data and not run.more_data:
        raise InputError(f"{run.name} was trained on other data than data/processed holds now: "
                         f"restore those, add --more_data to use these, or {other_name}")


def _met_before(run: Run, state: dict) -> dict:
    """What the run's epochs have met; `InputError` where today's dev or eval holds it."""
    before = state["training"].get("met", {})
    changed = state["trained_on"]["data"] != run.data
    if changed and not before:
        raise InputError(f"{run.name} is of an earlier version, which did not note its utterances: "
                         "dev and eval may hold them now. Train anew under another --run_name")
    eval_store = run.data_dir / "processed" / "eval"
    if before:
        check_not_met(run.dev, "dev", {"train": run.train}, before)
    if before and (run.args["test"] or changed and eval_store.exists()):
        check_not_met(Store(eval_store), "eval", {"train": run.train, "dev": run.dev}, before)
    return before


def _set_bar(run: Run) -> None:
    """Score and calibrate the best model so far on today's dev set; later epochs must beat it."""
    model = build_model(run.config)
    model.load_state_dict(load_checkpoint(best_path(run))["state_dict"])
    figures = score_dev(run, model.to(run.processes.device))
    run.bar = {"epochs": len(run.history), "dev_eer": figures["dev_eer"]}
    which = f"the best of {counted(len(run.history), 'epoch')} on earlier data"
    if run.processes.lead:
        save_checkpoint(best_path(run), checkpoint(run, model, figures, which))
    print(f"the data have changed: {which} has dev EER {figures['dev_eer']:.2%} on the new dev set")
