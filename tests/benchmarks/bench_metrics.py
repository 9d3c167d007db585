"""How long the metrics take at the size of ASVspoof 5's evaluation, beside scikit-learn's roc_curve.

Run: python tests/benchmarks/bench_metrics.py
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import time
from functools import partial

import numpy as np
from sklearn.metrics import roc_curve

from utils.metrics import metrics
from utils.metrics.det import det_curve

N_BONAFIDE, N_SPOOF = 138_688, 542_086    # ASVspoof 5, eval, track 1


def fastest(function, repeats: int = 7) -> float:
    """CPU seconds of the fastest of `repeats` calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def main() -> int:
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(1.5, 2, N_BONAFIDE), rng.normal(-1.5, 2, N_SPOOF)
    labels, scores = np.repeat([1, 0], [N_BONAFIDE, N_SPOOF]), np.concatenate([bonafide, spoof])
    baseline = fastest(lambda: roc_curve(labels, scores))
    print(f"{scores.size:,} trials; CPU seconds, and as a share of sklearn.metrics.roc_curve")
    print(f"{'sklearn roc_curve':24s} {baseline:7.3f}  1.00")
    for function in (det_curve, metrics.eer, metrics.min_dcf, metrics.act_dcf, metrics.cllr, metrics.auc, metrics.min_tdcf):
        seconds = fastest(partial(function, bonafide, spoof))
        print(f"{function.__name__:24s} {seconds:7.3f}  {seconds / baseline:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
