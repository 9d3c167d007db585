"""Fits the linear layer of `models.hybrid.Hybrid`: ridge regression on frozen statistics, in closed form, one pass an epoch.

Targets are +1 (bona fide) and -1 (spoof), weighted so that each class has half of the weight, and a source's utterances
by one attack (or its bona fide ones), n of them, a share of their class like n^power. Each epoch is a fit of its own, on
crops and augmentation of its own; dev chooses among them.
"""
from collections import Counter

import numpy as np
import torch
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from models.hybrid import Hybrid
from utils.common.errors import InputError
from utils.export.export import quickest_engine


def ridge_epoch(session, epoch: int) -> float:
    """What an epoch is to a `utils.training.session.Session` of a hybrid: a pass and a fit. Returns the mean squared error."""
    weights, batches = row_weights(session.train.rows, session.recipe["source_power"]), session.batches(epoch)
    shares = [weights[[index for _, index in items]] for items in session.items]
    loss = fit(session.model, batches, shares, session.recipe["ridge"], session.group)
    session.after_step()
    return loss


def row_weights(rows: list, power: float) -> np.ndarray:
    """Weight of each utterance, float64 (N,): 1/2 for each class; in it n^power for a (source, attack) of n utterances."""
    groups = [(row.labels.key, row.labels.source, row.labels.attack) for row in rows]
    sizes = Counter(groups)
    totals = Counter()
    for (key, *_), size in sizes.items():
        totals[key] += size ** power
    return np.array([sizes[group] ** (power - 1) / totals[group[0]] / 2 for group in groups])


def fit(model: Hybrid, batches, weights: list[np.ndarray], ridge: float, group) -> float:
    """Standardise the statistics of the batches' utterances and give the linear layer the weights of least squared error.

    `batches`: (waves (B, n_samples), labels (B,)), with the `weights` (B,) of each. Of several processes (`group`) each has
    its share of them, and all find the same. `ridge` is added to the mean squared error per unit of squared weight. Returns
    the weighted mean squared error. Memory does not grow with the number of utterances: only sums of products are kept, in
    float64 (200 MB; 450 MB with what is added or solved), in each process.
    """
    moments, engine = Moments(), None
    for (waves, labels), share in zip(batches, weights, strict=True):
        engine = engine or statistics_engine(model, waves.size(1))
        moments.add(engine.last_hidden(waves.numpy()), 2.0 * labels.numpy() - 1, share)
    moments.add_up(group, sum(model.widths))
    return moments.solve(model, ridge)


@torch.no_grad()
def statistics_engine(model: Hybrid, n_samples: int):
    """An engine whose `last_hidden` are the statistics of `model` as they come; what its linear layer knew is forgotten."""
    model.mean.zero_()
    model.scale.fill_(1)
    model.out_layer.weight.zero_()
    model.out_layer.bias.zero_()
    return quickest_engine(model, {"n_samples": n_samples})


class Moments:
    """Weighted sums over utterances: of the statistics less those of the first one, of their products, and with the target."""

    def __init__(self):
        self.origin = None

    def add(self, x: np.ndarray, target: np.ndarray, weights: np.ndarray) -> None:
        """Count statistics `x` (n, H) in."""
        if self.origin is None:
            self._begin(x[0].astype(np.float64))
        x = x - self.origin
        self.total += weights.sum()
        self.target += weights @ target
        self.first += weights @ x
        self.crossed += (weights * target) @ x
        self.products += (x * weights[:, None]).T @ x

    def _begin(self, origin: np.ndarray) -> None:
        width = len(origin)
        self.origin, self.total, self.target, self.products = origin, 0.0, 0.0, np.zeros((width, width))
        self.first, self.crossed = np.zeros(width), np.zeros(width)

    def add_up(self, group, width: int) -> None:
        """Make the sums those of all processes together, the same in each. `width`: H, for a process that counted nothing."""
        if self.origin is None:
            self._begin(np.zeros(width))
        self._move(group.add_up(self.origin if group.ranks.lead else np.zeros(width)))
        self.total, self.target, self.first, self.crossed, self.products = map(
            group.add_up, (self.total, self.target, self.first, self.crossed, self.products))

    def _move(self, origin: np.ndarray) -> None:
        """Make the sums those of the statistics less `origin` (H,)."""
        by = self.origin - origin
        self.products += np.stack([by, self.first], axis=1) @ np.stack([self.first + self.total * by, by])
        self.first += self.total * by
        self.crossed += self.target * by
        self.origin = origin

    @torch.no_grad()
    def solve(self, model: Hybrid, ridge: float) -> float:
        """Write the solution into the model, the sums of products used up; the weighted mean squared error."""
        mean, target = self.first / self.total, self.target / self.total
        products = self.products
        products /= self.total
        products -= np.outer(mean, mean)
        model.standardise(torch.from_numpy(mean + self.origin), torch.from_numpy(np.sqrt(products.diagonal().clip(0))))
        scale = model.scale.cpu().double().numpy()
        crossed = (self.crossed / self.total - mean * target) * scale
        products *= scale[:, None]
        products *= scale
        products.flat[::len(scale) + 1] += ridge
        try:
            slope = cho_solve(cho_factor(products, lower=True, overwrite_a=True, check_finite=False), crossed)
        except LinAlgError as error:
            raise InputError(f"the penalty {ridge:g} is too small for so few utterances: give a larger --ridge") from error
        model.out_layer.weight.copy_(torch.from_numpy(np.outer([-0.5, 0.5], slope)))
        model.out_layer.bias.copy_(torch.tensor([-0.5, 0.5]) * target)
        return float(1 - target ** 2 - slope @ crossed - ridge * slope @ slope)
