"""Fits of a hybrid's linear layer on statistics that are computed once, and scores by them."""
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from models.hybrid import Hybrid
from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.detector.scoring import heard, model_wave
from utils.metrics.metrics import eer
from utils.signals import N_SAMPLES
from utils.signals.front import FRONT
from utils.signals.windows import cut
from utils.store.reader import Store
from utils.training.data import CropDataset
from utils.training.learners.ridge import Moments, row_weights, statistics_engine

BLOCK = 256                     # utterances per sum of products
COPIES = "copies"               # sources, as make.sh names their folders
DEFAULT = "default-corpus"
MADE_OF = ("trial_list_sha256", "settings", "counts")   # of a store: what its statistics depend on
FIGURES = ("eval", "eval without NSF", "copies", "copies without NSF", "dev")

Part = tuple[str, np.ndarray, np.ndarray]   # subset, utterances (n,), statistics (n, H)


class Statistics:
    """What the frozen parts of a hybrid find in the stores, float32, computed once and kept.

    `InputError` if the folder holds statistics of other frozen weights, stores, utterances or
    augmentation.
    """

    def __init__(self, model: Hybrid, stores: dict[str, Store], folder: Path):
        self.engine = statistics_engine(model, N_SAMPLES)
        self.engine.metadata["front"] = FRONT
        self.frozen = _frozen_sum(model)
        self.width = sum(model.widths)
        self.stores = stores
        self.folder = folder

    def crops(self, subset: str, seed: int, which: Sequence[int], augmentation: str) -> np.ndarray:
        """(n, H) of one augmented crop of each utterance `which` (n) of a subset."""
        crops = CropDataset(self.stores[subset], N_SAMPLES, seed, augmentation)
        crops.bonafide = np.intersect1d(crops.bonafide, which)  # babble of these utterances alone

        def compute() -> dict[str, np.ndarray]:
            bar = tqdm(which, f"{subset}, {augmentation}, seed {seed}")
            return {"found": self._stacked(self._of(crops[0, int(i)][0].numpy()) for i in bar)}
        name = f"crops-{subset}-{len(which)}-{augmentation}-seed{seed}"
        return self._kept(name, subset, which, augmentation, compute)["found"]

    def windows(self, subset: str, which: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(W, H) of all windows of the utterances `which`, and the utterance (W,) of each."""
        def compute() -> dict[str, np.ndarray]:
            rows = []
            owners = []
            for i in tqdm(which, subset):
                blocks = heard(self.engine, [self.stores[subset].read(int(i))])
                for _, samples in cut(blocks, N_SAMPLES):
                    rows.append(self._of(model_wave(self.engine, samples)))
                    owners.append(i)
            return {"found": self._stacked(rows), "owners": np.array(owners, int)}
        kept = self._kept(f"windows-{subset}", subset, which, "none", compute)
        return kept["found"], kept["owners"]

    def _of(self, wave: np.ndarray) -> np.ndarray:
        return self.engine.last_hidden(wave[None])

    def _stacked(self, rows: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.zeros((0, self.width), np.float32), *rows])   # rows may be empty

    def _kept(self, name: str, subset: str, which: Sequence[int], augmentation: str,
              compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        chosen = hashlib.sha256(np.asarray(which, np.int64).tobytes()).hexdigest()
        store = [self.stores[subset].info.get(part) for part in MADE_OF]
        made_of = json.dumps([self.frozen, *store, chosen, augmentation, FRONT])
        path = self.folder / f"{name}.npz"
        if path.exists():
            with np.load(path) as file:
                if str(file["made_of"]) != made_of:
                    raise InputError(f"{path} holds the statistics of another model, other stores "
                                     "or another augmentation: name another folder")
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

    def __init__(self, model: Hybrid, recipe: dict, stores: dict[str, Store],
                 statistics: Statistics, categories: dict[str, str], seeds: list[int]):
        self.model = model
        self.statistics = statistics
        self.seeds = seeds
        self.width = sum(model.widths)
        self.power = recipe["source_power"]
        self.ridge = recipe["ridge"]
        self.augmentation = recipe["augmentation"]
        self.rows = {subset: store.rows for subset, store in stores.items()}
        self.bonafide = {subset: np.array([row.labels.is_bonafide for row in rows], bool)
                         for subset, rows in self.rows.items()}
        self.source = {subset: np.array([row.labels.source for row in rows], str)
                       for subset, rows in self.rows.items()}
        self.pool = {subset: ~np.isin(source, [COPIES, DEFAULT])
                     for subset, source in self.source.items()}
        self._compute_statistics()
        self.category = np.array([categories[Path(row.utterance).stem]
                                  for row in self.rows["eval"]])
        self.nsf = np.array([row.labels.attack.startswith("NSF") for row in self.rows["eval"]])

    def _compute_statistics(self) -> None:
        every = {subset: np.arange(len(rows)) for subset, rows in self.rows.items()}
        scored = every | {"train": np.flatnonzero(self.pool["train"])}
        self.windows = {subset: self.statistics.windows(subset, which)
                        for subset, which in scored.items()}
        self.crops = {(subset, seed): self.statistics.crops(subset, seed, every[subset],
                                                            self.augmentation)
                      for subset in ("train", "dev") for seed in self.seeds}

    def row(self, name: str, kept: np.ndarray | None = None, columns: slice | list | None = None,
            power: float | None = None, ridge: float | None = None,
            augmentation: str | None = None) -> dict[str, str]:
        """The row of a fit to the utterances `kept` (bool (N,), None: all) and some statistics.

        All else is as in the recipe. The row says so if the stores lack what it would leave out.
        """
        use = np.ones(len(self.rows["train"]), bool) if kept is None else kept
        mask = np.zeros(self.width)
        mask[slice(None) if columns is None else columns] = 1
        nothing_left_out = kept is not None and kept.all() and augmentation is None
        figures = []
        for seed in self.seeds:
            if nothing_left_out or not self.fit([self._part(seed, use, augmentation)], mask, power,
                                                ridge):
                return _row(name, "not in these stores", [()] * len(FIGURES))
            figures.append(self._figures(mask))
        return _row(name, str(use.sum()), zip(*figures))

    def _part(self, seed: int, use: np.ndarray, augmentation: str | None) -> Part:
        which = np.flatnonzero(use)
        if augmentation is None:
            return "train", which, self.crops["train", seed][which]
        return "train", which, self.statistics.crops("train", seed, which, augmentation)

    def fit(self, parts: list[Part], mask: np.ndarray | None = None, power: float | None = None,
            ridge: float | None = None) -> bool:
        """Fit the model to `parts` and the statistics that `mask` leaves.

        False, and nothing done, if they lack a class.
        """
        real = np.concatenate([self.bonafide[subset][which] for subset, which, _ in parts])
        if real.all() or not real.any():
            return False
        rows = [self.rows[subset][i] for subset, which, _ in parts for i in which]
        weights = row_weights(rows, power or self.power)
        moments = Moments()
        at = 0
        for _, which, found in parts:
            for begin in range(0, len(which), BLOCK):
                x = found[begin:begin + BLOCK] * (1.0 if mask is None else mask)
                now = slice(at, at + len(x))
                moments.add(x, np.where(real[now], 1.0, -1.0), weights[now])
                at += len(x)
        moments.solve(self.model, ridge or self.ridge)
        return True

    def _figures(self, mask: np.ndarray) -> list[float]:
        """EERs in the order of `FIGURES`."""
        scores = self.scores("eval", mask)
        real = self.bonafide["eval"]
        copies = self.category == "vocoder"
        groups = (~real, ~self.nsf, copies, copies & ~self.nsf)
        return [*(percent(scores, real, spoofs | real) for spoofs in groups),
                percent(self.scores("dev", mask), self.bonafide["dev"])]

    @torch.no_grad()
    def scores(self, subset: str, mask: np.ndarray | None = None) -> np.ndarray:
        """Scores of a subset by the statistics that `mask` leaves; NaN if a clip has no window."""
        found, owners = self.windows[subset]
        masked = torch.from_numpy(found * (1.0 if mask is None else mask)).float()
        hidden = (masked - self.model.mean) * self.model.scale
        logits = self.model.out_layer(hidden).double().numpy()
        count = len(self.rows[subset])
        with np.errstate(invalid="ignore"):
            return (np.bincount(owners, logits[:, 1] - logits[:, 0], count)
                    / np.bincount(owners, minlength=count))


def _row(name: str, utterances: str, figures: Iterable[Sequence[float]]) -> dict[str, str]:
    cells = {"training": name, "utterances": utterances}
    for column, values in zip(FIGURES, figures):
        cells |= spread(column, values)
    return cells


def spread(column: str, values: Sequence[float]) -> dict[str, str]:
    """Mean and, of several values, standard deviation, as two cells; both empty without values."""
    mean = f"{np.mean(values):.1f}" if len(values) else ""
    deviation = f"{np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return {column: mean, f"{column} sd": deviation}


def percent(scores: np.ndarray, bonafide: np.ndarray,
            which: np.ndarray | slice = slice(None)) -> float:
    """EER in %, of the trials `which` (bool (N,)); NaN if they lack a class or a score."""
    scores = scores[which]
    bonafide = bonafide[which]
    if bonafide.all() or not bonafide.any() or np.isnan(scores).any():
        return float("nan")
    return 100 * eer(scores[bonafide], scores[~bonafide])[0]
