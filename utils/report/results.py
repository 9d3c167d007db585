"""What an evaluation leaves in results/<run>/: score and key files, metrics.json, report."""
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.common.files import atomic_folder, atomic_write, write_json
from utils.common.locks import only_run
from utils.common.text import quoted
from utils.metrics.metrics import checked
from utils.report.evaluation import Evaluation, Rows, evaluate
from utils.report.html import write_report
from utils.report.key_files import align, read_keyed_scores, read_keys, read_scores
from utils.report.model_card import write_model_card
from utils.report.pictures import PICTURES, find_history, write_pictures

# Replaced together. The last is written last: where it lies, all others are of the same run.
FILES = ("scores.tsv", "keys.tsv", *(f"{name}.png" for name in PICTURES), "report.html",
         "MODEL_CARD.md", "metrics.json")
LOCK = ".lock"      # in the folder of results: whoever writes there holds it


def write_results(run_dir: Path, rows: Rows, scores: np.ndarray, metadata: dict | None = None, *,
                  history: Sequence[dict] | None = None, **options: Any) -> dict:
    """Evaluate scored trials, write all `FILES` into `run_dir`, and return metrics.json's content.

    `options` and the other arguments as for `evaluate`. `history`: by default the run's
    history.csv, else the metadata's. The report shows spectrograms where a `store` is given. The
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
        _write_tables(folder, evaluation)
        write_report(folder / "report.html", evaluation, write_pictures(folder, evaluation))
        write_model_card(folder / "MODEL_CARD.md", evaluation)
        write_json(folder / "metrics.json", result)
    return result


def evaluate_score_files(path: Path, keys: Path | None, phase: str, output: Path | None,
                         **options: Any) -> dict:
    """Figures of a score file, with its own keys or those of a key file; `options` as above.

    They are written into `output` where that is given. Raises `InputError`.
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


def _write_tables(folder: Path, evaluation: Evaluation) -> None:
    scores = [(quoted(row.utterance), repr(float(score)))
              for row, score in zip(evaluation.rows, evaluation.scores)]
    keys = [(quoted(row.utterance), row.labels.key) for row in evaluation.rows]
    for name, header, lines in (("scores.tsv", ("filename", "cm-score"), scores),
                                ("keys.tsv", ("filename", "cm-label"), keys)):
        with atomic_write(folder / name) as file:
            file.writelines("\t".join(line) + "\n" for line in (header, *lines))
