"""What compression costs and gains: each step alone and chained, for several networks.

    python tests/benchmarks/accuracy/bench_compression.py --work WORK --data_dir DATA \\
        small=seed1.pt,seed2.pt AASIST=AASIST.pt pretrained=models/pretrained/detector.onnx \\
        -- --batch_size 8

A network is NAME=FILE, with more files for checkpoints of other seeds: then figures are means and
deviations. An exported model is only quantised. Options of the recovery training follow after --.
Everything made lies in WORK; a model that lies there is not made again, only timed. The change of
score is that by the last step, in deviations of the score.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import statistics

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils import compress_model
from utils.common.arguments import count, positive, share
from utils.common.errors import InputError, run
from utils.detector.engines import load_engine
from utils.export.comparison import compare_costs

ORIGINAL, COMPRESSED = 0, 1     # places in the figures of a compressed model


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder for everything that is made")
    add("--data_dir", type=Path, required=True, help="folder that holds processed/")
    add("--max_samples", type=positive, metavar="N", help="utterances scored of dev, and of eval")
    add("--prune", type=share, default=0.5, help="share of inner channels (default: 0.5)")
    add("--recover", type=count, default=1, help="epochs of recovery training (default: 1)")
    add("networks", nargs="+", metavar="NAME=FILE,...", help="networks, then options of training")
    add_output_options(parser)
    return parser


def networks(words: list[str]) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of each network, by name, and the options that follow."""
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    named = {}
    for word in words[:first]:
        name, found, files = word.partition("=")
        if not found:
            raise InputError(f"{word} is no network: write NAME=FILE")
        named[name] = [Path(file) for file in files.split(",")]
    return named, words[first:]


def made(output: Path, model: Path, args: argparse.Namespace, options: list, rest: list) -> dict:
    """The entry "compression" of `model` compressed into `output`, which may exist."""
    if not output.exists():
        given = ["--model", model, "--output", output, "--data_dir", args.data_dir, "--at_most",
                 100, *options]
        given += ["--max_samples", args.max_samples] if args.max_samples else []
        compress_model.main([*map(str, given), *(["--", *rest] if rest else [])])
    return load_engine(output).metadata["compression"]


def chain(model: Path, folder: Path, args: argparse.Namespace, rest: list) -> dict[str, tuple]:
    """For each state of a network, its exported model and its errors."""
    # Not above: the processes that measure memory import this file, but no PyTorch.
    from utils.export.compression import as_exported
    original = as_exported(model, folder / "original.onnx")
    eight = folder / "quantised.onnx"
    found = made(eight, original, args, ["--quantise"], [])["compared"]
    states = {"original": (original, errors(found, ORIGINAL)),
              "quantised": (eight, errors(found, COMPRESSED))}
    if model.suffix == ".onnx":
        return states
    pruned, both = folder / "pruned.onnx", folder / "both.onnx"
    pruning = ["--prune", args.prune, "--recover", args.recover]
    found = made(pruned, model, args, pruning, rest)["compared"]
    states[f"pruned by {args.prune:.0%}, recovered"] = pruned, errors(found, COMPRESSED)
    found = made(both, pruned, args, ["--quantise"], [])["compared"]
    return states | {"pruned, recovered, quantised": (both, errors(found, COMPRESSED))}


def errors(compared: dict, which: int) -> dict[str, float]:
    """The errors of one of two compared models, and how far its scores moved in the last step."""
    found = {}
    for subset in ("dev", "eval"):
        error = compared[subset]["eer"][which]
        low, high = error["interval"]
        figure = f"{subset} EER %"
        found |= {figure: 100 * error["value"], f"{figure} low": 100 * low,
                  f"{figure} high": 100 * high}
    moved = compared["eval"]["change_mean"] / compared["eval"]["spread"]
    scored = {"scored": compared["dev"]["utterances"] + compared["eval"]["utterances"]}
    return found | scored | ({"change of score": moved} if which == COMPRESSED else {})


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
    """All rows, each with all columns; all models are timed together at the end."""
    named, rest = networks(args.networks)
    chains: dict[str, list[dict[str, tuple]]] = {}
    for name, models in named.items():
        for number, model in enumerate(models, start=1):
            folder = args.work / f"{name}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            chains.setdefault(name, []).append(chain(model, folder, args, rest))
    paths = [path for runs in chains.values() for run in runs for path, _ in run.values()]
    found = compare_costs(paths)
    costs = {path: {"MB": found["megabytes"][i], "CPU ms a window": found["cpu_ms"][i],
                    "peak MiB": found["peak_mib"][i]} for i, path in enumerate(paths)}
    rows = [row(name, state, [costs[run[state][0]] | run[state][1] for run in runs])
            for name, runs in chains.items() for state in runs[0]]
    columns = dict.fromkeys(column for cells in rows for column in cells)
    return [{column: cells.get(column, "") for column in columns} for cells in rows]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; 0."""
    args = build_parser().parse_args(argv)
    publish("compression", table(args), args)
    return 0


if __name__ == "__main__":
    run(main)
