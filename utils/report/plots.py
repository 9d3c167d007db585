"""The pictures of an evaluation. Every function takes the file to write first, and writes it atomically as PNG."""
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from utils.common.errors import InputError
from utils.metrics.det import Det
from utils.metrics.metrics import dcf, eer_of
from utils.common.files import atomic_write

BONAFIDE, SPOOF, UNSEEN, GREY = "#2166ac", "#d6604d", "#8c510a", "#666666"
STYLES = {"all attacks": ("#222222", "-"), "seen attacks": (SPOOF, "-"), "unseen attacks": (UNSEEN, "--")}
DET_TICKS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99)
DOT = {"marker": "o", "markersize": 7, "markeredgecolor": "white", "zorder": 5, "clip_on": False}
MAX_POINTS = 4000      # per drawn curve; more cannot be seen
DPI = 110


@dataclass(frozen=True, slots=True)
class Curve:
    """One DET curve to draw, and its rates at the operating point."""
    name: str
    det: Det
    miss: float
    false_alarm: float


def _figure(width: float = 6.2, height: float = 4.6, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = [figure.add_subplot(1, columns, n + 1) for n in range(columns)]
    for ax in axes:
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, path: Path, colours: int = 96) -> None:
    """Write a figure as PNG, atomically; a palette takes a third of the size, and no date makes equal results equal files."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    with Image.open(drawn) as image, atomic_write(path, "wb") as file:
        image.convert("RGB").quantize(colours).save(file, format="PNG", optimize=True)


def _thin(det: Det) -> tuple[np.ndarray, np.ndarray]:
    """(false alarm, miss) of at most `MAX_POINTS` points of a curve, ends included."""
    keep = np.unique(np.linspace(0, det.miss.size - 1, MAX_POINTS).round().astype(int))
    return det.false_alarm[keep], det.miss[keep]


def _style(curve: Curve) -> dict:
    colour, line = STYLES.get(curve.name, (GREY, "-"))
    return {"color": colour, "linestyle": line, "linewidth": 1.8}


def _probit(rates: np.ndarray, floor: float) -> np.ndarray:
    """Normal deviates of rates, kept `floor` away from 0 and 1, by interpolation in a fine table."""
    tail = np.geomspace(floor, 0.05, 2000)
    table = np.concatenate([tail, np.linspace(0.05, 0.95, 2000)[1:-1], 1 - tail[::-1]])
    deviates = np.array([NormalDist().inv_cdf(rate) for rate in table])
    return np.interp(np.clip(rates, floor, 1 - floor), table, deviates)


def plot_det(path: Path, curves: Sequence[Curve]) -> None:
    """Miss against false alarm rate on normal-deviate axes, with the EER of each curve and its operating point (dot)."""
    figure, (ax,) = _figure(5.6, 5.2)
    floor = 1e-5
    highest = min(0.99, max(0.5, *(max(1.3 * c.miss, 1.3 * c.false_alarm, 2.5 * eer_of(c.det)[0]) for c in curves)))
    limits = NormalDist().inv_cdf(0.0008), NormalDist().inv_cdf(highest) + 0.05
    for curve in curves:
        far, frr = _thin(curve.det)
        ax.plot(_probit(far, floor), _probit(frr, floor), label=f"{curve.name}: EER {eer_of(curve.det)[0]:.2%}", **_style(curve))
        dot = np.clip(_probit(np.array([curve.false_alarm, curve.miss]), floor), *limits)    # at the edge where beyond it
        ax.plot(*dot, color=_style(curve)["color"], **DOT)
    ticks = [tick for tick in DET_TICKS if tick <= highest]
    places = [NormalDist().inv_cdf(tick) for tick in ticks]
    ax.plot(limits, limits, color=GREY, linewidth=0.8, linestyle=":", label="equal error rates")
    ax.set(xlim=limits, ylim=limits, xlabel="false alarm rate: spoof accepted (%)", ylabel="miss rate: bona fide rejected (%)",
           title="DET curve (dot: operating point)", xticks=places, yticks=places, aspect="equal")
    for set_labels in (ax.set_xticklabels, ax.set_yticklabels):
        set_labels([f"{100 * tick:g}" for tick in ticks], fontsize=8)
    ax.legend(loc="upper right", fontsize=8.5)
    save(figure, path)


def plot_roc(path: Path, curves: Sequence[Curve], areas: Sequence[float]) -> None:
    """Bona fide accepted against spoof accepted, with the area under each curve and the operating point (dot)."""
    figure, (ax,) = _figure(5.6, 5.2)
    for curve, area in zip(curves, areas, strict=True):
        far, frr = _thin(curve.det)
        ax.plot(far, 1 - frr, label=f"{curve.name}: AUC {area:.4f}", **_style(curve))
        ax.plot(curve.false_alarm, 1 - curve.miss, color=_style(curve)["color"], **DOT)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="chance")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="spoof accepted (false alarm rate)", ylabel="bona fide accepted (1 - miss rate)",
           title="ROC curve (dot: operating point)", aspect="equal")
    ax.legend(loc="lower right", fontsize=8.5)
    save(figure, path)


def mark_decision(ax: Axes, threshold: float | None, band: Sequence[float] | None) -> None:
    """The threshold as a line and the band of uncertainty as a shade, across the scores on the x axis."""
    if band is not None:
        ax.axvspan(*band, color="#bbbbbb", alpha=0.35, linewidth=0, label="band of uncertainty")
    if threshold is not None:
        ax.axvline(threshold, color="black", linewidth=1.2, linestyle="--", label=f"threshold {threshold:.2f}")


def plot_histogram(path: Path, groups: dict[str, np.ndarray], threshold: float | None, band: Sequence[float] | None,
                   score_name: str) -> None:
    """Densities of the scores of each group ("bona fide" and one or more of spoof), with threshold and band."""
    figure, (ax,) = _figure(6.8, 4.2)
    groups = {name: scores for name, scores in groups.items() if scores.size}
    everything = np.concatenate(list(groups.values()))
    low, high = np.percentile(everything, [0.1, 99.9])
    edges = np.linspace(low, high if high > low else low + 1, 61)
    colours = {"bona fide": BONAFIDE, "spoof": SPOOF, "spoof, seen attacks": SPOOF, "spoof, unseen attacks": UNSEEN}
    for name, scores in groups.items():
        counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
        ax.stairs(counts / scores.size, edges, color=colours.get(name, GREY), fill=True, alpha=0.25)
        ax.stairs(counts / scores.size, edges, color=colours.get(name, GREY), linewidth=1.6, label=f"{name} ({scores.size:,})")
    mark_decision(ax, threshold, band)
    ax.set(xlabel=f"{score_name} (higher = bona fide)", ylabel="share of the group's trials", title="Scores by key")
    ax.legend(fontsize=8.5)
    save(figure, path)


def plot_attacks(path: Path, per_attack: dict[str, dict], seen: Sequence[str] | None,
                 on_dev: Sequence[str] = ()) -> None:
    """EER of each attack against all bona fide trials, with its 95 % interval, worst first."""
    rows = sorted(((tag, part) for tag, part in per_attack.items() if part["eer"] is not None), key=lambda row: row[1]["eer"])
    figure, (ax,) = _figure(6.8, 1.4 + 0.3 * len(rows))
    eers = np.array([part["eer"] for _, part in rows]) * 100
    spans = np.array([part.get("eer_interval", [part["eer"]] * 2) for _, part in rows]) * 100
    colours = [GREY if seen is None or tag in on_dev else SPOOF if tag in seen else UNSEEN for tag, _ in rows]
    errors = np.clip([eers - spans[:, 0], spans[:, 1] - eers], 0, None)
    ax.barh(range(len(rows)), eers, color=colours, alpha=0.85, height=0.7, xerr=errors,
            error_kw={"linewidth": 1, "capsize": 2.5})
    ax.set_yticks(range(len(rows)), [f"{tag}  ({part['trials']['spoof']:,})" for tag, part in rows], fontsize=8.5)
    if seen is not None:
        for name, colour in (("seen", SPOOF), ("seen on dev only", GREY), ("unseen", UNSEEN)):
            ax.barh(0, 0, color=colour, label=name) if colour in colours else None
        ax.legend(fontsize=8.5, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)
    ax.set_title("EER by attack (spoof trials)", loc="left")
    ax.set(xlabel="EER (%), line: 95 % interval", xlim=(0, None))
    ax.grid(axis="y", visible=False)
    save(figure, path)


def _reliability(ax: Axes, bonafide: np.ndarray, spoof: np.ndarray, score_name: str) -> None:
    """Evidence counted in bins of equal size against the evidence that the scores state."""
    both = np.concatenate([bonafide, spoof])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, min(15, 2 + both.size // 40) + 1)))
    counts = [np.histogram(group, edges)[0] for group in (bonafide, spoof)]
    total = np.maximum(np.histogram(both, edges)[0], 1)
    stated = np.histogram(both, edges, weights=both)[0] / total
    usable = (counts[0] > 0) & (counts[1] > 0)
    found = np.log(counts[0][usable] / bonafide.size) - np.log(counts[1][usable] / spoof.size)
    spread = 1.96 * np.sqrt(1 / counts[0][usable] + 1 / counts[1][usable])
    ax.errorbar(stated[usable], found, yerr=spread, fmt="o", color=BONAFIDE, markersize=5, linewidth=1, capsize=2.5,
                label="bins of trials")
    if not usable.any():
        ax.text(0.5, 0.5, "no bin holds trials of both classes", transform=ax.transAxes, ha="center", va="bottom", fontsize=9)
    reach = [min([*stated[usable], *found, -1.0]), max([*stated[usable], *found, 1.0])]
    ax.plot(reach, reach, color=GREY, linewidth=0.9, linestyle=":", label="perfect calibration")
    ax.set(xlabel=f"stated: mean {score_name} of the bin", ylabel="found: log ratio of the classes' shares",
           title="Does the score keep its word?")
    ax.legend(fontsize=8.5)


def _bayes_error(ax: Axes, bonafide: np.ndarray, spoof: np.ndarray, det: Det, operating: float) -> None:
    """Normalised cost at the Bayes threshold, and the lowest possible, for every effective prior (Brümmer's APE view)."""
    log_odds = np.linspace(min(-6.0, operating - 1), max(6.0, operating + 1), 121)   # of spoof
    bonafide, spoof = np.sort(bonafide), np.sort(spoof)
    miss = np.searchsorted(bonafide, log_odds, side="left") / bonafide.size
    false_alarm = 1 - np.searchsorted(spoof, log_odds, side="left") / spoof.size
    priors = 1 / (1 + np.exp(-log_odds))
    actual = np.array([dcf(m, f, p, 1, 1) for m, f, p in zip(miss, false_alarm, priors)])
    far, frr = _thin(det)
    lowest = np.array([dcf(frr, far, p, 1, 1).min() for p in priors])
    ax.plot(log_odds, np.minimum(actual, 2), color=SPOOF, linewidth=1.8, label="actual")
    ax.plot(log_odds, lowest, color=BONAFIDE, linewidth=1.8, linestyle="--", label="lowest possible")
    ax.axvline(operating, color="black", linewidth=1.2, linestyle=":", label="chosen costs and prior")
    ax.set(xlabel="log odds of spoof, costs included", ylabel="normalised cost", ylim=(0, min(2, max(1.05, actual.max() * 1.05))),
           title="Cost at other priors")
    ax.legend(fontsize=8.5)


def plot_calibration(path: Path, bonafide: np.ndarray, spoof: np.ndarray, det: Det, threshold: float, score_name: str) -> None:
    """Two views of calibration: evidence stated against found, and actual against lowest cost over priors."""
    figure, axes = _figure(10.4, 4.4, columns=2)
    _reliability(axes[0], bonafide, spoof, score_name)
    _bayes_error(axes[1], bonafide, spoof, det, threshold)
    save(figure, path)


def read_history(path: Path) -> list[dict]:
    """The rows of a training history written as CSV: numbers where a cell holds one, else None or text."""
    def value(cell: str) -> float | str | None:
        try:
            return float(cell) if cell else None
        except ValueError:
            return cell
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [{name: value(cell or "") for name, cell in row.items() if name} for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise InputError(f"there is no training history {path}: train first") from error


def plot_history(path: Path, history: Sequence[dict] | Path) -> None:
    """Loss and dev EER by epoch, from the history's rows or its CSV; the epoch that was kept is marked."""
    history = read_history(history) if isinstance(history, Path) else list(history)
    figure, axes = _figure(9.4, 3.8, columns=2)
    epochs = [row["epoch"] for row in history]
    for name, colour in (("train_loss", SPOOF), ("dev_loss", BONAFIDE)):
        values = [np.nan if row.get(name) is None else row[name] for row in history]
        if np.isfinite(values).any():
            axes[0].plot(epochs, values, "o-", markersize=3.5, color=colour, linewidth=1.6, label=name.replace("_", " "))
    eers = np.array([np.nan if row.get("dev_eer") is None else row["dev_eer"] for row in history], dtype=float)
    axes[1].plot(epochs, 100 * eers, "o-", markersize=3.5, color=BONAFIDE, linewidth=1.6, label="dev EER")
    if np.isfinite(eers).any():
        marked = [n for n, row in enumerate(history) if row.get("best")]
        best = marked[-1] if marked else int(np.nanargmin(eers))
        axes[1].plot(epochs[best], 100 * eers[best], "o", color="black", markersize=7,
                     label=f"kept: epoch {epochs[best]:g}, {eers[best]:.2%}")
    for ax, label, title in ((axes[0], "cross-entropy", "Loss"), (axes[1], "EER (%)", "Selection on dev")):
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch", ylabel=label, title=title, ylim=(0, None))
        ax.legend(fontsize=8.5) if ax.get_legend_handles_labels()[0] else None
    save(figure, path)
