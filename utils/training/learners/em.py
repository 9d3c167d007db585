"""Fits the mixtures of `models.gmm.LFCCGMM` by expectation-maximisation: one pass of it per epoch.

Each pass reads the epoch's batches as every other network does, so crops, balance and augmentation are those of the recipe,
no frames are kept, and a resumed run goes on from the mixtures of its last epoch.
"""
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.gmm import LFCCGMM
from utils.common.errors import InputError

if TYPE_CHECKING:
    from utils.training.session import Session

Batches = Iterable[tuple[Tensor, Tensor]]   # waves (B, n_samples), labels (B,)

FRAMES_PER_COMPONENT = 100   # of which the first means are found, and the least that a component is given to describe
FEWEST_FRAMES = 10           # a component that fewer speak for keeps its mean and variance
VARIANCE_FLOOR = 1e-3        # of the variance of all frames of the class
KMEANS_ITERATIONS = 20


def affordable(components: int, utterances: int, frames_per_utterance: int) -> int:
    """`components`, or where there are not 100 frames for each, the largest power of two for which there are; at least 1."""
    most = max(1, utterances * frames_per_utterance // FRAMES_PER_COMPONENT)
    return components if components <= most else 2 ** (most.bit_length() - 1)


def gmm_epoch(session: "Session", epoch: int) -> float:
    """One epoch of a run of lfcc-gmm: a pass of expectation-maximisation, the first one from a fresh start.

    Returns the mean negative log-likelihood per frame before the pass. `InputError` where the device has no float64.
    """
    if session.device.type == "mps":
        raise InputError("mixtures are computed in float64, which the mps device does not have: use --device cpu")
    if epoch == 0:
        rarer = min(Counter(row.labels.key for row in session.train.rows).values())
        drawn = session.steps_per_epoch * (session.recipe["batch_size"] // 2)    # of each class, where batches are balanced
        start(session.model, session.batches(epoch), min(rarer, drawn), session.seed)
    loss = em_pass(session.model, session.batches(epoch))
    session.after_step()
    return loss


@torch.no_grad()
def start(model: LFCCGMM, batches: Batches, utterances: int, seed: int) -> None:
    """First mixtures: k-means on 100 frames per component, as many of each utterance; a class has `utterances` or more."""
    from sklearn.cluster import KMeans
    components = model.means.size(1)
    for label, frames in enumerate(_draw(model, batches, -(-components * FRAMES_PER_COMPONENT // utterances), seed)):
        centre, spread = frames.mean(axis=0), frames.std(axis=0) + 1e-6
        scaled = (frames - centre) / spread
        found = KMeans(components, n_init=1, max_iter=KMEANS_ITERATIONS, random_state=seed % 2 ** 32).fit(scaled)
        inside = np.bincount(found.labels_, minlength=components)
        squares = np.zeros_like(found.cluster_centers_)
        np.add.at(squares, found.labels_, (scaled - found.cluster_centers_[found.labels_]) ** 2)
        # Few frames say little about a variance: to each component's own, one of average spread is added.
        variances = (squares + squares.sum(axis=0) / len(frames)) / (inside + 1)[:, None]
        model.means[label] = torch.from_numpy(found.cluster_centers_ * spread + centre)
        model.precisions[label] = torch.from_numpy(1 / (variances.clip(VARIANCE_FLOOR) * spread ** 2))
        model.log_weights[label] = torch.from_numpy(np.log((inside + 1) / (inside + 1).sum()))


def _draw(model: LFCCGMM, batches: Batches, per_utterance: int, seed: int) -> list[np.ndarray]:
    """So many frames of each utterance, drawn by `seed`, by class: float64 (n, 60)."""
    rng, found = np.random.default_rng([seed, 0x6A3]), [[], []]
    for waves, labels in batches:
        for frames, label in zip(_frames(model, waves).cpu().double().numpy(), labels.tolist(), strict=True):
            found[label].append(frames[rng.choice(len(frames), min(len(frames), per_utterance), replace=False)])
    return [np.concatenate(part) for part in found]


@torch.no_grad()
def em_pass(model: LFCCGMM, batches: Batches) -> float:
    """One expectation over the batches and one maximisation; the mean negative log-likelihood per frame before it."""
    sums = [_Sums(model.means[label].double()) for label in (0, 1)]
    for waves, labels in batches:
        frames = _frames(model, waves)
        for label, part in enumerate(sums):
            part.add(model, frames[labels.to(frames.device) == label].flatten(0, 1), label)
    for label, part in enumerate(sums):
        part.maximise(model, label)
    return -sum(part.likelihood for part in sums) / sum(part.frames for part in sums)


def _frames(model: LFCCGMM, waves: Tensor) -> Tensor:
    """(B, frames, 60) of waves (B, n_samples)."""
    return model.front_end(waves.to(model.means.device)).transpose(1, 2)


class _Sums:
    """What the maximisation needs of one class' frames: how many speak for each component, their sums and squares."""

    def __init__(self, means: Tensor):
        self.counts, self.first, self.second = torch.zeros_like(means[:, 0]), torch.zeros_like(means), torch.zeros_like(means)
        self.frames, self.likelihood = 0, 0.0

    def add(self, model: LFCCGMM, frames: Tensor, label: int) -> None:
        """Count frames (n, 60) in."""
        joint = model.joint(frames, label)
        total = joint.logsumexp(dim=1, keepdim=True)
        share, frames = (joint - total).exp_(), frames.double()
        self.counts += share.sum(dim=0)
        self.first += share.T @ frames
        self.second += share.T @ frames.square()
        self.frames += len(frames)
        self.likelihood += float(total.sum())

    def maximise(self, model: LFCCGMM, label: int) -> None:
        """Write the weights, means and precisions that fit the counted frames best."""
        if not self.frames:
            return
        everywhere = self.first.sum(dim=0) / self.frames
        floor = VARIANCE_FLOOR * (self.second.sum(dim=0) / self.frames - everywhere.square())
        counts = self.counts.unsqueeze(1)
        means = self.first / counts.clamp(min=1e-9)
        variances = torch.maximum(self.second / counts.clamp(min=1e-9) - means.square(), floor.clamp(min=1e-12))
        heard = counts >= FEWEST_FRAMES
        model.means[label] = torch.where(heard, means, model.means[label].double()).float()
        model.precisions[label] = torch.where(heard, 1 / variances, model.precisions[label].double()).float()
        model.log_weights[label] = ((self.counts + 1e-3) / (self.frames + 1e-3 * len(self.counts))).log().float()
