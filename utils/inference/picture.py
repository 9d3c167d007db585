"""A picture of a recording: waveform, spectrogram, and scores over time with the decision."""
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from utils.common.drawing import drawable
from utils.common.files import atomic_write
from utils.detector.decision import BONAFIDE, SPOOF, UNCERTAIN, Decision
from utils.detector.record import segments
from utils.detector.scoring import Window
from utils.signals import SAMPLE_RATE

FRAME = 512          # samples (32 ms) of a column of the spectrogram, without overlap
PIECES = 8           # of a frame, for the outline of the waveform
MAX_COLUMNS = 2048   # twice what a picture shows; for longer recordings, neighbours are joined
DYNAMIC_RANGE_DB = 80
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = {BONAFIDE: "#2a6db0", UNCERTAIN: "#d9961a", SPOOF: "#b02a2a", None: "#1b1b1b"}


class Sketch:
    """The outline of a recording of any length, made block by block in constant memory."""

    def __init__(self) -> None:
        self.low = np.zeros(MAX_COLUMNS * PIECES, np.float32)
        self.high = np.zeros(MAX_COLUMNS * PIECES, np.float32)
        self.power = np.zeros((MAX_COLUMNS, FRAME // 2 + 1), np.float32)
        self.frames = 0
        self.per_column = 1
        self.rest = np.zeros(0, np.float32)
        self.samples = 0
        self._taper = np.hanning(FRAME).astype(np.float32) / 32768

    def tap(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Add each block and pass it on."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, block: np.ndarray) -> None:
        """Add the next block (n,), in the unit of int16."""
        self.samples += len(block)
        joined = np.concatenate([self.rest, block])
        whole = len(joined) // FRAME * FRAME
        self.rest = joined[whole:].copy()
        frames = joined[:whole].reshape(-1, FRAME)
        spectra = np.abs(np.fft.rfft(frames * self._taper, axis=1)) ** 2
        pieces = frames.reshape(-1, PIECES, FRAME // PIECES)
        for low, high, spectrum in zip(pieces.min(axis=2), pieces.max(axis=2), spectra):
            self._put(low, high, spectrum)

    def _put(self, low: np.ndarray, high: np.ndarray, spectrum: np.ndarray) -> None:
        if self.frames == MAX_COLUMNS * self.per_column:
            self._halve()
        places = (self.frames * PIECES + np.arange(PIECES)) // self.per_column
        np.minimum.at(self.low, places, low)
        np.maximum.at(self.high, places, high)
        self.power[self.frames // self.per_column] += spectrum
        self.frames += 1

    def _halve(self) -> None:
        for kept, join in ((self.low, np.minimum), (self.high, np.maximum), (self.power, np.add)):
            half = len(kept) // 2
            kept[:half] = join(kept[::2], kept[1::2])
            kept[half:] = 0
        self.per_column *= 2

    @property
    def columns(self) -> int:
        """Columns in use; the last may be incomplete."""
        return -(-self.frames // self.per_column)

    @property
    def end(self) -> float:
        """Where the last column ends, in seconds: at the recording's end or a little later."""
        return self.columns * self.per_column * FRAME / SAMPLE_RATE

    def spectrogram_db(self) -> np.ndarray:
        """Mean power in dB below the highest, (columns, FRAME // 2 + 1)."""
        frames = np.full(self.columns, self.per_column)
        frames[-1:] -= self.columns * self.per_column - self.frames
        level = 10 * np.log10(self.power[:self.columns] / frames[:, None] + 1e-12)
        return level - level.max(initial=-120)


def of_voice(sketches: list[Sketch], record: dict) -> Sketch:
    """The sketch of the voice that decides; `sketches`: of all that was heard, in order.

    The voices come last: a file that begins with one channel may be heard twice.
    """
    names = [voice["voice"] for voice in record["voices"]]
    return sketches[names.index(record["voice"]) - len(names)]


def shared_folder(paths: list[str]) -> str | None:
    """The innermost folder that holds all of `paths`; None where they lie on several drives."""
    try:
        return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    except ValueError:
        return None


def picture_path(target: Path, path: str, shared: str | None) -> Path:
    """The file for the picture of `path`: `target` if it names a picture, else a file below it.

    Folders below `shared`, the `shared_folder` of all recordings, are kept, and so are suffixes:
    no two pictures collide.
    """
    if target.suffix.lower() in PICTURE_SUFFIXES:
        return target
    whole = os.path.abspath(path)
    inside = whole.replace(":", "") if shared is None else os.path.relpath(whole, shared)
    return target / (inside.lstrip("\\/") + ".png")


def draw(file: Path, sketch: Sketch, record: dict) -> None:
    """Write the picture of a recording from its sketch and its record."""
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
        name = drawable(os.path.basename(record["file"]))
        if record.get("voice"):
            name += f" ({record['voice']})"
        figure.suptitle(f"{name}: {record['verdict'] or 'no verdict'}{score}")
        with atomic_write(file, "wb") as out:
            figure.savefig(out, format=file.suffix[1:].lower(), dpi=110)
    finally:
        pyplot.close(figure)


def _draw_wave(axis, sketch: Sketch) -> None:
    count = sketch.columns * PIECES
    low = sketch.low[:count] / 32768
    high = sketch.high[:count] / 32768
    times = np.linspace(0, sketch.end, count, endpoint=False)
    axis.fill_between(times, low, high, step="post", color="#35618f", linewidth=0.3)
    peak = max(0.02, float(max(-low.min(initial=0), high.max(initial=0))))
    axis.set_ylim(-1.1 * peak, 1.1 * peak)
    axis.set_ylabel("amplitude")
    axis.tick_params(labelbottom=False)


def _draw_spectrogram(axis, sketch: Sketch) -> None:
    if sketch.columns:
        axis.imshow(sketch.spectrogram_db().T, origin="lower", aspect="auto",
                    extent=(0, sketch.end, 0, SAMPLE_RATE / 2000),
                    vmin=-DYNAMIC_RANGE_DB, vmax=0, cmap="magma")
    axis.set_ylabel("kHz")
    axis.tick_params(labelbottom=False)


def _draw_scores(axis, record: dict) -> None:
    for speech, colour, label in ((True, "#9a9a9a", "window"),
                                  (False, "#d8d8d8", "window without speech, not counted")):
        windows = [window for window in record["windows"] if window["speech"] == speech]
        if windows:
            lines = [[window[name] for window in windows] for name in ("score", "start", "end")]
            axis.hlines(*lines, colour, lw=1, label=label)
    if record["band"]:
        axis.axhspan(*record["band"], color="#f0c96c", alpha=0.35, lw=0,
                     label="band of uncertainty")
    if record["threshold"] is not None:
        axis.axhline(record["threshold"], color="black", ls="--", lw=1, label="threshold")
    for outcome, lines in _timeline(record).items():
        axis.hlines(*zip(*lines), COLOURS[outcome], lw=3, label=outcome or "mean of the windows")
    axis.margins(y=0.2)
    axis.set_ylabel(f"{record['score_kind']}\n(up: bona fide)")
    axis.set_xlabel("seconds")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize="x-small", ncols=7,
                    frameon=False)


def _timeline(record: dict) -> dict[str | None, list[tuple[float, float, float]]]:
    """(score, start, end) of the recording's pieces by outcome; None without a threshold."""
    lines: dict[str | None, list] = {}
    if record["windows"]:
        edges, scores = segments([Window(**window) for window in record["windows"]])
        decision = None
        if record["threshold"] is not None:
            decision = Decision(record["threshold"], record["band"])
        for start, end, score in zip(edges, edges[1:], scores):
            if np.isfinite(score):
                outcome = decision.outcome(score) if decision else None
                lines.setdefault(outcome, []).append((score, start, end))
    return lines


def _draw_explanation(axis, explanation: dict) -> None:
    parts = explanation["times"] + explanation["bands"]
    names = ([f"{part['start']:.1f} s" for part in explanation["times"]]
             + [f"{part['low_hz'] / 1000:g} kHz" for part in explanation["bands"]])
    moved = [part["moved"] for part in parts]
    colours = ["#35618f" if value > 0 else "#a03030" for value in moved]
    axis.bar(range(len(parts)), moved, color=colours)
    axis.set_xticks(range(len(parts)), names, rotation=60, fontsize="x-small")
    axis.axhline(0, color="black", lw=0.6)
    axis.set_ylabel("moved the score\n(up: to bona fide)")
    axis.set_xlabel(f"parts of the window from {explanation['start']:.1f} to "
                    f"{explanation['end']:.1f} s, by their starts: first times, then frequency "
                    "bands (this shows what moved the score and proves nothing)", fontsize="small")
