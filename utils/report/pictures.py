"""Which pictures an evaluation gets, and from what: chosen here, drawn by plots.py."""
from pathlib import Path

import numpy as np

from utils.report import plots
from utils.metrics.det import det_curve
from utils.metrics.metrics import auc, bayes_threshold, error_rates
from utils.report.evaluation import RAW, Evaluation


def _groups(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Which trials (n,) bool are spoof of all, of seen and of unseen attacks; the latter two only where both exist."""
    spoof, attacks = ~evaluation.is_bonafide, np.array([row.labels.attack for row in evaluation.rows])
    groups = {"all attacks": spoof}
    parts = {name: evaluation.metrics.get(name, {}).get("attacks") for name in ("seen", "unseen")}
    if all(parts.values()):
        groups |= {f"{name} attacks": spoof & np.isin(attacks, tags) for name, tags in parts.items()}
    return groups


def _curves(evaluation: Evaluation) -> tuple[list[plots.Curve], list[float]]:
    bonafide, threshold = evaluation.scores[evaluation.is_bonafide], evaluation.metrics["operating_point"]["threshold"]
    curves, areas = [], []
    for name, chosen in _groups(evaluation).items():
        spoof = evaluation.scores[chosen]
        curves.append(plots.Curve(name, det_curve(bonafide, spoof), *error_rates(bonafide, spoof, threshold)))
        areas.append(auc(bonafide, spoof))
    return curves, areas


def _histogram_groups(evaluation: Evaluation) -> dict[str, np.ndarray]:
    spoof = _groups(evaluation)
    if len(spoof) > 1:
        spoof = {f"spoof, {name}": chosen for name, chosen in spoof.items() if name != "all attacks"}
    else:
        spoof = {"spoof": spoof["all attacks"]}
    return {name: evaluation.scores[chosen] for name, chosen in {"bona fide": evaluation.is_bonafide, **spoof}.items()}


def find_history(run_dir: Path, metadata: dict) -> list[dict]:
    """The training history: all of it from the run's history.csv, else the part up to the model from its metadata."""
    whole = run_dir / "history.csv"
    return plots.read_history(whole) if whole.is_file() else metadata.get("history") or []


def write_pictures(run_dir: Path, evaluation: Evaluation) -> dict[str, Path]:
    """Draw what the trials allow and return name -> file; an earlier evaluation's pictures that no longer apply go."""
    names = ("det", "roc", "histogram", "attacks", "calibration", "history")
    files, metrics = {name: run_dir / f"{name}.png" for name in names}, evaluation.metrics
    operating, made = metrics["operating_point"], ["histogram"]
    plots.plot_histogram(files["histogram"], _histogram_groups(evaluation), operating["threshold"], operating["band"],
                         metrics["score"])
    if metrics["eer"] is not None:
        curves, areas = _curves(evaluation)
        plots.plot_det(files["det"], curves)
        plots.plot_roc(files["roc"], curves, areas)
        made += ["det", "roc"]
    if metrics["eer"] is not None and metrics["score"] != RAW:
        groups = [evaluation.scores[mask] for mask in (evaluation.is_bonafide, ~evaluation.is_bonafide)]
        price = [metrics[name] for name in ("prior_spoof", "cost_miss", "cost_fa")]
        plots.plot_calibration(files["calibration"], *groups, curves[0].det, bayes_threshold(*price), metrics["score"])
        made.append("calibration")
    if any(part["eer"] is not None for part in metrics.get("per_attack", {}).values()):
        known = {name: metrics[name]["attacks"] for name in ("seen", "seen_on_dev") if name in metrics}
        plots.plot_attacks(files["attacks"], metrics["per_attack"], known.get("seen"), known.get("seen_on_dev", ()))
        made.append("attacks")
    if evaluation.history:
        plots.plot_history(files["history"], evaluation.history)
        made.append("history")
    for name in set(names) - set(made):
        files[name].unlink(missing_ok=True)
    return {name: files[name] for name in names if name in made}
