"""CPU time of RawBoost against a plain time-domain implementation of its formulae, of each step of the full chain, and of each chain.

    python tests/benchmarks/bench_augment.py RECORDING

Both sides alternate within one process, so that other load on the machine falls on both.
"""
import argparse
import sys
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", help="speech; its first 4 s are used, repeated if it is shorter")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each (default: %(default)s)")
    return parser


def cpu_seconds(function, *args) -> float:
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def compare_rawboost(wave, repeats: int) -> None:
    """One line per algorithm: median milliseconds of both, and their ratio."""
    import numpy as np
    from tests.benchmarks.plain_rawboost import plain_rawboost
    from utils.training.augment.rawboost import ALGORITHMS, rawboost
    print("RawBoost    published    here   ratio   (CPU ms for 4.04 s)")
    for algorithm in ALGORITHMS:
        times = [[cpu_seconds(function, wave, np.random.default_rng(k), algorithm)
                  for function in (plain_rawboost, rawboost)] for k in range(repeats + 2)][2:]
        plain, ours = 1000 * np.median(times, axis=0)
        print(f"{algorithm:8d} {plain:12.1f} {ours:7.1f} {ours / plain:7.2f}")


def cost_of_steps(wave, repeats: int) -> None:
    """One line per step of the full chain, each of its choices in turn."""
    import numpy as np
    from utils.training.augment import make_augmentation
    chain = make_augmentation("full", lambda rng: wave)
    for step in chain.steps:
        times = [np.median([cpu_seconds(choice, wave, np.random.default_rng(k)) for k in range(repeats)])
                 for choice in step.choices]
        print(f"{step.name:16s} {step.probability:4.0%}  {' '.join(f'{1000 * t:.1f}' for t in times)} ms")


def cost_of_chains(wave, repeats: int) -> None:
    """One line per chain: mean milliseconds over many seeds, since a chain draws what it does."""
    import numpy as np
    from utils.training.augment import NAMES, make_augmentation
    for name in NAMES:
        chain = make_augmentation(name, lambda rng: wave)
        times = [cpu_seconds(chain, wave, np.random.default_rng(k)) for k in range(16 * repeats)]
        print(f"chain {name:10s} {1000 * np.mean(times):.1f} ms on average")


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    import numpy as np
    from utils.audio.decode import load_audio
    wave = np.resize(load_audio(args.recording)[:64600], 64600).astype(np.float32) / 32768
    compare_rawboost(wave, args.repeats)
    cost_of_steps(wave, args.repeats)
    cost_of_chains(wave, args.repeats)
    return 0


if __name__ == "__main__":
    from utils.common.errors import run
    run(main)
