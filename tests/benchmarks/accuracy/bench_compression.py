"""What compression costs and gains: each step alone and chained, for several networks.

    python tests/benchmarks/accuracy/bench_compression.py --work WORK --data_dir DATA \\
        small=seed1.pt,seed2.pt,seed3.pt AASIST=AASIST.pt -- --batch_size 8

A network is NAME=FILE. With more files, file number i is the one of seed i. Else --seeds tells the
seeds of pruning and recovery. Figures of several seeds are means and deviations. An exported model
is only quantised. Options of the recovery training follow after --. All files made lie in WORK;
what was made of the same files with the same options is not made again, only timed. The change of
score is against the original, in deviations of its score. Rows of networks not named stay.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import hashlib
import os
import shutil
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np

from tests.benchmarks.results_files import (VERSION, Rows, add_output_options, among_earlier,
                                            publish, results_path)
from utils.common.arguments import count, positive, share
from utils.common.errors import InputError, run
from utils.common.files import file_sha256
from utils.compress_model import recovered
from utils.detector.engines import load_engine
from utils.export.comparison import compare_costs, compare_scores, scores_of
from utils.store.reader import Store, StorePart

SUBSETS = ("dev", "eval")
DRAW = 1        # the seed of what is scored, for all networks and seeds

Models = dict[str, Path]    # the exported model of each state


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder for everything that is made")
    add("--data_dir", type=Path, required=True, help="folder that holds processed/")
    add("--max_samples", type=positive, default=200, metavar="N",
        help="utterances scored of dev, and of eval (default: 200)")
    add("--prune", type=share, default=0.5, help="share of inner channels (default: 0.5)")
    add("--recover", type=count, default=1, help="epochs of recovery training (default: 1)")
    add("--seeds", type=positive, default=1, help="seeds of pruning and recovery (default: 1)")
    add("networks", nargs="+", metavar="NAME=FILE,...", help="networks, then options of training")
    add_output_options(parser)
    return parser


def networks(words: list[str], seeds: int) -> tuple[dict[str, list[Path]], list[str]]:
    """The file of each seed of each network, by name, and the options that follow."""
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    named = {}
    for word in words[:first]:
        name, found, files = word.partition("=")
        if not found:
            raise InputError(f"{word} is no network: write NAME=FILE")
        paths = [Path(file) for file in files.split(",")]
        named[name] = paths * seeds if len(paths) == 1 else paths
    return named, words[first:]


def made(work: Path, name: str, of: list, make: Callable[[Path], object]) -> Path:
    """The file `name` in `work` that `make` writes, once for equal `of`: files and settings."""
    parts = [file_sha256(part) if isinstance(part, Path) else str(part) for part in of]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    path = work / key / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"unfinished-{name}")
        make(beside)
        os.replace(beside, path)
    return path


def chain(model: Path, seed: int, args: argparse.Namespace, rest: list[str]) -> Models:
    """The exported model of each state of a network; steps without training have one seed."""
    # Not above: the processes that measure memory import this file, but no PyTorch.
    from utils.export.compression import as_exported, prune, quantise
    train = Store(args.data_dir / "processed" / "train")
    data = train.info["trial_list_sha256"]

    def exported(source: Path) -> Path:
        return as_exported(source, args.work)

    def in_8_bits(source: Path) -> Path:
        return made(args.work, "quantised.onnx", [source, data],
                    lambda path: quantise(source, path, train, DRAW))

    original = exported(model)
    states = {"original": original, "quantised": in_8_bits(original)}
    if model.suffix == ".onnx":
        return states
    pruned = made(args.work, "pruned.pt", [model, data, args.prune, seed],
                  lambda path: prune(model, path, args.prune, train, seed))
    settings = argparse.Namespace(recover=args.recover, seed=seed, training=rest,
                                  data_dir=args.data_dir)
    trained = made(args.work, "recovered.pt", [pruned, data, args.recover, seed, *rest],
                   lambda path: shutil.copyfile(recovered(pruned, settings), path))
    return states | {f"pruned by {args.prune:.0%}": exported(pruned),
                     "pruned, recovered": exported(trained),
                     "pruned, recovered, quantised": in_8_bits(exported(trained))}


def scored(model: Path, args: argparse.Namespace) -> dict[str, tuple]:
    """For each subset, the utterances that are scored and the model's raw scores (N,) of them."""
    from utils.export.compression import drawn
    found = {}
    for subset in SUBSETS:
        store = Store(args.data_dir / "processed" / subset)
        part = drawn(store, args.max_samples, DRAW)
        of = [model, store.info["trial_list_sha256"], args.max_samples]
        file = made(args.work, f"{subset}.npy", of, partial(write_scores, model, part))
        found[subset] = part, np.load(file)
    return found


def write_scores(model: Path, part: StorePart, path: Path) -> None:
    """Write the raw scores (N,) of a model to a .npy file."""
    np.save(path, scores_of(load_engine(model), part))


def errors(original: Path, model: Path, args: argparse.Namespace) -> dict[str, float]:
    """The errors of a model, and how far its scores are from the original's."""
    before, after = scored(original, args), scored(model, args)
    found, moved = {}, []
    for subset, (part, scores) in after.items():
        compared = compare_scores(part, before[subset][1], scores)
        error = compared["eer"][1]
        low, high = error["interval"]
        figure = f"{subset} EER %"
        found |= {figure: 100 * error["value"], f"{figure} low": 100 * low,
                  f"{figure} high": 100 * high}
        moved.append(compared["change_mean"] / compared["spread"])
    total = {"scored": sum(len(part) for part, _ in after.values())}
    return found | total | ({"change of score": moved[-1]} if model != original else {})


def row(name: str, state: str, runs: list[dict[str, float]]) -> dict[str, str]:
    """A row of the table: of one run with intervals, of several with deviations instead."""
    cells = {"network": name, "state": state, "seeds": str(len(runs))}
    for figure in runs[0]:
        values = [found[figure] for found in runs]
        if len(runs) == 1:
            cells[figure] = digits(values[0])
        elif not figure.endswith((" low", " high")):
            cells[figure] = digits(statistics.fmean(values))
            cells[f"{figure} sd"] = f"{statistics.stdev(values):.2g}"
    return cells


def digits(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(args: argparse.Namespace) -> Rows:
    """The rows of all networks; all models are timed together at the end."""
    named, rest = networks(args.networks, args.seeds)
    chains = {name: [chain(model, seed, args, rest) for seed, model in enumerate(models, start=1)]
              for name, models in named.items()}
    results = {path: errors(states["original"], path, args) for runs in chains.values()
               for states in runs for path in states.values()}
    found = compare_costs(list(results))
    for number, path in enumerate(results):
        results[path] = {"MB": found["megabytes"][number],
                         "CPU ms a window": found["cpu_ms"][number],
                         "peak MiB": found["peak_mib"][number]} | results[path]
    return [row(name, state, [results[path] for path in dict.fromkeys(run[state] for run in runs)])
            for name, runs in chains.items() for state in runs[0]]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; 0."""
    args = build_parser().parse_args(argv)
    rows = among_earlier(table(args), results_path("compression", args), ("network", "state"))
    empty = dict.fromkeys((name for cells in rows for name in cells if name != VERSION), "")
    publish("compression", [empty | cells for cells in rows], args)
    return 0


if __name__ == "__main__":
    run(main)
