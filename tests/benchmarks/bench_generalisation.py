"""What the model in the box owes to its front ends, its data and its penalty: fits on statistics that are computed once.

Trains on train, and scores dev (sources that nothing was trained on) and eval, as models/pretrained/make.sh lays them out.
Prints a Markdown table of EERs in %. A recording's score is the mean over all of its windows: clips without long silences.
Run: python tests/benchmarks/bench_generalisation.py --model box.pt --data_dir WORK/data --trials EVALUATION/trials.tsv --cache statistics.npz
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import csv
import hashlib

import numpy as np
import torch
from tqdm import tqdm

from models.hybrid import Hybrid
from utils.audio import N_SAMPLES
from utils.audio.store import Store
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
COPIES, DEFAULT = "copies", "default-corpus"    # sources, as make.sh names their folders


def statistics_of(model: Hybrid, stores: dict[str, Store], seed: int, cache: Path) -> dict[str, np.ndarray]:
    """Statistics float32: "train" (N, H) of augmented crops; "dev", "eval" (windows, H), and which recording each is of.

    Kept in `cache`; `InputError` where that is of other frozen weights, stores, or another seed.
    """
    made_of = "\n".join([f"seed {seed}", f"weights {_frozen_sum(model)}", *(f"{subset} {store.info['trial_list_sha256']}" for subset, store in stores.items())])
    if cache.exists():
        with np.load(cache) as file:
            if str(file["made_of"]) != made_of:
                raise InputError(f"{cache} holds the statistics of another model, other stores or another seed: name another file")
            return dict(file)
    engine, found = statistics_engine(model, N_SAMPLES), {"made_of": np.array(made_of)}
    crops = CropDataset(stores["train"], N_SAMPLES, seed, RECIPES["hybrid"]["augmentation"])
    found["train"] = np.concatenate([engine.last_hidden(crops[0, i][0].numpy()[None]) for i in tqdm(range(len(crops.store)), "train")])
    for subset in ("dev", "eval"):
        rows, owners = [], []
        for i in tqdm(range(len(stores[subset])), subset):
            for _, samples in cut([stores[subset].read(i)], N_SAMPLES):
                rows.append(engine.last_hidden(waveform(tile(samples, N_SAMPLES))[None])[0])
                owners.append(i)
        found |= {subset: np.stack(rows), f"{subset}_owners": np.array(owners)}
    with atomic_write(cache, "wb") as file:
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

    def __init__(self, model: Hybrid, recipe: dict, stores: dict[str, Store], statistics: dict[str, np.ndarray], categories: dict[str, str]):
        self.model, self.found, self.rows = model, statistics, stores["train"].rows
        self.power, self.ridge = recipe["source_power"], recipe["ridge"]
        self.bonafide = {subset: np.array([row.key == "bonafide" for row in store.rows]) for subset, store in stores.items()}
        self.category = np.array([categories[Path(row.utterance).stem] for row in stores["eval"].rows])
        self.nsf = np.array([row.attack.startswith("NSF") for row in stores["eval"].rows])

    def row(self, name: str, kept: np.ndarray | None = None, columns: slice | list | None = None,
            power: float | None = None, ridge: float | None = None) -> None:
        """Fit to the utterances `kept` (bool (N,), None: all) and the statistics `columns` alone, else as the recipe; print the row."""
        use = np.ones(len(self.rows), bool) if kept is None else kept
        if kept is not None and kept.all():
            print(f"| {name} | not in these stores | | | | | |")
            return
        mask = np.zeros(self.found["train"].shape[1])
        mask[slice(None) if columns is None else columns] = 1
        picked, moments = np.flatnonzero(use), Moments()
        weights = row_weights([self.rows[i] for i in picked], power or self.power)
        for at in range(0, len(picked), BLOCK):
            part = picked[at:at + BLOCK]
            moments.add(self.found["train"][part] * mask, np.where(self.bonafide["train"][part], 1.0, -1.0), weights[at:at + BLOCK])
        moments.solve(self.model, ridge or self.ridge)
        dev, elsewhere = self._scores("dev", mask), self._scores("eval", mask)
        real, copies = self.bonafide["eval"], self.category == "vocoder"
        figures = [*(_eer(elsewhere, real, spoofs | real) for spoofs in (~real, ~self.nsf, copies, copies & ~self.nsf)),
                   _eer(dev, self.bonafide["dev"], np.ones(len(dev), bool))]
        print(f"| {name} | {len(picked):,} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |", flush=True)

    @torch.no_grad()
    def _scores(self, subset: str, mask: np.ndarray) -> np.ndarray:
        """Scores of the recordings of a subset by the statistics that `mask` leaves."""
        hidden = (torch.from_numpy(self.found[subset] * mask).float() - self.model.mean) * self.model.scale
        logits, owners = self.model.out_layer(hidden).double().numpy(), self.found[f"{subset}_owners"]
        return np.bincount(owners, logits[:, 1] - logits[:, 0]) / np.bincount(owners)


def _eer(scores: np.ndarray, bonafide: np.ndarray, which: np.ndarray) -> float:
    """In %, of the trials `which` (bool (N,))."""
    scores, bonafide = scores[which], bonafide[which]
    return 100 * eer(scores[bonafide], scores[~bonafide])[0]


def ablation(bench: Bench) -> None:
    """The table."""
    source, attack = (np.array([getattr(row, name) for row in bench.rows]) for name in ("source", "attack"))
    recording = np.array([Path(row.utterance).stem for row in bench.rows])
    copies, default = source == COPIES, source == DEFAULT
    pool, copied = ~copies & ~default, copies & (attack != "-")
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


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a hybrid's checkpoint: its frozen parts and its recipe are used")
    parser.add_argument("--data_dir", type=Path, required=True, help="folder that holds processed/")
    parser.add_argument("--trials", type=Path, required=True, help="trial list of eval, with a column category")
    parser.add_argument("--cache", type=Path, required=True, help="where the statistics are kept (200 MB)")
    parser.add_argument("--seed", type=int, default=2, help="of crops and augmentation (default: 2)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(args.model)
    model = TorchEngine.from_checkpoint(checkpoint).model
    if not isinstance(model, Hybrid):
        raise InputError(f"{args.model} is no hybrid: name a checkpoint of --architecture hybrid")
    stores = {subset: Store(args.data_dir / "processed" / subset) for subset in ("train", "dev", "eval")}
    with open(args.trials, encoding="utf-8", newline="") as file:
        categories = {Path(row["utterance"]).stem: row.get("category") for row in csv.DictReader(file, delimiter="\t")}
    if missing := [row.utterance for row in stores["eval"].rows if categories.get(Path(row.utterance).stem) is None]:
        raise InputError(f"{args.trials} gives no category to {missing[0]}: name the trial list of eval, with a column category")
    ablation(Bench(model, checkpoint["args"], stores, statistics_of(model, stores, args.seed, args.cache), categories))
    return 0


if __name__ == "__main__":
    run(main)
