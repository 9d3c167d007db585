"""A calibration for a finished model, from a dev set that it was not trained on."""
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.detector.checkpoint import load_checkpoint, metadata, metadata_json, save_checkpoint
from utils.detector.decision import fit_on_dev
from utils.detector.engines import Engine
from utils.detector.model_files import METADATA_KEY
from utils.detector.scoring import score_store
from utils.metrics.metrics import eer


def calibrated(engine: Engine, store: Any, scores: np.ndarray | None = None) -> dict:
    """The entries of a model's metadata that `store`, its dev set, determines.

    `scores`: the raw ones (N,) of the store, if they are known. "calibration" is None, and "reason"
    says why, where the store cannot calibrate. Raises `InputError` for the store that the model was
    trained on.
    """
    corpus, trials = store.info["corpus"], store.info["trial_list_sha256"]
    if trials == _trials(engine.metadata, "train"):
        raise InputError(f"the model was trained on {store.path}, where it errs too seldom: "
                         "calibrate it on other utterances")
    epochs = len(engine.metadata.get("history") or [])
    chose_epoch = epochs > 1 and trials == _trials(engine.metadata, "dev")
    engine.metadata = engine.metadata | {"calibration": None}
    if scores is None:
        scores = score_store(engine, store, engine.batch_size)
    labels = [row.labels for row in store.rows]
    entries = fit_on_dev(scores, [label.key for label in labels], chose_epoch=chose_epoch,
                         sources=[label.source for label in labels])
    if entries["calibration"] is None:
        return entries
    entries["decision"]["origin"] += f" of {corpus['name']}"
    genuine = np.array([label.is_bonafide for label in labels])
    return entries | {"calibrated_on": {
        "corpus": corpus["name"], "demo": corpus["demo"], "utterances": len(store),
        "trial_list_sha256": trials,
        "eer": float(eer(scores[genuine], scores[~genuine])[0])}}


def _trials(metadata: dict, subset: str) -> str | None:
    """The SHA-256 of the trial list that a model trained here had for `subset`."""
    data = (metadata.get("trained_on") or {}).get("data") or {}
    return (data.get(subset) or {}).get("trial_list_sha256")


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
