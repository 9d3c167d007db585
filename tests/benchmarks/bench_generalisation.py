"""What the model in the box owes to its front ends, its data and its penalty: fits on statistics that are computed once.

Trains on train, and scores dev (sources that nothing was trained on) and eval, as models/pretrained/make.sh lays them out.
Prints Markdown tables of EERs in %, mean and standard deviation over seeds (of crops and augmentation): an ablation, and
folds that each leave a fifth of the pool's sources out. A recording's score is the mean over all of its windows: clips without long silences.
Run: python tests/benchmarks/bench_generalisation.py --model box.pt --data_dir WORK/data --trials EVALUATION/trials.tsv --cache WORK/statistics
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import torch
from tqdm import tqdm

from models.hybrid import Hybrid
from utils.audio import N_SAMPLES
from utils.audio.store import Store
from utils.corpora.split import deal_folds
from utils.errors import InputError, run
from utils.evaluation.metrics import eer
from utils.files import atomic_write
from utils.scoring.checkpoint import load_checkpoint
from utils.scoring.recording import waveform
from utils.scoring.torch_engine import TorchEngine
from utils.scoring.windows import cut, tile
from utils.training.data import CropDataset
from utils.training.recipes import RECIPES
from utils.training.ridge import Moments, row_weights, statistics_engine

BLOCK = 256      # utterances per sum of products
FOLDS = 5
COPIES, DEFAULT = "copies", "default-corpus"    # sources, as make.sh names their folders


class Statistics:
    """What the frozen parts of a hybrid find in the stores, float32, computed once and kept in a folder.

    `InputError` where the folder's are of other frozen weights or stores.
    """

    def __init__(self, model: Hybrid, stores: dict[str, Store], folder: Path):
        self.engine, self.stores, self.folder, self.frozen = statistics_engine(model, N_SAMPLES), stores, folder, _frozen_sum(model)

    def crops(self, seed: int) -> np.ndarray:
        """(N, H) of one augmented crop of each utterance of train."""
        store = self.stores["train"]
        crops = CropDataset(store, N_SAMPLES, seed, RECIPES["hybrid"]["augmentation"])
        return self._kept("train", f"crops-seed{seed}", lambda: {"found": np.concatenate([
            self.engine.last_hidden(crops[0, i][0].numpy()[None]) for i in tqdm(range(len(store)), f"crops, seed {seed}")])})["found"]

    def windows(self, subset: str, which: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
        """(W, H) of all windows of the utterances `which` of a subset, and the utterance (W,) that each is of."""
        def compute() -> dict[str, np.ndarray]:
            rows, owners = [], []
            for i in tqdm(which, subset):
                for _, samples in cut([self.stores[subset].read(i)], N_SAMPLES):
                    rows.append(self.engine.last_hidden(waveform(tile(samples, N_SAMPLES))[None])[0])
                    owners.append(i)
            return {"found": np.stack(rows), "owners": np.array(owners)}
        return tuple(self._kept(subset, f"windows-{subset}", compute)[name] for name in ("found", "owners"))

    def _kept(self, subset: str, name: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        path, made_of = self.folder / f"{name}.npz", f"{self.frozen} {self.stores[subset].info['trial_list_sha256']}"
        if path.exists():
            with np.load(path) as file:
                if str(file["made_of"]) != made_of:
                    raise InputError(f"{path} holds the statistics of another model or other stores: name another folder")
                return dict(file)
        found = compute() | {"made_of": np.array(made_of)}
        with atomic_write(path, "wb") as file:
            np.savez(file, **found)
        return found


def _frozen_sum(model: Hybrid) -> str:
    """SHA-256 of what a fit leaves alone: the weights of AASIST and of the encoder."""
    digest = hashlib.sha256()
    for part in (model.aasist, model.encoder):
        for value in part.state_dict().values():
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


class Bench:
    """The stores, their statistics, and fits on parts of them."""

    def __init__(self, model: Hybrid, recipe: dict, stores: dict[str, Store], statistics: Statistics, categories: dict[str, str],
                 seeds: list[int]):
        self.model, self.rows = model, stores["train"].rows
        self.power, self.ridge, self.width = recipe["source_power"], recipe["ridge"], sum(model.widths)
        self.crops = {seed: statistics.crops(seed) for seed in seeds}
        self.bonafide = {subset: np.array([row.key == "bonafide" for row in store.rows]) for subset, store in stores.items()}
        self.source, self.attack = (np.array([getattr(row, name) for row in self.rows]) for name in ("source", "attack"))
        self.pool = (self.source != COPIES) & (self.source != DEFAULT)
        which = {"train": np.flatnonzero(self.pool)} | {subset: range(len(stores[subset])) for subset in ("dev", "eval")}
        self.windows = {subset: statistics.windows(subset, which[subset]) for subset in which}
        self.category = np.array([categories[Path(row.utterance).stem] for row in stores["eval"].rows])
        self.nsf = np.array([row.attack.startswith("NSF") for row in stores["eval"].rows])

    def row(self, name: str, kept: np.ndarray | None = None, columns: slice | list | None = None,
            power: float | None = None, ridge: float | None = None) -> None:
        """Fit to the utterances `kept` (bool (N,), None: all) and the statistics `columns` alone, else as the recipe; print the row."""
        use, real = np.ones(len(self.rows), bool) if kept is None else kept, self.bonafide["train"]
        if (kept is not None and kept.all()) or not (use & real).any() or not (use & ~real).any():
            print(f"| {name} | not in these stores | | | | | |")
            return
        mask = np.zeros(self.width)
        mask[slice(None) if columns is None else columns] = 1
        figures = []
        for seed in self.crops:
            self._fit(seed, use, mask, power or self.power, ridge or self.ridge)
            figures.append(self._figures(mask))
        print(f"| {name} | {use.sum():,} | " + " | ".join(map(_spread, zip(*figures))) + " |", flush=True)

    def folds(self) -> None:
        """Leave each fold's sources of the pool out in turn, and score them; print a row for each, and one for all."""
        strata = {source: Counter((self.rows[i].key, "-", "-") for i in np.flatnonzero(self.source == source))
                  for source in np.unique(self.source[self.pool])}
        dealt = deal_folds(strata, min(FOLDS, len(strata)), 0)
        fold, everything = np.array([dealt.get(source, 0) for source in self.source]), np.ones(self.width)
        real, scores = self.bonafide["train"], {seed: np.zeros(len(self.rows)) for seed in self.crops}
        for seed in self.crops:
            for number in sorted(set(dealt.values())):
                self._fit(seed, fold != number, everything, self.power, self.ridge)
                scores[seed][fold == number] = self._scores("train", everything)[fold == number]
        print("\n| sources left out | sources | bona fide | spoof | EER |\n|---|---|---|---|---|")
        for number in [*sorted(set(dealt.values())), 0]:
            which = fold == number if number else fold > 0
            print(f"| {f'fold {number}' if number else 'all folds together'} | {len(np.unique(self.source[which]))} | {(which & real).sum()} | "
                  f"{(which & ~real).sum()} | {_spread([_eer(scores[seed], real, which) for seed in self.crops])} |", flush=True)

    def _fit(self, seed: int, use: np.ndarray, mask: np.ndarray, power: float, ridge: float) -> None:
        picked, moments = np.flatnonzero(use), Moments()
        weights = row_weights([self.rows[i] for i in picked], power)
        for at in range(0, len(picked), BLOCK):
            part = picked[at:at + BLOCK]
            moments.add(self.crops[seed][part] * mask, np.where(self.bonafide["train"][part], 1.0, -1.0), weights[at:at + BLOCK])
        moments.solve(self.model, ridge)

    def _figures(self, mask: np.ndarray) -> list[float]:
        dev, elsewhere = self._scores("dev", mask), self._scores("eval", mask)
        real, copies = self.bonafide["eval"], self.category == "vocoder"
        return [*(_eer(elsewhere, real, spoofs | real) for spoofs in (~real, ~self.nsf, copies, copies & ~self.nsf)),
                _eer(dev, self.bonafide["dev"], np.ones(len(dev), bool))]

    @torch.no_grad()
    def _scores(self, subset: str, mask: np.ndarray) -> np.ndarray:
        """Scores of the recordings of a subset by the statistics that `mask` leaves; NaN for those without windows."""
        found, owners = self.windows[subset]
        hidden = (torch.from_numpy(found * mask).float() - self.model.mean) * self.model.scale
        logits, count = self.model.out_layer(hidden).double().numpy(), len(self.bonafide[subset])
        with np.errstate(invalid="ignore"):
            return np.bincount(owners, logits[:, 1] - logits[:, 0], count) / np.bincount(owners, minlength=count)


def _spread(values: Iterable[float]) -> str:
    """Mean and, of several, standard deviation."""
    values = list(values)
    return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def _eer(scores: np.ndarray, bonafide: np.ndarray, which: np.ndarray) -> float:
    """In %, of the trials `which` (bool (N,)); NaN where they are of one class."""
    scores, bonafide = scores[which], bonafide[which]
    if bonafide.all() or not bonafide.any():
        return float("nan")
    return 100 * eer(scores[bonafide], scores[~bonafide])[0]


def ablation(bench: Bench) -> None:
    """The table."""
    source, attack, pool = bench.source, bench.attack, bench.pool
    recording = np.array([Path(row.utterance).stem for row in bench.rows])
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
    parser.add_argument("--cache", type=Path, required=True, help="folder where the statistics are kept (130 MB for a seed)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of crops and augmentation (default: 1 2 3)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    bench = open_bench(args.model, args.data_dir, args.trials, args.cache, args.seeds)
    ablation(bench)
    bench.folds()
    return 0


if __name__ == "__main__":
    run(main)
