"""Scoring and evaluating a stored subset with a model, by one process or several."""
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from utils.common.files import file_sha256
from utils.common.locks import only_run
from utils.detector.engines import PRETRAINED, Engine, default_model
from utils.detector.scoring import published_score, score_store
from utils.parallel.by_files import FileProcesses
from utils.report.results import LOCK, write_results
from utils.store.reader import Store, StorePart


def model_for(device: str, checkpoint_dir: Path) -> Path:
    """The model to evaluate where none is named; on a GPU a checkpoint, as exports need the CPU."""
    model = default_model(checkpoint_dir)
    return model.with_suffix(".pt") if device != "cpu" and model != PRETRAINED else model


def result_name(model: Path, subset: str, published_protocol: bool) -> str:
    """The folder of results: the run's name, and what differs from the evaluation in training."""
    name = model.resolve().parent.name if model.stem in ("best", "last") else model.stem
    if subset != "eval":
        name += f"-{subset}"
    return f"{name}-published" if published_protocol else name


def evaluate_stored(engine: Engine, model: Path, store: Store, output: Path, *, batch_size: int,
                    published_protocol: bool, **options: Any) -> dict | None:
    """Score `store` and write its results into `output`; `options` as for `evaluate`.

    `model` is the file of `engine`. Where RANK and WORLD_SIZE are set, each process scores its
    share; only number 0 writes the results, and all others return None.
    """
    metadata = engine.metadata
    if published_protocol:      # its scores are not those that were calibrated
        metadata = {**metadata, "calibration": None, "decision": None}

    processes = FileProcesses(output, _job(model, store, published_protocol))
    own = range(len(store))[processes.share(len(store))]
    part = StorePart(store, list(own))
    if not processes.lead:
        return processes.gather(_score(engine, part, batch_size, published_protocol))
    with only_run(output / LOCK, f"writing {output}"):
        scores = processes.gather(_score(engine, part, batch_size, published_protocol))
        return write_results(output, store.rows, scores, metadata, store=store, **options)


def _score(engine: Engine, part: StorePart, batch_size: int,
           published_protocol: bool) -> np.ndarray:
    """(n,) scores of a process' part of the store, in its order."""
    if not published_protocol:
        return score_store(engine, part, batch_size)
    return np.array([published_score(engine, iter([part.read(i)]))
                     for i in tqdm(range(len(part)), "scoring", unit="utterance")], dtype=float)


def _job(model: Path, store: Store, published_protocol: bool) -> str:
    """A name for what is scored with which model, the same in every process."""
    described = [file_sha256(model), json.dumps(store.info, sort_keys=True), published_protocol]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
