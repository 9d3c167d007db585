"""Which utterances each training batch holds: seeded, and the same however many workers read them."""
from collections import defaultdict

import numpy as np
from torch.utils.data import DataLoader

from utils.errors import InputError
from utils.training.data import CropDataset


class BalancedOrder:
    """One epoch's utterances: as many bona fide as spoofed, spoofed ones spread evenly over the attacks.

    The larger class is drawn anew each epoch without replacement, so over the epochs all of it is seen. Every batch
    holds both classes in equal number; of an odd size, one more spoofed.
    """

    def __init__(self, keys: list[str], attacks: list[str], batch_size: int, seed: int):
        if batch_size < 2:
            raise InputError("a balanced batch holds both classes: give --batch_size of at least 2")
        self.bonafide = [i for i, key in enumerate(keys) if key == "bonafide"]
        self.spoof = [i for i, key in enumerate(keys) if key == "spoof"]
        self.attacks = attacks
        self.shares = batch_size // 2, batch_size - batch_size // 2
        self.seed = seed

    def __len__(self) -> int:
        return max(1, min(len(self.bonafide) // self.shares[0], len(self.spoof) // self.shares[1]))

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches (lists of utterance indices) of the given epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch, 0xBA1])
        b, s = self.shares
        bonafide = _draw(rng, self.bonafide, len(self) * b)
        spoof = _draw_over_groups(rng, self.spoof, [self.attacks[i] for i in self.spoof], len(self) * s)
        return [bonafide[k * b:(k + 1) * b] + spoof[k * s:(k + 1) * s] for k in range(len(self))]


class ShuffledOrder:
    """One epoch's utterances: all of them in random order, the last incomplete batch left out, as in the published recipe."""

    def __init__(self, count: int, batch_size: int, seed: int):
        self.count, self.batch_size, self.seed = count, min(batch_size, count), seed

    def __len__(self) -> int:
        return self.count // self.batch_size

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches (lists of utterance indices) of the given epoch, counted from 0."""
        order = np.random.default_rng([self.seed, epoch, 0x5A1]).permutation(self.count).tolist()
        return [order[k:k + self.batch_size] for k in range(0, len(self) * self.batch_size, self.batch_size)]


def make_order(rows: list, recipe: dict, seed: int) -> BalancedOrder | ShuffledOrder:
    """The order of a store's rows that the recipe asks for."""
    if recipe["balanced"]:
        return BalancedOrder([row.key for row in rows], [row.attack for row in rows], recipe["batch_size"], seed)
    return ShuffledOrder(len(rows), recipe["batch_size"], seed)


def _draw(rng: np.random.Generator, items: list[int], count: int) -> list[int]:
    """`count` of `items` in random order; all of them before any comes twice."""
    order = [i for _ in range(-(-count // len(items))) for i in rng.permutation(items).tolist()]
    return order[:count]


def _draw_over_groups(rng: np.random.Generator, items: list[int], groups: list[str], count: int) -> list[int]:
    """`count` of `items`, the same number of each group to within one, in random order."""
    members = defaultdict(list)
    for item, group in zip(items, groups, strict=True):
        members[group].append(item)
    names = rng.permutation(sorted(members)).tolist()
    share = [count // len(names) + (k < count % len(names)) for k in range(len(names))]
    drawn = [i for name, number in zip(names, share, strict=True) if number for i in _draw(rng, members[name], number)]
    return rng.permutation(drawn).tolist()


def epoch_batches(dataset: CropDataset, order: BalancedOrder | ShuffledOrder, epoch: int, workers: int
                  ) -> DataLoader:
    """The batches of one epoch: waves float32 (B, n_samples), labels int64 (B,)."""
    batches = [[(epoch, index) for index in batch] for batch in order.epoch(epoch)]
    return DataLoader(dataset, batch_sampler=batches, num_workers=workers)
