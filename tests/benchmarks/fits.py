"""Fits of a hybrid's linear layer on statistics that are computed once, and scores by them: what bench_generalisation.py is made of."""
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from models.hybrid import Hybrid
from utils.signals import N_SAMPLES
from utils.store.reader import Store
from utils.common.errors import InputError
from utils.metrics.metrics import eer
from utils.common.files import atomic_write
from utils.detector.scoring import cut, tile, waveform
from utils.training.data import CropDataset
from utils.training.learners.ridge import Moments, row_weights, statistics_engine

BLOCK = 256      # utterances per sum of products
COPIES, DEFAULT = "copies", "default-corpus"    # sources, as make.sh names their folders
MADE_OF = ("trial_list_sha256", "settings", "counts")     # of a store: what its statistics depend on

Part = tuple[str, np.ndarray, np.ndarray]       # a subset, some of its utterances (n,), their statistics (n, H)


class Statistics:
    """What the frozen parts of a hybrid find in the stores, float32, computed once and kept in a folder.

    `InputError` where the folder's are of other frozen weights, stores, utterances or another augmentation.
    """

    def __init__(self, model: Hybrid, stores: dict[str, Store], folder: Path):
        self.engine, self.stores, self.folder, self.frozen = statistics_engine(model, N_SAMPLES), stores, folder, _frozen_sum(model)
        self.width = sum(model.widths)

    def crops(self, subset: str, seed: int, which: Sequence[int], augmentation: str) -> np.ndarray:
        """(n, H) of one augmented crop of each utterance `which` (n) of a subset."""
        crops = CropDataset(self.stores[subset], N_SAMPLES, seed, augmentation)
        crops.bonafide = np.intersect1d(crops.bonafide, which)      # no babble of utterances that are left out

        def compute() -> dict[str, np.ndarray]:
            said = f"{subset}, {augmentation}, seed {seed}"
            return {"found": self._stacked(self._of(crops[0, int(i)][0].numpy()) for i in tqdm(which, said))}
        return self._kept(f"crops-{subset}-{len(which)}-{augmentation}-seed{seed}", subset, which, augmentation, compute)["found"]

    def windows(self, subset: str, which: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(W, H) of all windows of the utterances `which` of a subset, and the utterance (W,) that each is of."""
        def compute() -> dict[str, np.ndarray]:
            rows, owners = [], []
            for i in tqdm(which, subset):
                for _, samples in cut([self.stores[subset].read(int(i))], N_SAMPLES):
                    rows.append(self._of(waveform(tile(samples, N_SAMPLES))))
                    owners.append(i)
            return {"found": self._stacked(rows), "owners": np.array(owners, int)}
        return tuple(self._kept(f"windows-{subset}", subset, which, "none", compute)[name] for name in ("found", "owners"))

    def _of(self, wave: np.ndarray) -> np.ndarray:
        return self.engine.last_hidden(wave[None])

    def _stacked(self, rows: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.zeros((0, self.width), np.float32), *rows])     # a subset may have none

    def _kept(self, name: str, subset: str, which: Sequence[int], augmentation: str,
              compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        chosen = hashlib.sha256(np.asarray(which, np.int64).tobytes()).hexdigest()
        made_of = json.dumps([self.frozen, *(self.stores[subset].info.get(part) for part in MADE_OF), chosen, augmentation])
        path = self.folder / f"{name}.npz"
        if path.exists():
            with np.load(path) as file:
                if str(file["made_of"]) != made_of:
                    raise InputError(f"{path} holds the statistics of another model, other stores or another augmentation: "
                                     "name another folder")
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
        self.model, self.statistics, self.seeds, self.width = model, statistics, seeds, sum(model.widths)
        self.power, self.ridge, self.augmentation = recipe["source_power"], recipe["ridge"], recipe["augmentation"]
        self.rows = {subset: store.rows for subset, store in stores.items()}
        self.bonafide = {subset: np.array([row.labels.is_bonafide for row in rows], bool) for subset, rows in self.rows.items()}
        self.source = {subset: np.array([row.labels.source for row in rows], str) for subset, rows in self.rows.items()}
        self.pool = {subset: ~np.isin(source, [COPIES, DEFAULT]) for subset, source in self.source.items()}
        every = {subset: np.arange(len(rows)) for subset, rows in self.rows.items()}
        scored = every | {"train": np.flatnonzero(self.pool["train"])}
        self.windows = {subset: statistics.windows(subset, which) for subset, which in scored.items()}
        self.crops = {(subset, seed): statistics.crops(subset, seed, every[subset], self.augmentation)
                      for subset in ("train", "dev") for seed in seeds}
        self.category = np.array([categories[Path(row.utterance).stem] for row in self.rows["eval"]])
        self.nsf = np.array([row.labels.attack.startswith("NSF") for row in self.rows["eval"]])

    def row(self, name: str, kept: np.ndarray | None = None, columns: slice | list | None = None, power: float | None = None,
            ridge: float | None = None, augmentation: str | None = None) -> None:
        """Fit to the utterances `kept` (bool (N,), None: all) and the statistics `columns` alone, else as the recipe; print the row."""
        use, mask, figures = np.ones(len(self.rows["train"]), bool) if kept is None else kept, np.zeros(self.width), []
        mask[slice(None) if columns is None else columns] = 1
        same = kept is not None and kept.all() and augmentation is None
        for seed in self.seeds:
            if same or not self.fit([self._part(seed, use, augmentation)], mask, power, ridge):
                print(f"| {name} | not in these stores | | | | | |", flush=True)
                return
            figures.append(self._figures(mask))
        print(f"| {name} | {use.sum():,} | " + " | ".join(map(spread, zip(*figures))) + " |", flush=True)

    def _part(self, seed: int, use: np.ndarray, augmentation: str | None) -> Part:
        which = np.flatnonzero(use)
        return "train", which, (self.crops["train", seed][which] if augmentation is None else
                                self.statistics.crops("train", seed, which, augmentation))

    def fit(self, parts: list[Part], mask: np.ndarray | None = None, power: float | None = None, ridge: float | None = None) -> bool:
        """Fit the model to `parts` and the statistics that `mask` leaves; False, and nothing done, where they lack a class."""
        real = np.concatenate([self.bonafide[subset][which] for subset, which, _ in parts])
        if real.all() or not real.any():
            return False
        weights = row_weights([self.rows[subset][i] for subset, which, _ in parts for i in which], power or self.power)
        moments, at = Moments(), 0
        for _, which, found in parts:
            for begin in range(0, len(which), BLOCK):
                x = found[begin:begin + BLOCK] * (1.0 if mask is None else mask)
                now = slice(at, at + len(x))
                moments.add(x, np.where(real[now], 1.0, -1.0), weights[now])
                at += len(x)
        moments.solve(self.model, ridge or self.ridge)
        return True

    def _figures(self, mask: np.ndarray) -> list[float]:
        dev, elsewhere = self.scores("dev", mask), self.scores("eval", mask)
        real, copies = self.bonafide["eval"], self.category == "vocoder"
        return [*(percent(elsewhere, real, spoofs | real) for spoofs in (~real, ~self.nsf, copies, copies & ~self.nsf)),
                percent(dev, self.bonafide["dev"])]

    @torch.no_grad()
    def scores(self, subset: str, mask: np.ndarray | None = None) -> np.ndarray:
        """Scores of the recordings of a subset by the statistics that `mask` leaves; NaN for those without windows."""
        found, owners = self.windows[subset]
        hidden = (torch.from_numpy(found * (1.0 if mask is None else mask)).float() - self.model.mean) * self.model.scale
        logits, count = self.model.out_layer(hidden).double().numpy(), len(self.rows[subset])
        with np.errstate(invalid="ignore"):
            return np.bincount(owners, logits[:, 1] - logits[:, 0], count) / np.bincount(owners, minlength=count)


def spread(values: Iterable[float]) -> str:
    """Mean and, of several, standard deviation."""
    values = list(values)
    return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def percent(scores: np.ndarray, bonafide: np.ndarray, which: np.ndarray | slice = slice(None)) -> float:
    """EER in %, of the trials `which` (bool (N,)); NaN where they are of one class, or one has no score."""
    scores, bonafide = scores[which], bonafide[which]
    if bonafide.all() or not bonafide.any() or np.isnan(scores).any():
        return float("nan")
    return 100 * eer(scores[bonafide], scores[~bonafide])[0]
