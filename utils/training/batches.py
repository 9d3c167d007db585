"""The batches of an epoch, each with all that a loss needs."""
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from utils.training.run import Run


@dataclass(frozen=True)
class Batch:
    """Some crops, and which they are."""
    waves: Tensor                   # float32 (B, n_samples)
    labels: Tensor                  # int64 (B,): 1 bona fide, 0 spoof
    items: list[tuple[int, int]]    # of the dataset: (epoch, index)
    changed: tuple[Tensor, ...] = ()    # like `waves`: the same crops, changed once more


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed every generator for one epoch: a resumed run then draws what an unbroken run draws."""
    value = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def batches(run: Run, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch, counted from 0; each process reads its share of every batch.

    All generators are seeded for the epoch. A batch without a share for this process is left out.
    """
    seed_epoch(run.recipe["seed"], epoch)
    share = run.processes.share(run.order.batch_size)
    items = [[(epoch, index) for index in batch[share]]
             for batch in run.order.epoch(epoch) if batch[share]]
    loader = DataLoader(run.crops, batch_sampler=items, num_workers=run.workers)
    bar = tqdm(loader, f"epoch {epoch + 1}/{run.epochs}", unit="step", leave=False,
               disable=None if run.processes.lead else True)
    for (waves, labels, *changed), own in zip(bar, items, strict=True):
        yield Batch(waves, labels, own, tuple(changed))
