"""Pictures of an evaluation: scores, attacks and training. Each is written as PNG, atomically."""
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from utils.common.drawing import drawable
from utils.common.files import atomic_write

BONAFIDE = "#2166ac"        # colours
SPOOF = "#d6604d"
UNSEEN = "#8c510a"
GREY = "#666666"
GROUPS = {"bona fide": BONAFIDE, "spoof": SPOOF, "spoof, seen attacks": SPOOF,
          "spoof, unseen attacks": UNSEEN}
DPI = 110
HISTOGRAM_BINS = 60
COLOURS = 96                # of the PNG's palette


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure, its size in inches, and its axes beside each other."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = [figure.add_subplot(1, columns, n + 1) for n in range(columns)]
    for ax in axes:
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, path: Path, colours: int = COLOURS) -> None:
    """Write a figure as PNG. A palette saves two thirds of the size.

    The file holds no date, so equal results give equal files.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    with Image.open(drawn) as image, atomic_write(path, "wb") as file:
        image.convert("RGB").quantize(colours).save(file, format="PNG", optimize=True)


def plot_histogram(path: Path, groups: dict[str, np.ndarray], threshold: float,
                   band: Sequence[float] | None, score_name: str) -> None:
    """Shares of the scores of each group ("bona fide", one or more of spoof), and the decision."""
    figure, (ax,) = new_figure(6.8, 4.2)
    groups = {name: scores for name, scores in groups.items() if scores.size}
    low, high = np.percentile(np.concatenate(list(groups.values())), [0.1, 99.9])
    edges = np.linspace(low, high if high > low else low + 1, HISTOGRAM_BINS + 1)
    for name, scores in groups.items():
        shares = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] / scores.size
        colour = GROUPS.get(name, GREY)
        ax.stairs(shares, edges, color=colour, fill=True, alpha=0.25)
        ax.stairs(shares, edges, color=colour, linewidth=1.6, label=f"{name} ({scores.size:,})")
    if band is not None:
        ax.axvspan(*band, color="#bbbbbb", alpha=0.35, linewidth=0, label="band of uncertainty")
    ax.axvline(threshold, color="black", linewidth=1.2, linestyle="--",
               label=f"threshold {threshold:.2f}")
    ax.set(xlabel=f"{score_name} (higher = bona fide)", ylabel="share of the group's trials",
           title="Scores by key")
    ax.legend(fontsize=8.5)
    save(figure, path)


def plot_attacks(path: Path, per_attack: dict[str, dict], seen: Sequence[str] | None,
                 on_dev: Sequence[str] = ()) -> None:
    """EER of each attack against all bona fide trials, with its 95 % interval, highest on top."""
    parts = [(tag, part) for tag, part in per_attack.items() if part["eer"] is not None]
    parts.sort(key=lambda entry: entry[1]["eer"])
    eers = np.array([part["eer"] for _, part in parts]) * 100
    spans = np.array([part.get("eer_interval", [part["eer"]] * 2) for _, part in parts]) * 100
    errors = np.clip([eers - spans[:, 0], spans[:, 1] - eers], 0, None)
    colours = [_attack_colour(tag, seen, on_dev) for tag, _ in parts]
    figure, (ax,) = new_figure(6.8, 1.4 + 0.3 * len(parts))
    ax.barh(range(len(parts)), eers, color=colours, alpha=0.85, height=0.7, xerr=errors,
            error_kw={"linewidth": 1, "capsize": 2.5})
    labels = [f"{drawable(tag)}  ({part['trials']['spoof']:,})" for tag, part in parts]
    ax.set_yticks(range(len(parts)), labels, fontsize=8.5)
    if seen is not None:
        for name, colour in (("seen", SPOOF), ("seen on dev only", GREY), ("unseen", UNSEEN)):
            if colour in colours:
                ax.barh(0, 0, color=colour, label=name)
        ax.legend(fontsize=8.5, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)
    ax.set_title("EER by attack (spoof trials)", loc="left")
    ax.set(xlabel="EER (%), line: 95 % interval", xlim=(0, None))
    ax.grid(axis="y", visible=False)
    save(figure, path)


def _attack_colour(tag: str, seen: Sequence[str] | None, on_dev: Sequence[str]) -> str:
    if seen is None or tag in on_dev:
        return GREY
    return SPOOF if tag in seen else UNSEEN


def plot_history(path: Path, history: Sequence[dict]) -> None:
    """Loss and dev EER by epoch, from the history's rows; the epoch that was kept is marked."""
    figure, (losses, selection) = new_figure(9.4, 3.8, columns=2)
    epochs = [row["epoch"] for row in history]
    for name, colour in (("train_loss", SPOOF), ("dev_loss", BONAFIDE)):
        values = _column(history, name)
        if np.isfinite(values).any():
            losses.plot(epochs, values, "o-", markersize=3.5, color=colour, linewidth=1.6,
                        label=name.replace("_", " "))
    eers = _column(history, "dev_eer")
    selection.plot(epochs, 100 * eers, "o-", markersize=3.5, color=BONAFIDE, linewidth=1.6,
                   label="dev EER")
    if np.isfinite(eers).any():
        marked = [n for n, row in enumerate(history) if row.get("best")]
        kept = marked[-1] if marked else int(np.nanargmin(eers))
        selection.plot(epochs[kept], 100 * eers[kept], "o", color="black", markersize=7,
                       label=f"kept: epoch {epochs[kept]:g}, {eers[kept]:.2%}")
    losses.set(ylabel="cross-entropy", title="Loss")
    selection.set(ylabel="EER (%)", title="Selection on dev")
    for ax in (losses, selection):
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch", ylim=(0, None))
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=8.5)
    save(figure, path)


def _column(history: Sequence[dict], name: str) -> np.ndarray:
    """(epochs,) values of a column; nan if a row has none."""
    values = [row.get(name) for row in history]
    return np.array([np.nan if value is None else value for value in values], dtype=float)
