"""What the pretrained model owes to its front ends, its data and its penalty.

    python tests/benchmarks/accuracy/bench_generalisation.py --model box.pt --data_dir WORK/data \\
        --trials EVALUATION/trials.tsv --cache WORK/statistics

It fits to train, and scores dev (sources that nothing was trained on) and eval, as
models/pretrained/make.sh lays them out. The statistics are computed once and kept.
Three tables of EERs in %, mean and standard deviation over seeds of crops and augmentation:
an ablation; folds that each leave a fifth of the pool's sources out; such folds over the sources
of pool and dev, with and without training on dev's. A score is the mean over all windows.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import csv

import numpy as np
import torch

from models.hybrid import Hybrid
from tests.benchmarks.accuracy.fits import COPIES, DEFAULT, Bench, Statistics
from tests.benchmarks.accuracy.folds import folds_of_both, folds_of_train
from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.errors import InputError, run
from utils.detector.checkpoint import load_checkpoint
from utils.detector.engines.torch_engine import TorchEngine
from utils.store.reader import Store
from utils.trials.trial import SUBSETS


def front_ends(bench: Bench) -> Rows:
    """The recipe, and the recipe with some of its statistics alone."""
    hidden, *_, last, width = np.cumsum(bench.model.widths)
    return [bench.row("the recipe"),
            bench.row("front end: AASIST's hidden layer and last blocks, no encoder",
                      columns=slice(0, last)),
            bench.row("front end: encoder only", columns=slice(last, width)),
            bench.row("front end: AASIST's hidden layer only", columns=slice(0, hidden)),
            bench.row("front end: AASIST's hidden layer and encoder",
                      columns=[*range(hidden), *range(last, width)])]


def parts_of_the_data(bench: Bench) -> Rows:
    """Without parts of the training data, and the pool alone under each augmentation."""
    source = bench.source["train"]
    pool = bench.pool["train"]
    attack = np.array([row.labels.attack for row in bench.rows["train"]])
    default = source == DEFAULT
    copies = source == COPIES
    copied = copies & (attack != "-")
    originals = copies & ~copied
    nsf, hifigan, soundstream = (copied & np.char.startswith(attack, name)
                                 for name in ("nsf", "hifigan", "soundstream"))
    alone = [bench.row(f"the pool alone, --augment {name}", pool, augmentation=name)
             for name in ("none", "rawboost", "full")]
    return [bench.row("no default corpus", ~default),
            bench.row("no NSF copies", ~nsf),
            bench.row("neither default corpus nor NSF copies", ~default & ~nsf),
            bench.row("the pool alone: no default corpus, no copies, no originals", pool), *alone,
            bench.row("the pool and the originals as bona fide: no default corpus, no copies",
                      pool | originals),
            bench.row("copies, but not their originals as bona fide", ~originals),
            bench.row("no pool", ~pool),
            bench.row("copies by WORLD and Griffin-Lim only",
                      ~copied | np.isin(attack, ["world", "griffin-lim"])),
            bench.row("no HiFi-GAN copies", ~hifigan),
            bench.row("no codec copies (SoundStream)", ~soundstream)]


def amounts_of_data(bench: Bench) -> Rows:
    """Fewer copied recordings, and fewer sources in the pool, each drawn by seed."""
    source = bench.source["train"]
    pool = bench.pool["train"]
    copies = source == COPIES
    recording = np.array([Path(row.utterance).stem for row in bench.rows["train"]])
    rows = []
    for count in (100, 200):
        names = np.unique(recording[copies])
        chosen = np.random.default_rng(0).choice(names, min(count, len(names)), replace=False)
        rows.append(bench.row(f"{count} recordings with their copies instead of 400",
                              ~copies | np.isin(recording, chosen)))
    for share, name in ((0.5, "half"), (0.25, "a quarter")):
        for draw in range(3):
            names = np.unique(source[pool])
            count = int(len(names) * share)
            chosen = np.random.default_rng(draw).choice(names, count, replace=False)
            rows.append(bench.row(f"{name} of the pool's sources, draw {draw + 1}",
                                  ~pool | np.isin(source, chosen)))
    return rows


def settings(bench: Bench) -> Rows:
    """Other penalties, and other weights of large groups."""
    penalties = [bench.row(f"ridge penalty (--ridge) {ridge} instead of {bench.ridge}", ridge=ridge)
                 for ridge in (0.0005, 0.004)]
    powers = [bench.row(f"n clips of a source by one attack weigh like n^{power} instead of "
                        f"n^{bench.power}", power=power) for power in (0.5, 1.0)]
    return penalties + powers


def open_bench(args: argparse.Namespace) -> Bench:
    """The bench of a hybrid's checkpoint, the stores, and eval's list with each clip's category.

    `InputError` if the model is no hybrid, or the list lacks a category.
    """
    checkpoint = load_checkpoint(args.model)
    model = TorchEngine.from_checkpoint(checkpoint).model
    if not isinstance(model, Hybrid):
        raise InputError(f"{args.model} is no hybrid: name a checkpoint of --architecture hybrid")
    stores = {subset: Store(args.data_dir / "processed" / subset) for subset in SUBSETS}
    with open(args.trials, encoding="utf-8", newline="") as file:
        categories = {Path(row["utterance"]).stem: row.get("category")
                      for row in csv.DictReader(file, delimiter="\t")}
    for row in stores["eval"].rows:
        if categories.get(Path(row.utterance).stem) is None:
            raise InputError(f"{args.trials} gives no category to {row.utterance}: name the trial "
                             "list of eval, with a column category")
    args.cache.mkdir(parents=True, exist_ok=True)
    statistics = Statistics(model, stores, args.cache)
    return Bench(model, checkpoint["args"], stores, statistics, categories, args.seeds)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True,
                        help="a hybrid's checkpoint: its frozen parts and its recipe are used")
    parser.add_argument("--data_dir", type=Path, required=True, help="folder that holds processed/")
    parser.add_argument("--trials", type=Path, required=True,
                        help="trial list of eval, with a column category")
    parser.add_argument("--cache", type=Path, required=True,
                        help="folder that keeps the statistics (180 MB per seed, and 80 MB once)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3],
                        help="of crops and augmentation (default: 1 2 3)")
    add_output_options(parser, "seedsFIRST-LAST")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the three tables."""
    args = build_parser().parse_args(argv)
    seeds = f"seeds{min(args.seeds)}-{max(args.seeds)}"
    args.conditions = args.conditions.replace("seedsFIRST-LAST", seeds)
    torch.set_num_threads(1)
    bench = open_bench(args)
    ablation = (front_ends(bench) + parts_of_the_data(bench) + amounts_of_data(bench)
                + settings(bench))
    publish("generalisation-ablation", ablation, args)
    publish("generalisation-folds-of-train", folds_of_train(bench), args)
    publish("generalisation-folds-of-both", folds_of_both(bench), args)
    return 0


if __name__ == "__main__":
    run(main)
