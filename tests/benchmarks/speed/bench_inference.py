"""What a verdict costs: of one file, and of a long recording spliced from both classes.

    python tests/benchmarks/speed/bench_inference.py --model best.onnx [--store FOLDER]

Each runs in a process of its own. It measures CPU seconds, start-up included, and peak resident
memory. The EER over the windows of the long recording says how well the timeline tells spoofed
stretches from bona fide ones.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import json
import resource  # not on Windows
import subprocess
import tempfile

import numpy as np
import soundfile

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.arguments import rate
from utils.common.errors import run
from utils.common.files import ROOT
from utils.metrics.metrics import eer
from utils.signals import SAMPLE_RATE
from utils.store.reader import Store

TURN_SECONDS = (8, 25)  # of one class, before the other has its turn
KEYS = ("bonafide", "spoof")
MAXRSS_PER_MB = 1024 if sys.platform == "linux" else 1024 ** 2

Turn = tuple[float, float, str]     # start and end in seconds, key


def splice(store: Store, seconds: float, file: Path, seed: int = 1) -> list[Turn]:
    """Write turns of bona fide and spoofed utterances of a store to `file`; returns the turns."""
    generator = np.random.default_rng(seed)
    by_key = {key: [i for i, row in enumerate(store.rows) if row.labels.key == key] for key in KEYS}
    turns: list[Turn] = []
    samples = 0
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 1, "PCM_16") as out:
        while samples < seconds * SAMPLE_RATE:
            key = KEYS[len(turns) % 2]
            start = samples
            while samples - start < generator.integers(*TURN_SECONDS) * SAMPLE_RATE:
                wave = store.read(int(generator.choice(by_key[key])))
                out.write(wave)
                samples += len(wave)
            turns.append((start / SAMPLE_RATE, samples / SAMPLE_RATE, key))
    return turns


def measured(model: Path, file: Path) -> tuple[dict, float, int]:
    """The record of `file`, and CPU seconds and peak resident MB of the process that made it."""
    script = ROOT / "utils" / "simplified_inference.py"
    command = [sys.executable, script, "--model", model, "--input_file", file, "--json",
               "--threads", "1"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), cpu, after.ru_maxrss // MAXRSS_PER_MB


def window_eer(record: dict, turns: list[Turn]) -> float:
    """EER over the speech windows that lie whole within one turn."""
    scores: dict[str, list[float]] = {key: [] for key in KEYS}
    for window in record["windows"]:
        inside = [key for start, end, key in turns
                  if start <= window["start"] and window["end"] <= end]
        if window["speech"] and inside:
            scores[inside[0]].append(window["score"])
    return eer(*(np.array(scores[key]) for key in KEYS))[0]


def measure(model: Path, store: Store, minutes: float) -> Rows:
    """One row for a single utterance, one for the spliced recording."""
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder, "one.wav")
        spliced = Path(folder, "long.wav")
        soundfile.write(single, store.read(0), SAMPLE_RATE)
        turns = splice(store, minutes * 60, spliced)
        rows = []
        # The longer one comes last: the memory is the largest of all processes so far.
        files = {"one utterance": single, f"spliced recording, {len(turns)} turns": spliced}
        for name, file in files.items():
            record, cpu, memory = measured(model, file)
            rows.append({"what": name, "seconds of audio": f"{record['seconds']:.1f}",
                         "CPU seconds": f"{cpu:.2f}", "peak MB": str(memory), "window EER %": ""})
    rows[-1]["window EER %"] = f"{100 * window_eer(record, turns):.1f}"
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="the model to measure")
    parser.add_argument("--store", type=Path, default=ROOT / "data" / "processed" / "eval",
                        help="store that the recordings come from (default: data/processed/eval)")
    parser.add_argument("--minutes", type=rate, default=10,
                        help="length of the long one (default: 10)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    publish("inference-costs", measure(args.model, Store(args.store), args.minutes), args)
    return 0


if __name__ == "__main__":
    run(main)
