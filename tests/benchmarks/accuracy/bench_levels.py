"""How far gain, offset, hum and drift move a verdict.

    python tests/benchmarks/accuracy/bench_levels.py \
        --model detector.onnx --clips POOL --where split=dev

It draws 24 real and 24 synthetic clips by seed from a folder with a trials.tsv. Each clip, and
each changed clip, is written as a WAV file of 16 bits, or 24 if the change says so, and judged from
that file. Nothing clips: before
something is added, a clip is 3 dB softer. One row per change: the mean and the largest change of
the score, how many verdicts change, and how many go from likely spoof to likely bona fide or back.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import csv
import io
from collections.abc import Callable

import numpy as np
import soundfile

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.errors import InputError, run
from utils.detector.decision import BONAFIDE, SPOOF
from utils.detector.detector import Detector
from utils.signals import SAMPLE_RATE

OF_EACH_CLASS = 24
ROOM = 10 ** (-3 / 20)      # gain before something is added
Change = Callable[[np.ndarray], np.ndarray]


def _gain(decibels: float) -> Change:
    return lambda wave: wave * 10 ** (decibels / 20)


def _offset(height: float) -> Change:
    return lambda wave: wave * ROOM + height


def _tone(hertz: float, height: float) -> Change:
    def added(wave: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * hertz / SAMPLE_RATE * np.arange(len(wave))
        return wave * ROOM + height * np.sin(angle)
    return added


CHANGES: dict[str, Change] = {
    **{f"gain {level} dB": _gain(level) for level in (-6, -12, -20, -30, -40)},
    **{f"gain {level} dB, 24 bits": _gain(level) for level in (-20, -40)},
    **{f"offset {height}": _offset(height) for height in (0.01, 0.05, 0.1, 0.2)},
    **{f"hum, {hertz} Hz, {height}": _tone(hertz, height)
       for hertz in (50, 60) for height in (0.01, 0.03)},
    "drift, 4 Hz, 0.05": _tone(4, 0.05)}


def chosen(folder: Path, where: str, seed: int) -> dict[str, list[Path]]:
    """24 files of each class, drawn by seed from the rows of trials.tsv with COLUMN=VALUE."""
    with open(folder / "trials.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    column, _, value = where.partition("=")
    if column not in rows[0]:
        raise InputError(f"{folder / 'trials.tsv'} has no column {column}: correct --where")
    rows = [row for row in rows if row[column] == value]
    rng = np.random.default_rng(seed)
    drawn = {}
    for key in ("bonafide", "spoof"):
        names = sorted(row["utterance"] for row in rows if row["key"] == key)
        if len(names) < OF_EACH_CLASS:
            raise InputError(f"{folder / 'trials.tsv'} has {len(names)} {key} clips where {where}: "
                             f"name a folder with {OF_EACH_CLASS}")
        picked = rng.choice(names, OF_EACH_CLASS, replace=False)
        drawn[key] = [folder / f"{Path(name).stem}.flac" for name in picked]
    return drawn


def record_of(detector: Detector, wave: np.ndarray, bits: int = 16) -> dict:
    """The record of a wave (n,) in [-1, 1], judged as a WAV file of so many bits."""
    if np.abs(wave).max() >= 1:
        raise InputError("a changed clip reaches full scale: take clips with lower peaks")
    file = io.BytesIO()
    soundfile.write(file, wave, SAMPLE_RATE, format="WAV", subtype=f"PCM_{bits}")
    return detector.judge(file.getvalue())


def judged(detector: Detector, wave: np.ndarray, bits: int = 16) -> tuple[float, str]:
    """Score (NaN without one) and verdict of a wave, as `record_of`."""
    found = record_of(detector, wave, bits)
    score = found["score"]
    return float("nan") if score is None else score, found["verdict"]


def measure(detector: Detector, clips: dict[str, list[Path]],
            changes: dict[str, Change] = CHANGES) -> Rows:
    """A row for each of `changes`; a clip that cannot be judged counts as another verdict."""
    waves = [soundfile.read(file)[0] for files in clips.values() for file in files]
    before = [judged(detector, wave) for wave in waves]
    rows = []
    for name, change in changes.items():
        bits = 24 if "24 bits" in name else 16
        after = [judged(detector, change(wave), bits) for wave in waves]
        moved = np.abs([new[0] - old[0] for old, new in zip(before, after)])
        verdicts = [(old[1], new[1]) for old, new in zip(before, after)]
        rows.append({"change": name, "clips": str(len(waves)),
                     "mean change of the score": f"{np.nanmean(moved):.3f}",
                     "largest": f"{np.nanmax(moved):.2f}",
                     "other verdict": str(sum(old != new for old, new in verdicts)),
                     "likely spoof to likely bona fide or back":
                         str(sum({old, new} == {SPOOF, BONAFIDE} for old, new in verdicts))})
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a checkpoint or exported model")
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER",
                        help="16 kHz mono FLAC files and trials.tsv (columns utterance, key)")
    parser.add_argument("--where", required=True, metavar="COLUMN=VALUE",
                        help="which rows of trials.tsv")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: 1)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    detector = Detector.load(args.model, threads=1)
    clips = chosen(args.clips, args.where, args.seed)
    publish("levels", measure(detector, clips), args)
    return 0


if __name__ == "__main__":
    run(main)
