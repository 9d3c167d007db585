"""What more threads gain: windows of data/examples, scored by one thread and by several.

    python tests/benchmarks/speed/bench_threads.py --conditions xeon-quiet [--models M.onnx ...]

Seconds by the clock; medians; one and several threads take turns.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import time
from functools import partial

import numpy as np

from tests.benchmarks.results_files import Rows, add_output_options, publish
from tests.benchmarks.speed.bench_aasist import take_turns
from tests.benchmarks.speed.bench_native import examples
from utils.common.arguments import positive
from utils.common.errors import run
from utils.detector.engines import PRETRAINED, STUDENT, load_engine
from utils.detector.scoring import heard, model_wave, raw_scores
from utils.signals import N_SAMPLES
from utils.signals.windows import cut

WINDOWS = 16
ROUNDS = 5


def measure(model: Path, threads: int) -> Rows:
    """A row for one model: ms per window by the clock on one thread and on several."""
    engines = {number: load_engine(model, threads=number) for number in (1, threads)}
    waves = np.stack([model_wave(engines[1], window) for _, window
                      in cut(heard(engines[1], [examples()]), N_SAMPLES)][:WINDOWS])
    alone, together = (raw_scores(engine, waves) for engine in engines.values())
    times = take_turns({number: partial(engine.logits, waves)
                        for number, engine in engines.items()}, ROUNDS, time.perf_counter)
    one, several = (1e3 * times[number] / len(waves) for number in (1, threads))
    return [{"model": model.name, "threads": str(threads),
             "ms per window, one thread": f"{one:.1f}",
             "ms per window, all of them": f"{several:.1f}",
             "times as fast": f"{one / several:.2f}",
             "largest change of a score": f"{np.abs(alone - together).max():.0e}"}]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write threads-CONDITIONS.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, nargs="+", default=[PRETRAINED, STUDENT],
                        help="exported models (default: both pretrained ones)")
    parser.add_argument("--threads", type=positive, default=2, help="default: 2")
    add_output_options(parser)
    args = parser.parse_args(argv)
    publish("threads", [row for model in args.models for row in measure(model, args.threads)], args)
    return 0


if __name__ == "__main__":
    run(main)
