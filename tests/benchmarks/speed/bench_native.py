"""What the native encoder saves: a window, and a verdict of ten seconds in a process of its own.

    python tests/benchmarks/speed/bench_native.py --conditions emerald-rapids-busy [--model M.onnx]

CPU seconds, one thread; windows of data/examples; medians. Each kind of kernel takes its turn.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import os
import resource  # not on Windows
import subprocess
import tempfile
from functools import partial

import numpy as np
import soundfile

from tests.benchmarks.results_files import Rows, add_output_options, publish
from tests.benchmarks.speed.bench_aasist import take_turns
from utils.common.errors import run
from utils.common.files import PRETRAINED_DIR, ROOT
from utils.detector.engines import Engine, load_engine
from utils.detector.scoring import heard, model_wave, raw_scores
from utils.signals import N_SAMPLES, SAMPLE_RATE
from utils.signals.windows import cut

KINDS = {"plain definition": "none", "AVX2": "avx2", "AVX-512": ""}     # of AASIST_NATIVE
SECONDS = 10
ROUNDS = 7


def examples() -> np.ndarray:
    """int16: the 16 kHz mono clips of data/examples, one after the other."""
    clips = [soundfile.read(path, dtype="int16")
             for path in sorted((ROOT / "data" / "examples").glob("*.flac"))]
    return np.concatenate([clip for clip, rate in clips if rate == SAMPLE_RATE and clip.ndim == 1])


def engine_of(model: Path, kind: str) -> Engine:
    """The engine of a kind of kernel, which is chosen while a model loads."""
    os.environ["AASIST_NATIVE"] = KINDS[kind]
    return load_engine(model, threads=1)


def verdict(model: Path, file: Path, kind: str) -> tuple[float, float]:
    """CPU seconds and peak MB of the process that judges `file`."""
    script = ROOT / "utils" / "simplified_inference.py"
    command = [sys.executable, script, "--model", model, "--input_file", file, "--threads", "1"]
    environment = os.environ | {"AASIST_NATIVE": KINDS[kind], "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, after.ru_maxrss / 1024


def measure(model: Path) -> Rows:
    """One row for each kind: ms per window, drift of the score, and what a verdict costs."""
    samples = examples()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ten.wav")
        soundfile.write(file, samples[:SECONDS * SAMPLE_RATE], SAMPLE_RATE)
        # First, while this process is small; and the kinds with less memory before the others:
        # the peak is that of all processes so far.
        costs = {kind: [verdict(model, file, kind) for _ in range(3)] for kind in reversed(KINDS)}
    engines = {kind: engine_of(model, kind) for kind in KINDS}
    first = engines["AVX-512"]
    waves = np.stack([model_wave(first, window)
                      for _, window in cut(heard(first, [samples]), N_SAMPLES)][:8])
    scores = {kind: raw_scores(engine, waves) for kind, engine in engines.items()}
    times = take_turns({kind: partial(engine.logits, waves[:1])
                        for kind, engine in engines.items()}, ROUNDS)
    return [{"kernel": kind, "ms per window": f"{1e3 * times[kind]:.0f}",
             "largest drift of a score":
                 f"{np.abs(scores[kind] - scores['plain definition']).max():.0e}",
             f"CPU seconds of a verdict of {SECONDS} s": f"{sorted(costs[kind])[1][0]:.2f}",
             "peak MB": f"{max(peak for _, peak in costs[kind]):.0f}"} for kind in KINDS]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write native-CONDITIONS.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=PRETRAINED_DIR / "detector.onnx",
                        help="an exported model with AASIST in it (default: the pretrained one)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    publish("native", measure(args.model), args)
    return 0


if __name__ == "__main__":
    run(main)
