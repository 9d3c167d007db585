"""Fits the mixtures of `models.gmm.LFCCGMM` by expectation-maximisation: a pass per epoch.

Each pass reads the epoch's batches as every other network does. Crops, balance and augmentation are
those of the recipe, no frames are kept, and a resumed run continues from its last mixtures.
"""
from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from models.gmm import LFCCGMM
from utils.common.errors import InputError
from utils.training.batches import Batch, batches
from utils.training.learners.fitted import Fitted
from utils.training.run import Run

FRAMES_PER_COMPONENT = 100   # for the first means; a component with fewer is not made
FEWEST_FRAMES = 10           # a component with fewer keeps its mean and variance
VARIANCE_FLOOR = 1e-3        # of the variance of all frames of the class
KMEANS_ITERATIONS = 20


def affordable(components: int, utterances: int, frames_per_utterance: int) -> int:
    """`components`, or the largest power of two that has 100 frames for each; at least 1."""
    most = max(1, utterances * frames_per_utterance // FRAMES_PER_COMPONENT)
    return components if components <= most else 2 ** (most.bit_length() - 1)


class ExpectationMaximisation(Fitted):
    """One pass per epoch, the first one from k-means."""

    def epoch(self, run: Run, number: int) -> float:
        """A pass; the mean negative log-likelihood per frame before it.

        Raises `InputError` where the device has no float64.
        """
        if run.processes.device.type == "mps":
            raise InputError("mixtures need float64, which the mps device lacks: use --device cpu")
        if number == 0:
            rarer = min(Counter(row.labels.key for row in run.train.rows).values())
            drawn = len(run.order) * (run.recipe["batch_size"] // 2)  # of each class
            start(run.model, batches(run, number), min(rarer, drawn), run.recipe["seed"])
        return em_pass(run.model, batches(run, number))


@torch.no_grad()
def start(model: LFCCGMM, epoch: Iterable[Batch], utterances: int, seed: int) -> None:
    """First mixtures: k-means on 100 frames per component, as many of each utterance.

    A class has `utterances` or more.
    """
    from sklearn.cluster import KMeans      # slow to import, and no other learner needs it
    components = model.means.size(1)
    per_utterance = -(-components * FRAMES_PER_COMPONENT // utterances)
    for label, frames in enumerate(_draw(model, epoch, per_utterance, seed)):
        centre = frames.mean(axis=0)
        spread = frames.std(axis=0) + 1e-6
        scaled = (frames - centre) / spread
        found = KMeans(components, n_init=1, max_iter=KMEANS_ITERATIONS,
                       random_state=seed % 2 ** 32).fit(scaled)
        inside = np.bincount(found.labels_, minlength=components)
        squares = np.zeros_like(found.cluster_centers_)
        np.add.at(squares, found.labels_, (scaled - found.cluster_centers_[found.labels_]) ** 2)
        # Few frames say little about a variance: each component gets one more, of average spread.
        variances = (squares + squares.sum(axis=0) / len(frames)) / (inside + 1)[:, None]
        precisions = 1 / (variances.clip(VARIANCE_FLOOR) * spread ** 2)
        model.means[label] = torch.from_numpy(found.cluster_centers_ * spread + centre)
        model.precisions[label] = torch.from_numpy(precisions)
        model.log_weights[label] = torch.from_numpy(np.log((inside + 1) / (inside + 1).sum()))


def _draw(model: LFCCGMM, epoch: Iterable[Batch], per_utterance: int,
          seed: int) -> list[np.ndarray]:
    """So many frames of each utterance, drawn by `seed`, by class: float64 (n, 60)."""
    rng = np.random.default_rng([seed, 0x6A3])
    drawn: list[list[np.ndarray]] = [[], []]
    for batch in epoch:
        waves = _frames(model, batch.waves).cpu().double().numpy()
        for frames, label in zip(waves, batch.labels.tolist(), strict=True):
            count = min(len(frames), per_utterance)
            drawn[label].append(frames[rng.choice(len(frames), count, replace=False)])
    return [np.concatenate(part) for part in drawn]


@torch.no_grad()
def em_pass(model: LFCCGMM, epoch: Iterable[Batch]) -> float:
    """One pass over the batches; the mean negative log-likelihood per frame before it."""
    sums = [_Sums(model.means[label].double()) for label in (0, 1)]
    for batch in epoch:
        frames = _frames(model, batch.waves)
        for label, part in enumerate(sums):
            own = batch.labels.to(frames.device) == label
            part.add(model, frames[own].flatten(0, 1), label)
    for label, part in enumerate(sums):
        part.maximise(model, label)
    return -sum(part.likelihood for part in sums) / sum(part.frames for part in sums)


def _frames(model: LFCCGMM, waves: Tensor) -> Tensor:
    """(B, frames, 60) of waves (B, n_samples)."""
    return model.front_end(waves.to(model.means.device)).transpose(1, 2)


class _Sums:
    """Sums over one class' frames: how many belong to each component, the frames, their squares."""

    def __init__(self, means: Tensor):
        self.counts = torch.zeros_like(means[:, 0])
        self.first = torch.zeros_like(means)
        self.second = torch.zeros_like(means)
        self.frames = 0
        self.likelihood = 0.0

    def add(self, model: LFCCGMM, frames: Tensor, label: int) -> None:
        """Add frames (n, 60)."""
        joint = model.joint(frames, label)
        total = joint.logsumexp(dim=1, keepdim=True)
        share = (joint - total).exp_()
        frames = frames.double()
        self.counts += share.sum(dim=0)
        self.first += share.T @ frames
        self.second += share.T @ frames.square()
        self.frames += len(frames)
        self.likelihood += float(total.sum())

    def maximise(self, model: LFCCGMM, label: int) -> None:
        """Write the weights, means and precisions that fit these frames best."""
        if not self.frames:
            return
        everywhere = self.first.sum(dim=0) / self.frames
        floor = VARIANCE_FLOOR * (self.second.sum(dim=0) / self.frames - everywhere.square())
        counts = self.counts.unsqueeze(1)
        means = self.first / counts.clamp(min=1e-9)
        variances = torch.maximum(self.second / counts.clamp(min=1e-9) - means.square(),
                                  floor.clamp(min=1e-12))
        heard = counts >= FEWEST_FRAMES
        old_means, old_precisions = model.means[label].double(), model.precisions[label].double()
        model.means[label] = torch.where(heard, means, old_means).float()
        model.precisions[label] = torch.where(heard, 1 / variances, old_precisions).float()
        smoothed = (self.counts + 1e-3) / (self.frames + 1e-3 * len(self.counts))
        model.log_weights[label] = smoothed.log().float()
