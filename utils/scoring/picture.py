"""A picture per recording: waveform, spectrogram, and the window scores with the threshold and the band of uncertainty."""
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from utils.audio import SAMPLE_RATE
from utils.errors import printable
from utils.files import atomic_write

FRAME = 512          # samples, 32 ms, side by side
MAX_COLUMNS = 2048   # twice what a picture shows; beyond, neighbours are joined
DYNAMIC_RANGE_DB = 80
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


class Sketch:
    """The outline of a recording of any length, gathered block by block in constant memory."""

    def __init__(self) -> None:
        self.low, self.high = np.zeros(MAX_COLUMNS, np.int16), np.zeros(MAX_COLUMNS, np.int16)
        self.power = np.zeros((MAX_COLUMNS, FRAME // 2 + 1))
        self.columns, self.per_column, self.in_column = 0, 1, 0  # in_column: frames in the last, unfinished column
        self.rest = np.zeros(0, np.int16)
        self.samples = 0
        self._taper = np.hanning(FRAME)

    def tap(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass blocks on, looking at each."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, block: np.ndarray) -> None:
        """Take in the next int16 block (n,)."""
        self.samples += len(block)
        joined = np.concatenate([self.rest, block])
        whole = len(joined) // FRAME * FRAME
        self.rest = joined[whole:].copy()
        frames = joined[:whole].reshape(-1, FRAME)
        spectra = np.abs(np.fft.rfft(frames * (self._taper / 32768), axis=1)) ** 2
        for frame, spectrum in zip(frames, spectra):
            self._put(frame.min(), frame.max(), spectrum)

    def _put(self, low: np.int16, high: np.int16, spectrum: np.ndarray) -> None:
        if self.in_column == 0:
            if self.columns == MAX_COLUMNS:
                self._halve()
            self.columns += 1
        k = self.columns - 1
        self.low[k], self.high[k] = min(self.low[k], low), max(self.high[k], high)
        self.power[k] += spectrum
        self.in_column = (self.in_column + 1) % self.per_column

    def _halve(self) -> None:
        half = MAX_COLUMNS // 2
        self.low[:half], self.high[:half] = np.minimum(self.low[::2], self.low[1::2]), np.maximum(self.high[::2], self.high[1::2])
        self.power[:half] = self.power[::2] + self.power[1::2]
        for kept in (self.low, self.high, self.power):
            kept[half:] = 0
        self.columns, self.per_column = half, self.per_column * 2

    def edges(self) -> np.ndarray:
        """Where columns begin and end, in seconds: (columns + 1,)."""
        frames = np.arange(self.columns + 1) * self.per_column
        frames[-1:] -= (self.per_column - self.in_column) % self.per_column
        return frames * FRAME / SAMPLE_RATE

    def spectrogram_db(self) -> np.ndarray:
        """Mean power per column and frequency in dB below the loudest: (columns, FRAME // 2 + 1)."""
        frames = np.full(self.columns, self.per_column)
        frames[-1:] = self.in_column or self.per_column
        level = 10 * np.log10(self.power[:self.columns] / frames[:, None] + 1e-12)
        return level - level.max(initial=-120)


def picture_path(target: Path, path: str, paths: list[str]) -> Path:
    """Where the picture of `path`, one of `paths`, goes: `target` if that names a picture, else below that folder.

    There the recordings' own folders are kept, and their suffixes too, so that equal names do not collide.
    """
    if target.suffix.lower() in PICTURE_SUFFIXES:
        return target
    whole = [os.path.abspath(name) for name in paths]
    try:
        common = os.path.commonpath([os.path.dirname(name) for name in whole])
        inside = os.path.relpath(os.path.abspath(path), common)
    except ValueError:  # on several drives
        inside = os.path.abspath(path).replace(":", "")
    return target / (inside.lstrip("\\/") + ".png")


def draw(file: Path, sketch: Sketch, record: dict) -> None:
    """Write the picture of a recording that `sketch` saw; `record` is its analysis."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    shown = 3 + bool(record.get("explanation"))
    figure, axes = pyplot.subplots(shown, 1, figsize=(11, 2.4 * shown + 0.6), layout="constrained")
    try:
        for axis in axes[1:3]:
            axis.sharex(axes[0])
        _draw_wave(axes[0], sketch)
        _draw_spectrogram(axes[1], sketch)
        _draw_scores(axes[2], record)
        if shown > 3:
            _draw_explanation(axes[3], record["explanation"])
        axes[0].set_xlim(0, max(sketch.samples / SAMPLE_RATE, 1e-3))
        score = "" if record["score"] is None else f", {record['score_kind']} {record['score']:.2f}"
        figure.suptitle(f"{printable(os.path.basename(record['file']))}: {record['verdict'] or 'no verdict'}{score}".replace("$", r"\$"))
        with atomic_write(file, "wb") as out:
            figure.savefig(out, format=file.suffix[1:].lower(), dpi=110)
    finally:
        pyplot.close(figure)


def _draw_wave(axis, sketch: Sketch) -> None:
    edges, low, high = sketch.edges(), sketch.low[:sketch.columns] / 32768, sketch.high[:sketch.columns] / 32768
    if sketch.columns:
        axis.fill_between(edges, np.append(low, low[-1]), np.append(high, high[-1]), step="post", color="#35618f", linewidth=0.3)
    peak = max(0.02, float(max(-low.min(initial=0), high.max(initial=0))))
    axis.set_ylim(-1.1 * peak, 1.1 * peak)
    axis.set_ylabel("amplitude")
    axis.tick_params(labelbottom=False)


def _draw_spectrogram(axis, sketch: Sketch) -> None:
    if sketch.columns:
        frequencies = np.linspace(0, SAMPLE_RATE / 2000, FRAME // 2 + 2)
        axis.pcolormesh(sketch.edges(), frequencies, sketch.spectrogram_db().T, vmin=-DYNAMIC_RANGE_DB, vmax=0, cmap="magma", rasterized=True)
    axis.set_ylabel("kHz")
    axis.tick_params(labelbottom=False)


def _draw_scores(axis, record: dict) -> None:
    speech = [window for window in record.get("windows", []) if window["speech"]]
    other = [window for window in record.get("windows", []) if not window["speech"]]
    for windows, colour, label in ((speech, "#1b1b1b", "window with speech"), (other, "#b0b0b0", "window without speech, not counted")):
        if windows:
            axis.hlines([w["score"] for w in windows], [w["start"] for w in windows], [w["end"] for w in windows], colour, lw=2.5, label=label)
    if record["band"]:
        axis.axhspan(*record["band"], color="#f0c96c", alpha=0.5, lw=0, label="uncertain")
    if record["threshold"] is not None:
        axis.axhline(record["threshold"], color="#a03030", ls="--", lw=1, label="threshold")
    axis.margins(y=0.15)
    axis.set_ylabel(f"{record['score_kind']}\n(up: bona fide)")
    axis.set_xlabel("seconds")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="upper right", fontsize="x-small", ncols=4)


def _draw_explanation(axis, explanation: dict) -> None:
    parts = explanation["times"] + explanation["bands"]
    names = ([f"{part['start']:.1f} s" for part in explanation["times"]] + [f"{part['low_hz'] / 1000:g} kHz" for part in explanation["bands"]])
    moved = [part["moved"] for part in parts]
    axis.bar(range(len(parts)), moved, color=["#35618f" if value > 0 else "#a03030" for value in moved])
    axis.set_xticks(range(len(parts)), names, rotation=60, fontsize="x-small")
    axis.axhline(0, color="black", lw=0.6)
    axis.set_ylabel("moved the score\n(up: to bona fide)")
    axis.set_xlabel(f"parts of the window from {explanation['start']:.1f} to {explanation['end']:.1f} s: time from, then band from "
                    "(what the score rests on, no proof of a fake)", fontsize="small")
