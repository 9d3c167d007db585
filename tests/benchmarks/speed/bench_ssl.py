"""What a published detector of true size costs, with random weights: every step, and a window.

    python tests/benchmarks/speed/bench_ssl.py --folder WORK [--part fit --utterances 500]

The file has the names and shapes of XLS-R + AASIST. It is imported, exported in 32 and 8 bits,
calibrated, and judges a recording, each in a process of its own. `--part fit`: a linear layer is
fitted over 12 blocks of the same encoder; that run is killed in the middle and repeated.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import os
import signal
import subprocess
import time

from tests.benchmarks.results_files import Rows, add_output_options, publish
from tests.helpers.tiny_stores import tiny_stores
from utils.common.arguments import positive
from utils.common.errors import run
from utils.common.files import ROOT

MAXRSS_PER_MB = 1024 if sys.platform == "linux" else 1024 ** 2
# In a process of its own: a child's peak memory counts from that of its parent.
MAKE = """
import sys
import torch
sys.path[0] = sys.argv[1]
from tests.helpers.networks import published_ssl as made
shapes = (made.encoder_shapes(**made.XLSR_300M) if sys.argv[3] == "encoder"
          else made.detector_shapes("xlsr-aasist", made.XLSR_300M))
weights = made.random_weights(shapes)
torch.save({"model": weights} if sys.argv[3] == "encoder" else weights, sys.argv[2])
"""
WINDOW = """
import sys, time
import numpy as np
from pathlib import Path
sys.path[0] = sys.argv[1]
from utils.detector.engines import load_engine
engine = load_engine(Path(sys.argv[2]), threads=1)
print(time.process_time())
waves = np.random.default_rng(0).standard_normal((1, 64600)).astype(np.float32) / 10
for _ in range(5):
    engine.logits(waves)
    print(time.process_time())
"""


def measured(*command: object, kill_when: Path | None = None) -> tuple[float, int, str]:
    """CPU seconds, peak MB and output of a process; killed once the file `kill_when` has grown."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE,
                               text=True, cwd=ROOT, env=environment)
    while kill_when is not None and started.poll() is None:
        time.sleep(1)
        if kill_when.is_dir() and any(file.stat().st_size for file in kill_when.iterdir()):
            time.sleep(20)
            started.send_signal(signal.SIGKILL)
            break
    output = started.stdout.read()
    _, status, usage = os.wait4(started.pid, 0)
    if status and kill_when is None:
        raise RuntimeError(f"{command} ended with {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // MAXRSS_PER_MB, output


def row(what: str, cpu: float, memory: int | str, megabytes: float | str = "") -> dict[str, str]:
    """A row of the table."""
    size = f"{megabytes:.0f}" if megabytes else ""
    return {"what": what, "CPU seconds": f"{cpu:.2f}", "peak MB": str(memory), "file MB": size}


def steps(folder: Path) -> Rows:
    """Import, both exports, calibration in 8 bits and a verdict."""
    published, whole, small = (folder / name for name in ("LA_model.pth", "la.pt", "la8.onnx"))
    measured("-c", MAKE, ROOT, published, "detector")
    data = tiny_stores(folder / "calibrate", {"dev": 40})
    recording = ROOT / "data/examples/fake_kokoro_en.flac"
    commands = {
        "import": ("utils/import_weights.py", "--weights", published, "--architecture",
                   "xlsr-aasist", "--output", whole),
        "export": ("utils/export_model.py", "--model", whole),
        "export in 8 bits": ("utils/export_model.py", "--model", whole, "--int8", "--output",
                             small),
        "calibration on 40 utterances": ("utils/calibrate_model.py", "--model", small,
                                         "--data_dir", data, "--threads", 1),
        "verdict on 4.5 s": ("utils/simplified_inference.py", "--model", small, "--input_file",
                             recording, "--threads", 1)}
    rows = []
    for what, command in commands.items():
        try:
            cpu, memory, _ = measured(*command)
        except RuntimeError:
            if "calibration" not in what:   # random scores may point the wrong way
                raise
            continue
        rows.append(row(what, cpu, memory))
    sizes = {"32 bits": [whole.with_suffix(".onnx"), folder / "la.onnx.data"], "8 bits": [small]}
    return rows + [window(name, files) for name, files in sizes.items()]


def window(name: str, files: list[Path]) -> dict[str, str]:
    """The row of a window of 4.04 s, the best of five; the start-up is in its name."""
    _, memory, output = measured("-c", WINDOW, ROOT, files[0])
    times = [float(line) for line in output.split()]
    best = min(after - before for before, after in zip(times, times[1:]))
    size = sum(file.stat().st_size for file in files) / 1e6
    return row(f"one window of 4.04 s, {name} (start-up {times[0]:.1f} s)", best, memory, size)


def head(folder: Path, utterances: int) -> Rows:
    """The closed form over 12 of 24 blocks, killed in the middle, and repeated."""
    encoder = folder / "xlsr2_300m.pt"
    measured("-c", MAKE, ROOT, encoder, "encoder")
    data = tiny_stores(folder / "fit", {"train": utterances, "dev": 40, "eval": 40})
    command = ("notebooks/aasist_training.py", "--architecture", "ssl", "--encoder", encoder,
               "--data_dir", data, "--checkpoint_dir", folder / "runs", "--results_dir",
               folder / "results", "--run_name", "head", "--resume")
    kept = folder / "runs" / ".statistics"
    killed, memory, _ = measured(*command, kill_when=kept)
    first = row("closed form over 12 of 24 blocks, killed", killed, memory)
    cpu, memory, _ = measured(*command)
    size = sum(file.stat().st_size for file in kept.iterdir()) / 1e6
    name = f"the same command again: {utterances} utterances, dev, export"
    again, lower, _ = measured(*command[:-2], "other", "--ridge", "0.1")
    return [first, row(name, cpu, memory, size),
            row("another run with another --ridge", again, lower)]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True,
                        help="an empty folder for about 7 GB of files")
    parser.add_argument("--part", choices=["steps", "fit"], default="steps",
                        help="what to measure (default: steps)")
    parser.add_argument("--utterances", type=positive, default=500,
                        help="training utterances of the closed form (default: 500)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.part == "steps":
        publish("ssl-costs", steps(args.folder), args)
    else:
        publish("ssl-fit", head(args.folder, args.utterances), args)
    return 0


if __name__ == "__main__":
    run(main)
