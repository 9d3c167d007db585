"""What a recording from a pipe costs: CPU, and memory while it runs. Linux only.

    python tests/benchmarks/speed/bench_pipe.py --model best.onnx [--hours 6]

The examples are repeated through a pipe, as WAV of unknown length, faster than in real time.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import resource
import struct
import subprocess
import tempfile
from typing import BinaryIO

import numpy as np
import soundfile

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.arguments import rate
from utils.common.errors import run
from utils.common.files import ROOT
from utils.signals import SAMPLE_RATE

UNKNOWN = 0xFFFFFFFF    # the length that programs write which do not know it
SHARES = {"a tenth": 0.1, "half": 0.5}  # of the recording: there, memory is read


def header() -> bytes:
    """The header of a mono WAV of 16 bits whose length is not known."""
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    return (b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
            + b"data" + struct.pack("<I", UNKNOWN))


def resident_mb(process: int) -> float:
    """The memory that a process holds now."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def fed(pipe: BinaryIO, process: int, hours: float) -> list[float]:
    """Memory in MB at each of SHARES of a recording of `hours` hours, written to `pipe`."""
    files = sorted((ROOT / "data" / "examples").glob("*.flac"))
    clips = np.concatenate([soundfile.read(file, dtype="int16")[0] for file in files])
    count = round(hours * 3600 * SAMPLE_RATE / len(clips))
    marks = {round(share * count) for share in SHARES.values()}
    held = []
    pipe.write(header())
    for number in range(count):
        if number in marks:
            held.append(resident_mb(process))
        pipe.write(clips.tobytes())
    pipe.close()
    return held


def measure(model: Path, hours: float) -> Rows:
    """One row: memory on the way and at most, and CPU seconds."""
    script = ROOT / "utils" / "simplified_inference.py"
    command = [sys.executable, script, "--model", model, "--threads", "1", "--input_file", "-"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (tempfile.TemporaryFile() as out,
          subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out) as process):
        held = fed(process.stdin, process.pid, hours)
    if process.returncode:
        raise SystemExit(f"the verdict ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    on_the_way = {f"MB after {share}": f"{mb:.0f}" for share, mb in zip(SHARES, held)}
    return [{"model": f"{model.resolve().parent.name}/{model.name}", "hours": f"{hours:g}",
             "CPU seconds": f"{cpu:.0f}", **on_the_way,
             "peak MB": f"{after.ru_maxrss * 1024 / 1e6:.0f}"}]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="the model to measure")
    parser.add_argument("--hours", type=rate, default=6, help="length (default: %(default)s)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    publish("pipe-costs", measure(args.model, args.hours), args)
    return 0


if __name__ == "__main__":
    run(main)
