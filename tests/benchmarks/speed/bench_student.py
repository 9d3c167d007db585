"""What the pretrained models cost: their files, a window, and a second of audio in a folder.

    python tests/benchmarks/speed/bench_student.py --clips FOLDER --limit 60

Each folder run is a process of its own, on one thread; its CPU seconds hold start-up and decoding.
Windows are timed alone, in turns: the median of ROUNDS.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import resource  # not on Windows
import subprocess
import time

import numpy as np
import soundfile

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.arguments import positive
from utils.common.errors import InputError, run
from utils.common.files import ROOT
from utils.detector.engines import PRETRAINED, STUDENT, load_engine

ROUNDS = 20
MODELS = {"pretrained model": PRETRAINED, "student (--fast)": STUDENT}


def window_ms() -> dict[str, float]:
    """CPU milliseconds of one window of each model, which take turns."""
    engines = {name: load_engine(path, threads=1) for name, path in MODELS.items()}
    wave = np.random.default_rng(0).standard_normal((1, 64600)).astype(np.float32) * 0.05
    spent = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            started = time.process_time()
            engine.logits(wave)
            spent[name].append(time.process_time() - started)
    return {name: 1000 * float(np.median(times)) for name, times in spent.items()}


def folder_seconds(model: Path, clips: list[Path]) -> float:
    """CPU seconds of a process that judges `clips`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, ROOT / "utils" / "simplified_inference.py", "--model", model,
                    "--threads", "1", "--json", "--input_file", *clips], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(clips: list[Path]) -> Rows:
    """A row for each model."""
    audio = sum(soundfile.info(clip).duration for clip in clips)
    windows = window_ms()
    return [{"model": name, "MB": f"{path.stat().st_size / 1e6:.2f}",
             "CPU ms per window": f"{windows[name]:.1f}", "clips": str(len(clips)),
             "seconds of audio": f"{audio:.0f}",
             "CPU s per second of audio": f"{folder_seconds(path, clips) / audio:.3f}"}
            for name, path in MODELS.items()]


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER",
                        help="a folder with FLAC files")
    parser.add_argument("--limit", type=positive, default=60, help="of files (default: 60)")
    add_output_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    args = build_parser().parse_args(argv)
    clips = sorted(args.clips.glob("*.flac"))[:args.limit]
    if not clips:
        raise InputError(f"{args.clips} holds no FLAC file: name another folder")
    publish("student-costs", measure(clips), args)
    return 0


if __name__ == "__main__":
    run(main)
