"""CPU time of the metrics at the size of ASVspoof 5's eval set, beside scikit-learn's roc_curve.

    python tests/benchmarks/speed/bench_metrics.py
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import roc_curve

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.errors import run
from utils.metrics import metrics

N_BONAFIDE = 138_688    # ASVspoof 5, eval, track 1
N_SPOOF = 542_086
MEASURED = {"det_curve": metrics.det_curve, "eer": metrics.eer,
            "min_dcf": lambda *groups: metrics.min_dcf(metrics.det_curve(*groups)),
            "act_dcf": metrics.act_dcf, "cllr": metrics.cllr, "auc": metrics.auc,
            "min_tdcf": lambda *groups: metrics.min_tdcf(metrics.det_curve(*groups))}


def fastest(function: Callable[[], object], repeats: int = 7) -> float:
    """CPU seconds of the fastest of `repeats` calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def measure() -> Rows:
    """CPU seconds of each function, and their ratio to roc_curve's."""
    rng = np.random.default_rng(0)
    bonafide = rng.normal(1.5, 2, N_BONAFIDE)
    spoof = rng.normal(-1.5, 2, N_SPOOF)
    labels = np.repeat([1, 0], [N_BONAFIDE, N_SPOOF])
    baseline = fastest(partial(roc_curve, labels, np.concatenate([bonafide, spoof])))
    times = {"sklearn roc_curve": baseline} | {
        name: fastest(partial(function, bonafide, spoof)) for name, function in MEASURED.items()}
    return [{"figure": name, "CPU seconds": f"{seconds:.3f}",
             "CPU time of roc_curve = 1": f"{seconds / baseline:.2f}"}
            for name, seconds in times.items()]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_output_options(parser, f"{N_BONAFIDE + N_SPOOF}-trials")
    publish("metrics", measure(), parser.parse_args(argv))
    return 0


if __name__ == "__main__":
    run(main)
