"""The pictures of an evaluation: which there are, and the spectrograms of its worst trials."""
import csv
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.common.drawing import drawable
from utils.metrics.metrics import auc, bayes_threshold, det_curve, error_rates
from utils.report import plots
from utils.report.curves import Curve, plot_calibration, plot_det, plot_roc
from utils.report.evaluation import RAW, Evaluation
from utils.signals import SAMPLE_RATE

PICTURES = ("det", "roc", "histogram", "attacks", "calibration", "history", "worst")
PER_KEY = 3         # worst trials
SECONDS = 4.0       # shown of each utterance
FRAME = 512         # samples: 32 ms
HOP = 160           # samples: 10 ms
FLOOR_DB = -80.0
COLOURS = 64        # of the PNG's palette


def find_history(run_dir: Path, metadata: dict) -> list[dict]:
    """The training history in the run's history.csv, else the model's own, up to its epoch."""
    whole = run_dir / "history.csv"
    if not whole.is_file():
        return metadata.get("history") or []
    with open(whole, encoding="utf-8", newline="") as file:
        return [{name: float(cell) if cell else None for name, cell in row.items()}
                for row in csv.DictReader(file)]


def write_pictures(folder: Path, evaluation: Evaluation) -> dict[str, Path]:
    """Draw all of `PICTURES` that the trials allow; returns their files by name."""
    metrics = evaluation.metrics
    made = {}

    def file(name: str) -> Path:
        made[name] = folder / f"{name}.png"
        return made[name]
    if metrics["eer"] is not None:
        curves = _curves(evaluation)
        plot_det(file("det"), curves)
        plot_roc(file("roc"), curves)
    point = metrics["operating_point"]
    plots.plot_histogram(file("histogram"), _score_groups(evaluation), point["threshold"],
                         point["band"], metrics["score"])
    if any(part["eer"] is not None for part in metrics.get("per_attack", {}).values()):
        seen, on_dev = (metrics.get(name, {}).get("attacks") for name in ("seen", "seen_on_dev"))
        plots.plot_attacks(file("attacks"), metrics["per_attack"], seen, on_dev or ())
    if metrics["eer"] is not None and metrics["score"] != RAW:
        costs = [metrics[name] for name in ("prior_spoof", "cost_miss", "cost_fa")]
        plot_calibration(file("calibration"), evaluation.scores[evaluation.is_bonafide],
                         evaluation.scores[~evaluation.is_bonafide], curves[0].det,
                         bayes_threshold(*costs), metrics["score"])
    if evaluation.history:
        plots.plot_history(file("history"), evaluation.history)
    if evaluation.store is not None:
        plot_worst(file("worst"), evaluation)
    return made


def _spoof_groups(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """(n,) bool masks of all spoof trials and, where both exist, of seen and unseen attacks."""
    spoof = ~evaluation.is_bonafide
    attacks = np.array([row.labels.attack for row in evaluation.rows])
    groups = {"all attacks": spoof}
    parts = {name: evaluation.metrics.get(name, {}).get("attacks") for name in ("seen", "unseen")}
    if all(parts.values()):
        groups |= {f"{name} attacks": spoof & np.isin(attacks, tags)
                   for name, tags in parts.items()}
    return groups


def _curves(evaluation: Evaluation) -> list[Curve]:
    bonafide = evaluation.scores[evaluation.is_bonafide]
    threshold = evaluation.metrics["operating_point"]["threshold"]
    curves = []
    for name, chosen in _spoof_groups(evaluation).items():
        spoof = evaluation.scores[chosen]
        miss, false_alarm = error_rates(bonafide, spoof, threshold)
        curves.append(Curve(name, det_curve(bonafide, spoof), miss, false_alarm,
                            auc(bonafide, spoof)))
    return curves


def _score_groups(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Scores for the histogram: bona fide, and spoof in as many groups as are known."""
    spoof = _spoof_groups(evaluation)
    everything = spoof.pop("all attacks")
    groups = {f"spoof, {name}": chosen for name, chosen in spoof.items()} or {"spoof": everything}
    return {name: evaluation.scores[chosen]
            for name, chosen in {"bona fide": evaluation.is_bonafide, **groups}.items()}


def worst_trials(evaluation: Evaluation, per_key: int = PER_KEY) -> list[int]:
    """Indices of the bona fide trials of lowest score, then of the spoof trials of highest score.

    In both groups, the worst comes first.
    """
    bonafide = np.flatnonzero(evaluation.is_bonafide)
    spoof = np.flatnonzero(~evaluation.is_bonafide)
    lowest = bonafide[np.argsort(evaluation.scores[bonafide], kind="stable")[:per_key]]
    highest = spoof[np.argsort(-evaluation.scores[spoof], kind="stable")[:per_key]]
    return [int(i) for i in (*lowest, *highest)]


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Power of int16 samples (n,) in dB below its maximum, at least `FLOOR_DB`.

    (FRAME / 2 + 1, frames).
    """
    samples = np.pad(samples.astype(np.float32), (0, max(0, FRAME - samples.size)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    frames = frames * np.hanning(FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1).T) ** 2
    level = 10 * np.log10(np.maximum(power, 1e-9) / max(power.max(), 1e-9))
    return np.maximum(level, FLOOR_DB)


def plot_worst(path: Path, evaluation: Evaluation) -> None:
    """Spectrograms of `worst_trials`, from the evaluation's store."""
    chosen = worst_trials(evaluation)
    columns = min(PER_KEY, len(chosen))
    lines = -(-len(chosen) // columns)
    figure = Figure(figsize=(10.4, 2.7 * lines), dpi=plots.DPI, layout="constrained")
    for place, i in enumerate(chosen):
        ax = figure.add_subplot(lines, columns, place + 1)
        _plot_trial(ax, evaluation, i)
        ax.set(xlabel="seconds" if place >= len(chosen) - columns else "",
               ylabel="kHz" if place % columns == 0 else "")
    plots.save(figure, path, COLOURS)


def _plot_trial(ax: Axes, evaluation: Evaluation, i: int) -> None:
    row = evaluation.rows[i]
    levels = spectrogram(evaluation.store.read(i, 0, int(SECONDS * SAMPLE_RATE)))
    ax.imshow(levels, origin="lower", aspect="auto", cmap="magma", vmin=FLOOR_DB, vmax=0,
              extent=(0, levels.shape[1] * HOP / SAMPLE_RATE, 0, SAMPLE_RATE / 2000))
    key = "bona fide" if row.labels.is_bonafide else f"spoof ({drawable(row.labels.attack)})"
    name = drawable(row.utterance)
    ax.set_title(f"{name}\n{key}, score {evaluation.scores[i]:.2f}", fontsize=8.5)
    ax.tick_params(labelsize=8)
