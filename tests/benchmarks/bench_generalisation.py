"""What the model in the box owes to its front ends, its data and its penalty: fits on statistics that are computed once.

Trains on train, and scores dev (sources that nothing was trained on) and eval, as models/pretrained/make.sh lays them out.
Prints Markdown tables of EERs in %, mean and standard deviation over seeds (of crops and augmentation): an ablation, folds that
each leave a fifth of the pool's sources out, and such folds over the sources of the pool and of dev, trained on with and without
dev's. A recording's score is the mean over all of its windows: clips without long silences.
Run: python tests/benchmarks/bench_generalisation.py --model box.pt --data_dir WORK/data --trials EVALUATION/trials.tsv --cache WORK/statistics
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import csv

import numpy as np
import torch

from models.hybrid import Hybrid
from tests.benchmarks.fits import COPIES, DEFAULT, Bench, Statistics
from tests.benchmarks.folds import folds_of_both, folds_of_train
from utils.store.reader import Store
from utils.common.errors import InputError, run
from utils.detector.checkpoint import load_checkpoint
from utils.detector.torch_engine import TorchEngine


def ablation(bench: Bench) -> None:
    """The table."""
    source, pool, rows = bench.source["train"], bench.pool["train"], bench.rows["train"]
    attack, recording = np.array([row.labels.attack for row in rows]), np.array([Path(row.utterance).stem for row in rows])
    copies, default = source == COPIES, source == DEFAULT
    copied = copies & (attack != "-")
    hidden, last, width = *np.cumsum(bench.model.widths)[:2], sum(bench.model.widths)
    nsf = copied & np.char.startswith(attack, "nsf")
    print("| | utterances | eval | without NSF | copies | copies without NSF | dev |\n|---|---|---|---|---|---|---|")
    bench.row("the recipe")
    bench.row("front end: AASIST's hidden layer and last block, no encoder", columns=slice(0, last))
    bench.row("front end: encoder only", columns=slice(last, width))
    bench.row("front end: AASIST's hidden layer only", columns=slice(0, hidden))
    bench.row("front end: AASIST's hidden layer and encoder", columns=[*range(hidden), *range(last, width)])
    bench.row("no default corpus", ~default)
    bench.row("no NSF copies", ~nsf)
    bench.row("neither default corpus nor NSF copies", ~default & ~nsf)
    bench.row("the pool alone: no default corpus, no copies, no originals", pool)
    for augmentation, words in (("none", "without augmentation"), ("rawboost", "rawboost"), ("full", "full")):
        bench.row(f"the pool alone, {words}", pool, augmentation=augmentation)
    bench.row("the pool and the originals as bona fide: no default corpus, no copies", pool | copies & ~copied)
    bench.row("copies, but not their originals as bona fide", ~(copies & ~copied))
    bench.row("no pool", ~pool)
    bench.row("copies by WORLD and Griffin-Lim only", ~copied | np.isin(attack, ["world", "griffin-lim"]))
    bench.row("no HiFi-GAN copies", ~(copied & np.char.startswith(attack, "hifigan")))
    bench.row("no codec copies (SoundStream)", ~(copied & np.char.startswith(attack, "soundstream")))
    for count in (100, 200):
        names = np.unique(recording[copies])
        chosen = np.random.default_rng(0).choice(names, min(count, len(names)), replace=False)
        bench.row(f"{count} recordings with their copies instead of 400", ~copies | np.isin(recording, chosen))
    for share, name in ((0.5, "half"), (0.25, "a quarter")):
        for draw in range(3):
            names = np.unique(source[pool])
            chosen = np.random.default_rng(draw).choice(names, int(len(names) * share), replace=False)
            bench.row(f"{name} of the pool's sources, draw {draw + 1}", ~pool | np.isin(source, chosen))
    for ridge in (0.0005, 0.004):
        bench.row(f"ridge penalty {ridge} instead of {bench.ridge}", ridge=ridge)
    for power in (0.5, 1.0):
        bench.row(f"n clips of a source weigh like n^{power} instead of n^{bench.power}", power=power)


def open_bench(model_path: Path, data_dir: Path, trials: Path, cache: Path, seeds: list[int]) -> Bench:
    """The bench of a hybrid's checkpoint, of the stores in `data_dir`/processed, and of eval's trial list, which says each clip's category."""
    checkpoint = load_checkpoint(model_path)
    model = TorchEngine.from_checkpoint(checkpoint).model
    if not isinstance(model, Hybrid):
        raise InputError(f"{model_path} is no hybrid: name a checkpoint of --architecture hybrid")
    stores = {subset: Store(data_dir / "processed" / subset) for subset in ("train", "dev", "eval")}
    with open(trials, encoding="utf-8", newline="") as file:
        categories = {Path(row["utterance"]).stem: row.get("category") for row in csv.DictReader(file, delimiter="\t")}
    if missing := [row.utterance for row in stores["eval"].rows if categories.get(Path(row.utterance).stem) is None]:
        raise InputError(f"{trials} gives no category to {missing[0]}: name the trial list of eval, with a column category")
    cache.mkdir(parents=True, exist_ok=True)
    return Bench(model, checkpoint["args"], stores, Statistics(model, stores, cache), categories, seeds)


def main(argv: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a hybrid's checkpoint: its frozen parts and its recipe are used")
    parser.add_argument("--data_dir", type=Path, required=True, help="folder that holds processed/")
    parser.add_argument("--trials", type=Path, required=True, help="trial list of eval, with a column category")
    parser.add_argument("--cache", type=Path, required=True, help="folder where the statistics are kept (180 MB for a seed, and 80 MB once)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of crops and augmentation (default: 1 2 3)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    bench = open_bench(args.model, args.data_dir, args.trials, args.cache, args.seeds)
    ablation(bench)
    folds_of_train(bench)
    folds_of_both(bench)
    return 0


if __name__ == "__main__":
    run(main)
