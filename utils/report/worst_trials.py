"""The trials with the largest errors, and their spectrograms."""
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.report.evaluation import Evaluation
from utils.report.plots import DPI, save
from utils.signals import SAMPLE_RATE

PER_KEY = 3
SECONDS = 4.0       # shown of each utterance
FRAME = 512         # samples: 32 ms
HOP = 160           # samples: 10 ms
FLOOR_DB = -80.0
COLOURS = 64        # of the PNG's palette


def worst_trials(evaluation: Evaluation, per_key: int = PER_KEY) -> list[int]:
    """Indices of the bona fide trials that score lowest, then of the spoof trials that score
    highest; in both, the worst first."""
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
    figure = Figure(figsize=(10.4, 2.7 * lines), dpi=DPI, layout="constrained")
    for place, i in enumerate(chosen):
        ax = figure.add_subplot(lines, columns, place + 1)
        _plot_trial(ax, evaluation, i)
        ax.set(xlabel="seconds" if place >= len(chosen) - columns else "",
               ylabel="kHz" if place % columns == 0 else "")
    save(figure, path, COLOURS)


def _plot_trial(ax: Axes, evaluation: Evaluation, i: int) -> None:
    row = evaluation.rows[i]
    levels = spectrogram(evaluation.store.read(i, 0, int(SECONDS * SAMPLE_RATE)))
    ax.imshow(levels, origin="lower", aspect="auto", cmap="magma", vmin=FLOOR_DB, vmax=0,
              extent=(0, levels.shape[1] * HOP / SAMPLE_RATE, 0, SAMPLE_RATE / 2000))
    key = "bona fide" if row.labels.is_bonafide else f"spoof ({row.labels.attack})"
    ax.set_title(f"{row.utterance}\n{key}, score {evaluation.scores[i]:.2f}", fontsize=8.5)
    ax.tick_params(labelsize=8)
