"""CPU time of augmentation: RawBoost against its plain formulas, steps of `full`, chains.

    python tests/benchmarks/speed/bench_augment.py RECORDING

Both sides alternate within one process, so that other load on the machine slows both.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import time
from collections.abc import Callable

import numpy as np

from tests.benchmarks.plain.rawboost import plain_rawboost
from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.audio.decode import load_audio
from utils.common.arguments import positive
from utils.common.errors import run
from utils.signals import N_SAMPLES
from utils.training.augment import NAMES, make_augmentation
from utils.training.augment.rawboost import ALGORITHMS, rawboost

WARM_UP = 2                 # runs that are not counted
SEEDS_OF_CHAIN = 16         # times the repeats: a chain draws what it does, so its cost varies


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording",
                        help="speech; its first 4 s are used, repeated if it is shorter")
    parser.add_argument("--repeats", type=positive, default=15,
                        help="runs of each (default: %(default)s)")
    add_output_options(parser)
    return parser


def cpu_milliseconds(function: Callable, *args) -> float:
    """CPU time of one call."""
    start = time.process_time()
    function(*args)
    return 1000 * (time.process_time() - start)


def seeded_times(function: Callable, wave: np.ndarray, repeats: int) -> list[float]:
    """CPU milliseconds of calls with seeds 0, 1, ..."""
    return [cpu_milliseconds(function, wave, np.random.default_rng(k)) for k in range(repeats)]


def compare_rawboost(wave: np.ndarray, repeats: int) -> Rows:
    """Of each algorithm: median milliseconds of both sides, and their ratio."""
    rows = []
    for algorithm in ALGORITHMS:
        times = [[cpu_milliseconds(function, wave, np.random.default_rng(k), algorithm)
                  for function in (plain_rawboost, rawboost)] for k in range(repeats + WARM_UP)]
        plain, ours = np.median(times[WARM_UP:], axis=0)
        rows.append({"algorithm": str(algorithm), "published ms": f"{plain:.1f}",
                     "here ms": f"{ours:.1f}", "ratio": f"{ours / plain:.2f}"})
    return rows


def cost_of_steps(wave: np.ndarray, repeats: int) -> Rows:
    """Of each step of the full chain: its probability, and median milliseconds of its choices."""
    rows = []
    for step in make_augmentation("full", lambda rng: wave).steps:
        times = [np.median(seeded_times(choice, wave, repeats)) for choice in step.choices]
        rows.append({"step": step.name, "probability %": f"{100 * step.probability:.0f}",
                     "CPU ms of each choice": " ".join(f"{value:.1f}" for value in times)})
    return rows


def cost_of_chains(wave: np.ndarray, repeats: int) -> Rows:
    """Of each chain: mean milliseconds over many seeds."""
    rows = []
    for name in NAMES:
        chain = make_augmentation(name, lambda rng: wave)
        mean = np.mean(seeded_times(chain, wave, SEEDS_OF_CHAIN * repeats))
        rows.append({"`--augment`": name, "CPU ms per crop": f"{mean:.1f}"})
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the three tables."""
    args = build_parser().parse_args(argv)
    speech = load_audio(args.recording)[:N_SAMPLES]
    wave = np.resize(speech, N_SAMPLES).astype(np.float32) / 32768
    publish("augment-rawboost", compare_rawboost(wave, args.repeats), args)
    publish("augment-steps", cost_of_steps(wave, args.repeats), args)
    publish("augment-chains", cost_of_chains(wave, args.repeats), args)
    return 0


if __name__ == "__main__":
    run(main)
