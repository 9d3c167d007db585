"""Fits the linear layer over frozen statistics by ridge regression, in closed form.

Targets are +1 (bona fide) and -1 (spoof), or with a teacher a mean of these and of its scores,
squeezed into that range. Each class has half of the weight. In it, the n
utterances of a source by one attack (or its bona fide ones) have a share like n^power. Each epoch
is a fit of its own, on crops and augmentation of its own; dev chooses among them.

The fit may also penalise what levels and channels do to a score: the squared change between a crop
and its changed copy is added, as the consistency terms of semi-supervised learning are. It is a sum
of squares like the others, so the closed form stays.
"""
import argparse
import copy
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from torch import nn

from models.hybrid import Hybrid
from models.shallow import Shallow
from models.ssl import OnStatistics
from utils.common.errors import InputError
from utils.detector.engines import Engine
from utils.export.export import quickest_engine
from utils.parallel.join import Alone
from utils.store.reader import StoredTrial
from utils.training.batches import Batch, batches
from utils.training.learners.fitted import Fitted
from utils.training.learners.kept import Kept, OnKept, kept_in
from utils.training.learners.teacher import Teacher
from utils.training.run import Run

CHANGES = ("level", "channel")      # augmentations


class Ridge(Fitted):
    """A fit per epoch."""

    def __init__(self, run: Run, args: argparse.Namespace):
        super().__init__(run, args)
        self.teacher = (Teacher(args.teacher, run.crops, once=True, folder=kept_in(run))
                        if args.teacher else None)
        self.recipe = run.recipe

    def epoch(self, run: Run, number: int) -> float:
        """A pass and a fit; the weighted mean squared error."""
        weights = row_weights(run.train.rows, run.recipe["source_power"])
        views = range(number * self.recipe["views"], (number + 1) * self.recipe["views"])
        passes = chain.from_iterable(batches(run, view) for view in views)
        return fit(run.model, passes, weights, run.recipe["ridge"], run.processes,
                   list(penalties(run.recipe).values()), statistics_file(run), self.targets)

    def targets(self, batch: Batch) -> np.ndarray:
        """What the linear layer is to give for a batch, (B,) from -1 to 1.

        A teacher's score is a log-odds: with probability p of bona fide, its target is 2p - 1.
        """
        targets = of_labels(batch)
        if self.teacher is None:
            return targets
        scores = self.teacher.scores(batch.items).double().numpy()
        soft = np.tanh(scores / self.recipe["distil_temperature"] / 2)
        weight = self.recipe["distil_weight"]
        return (1 - weight) * targets + weight * soft


def of_labels(batch: Batch) -> np.ndarray:
    """+1 for bona fide, -1 for spoof, float64 (B,)."""
    return 2.0 * batch.labels.numpy() - 1


def penalties(recipe: dict) -> dict[str, float]:
    """The penalty of each change, a name of an augmentation, that has one."""
    return {name: recipe[f"{name}_penalty"] for name in CHANGES if recipe.get(f"{name}_penalty")}


def statistics_file(run: Run) -> Path | None:
    """Where the statistics of a self-supervised encoder are kept, beside the runs; else None.

    They depend on the encoder and the crops alone, so other runs find them too.
    """
    folder = kept_in(run)
    if folder is None or not isinstance(run.model, OnStatistics):
        return None
    described = json.dumps([run.config, run.args["encoder"]], sort_keys=True)
    name = hashlib.sha256(described.encode()).hexdigest()[:16]
    return folder / f"{name}.f32"


def row_weights(rows: list[StoredTrial], power: float) -> np.ndarray:
    """Weight of each utterance, float64 (N,).

    1/2 for each class; in it n^power for the n utterances of a source by one attack.
    """
    groups = [(row.labels.key, row.labels.source, row.labels.attack) for row in rows]
    sizes = Counter(groups)
    totals: Counter = Counter()
    for (key, *_), size in sizes.items():
        totals[key] += size ** power
    return np.array([sizes[group] ** (power - 1) / totals[group[0]] / 2 for group in groups])


def fit(model: Hybrid | Shallow | OnStatistics, epoch: Iterable[Batch], weights: np.ndarray,
        ridge: float, processes: Alone, penalties: Sequence[float] = (), kept: Path | None = None,
        targets: Callable[[Batch], np.ndarray] = of_labels) -> float:
    """Standardise the statistics and give the linear layer the weights of least squared error.

    `weights` (N,) are those of the store's utterances. Of several processes each has its share of
    every batch, and all find the same. `ridge` is added to the mean squared error per unit of
    squared weight, and each of `penalties` per mean squared change of the score between a crop and
    its changed copy, in the order of `Batch.changed`. Returns the sum of the weighted mean squared
    error and these changes. Only sums of products are kept, in float64: 200 MB, and 450 MB while
    they are added or solved, whatever the number of utterances.
    `kept`: a file that keeps the statistics themselves. `targets` gives those of a batch.
    """
    moments = Moments()
    engine = None
    for batch in epoch:
        engine = engine or statistics_engine(model, batch.waves.size(1), kept)
        own = weights[[index for _, index in batch.items]]
        found = engine.last_hidden(batch.waves.numpy())
        moments.add(found, targets(batch), own)
        for penalty, waves in zip(penalties, batch.changed, strict=True):
            moments.add_change(engine.last_hidden(waves.numpy()) - found, penalty * own)
    moments.add_up(processes, sum(model.widths))
    return moments.solve(model, ridge)


def statistics_engine(model: Hybrid | Shallow | OnStatistics, n_samples: int,
                      kept: Path | None = None) -> Engine | Kept:
    """An engine whose `last_hidden` are the raw statistics; with `kept`, each is found once."""
    if kept is not None:
        return Kept(lambda: statistics_engine(model, n_samples), kept, len(model.mean))
    return quickest_engine(not_standardised(model), {"n_samples": n_samples})


def not_standardised(model: Hybrid | Shallow | OnStatistics) -> nn.Module:
    """The same network, whose statistics are the raw ones; both share all weights."""
    raw = copy.copy(model)
    raw._buffers = model._buffers | {"mean": torch.zeros_like(model.mean),
                                     "scale": torch.ones_like(model.scale)}
    return raw


def dev_engine(run: Run, model: nn.Module, metadata: dict) -> Engine:
    """An engine that scores dev; it hears nothing whose statistics are kept."""
    kept = statistics_file(run)
    if kept is None:
        return quickest_engine(model, metadata)
    return OnKept(statistics_engine(model, metadata["n_samples"], kept), model, metadata)


class Moments:
    """Weighted sums over utterances: of the statistics, their products, and with the target.

    The statistics are taken less those of the first utterance, so that little precision is lost.
    """

    def __init__(self):
        self.origin = None

    def add(self, x: np.ndarray, target: np.ndarray, weights: np.ndarray) -> None:
        """Add statistics `x` (n, H)."""
        if self.origin is None:
            self._begin(x[0].astype(np.float64))
        x = x - self.origin
        self.total += weights.sum()
        self.target += weights @ target
        self.squares += weights @ np.square(target)
        self.first += weights @ x
        self.crossed += (weights * target) @ x
        self.products += (x * weights[:, None]).T @ x

    def add_change(self, moved: np.ndarray, weights: np.ndarray) -> None:
        """Add a penalty on what the changes `moved` (n, H) of the statistics do to the score.

        Call it after `add`.
        """
        moved = moved.astype(np.float64)
        self.products += (moved * weights[:, None]).T @ moved
        self.moved += weights @ np.square(moved)

    def _begin(self, origin: np.ndarray) -> None:
        width = len(origin)
        self.origin = origin
        self.total = 0.0
        self.target = 0.0
        self.squares = 0.0
        self.first = np.zeros(width)
        self.moved = np.zeros(width)        # the part of the penalties in the products' diagonal
        self.crossed = np.zeros(width)
        self.products = np.zeros((width, width))

    def add_up(self, processes: Alone, width: int) -> None:
        """Make the sums those of all processes. `width`: H, for a process without utterances."""
        if self.origin is None:
            self._begin(np.zeros(width))
        self._move(processes.add_up(self.origin if processes.lead else np.zeros(width)))
        for name in ("total", "target", "squares", "first", "moved", "crossed", "products"):
            setattr(self, name, processes.add_up(getattr(self, name)))

    def _move(self, origin: np.ndarray) -> None:
        """Make the sums those of the statistics less `origin` (H,)."""
        by = self.origin - origin
        shifted = self.first + self.total * by
        self.products += np.stack([by, self.first], axis=1) @ np.stack([shifted, by])
        self.first += self.total * by
        self.crossed += self.target * by
        self.origin = origin

    @torch.no_grad()
    def solve(self, model: Hybrid | Shallow | OnStatistics, ridge: float) -> float:
        """Write the solution into the model; the weighted mean squared error.

        The sums of products are used up. Raises `InputError` where `ridge` is too small.
        """
        mean = self.first / self.total
        target = self.target / self.total
        products = self.products
        products /= self.total
        products -= np.outer(mean, mean)
        deviation = np.sqrt((products.diagonal() - self.moved / self.total).clip(0))
        model.standardise(torch.from_numpy(mean + self.origin), torch.from_numpy(deviation))
        scale = model.scale.cpu().double().numpy()
        crossed = (self.crossed / self.total - mean * target) * scale
        products *= scale[:, None]
        products *= scale
        products.flat[::len(scale) + 1] += ridge
        try:
            factor = cho_factor(products, lower=True, overwrite_a=True, check_finite=False)
            slope = cho_solve(factor, crossed)
        except LinAlgError as error:
            raise InputError(f"the penalty {ridge:g} is too small for so few utterances: "
                             "give a larger --ridge") from error
        model.out_layer.weight.copy_(torch.from_numpy(np.outer([-0.5, 0.5], slope)))
        model.out_layer.bias.copy_(torch.tensor([-0.5, 0.5]) * target)
        spread = self.squares / self.total - target ** 2
        return float(spread - slope @ crossed - ridge * slope @ slope)
