"""A calibration for a finished model, from a dev set that it was not trained on."""
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.detector.checkpoint import load_checkpoint, metadata, metadata_json, save_checkpoint
from utils.detector.decision import Calibration, fit_on_dev
from utils.detector.engines import Engine
from utils.detector.model_files import METADATA_KEY
from utils.detector.scoring import score_store
from utils.export.conditions import bands_of
from utils.metrics.metrics import eer
from utils.store.reader import prepared

OTHER_SPLIT = ("The model was trained on another split than this one. If both are of the same "
               "recordings, it knows some of these utterances or their speakers, and figures look "
               "better than they are.")


def calibrated(engine: Engine, store: Any, scores: np.ndarray | None = None,
               conditions: bool = False) -> dict:
    """The entries of a model's metadata that `store`, its dev set, determines.

    `scores`: the raw ones (N,) of the store, if they are known. `conditions`: also fit the bands
    for noisy and telephone speech, which hears some of it twice more. "calibration" is None, and
    "reason" says why, where the store cannot calibrate. Raises `InputError` for the store that the
    model was trained on.
    """
    corpus, trials = store.info["corpus"], store.info["trial_list_sha256"]
    check_not_trained_on(engine.metadata, store)
    chose_epoch = chosen_on(_training(engine.metadata), trials)
    engine.metadata = engine.metadata | {"calibration": None}
    labels = [row.labels for row in store.rows]
    keys = [label.key for label in labels]
    if len(set(keys)) == 1:     # no scores could calibrate: say so before hours of scoring
        scores = np.zeros(len(keys))
    if scores is None:
        scores = score_store(engine, store, engine.batch_size)
    entries = fit_on_dev(scores, keys, chose_epoch=chose_epoch,
                         sources=[label.source for label in labels])
    if entries["calibration"] is None:      # what an earlier dev set gave is not this model's
        return entries | {"calibrated_on": None, "dev_eer": None}
    entries["decision"]["origin"] += f" of {corpus['name']}"
    if conditions:
        entries["decision"]["bands"] = bands_of(
            engine, store, Calibration.from_dict(entries["calibration"]))
    genuine = np.array([label.is_bonafide for label in labels])
    return entries | {"calibrated_on": {
        "corpus": corpus["name"], "demo": corpus["demo"], "utterances": len(store),
        "trial_list_sha256": trials,
        "eer": float(eer(scores[genuine], scores[~genuine])[0])}}


def check_not_trained_on(metadata: dict, store: Any) -> None:
    """Raise `InputError` if the model, or one that it started from, was trained on `store`."""
    trials = store.info["trial_list_sha256"]
    if any(trials == _trials(training, "train") for training in chain(_training(metadata))):
        raise InputError(f"the model was trained on {store.path}, where it errs too seldom: "
                         "calibrate it on other utterances")


def chosen_on(training: dict, trials: str) -> bool:
    """Whether the dev set with these `trials` chose among epochs, here or in an earlier training.

    `training`: the entry "trained_on" of a model, with the number of its "epochs".
    """
    return any(one.get("epochs", 0) > 1 and trials == _trials(one, "dev")
               for one in chain(training))


def met_before(metadata: dict, store: Any) -> str | None:
    """Why figures of a model on `store` may look better than they are, as far as lists tell.

    It was trained on these utterances, or they chose its epoch or its threshold, or its corpus was
    split anew since. None where lists tell nothing of the kind.
    """
    training, trials = _training(metadata), store.info.get("trial_list_sha256")
    if trials is None:
        return None
    if any(trials == _trials(one, "train") for one in chain(training)):
        return "The model was trained on these utterances. Its figures say nothing about others."
    fitted = (metadata.get("calibrated_on") or {}).get("trial_list_sha256")
    if trials in (fitted, *(_trials(one, "dev") for one in chain(training))):
        return ("These utterances chose the model's epoch or set its threshold. Figures on new "
                "ones are somewhat worse.")
    return OTHER_SPLIT if split_otherwise(metadata, store) else None


def split_otherwise(metadata: dict, store: Any) -> bool:
    """Whether `store` was cut from a corpus of which the model's training had another train list.

    The trainings of models that it started from count too. Corpora are compared by their names and
    descriptions.
    """
    listed, corpus = prepared(store.path), store.info["corpus"]
    if not listed.get(store.path.name, {}).get("origin", "").startswith("split"):
        return False
    now = listed.get("train", {}).get("sha256")
    here = {corpus.get("name"), corpus.get("description")} - {None}
    return any(_trials(one, "train") not in (None, now)
               and here & {one.get("corpus"), one.get("description"), one.get("trained_on")}
               for one in chain(_training(metadata)))     # a start has its description there


def chain(training: dict | None) -> Iterator[dict]:
    """A training, then that of the model that it started from, and so on."""
    while training:
        yield training
        training = training.get("start")


def _training(metadata: dict) -> dict:
    return (metadata.get("trained_on") or {}) | {"epochs": len(metadata.get("history") or [])}


def _trials(training: dict, subset: str) -> str | None:
    """The SHA-256 of the trial list that a training here had for `subset`."""
    return ((training.get("data") or {}).get(subset) or {}).get("trial_list_sha256")


def change_entries(path: Path, entries: dict) -> None:
    """Give the checkpoint or exported model at `path` these entries; its weights stay."""
    if path.suffix != ".onnx":
        save_checkpoint(path, load_checkpoint(path) | entries)
        return
    model = onnx.load(str(path), load_external_data=False)
    stored = next(entry for entry in model.metadata_props if entry.key == METADATA_KEY)
    stored.value = metadata_json(json.loads(stored.value) | metadata(entries))
    with atomic_write(path, "wb") as file:
        file.write(model.SerializeToString())
