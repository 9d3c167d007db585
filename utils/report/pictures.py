"""Which pictures an evaluation gets, and from which of its figures."""
from pathlib import Path

import numpy as np

from utils.metrics.metrics import auc, bayes_threshold, det_curve, error_rates
from utils.report import plots
from utils.report.calibration_plots import plot_calibration
from utils.report.curves import Curve, plot_det, plot_roc
from utils.report.evaluation import RAW, Evaluation
from utils.report.worst_trials import plot_worst

PICTURES = ("det", "roc", "histogram", "attacks", "calibration", "history", "worst")


def find_history(run_dir: Path, metadata: dict) -> list[dict]:
    """The training history in the run's history.csv, else the model's own, up to its epoch."""
    whole = run_dir / "history.csv"
    return plots.read_history(whole) if whole.is_file() else metadata.get("history") or []


def write_pictures(folder: Path, evaluation: Evaluation) -> dict[str, Path]:
    """Draw all of `PICTURES` that the trials allow; the files by name."""
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
