"""What scoring costs and finds: one file, and a long recording spliced from both classes, each in its own process.

Prints CPU seconds (start-up included), peak resident memory, and how well windows tell spoof from bona fide.
Run: python tests/benchmarks/bench_inference.py --model best.onnx [--store data/processed/eval] [--minutes 10]
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import json
import resource  # not on Windows
import subprocess
import tempfile

import numpy as np
import soundfile

from utils.signals import SAMPLE_RATE
from utils.store.reader import Store
from utils.metrics.metrics import eer
from utils.common.files import ROOT

TURN_SECONDS = (8, 25)  # of one class, before the other has its turn


def splice(store: Store, seconds: float, file: Path, seed: int = 1) -> list[tuple[float, float, str]]:
    """Write turns of bona fide and spoofed utterances of a store to `file`; their (start, end, key) in seconds."""
    generator, turns, samples = np.random.default_rng(seed), [], 0
    by_key = {key: [i for i, row in enumerate(store.rows) if row.labels.key == key] for key in ("bonafide", "spoof")}
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 1, "PCM_16") as out:
        while samples < seconds * SAMPLE_RATE:
            key, start = ("bonafide", "spoof")[len(turns) % 2], samples
            while samples - start < generator.integers(*TURN_SECONDS) * SAMPLE_RATE:
                wave = store.read(int(generator.choice(by_key[key])))
                out.write(wave)
                samples += len(wave)
            turns.append((start / SAMPLE_RATE, samples / SAMPLE_RATE, key))
    return turns


def measured(model: Path, file: Path) -> tuple[dict, float, int]:
    """The record of `file`, CPU seconds and the peak resident memory in MB of the process that made it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, ROOT / "utils" / "simplified_inference.py", "--model", model, "--input_file", file]
    done = subprocess.run([*command, "--json", "--threads", "1"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), cpu, after.ru_maxrss // (1024 if sys.platform == "linux" else 1024 ** 2)


def of_one_class(record: dict, turns: list[tuple[float, float, str]]) -> dict[str, np.ndarray]:
    """Scores of the speech windows that lie whole within one turn, by key."""
    return {key: np.array([window["score"] for window in record["windows"] if window["speech"] and any(
        start <= window["start"] and window["end"] <= end for start, end, turn in turns if turn == key)])
        for key in ("bonafide", "spoof")}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=ROOT / "data" / "processed" / "eval")
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    store = Store(args.store)
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(Path(folder, "one.wav"), store.read(0), SAMPLE_RATE)
        turns = splice(store, args.minutes * 60, Path(folder, "long.wav"))
        for name in ("one.wav", "long.wav"):  # the longer one last: the memory is the largest of all so far
            record, cpu, memory = measured(args.model, Path(folder, name))
            print(f"{record['seconds']:.1f} s of audio: {cpu:.2f} CPU s, {memory} MB")
    groups = of_one_class(record, turns)
    print(f"{len(turns)} turns, {len(groups['bonafide'])} bona fide and {len(groups['spoof'])} spoofed windows: "
          f"window-level EER {eer(groups['bonafide'], groups['spoof'])[0]:.1%}")


if __name__ == "__main__":
    main()
