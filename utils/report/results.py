"""What an evaluation leaves in results/<run>/, of score files or of a stored subset and a model."""
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from utils.common.errors import InputError
from utils.common.files import CHECKPOINT_DIR, atomic_folder, atomic_write, file_sha256, write_json
from utils.common.locks import only_run
from utils.common.text import quoted
from utils.detector.engines import PRETRAINED, Engine, default_model, trained_models
from utils.detector.scoring import check_published_lengths, published_score, score_store
from utils.metrics.metrics import checked
from utils.parallel.by_files import FileProcesses
from utils.report.evaluation import Evaluation, Rows, evaluate
from utils.report.html import build_page
from utils.report.key_files import align, read_keyed_scores, read_keys, read_scores
from utils.report.model_card import build_card
from utils.report.pictures import PICTURES, find_history, write_pictures
from utils.store.reader import Store, StorePart

# All are replaced together, the last one last. If it exists, all others are of the same run.
FILES = ("scores.tsv", "keys.tsv", *(f"{name}.png" for name in PICTURES), "report.html",
         "MODEL_CARD.md", "metrics.json")
LOCK = ".lock"      # in the folder of results: the process that writes there holds it


def write_results(run_dir: Path, rows: Rows, scores: np.ndarray, metadata: dict | None = None, *,
                  history: Sequence[dict] | None = None, **options: Any) -> dict:
    """Evaluate scored trials, write all `FILES` into `run_dir`, and return metrics.json's content.

    `options` and the other arguments as for `evaluate`. `history`: by default the run's
    history.csv, else the metadata's. The report shows spectrograms if a `store` is given. The
    score and key files have ASVspoof 5's official format. A picture that the trials do not allow
    is not written. Raises `InputError`.
    """
    metadata = metadata or {}
    scores = checked(scores)
    run_dir = Path(run_dir)
    result = evaluate(rows, scores, metadata, **options)
    if history is None:
        history = find_history(run_dir, metadata)
    evaluation = Evaluation(rows, scores, result, metadata, options.get("store"), history,
                            run_dir.resolve().name)
    with atomic_folder(run_dir, FILES) as folder:
        for name, text in _texts(evaluation, write_pictures(folder, evaluation)).items():
            with atomic_write(folder / name) as file:
                file.write(text)
        write_json(folder / "metrics.json", result)
    return result


def _texts(evaluation: Evaluation, pictures: dict[str, Path]) -> dict[str, str]:
    """The content of the text files, by name."""
    names = [quoted(row.utterance) for row in evaluation.rows]
    scores = [f"{name}\t{float(score)!r}\n" for name, score in zip(names, evaluation.scores)]
    keys = [f"{name}\t{row.labels.key}\n" for name, row in zip(names, evaluation.rows)]
    return {"scores.tsv": "".join(["filename\tcm-score\n", *scores]),
            "keys.tsv": "".join(["filename\tcm-label\n", *keys]),
            "report.html": build_page(evaluation, pictures),
            "MODEL_CARD.md": build_card(evaluation)}


def evaluate_score_files(path: Path, keys: Path | None, phase: str, output: Path | None,
                         **options: Any) -> dict:
    """Figures of a score file, with its own keys or those of a key file; `options` as above.

    They are written into `output`, if it is given. Raises `InputError`.
    """
    rows = read_keys(keys, phase) if keys else read_keyed_scores(path)
    by_name = read_scores(path)
    scores = align(by_name, rows)
    if len(by_name) > len(rows):
        print(f"{len(by_name) - len(rows):,} scores are left out: the key file lacks their trials",
              file=sys.stderr)
    if not output:
        return evaluate(rows, scores, subset=path.stem, **options)
    with only_run(output / LOCK, f"writing {output}"):
        return write_results(output, rows, scores, subset=path.stem, **options)


def model_for(device: str, checkpoint_dir: Path) -> Path:
    """The model to evaluate by default: the newest run's, whether it can judge or not.

    On a GPU it is a checkpoint, because exports need the CPU. Raises `InputError` for none. The
    pretrained model is taken only where the usual folder holds no run.
    """
    trained = trained_models(checkpoint_dir)
    if not trained and checkpoint_dir.resolve() != CHECKPOINT_DIR.resolve():
        raise InputError(f"--checkpoint_dir {checkpoint_dir} holds no trained run: name the folder "
                         "that holds the runs' folders, or a model with --model")
    model = trained[0] if trained else default_model(checkpoint_dir)
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

    `model` is the file of `engine`. If RANK and WORLD_SIZE are set, each process scores its share.
    Number 0 writes the results, and all others return None.
    """
    metadata = engine.metadata
    if published_protocol:      # these scores were not calibrated
        check_published_lengths(engine, store)
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
