"""Wall-clock time of the steps in one process and in two under torchrun, one thread each.

    python tests/benchmarks/scale/bench_processes.py --work_dir DIR [--steps STEP ...]

The corpus has the shape of ASVspoof5 with speech of real lengths (`corpus.py`), 15,000
utterances of it. The start of Python counts, so longer runs gain more. Nothing else may run.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import os
import shutil
import subprocess
import time

from tests.benchmarks.results_files import (add_output_options, among_earlier, publish,
                                            results_path)
from tests.benchmarks.scale.corpus import KEYS, build
from utils.common.arguments import positive
from utils.common.errors import InputError, run
from utils.common.files import ROOT

LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def seconds(processes: int, command: list[str]) -> float:
    """The wall-clock time of a script that must succeed, alone or in several processes."""
    launcher = [*LAUNCHER, str(processes)] if processes > 1 else []
    started = time.monotonic()
    done = subprocess.run([sys.executable, *launcher, *command], capture_output=True, text=True,
                          env=ONE_THREAD)
    if done.returncode:
        raise InputError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")
    return time.monotonic() - started


def prepared(home: Path, count: int) -> Path:
    """A model to evaluate, beside a prepared and preprocessed corpus; they are made once."""
    if not (home / KEYS).is_file():
        build(home, count, real_share=1.0)
    if not (home / "protocols" / "corpus.json").is_file():
        seconds(1, [str(ROOT / "utils" / "prepare_dataset.py"), "--data_dir", str(home)])
    if not (home / "best.onnx").is_file():
        from tests.helpers.networks.scoring_models import write_small_model      # imports torch
        write_small_model(home)
    return home / "best.onnx"


def commands(home: Path, model: Path) -> dict[str, list[str]]:
    """The scripts by step; all write anew."""
    data = ["--data_dir", str(home)]
    out = ["--checkpoint_dir", str(home / "runs"), "--results_dir", str(home / "results")]
    return {
        "preprocess": ["utils/preprocess_data.py", *data, "--low_memory", "--force"],
        "evaluate": ["utils/evaluate_model.py", *data, "--model", str(model), "--threads", "1",
                     "--subset", "dev", "--output", str(home / "results")],
        "train": ["notebooks/aasist_training.py", *data, *out, "--small_model", "--epochs", "2",
                  "--max_samples", "600", "--balance", "none", "--num_workers", "0"]}


def compared(step: str, command: list[str], home: Path) -> dict[str, str]:
    """The row of one step."""
    script = [str(ROOT / command[0]), *command[1:]]
    times = []
    for processes in (1, 2):
        shutil.rmtree(home / "runs", ignore_errors=True)
        times.append(seconds(processes, script))
    return {"step": step, "one process s": f"{times[0]:.1f}", "two processes s": f"{times[1]:.1f}",
            "times as fast": f"{times[0] / times[1]:.2f}"}


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table; rows of steps not named stay."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True, help="folder on a real disk")
    parser.add_argument("--count", type=positive, default=15_000,
                        help="utterances (default: 15000)")
    parser.add_argument("--steps", nargs="+", default=["preprocess", "evaluate", "train"],
                        help="default: preprocess evaluate train")
    add_output_options(parser)
    args = parser.parse_args(argv)
    home = args.work_dir / "real"
    every = commands(home, prepared(home, args.count))
    rows = [compared(step, every[step], home) for step in args.steps]
    publish("processes", among_earlier(rows, results_path("processes", args), ("step",)), args)
    return 0


if __name__ == "__main__":
    run(main)
