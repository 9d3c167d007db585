"""What published detectors of true size cost, with random weights: every step, and a window.

    python tests/benchmarks/speed/bench_ssl.py --folder WORK [--detectors xlsr-sls,xlsr-1b]
        [--data_dir data --conditions default-corpus-busy]
    python tests/benchmarks/speed/bench_ssl.py --folder WORK --part fit [--data_dir data]

A file with the names and shapes of a released one is imported, exported in 32 and 8 bits,
calibrated, judges a recording and is evaluated, each in a process of its own. Calibration reads
`dev` of the data and evaluation `eval`; without data both read crops of the example clips. Where
random scores point the wrong way, the two outputs change places and all is done again.
`--part fit`: a linear layer is fitted over 12 blocks of XLS-R 300M; that run is killed in the
middle and repeated.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable

from models.encoder import N_STATISTICS
from tests.benchmarks.results_files import VERSION, Rows, add_output_options, publish, read_rows
from tests.helpers.networks import published_ssl as made
from tests.helpers.tiny_stores import tiny_stores
from utils.common.arguments import positive
from utils.common.errors import run
from utils.common.files import ROOT

DEV = 40
MAXRSS_PER_MB = 1024 if sys.platform == "linux" else 1024 ** 2
DETECTORS = {       # the family, and the size of its encoder in tests/helpers
    "xlsr-aasist": ("xlsr-aasist", "LARGE"), "xlsr-sls": ("xlsr-sls", "LARGE"),
    "wav2vec-small": ("antideepfake", "BASE"), "mms-300m": ("antideepfake", "LARGE"),
    "xlsr-1b": ("antideepfake", "XLSR_1B"), "xlsr-2b": ("antideepfake", "XLSR_2B")}
OUTPUTS = {"xlsr-aasist": "out_layer", "xlsr-sls": "fc3", "antideepfake": "proj_fc"}
TURNED = "higher scores are not more bona fide"     # what calibration says of such random weights
Commands = dict[str, tuple]
# In a process of its own: a child's peak memory counts from that of its parent.
MAKE = """
import sys
import torch
sys.path[0] = sys.argv[1]
from tests.helpers.networks import published_ssl as made
family, size = sys.argv[3], getattr(made, sys.argv[4])
shapes = (made.encoder_shapes(**size) if family == "encoder"
          else made.detector_shapes(family, size))
weights = made.random_weights(shapes)
for name in sys.argv[5:]:
    weights[name] = weights[name].flip(0)
torch.save({"model": weights} if family == "encoder" else weights, sys.argv[2])
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


def measured(*command: object, kill_when: Callable[[], bool] | None = None,
             ) -> tuple[float, int, str]:
    """CPU seconds, peak MB and output of a process; killed as soon as `kill_when` holds.

    `RuntimeError` with what the process said if it fails.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    said = tempfile.TemporaryFile("w+")
    started = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE,
                               stderr=said, text=True, cwd=ROOT, env=environment)
    while kill_when is not None and started.poll() is None:
        time.sleep(1)
        if kill_when():
            started.send_signal(signal.SIGKILL)
            break
    output = started.stdout.read()
    _, status, usage = os.wait4(started.pid, 0)
    if status and kill_when is None:
        said.seek(0)
        raise RuntimeError(f"{command} ended with {status}: {said.read()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // MAXRSS_PER_MB, output


def making(family: str, folder: Path) -> Commands:
    """The steps from a published file to both exports."""
    whole = folder / "d.pt"
    return {
        "import": ("utils/import_weights.py", "--weights", folder / "published.pth",
                   "--architecture", family, "--output", whole),
        "export": ("utils/export_model.py", "--model", whole),
        "export, 8 bits": ("utils/export_model.py", "--model", whole, "--int8", "--output",
                           folder / "d8.onnx")}


def using(folder: Path, data: Path) -> Commands:
    """What is done with the export in 8 bits, on prepared data."""
    model = ("--model", folder / "d8.onnx", "--threads", 1, "--data_dir", data)
    subset = "eval" if clips(data, "eval") else "dev"
    return {
        f"calibration, {clips(data, 'dev')} clips": ("utils/calibrate_model.py", *model),
        f"evaluation, {clips(data, subset)} clips": (
            "utils/evaluate_model.py", *model, "--subset", subset, "--output",
            folder / "evaluated", "--published_protocol"),
        "verdict": ("utils/simplified_inference.py", *model[:4], "--input_file",
                    ROOT / "data/examples/fake_kokoro_en.flac")}


def clips(data: Path, subset: str) -> int:
    """The number of utterances in a store; 0 where there is none."""
    index = data / "processed" / subset / "index.tsv"
    return len(index.read_text().splitlines()) - 1 if index.exists() else 0


def costs(name: str, folder: Path, data: Path | None = None) -> dict[str, str]:
    """The row of a detector: CPU seconds of each step, peak memory, and sizes of the files."""
    family, size = DETECTORS[name]
    folder.mkdir(exist_ok=True)
    make = ("-c", MAKE, ROOT, folder / "published.pth", family, size)
    data = data or tiny_stores(folder, {"dev": DEV})
    measured(*make)
    try:
        steps = all_steps(folder, data)
    except RuntimeError as error:
        if TURNED not in str(error):
            raise
        measured(*make, *(f"{OUTPUTS[family]}.{part}" for part in ("weight", "bias")))
        steps = all_steps(folder, data)
    exports = [memory for step, (_, memory, _) in steps.items() if "export" in step]
    row = {"detector": name} | {step: f"{cpu:.1f}" for step, (cpu, *_) in steps.items()}
    row |= {"peak MB, import": str(steps["import"][1]), "peak MB, export": str(max(exports)),
            "peak MB, verdict in 8 bits": str(steps["verdict"][1])}
    for bits, file in ((32, "d.onnx"), (8, "d8.onnx")):
        row |= {f"{what}, {bits} bits": value for what, value in opened(folder / file).items()}
        row[f"file MB, {bits} bits"] = f"{bytes_in(folder, f'{file}*') / 1e6:.0f}"
    shutil.rmtree(folder)
    return row


def all_steps(folder: Path, data: Path) -> dict[str, tuple[float, int, str]]:
    """CPU seconds, peak MB and output of every step of the detector in `folder`."""
    commands = making(DETECTORS[folder.name][0], folder) | using(folder, data)
    return {step: measured(*command) for step, command in commands.items()}


def opened(model: Path) -> dict[str, str]:
    """CPU seconds of the start and of a window of 4.04 s, the best of five; the peak MB."""
    _, memory, output = measured("-c", WINDOW, ROOT, model)
    times = [float(line) for line in output.split()]
    return {"start-up": f"{times[0]:.2f}",
            "window": f"{min(after - before for before, after in zip(times, times[1:])):.2f}",
            "peak MB": str(memory)}


def head(folder: Path, data: Path | None, utterances: int) -> Rows:
    """The closed form over 12 of 24 blocks, killed in the middle, and repeated."""
    encoder = folder / "xlsr2_300m.pt"
    measured("-c", MAKE, ROOT, encoder, "encoder", "LARGE")
    data = data or tiny_stores(folder, {"train": utterances, "dev": DEV, "eval": DEV})
    command = ("notebooks/aasist_training.py", "--architecture", "ssl", "--encoder", encoder,
               "--data_dir", data, "--max_samples", utterances, "--checkpoint_dir",
               folder / "runs", "--results_dir", folder / "results", "--run_name", "head",
               "--resume")
    kept = folder / "runs" / ".statistics"
    half = utterances * 4 * made.LARGE["width"] * N_STATISTICS // 2
    killed, memory, _ = measured(*command, kill_when=lambda: bytes_in(kept) > half)
    first = costs_row("closed form over 12 of 24 blocks, killed in the middle", killed, memory)
    cpu, memory, _ = measured(*command)
    name = f"the same command again: {utterances} utterances, dev, export"
    again, lower, _ = measured(*command[:-2], "other", "--ridge", "0.1")
    return [first, costs_row(name, cpu, memory, bytes_in(kept)),
            costs_row("another run with another --ridge", again, lower)]


def bytes_in(folder: Path, names: str = "*") -> int:
    """The size of the files in a folder, which may be missing."""
    return sum(file.stat().st_size for file in folder.glob(names))


def costs_row(what: str, cpu: float, memory: int, size: int = 0) -> dict[str, str]:
    """A row of the table of the fit."""
    return {"what": what, "CPU seconds": f"{cpu:.2f}", "peak MB": str(memory),
            "file MB": f"{size / 1e6:.0f}" if size else ""}


def publish_beside(table: str, rows: Rows, args: argparse.Namespace) -> None:
    """As `publish`, but the rows of other detectors in the file stay, in the columns of `rows`."""
    path = args.output / f"{table}-{args.conditions}.csv"
    others = {row["detector"]: {name: row.get(name, "") for name in (*rows[0], VERSION)}
              for row in (read_rows(path) if path.exists() else [])}
    new = others | {row["detector"]: row for row in rows}
    publish(table, [new[name] for name in DETECTORS if name in new], args)


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True,
                        help="an empty folder: 7 GB for 300 million weights, 30 GB for two billion")
    parser.add_argument("--part", choices=["steps", "fit"], default="steps",
                        help="what to measure (default: steps)")
    parser.add_argument("--detectors", default="xlsr-aasist,xlsr-sls,wav2vec-small,mms-300m",
                        help=f"some of {', '.join(DETECTORS)} (default: %(default)s)")
    parser.add_argument("--data_dir", type=Path,
                        help="prepared data (default: crops of the example clips)")
    parser.add_argument("--utterances", type=positive, default=500,
                        help="training utterances of the fit (default: 500)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.part == "fit":
        publish("ssl-fit", head(args.folder, args.data_dir, args.utterances), args)
        return 0
    for name in args.detectors.split(","):
        publish_beside("ssl-costs", [costs(name, args.folder / name, args.data_dir)], args)
    return 0


if __name__ == "__main__":
    run(main)
