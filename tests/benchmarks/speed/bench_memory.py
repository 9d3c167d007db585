"""Measure the peak memory of training against network, batch size and loading processes (Linux).

    python tests/benchmarks/speed/bench_memory.py --conditions zen5-busy

Each row is one epoch of two batches of whole crops (4.04 s), with dev scoring and export, in a
process of its own, which frees memory as with less than 8 GB available. Memory is the proportional
set size of the process and those that it starts.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import subprocess
import tempfile
import time

from tests.benchmarks.results_files import VERSION, add_output_options, publish, read_rows
from tests.helpers.tiny_stores import tiny_stores
from utils.common.errors import InputError, run
from utils.common.files import ROOT

SIZES = {"small": (8, 16, 32), "lcnn": (8, 16, 32), "aasist-l": (2, 4, 8), "aasist": (2, 4, 8)}
WORKERS = ("small", 16, 2)      # one row with loading processes
EVERY = 0.3     # seconds between two looks at the memory
SHORT_OF_MEMORY = """
import sys
sys.path[0] = sys.argv.pop(1)
from utils.common import allocator
allocator.ROOMY = float("inf")
from notebooks.aasist_training import main
sys.exit(main(sys.argv[1:]))
"""


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        threads = Path(f"/proc/{pid}/task").iterdir()
        children = {int(child) for thread in threads
                    for child in (thread / "children").read_text().split()}
    except OSError:         # it has ended
        return []
    return [pid, *(found for child in children for found in tree(child))]


def megabytes(pid: int) -> float:
    """The proportional set size of a process, in MB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def peak(folder: Path, name: str, batch: int, workers: int) -> float:
    """The peak memory in MB of a short training of this network."""
    data = tiny_stores(folder / f"data{batch}", {"train": 2 * batch, "dev": 4, "eval": 4})
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(ROOT), "--architecture", name,
               "--epochs", "1", "--batch_size", str(batch), "--num_workers", str(workers),
               "--data_dir", str(data), "--checkpoint_dir", str(folder / "c"), "--results_dir",
               str(folder / "r")]
    training = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    most = 0.0
    while training.poll() is None:
        most = max(most, sum(map(megabytes, tree(training.pid))))
        time.sleep(EVERY)
    if training.returncode:
        raise InputError(f"training {name} failed: {training.stderr.read().decode()[-300:]}")
    return most


def main(argv: list[str] | None = None) -> int:
    """Measure all rows and write training-memory-CONDITIONS.csv."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output_options(parser)
    parser.add_argument("--networks", nargs="+", choices=SIZES, default=list(SIZES),
                        help="measure these alone; the file's rows of others stay")
    args = parser.parse_args(argv)
    wanted = [(name, batch, 0) for name in args.networks for batch in SIZES[name]]
    if "small" in args.networks:
        wanted.append(WORKERS)
    path = args.output / f"training-memory-{args.conditions}.csv"
    rows = [{name: cell for name, cell in row.items() if name != VERSION}
            for row in (read_rows(path) if path.is_file() else [])
            if row["network"] not in args.networks]
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, batch, workers) in enumerate(wanted):
            most = peak(Path(folder) / str(number), name, batch, workers)
            print(f"{name}, batch of {batch}, {workers} workers: {most:.0f} MB", flush=True)
            rows.append({"network": name, "batch size": str(batch), "workers": str(workers),
                         "MB": f"{most:.0f}"})
    publish("training-memory", rows, args)
    return 0


if __name__ == "__main__":
    run(main)
