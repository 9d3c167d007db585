"""The trials a detector is most wrong about, and what they look like."""
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from utils.signals import SAMPLE_RATE
from utils.report.plots import DPI, save
from utils.report.evaluation import Evaluation

PER_KEY = 3
SECONDS = 4.0                      # shown of each utterance
FRAME, HOP = 512, 160              # samples at 16 kHz: 32 ms windows every 10 ms
FLOOR_DB = -80.0


def worst_trials(evaluation: Evaluation, per_key: int = PER_KEY) -> list[int]:
    """Places of the bona fide trials with the lowest scores, then of the spoof trials with the highest, worst first."""
    bonafide, spoof = (np.flatnonzero(mask) for mask in (evaluation.is_bonafide, ~evaluation.is_bonafide))
    lowest = bonafide[np.argsort(evaluation.scores[bonafide], kind="stable")[:per_key]]
    highest = spoof[np.argsort(-evaluation.scores[spoof], kind="stable")[:per_key]]
    return [int(i) for i in (*lowest, *highest)]


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Power of int16 samples (n,) in dB below its maximum, (FRAME / 2 + 1, frames), no lower than `FLOOR_DB`."""
    samples = np.pad(samples.astype(np.float32), (0, max(0, FRAME - samples.size)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] * np.hanning(FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1).T) ** 2
    return np.maximum(10 * np.log10(np.maximum(power, 1e-9) / max(power.max(), 1e-9)), FLOOR_DB)


def plot_worst(path: Path, evaluation: Evaluation) -> Path:
    """Spectrograms of `worst_trials`, read from the evaluation's store; returns the file written."""
    chosen = worst_trials(evaluation)
    columns, count = min(PER_KEY, len(chosen)), int(SECONDS * SAMPLE_RATE)
    figure = Figure(figsize=(10.4, 2.7 * -(-len(chosen) // columns)), dpi=DPI, layout="constrained")
    for place, i in enumerate(chosen):
        row = evaluation.rows[i]
        levels = spectrogram(evaluation.store.read(i, 0, min(count, row.n_samples)))
        ax = figure.add_subplot(-(-len(chosen) // columns), columns, place + 1)
        ax.imshow(levels, origin="lower", aspect="auto", cmap="magma", vmin=FLOOR_DB, vmax=0,
                  extent=(0, levels.shape[1] * HOP / SAMPLE_RATE, 0, SAMPLE_RATE / 2000))
        what = "bona fide" if row.labels.is_bonafide else f"spoof ({row.labels.attack})"
        ax.set_title(f"{row.utterance}\n{what}, score {evaluation.scores[i]:.2f}", fontsize=8.5)
        ax.set(xlabel="seconds" if place >= len(chosen) - columns else "", ylabel="kHz" if place % columns == 0 else "")
        ax.tick_params(labelsize=8)
    save(figure, path, colours=64)
    return path
