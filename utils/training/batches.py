"""Which utterances each training batch holds: seeded, and the same however many workers read them."""
from collections import defaultdict

import numpy as np
from torch.utils.data import DataLoader

from utils.common.errors import InputError
from utils.training.data import CropDataset


class BalancedOrder:
    """One epoch's utterances: as many bona fide as spoofed, each class spread over its groups.

    `groups` names each utterance's group (its attack, its source, or the same for all); a group of n gets a share of its
    class in proportion to n^power: 0 gives every group the same, 1 every utterance. The larger class is drawn anew each
    epoch without replacement, so over the epochs all of it is seen. Every batch holds both classes in equal number; of an
    odd size, one more spoofed.
    """

    def __init__(self, keys: list[str], groups: list[str], batch_size: int, seed: int, power: float = 0.0):
        if batch_size < 2:
            raise InputError("a balanced batch holds both classes: give --batch_size of at least 2")
        self.bonafide = [i for i, key in enumerate(keys) if key == "bonafide"]
        self.spoof = [i for i, key in enumerate(keys) if key == "spoof"]
        self.groups, self.power, self.batch_size = groups, power, batch_size
        self.shares = batch_size // 2, batch_size - batch_size // 2
        self.seed = seed

    def __len__(self) -> int:
        return max(1, min(len(self.bonafide) // self.shares[0], len(self.spoof) // self.shares[1]))

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches (lists of utterance indices) of the given epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch, 0xBA1])
        b, s = self.shares
        bonafide = self._draw(rng, self.bonafide, len(self) * b)
        spoof = self._draw(rng, self.spoof, len(self) * s)
        return [bonafide[k * b:(k + 1) * b] + spoof[k * s:(k + 1) * s] for k in range(len(self))]

    def _draw(self, rng: np.random.Generator, items: list[int], count: int) -> list[int]:
        groups = [self.groups[i] for i in items]
        if set(groups) == {"-"}:
            return _draw(rng, items, count)
        return _draw_over_groups(rng, items, groups, count, self.power)


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


class PlainOrder:
    """One epoch's utterances: every one once, in the store's order."""

    def __init__(self, count: int, batch_size: int):
        self.count, self.batch_size = count, batch_size

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches (lists of utterance indices), the same in every epoch."""
        return [list(range(k, min(k + self.batch_size, self.count))) for k in range(0, self.count, self.batch_size)]


def make_order(rows: list, recipe: dict, seed: int) -> BalancedOrder | ShuffledOrder | PlainOrder:
    """The order of a store's rows that the recipe's `balance` asks for. `InputError` where it is by source and none is known."""
    balance, keys = recipe["balance"], [row.labels.key for row in rows]
    if balance == "weights":
        return PlainOrder(len(rows), recipe["batch_size"])
    if balance == "none":
        return ShuffledOrder(len(rows), recipe["batch_size"], seed)
    if balance == "source":
        if all(row.labels.source == "-" for row in rows):
            raise InputError("--balance source: the train store names no sources; prepare and preprocess it again, from a "
                             "folder with a trials.tsv, or choose --balance attack")
        return BalancedOrder(keys, [row.labels.source for row in rows], recipe["batch_size"], seed, recipe["source_power"])
    return BalancedOrder(keys, [row.labels.attack if balance == "attack" else "-" for row in rows], recipe["batch_size"], seed)


def _draw(rng: np.random.Generator, items: list[int], count: int) -> list[int]:
    """`count` of `items` in random order; all of them before any comes twice."""
    order = [i for _ in range(-(-count // len(items))) for i in rng.permutation(items).tolist()]
    return order[:count]


def _draw_over_groups(rng: np.random.Generator, items: list[int], groups: list[str], count: int, power: float = 0.0) -> list[int]:
    """`count` of `items`, of each group of n in proportion to n^power to within one, in random order."""
    members = defaultdict(list)
    for item, group in zip(items, groups, strict=True):
        members[group].append(item)
    names = rng.permutation(sorted(members)).tolist()
    share = [count // len(names) + (k < count % len(names)) for k in range(len(names))]
    if power:      # systematic sampling: every group's mean over epochs is its exact share
        edges = np.cumsum([0.0, *(len(members[name]) ** power for name in names)])
        share = np.diff(np.floor(edges / edges[-1] * count + rng.random()).astype(int)).tolist()
    drawn = [i for name, number in zip(names, share, strict=True) if number for i in _draw(rng, members[name], number)]
    return rng.permutation(drawn).tolist()


def epoch_items(order: BalancedOrder | ShuffledOrder, epoch: int, part: slice = slice(None)) -> list[list[tuple[int, int]]]:
    """The dataset's items (epoch, index) of one epoch, batch by batch; of each batch the `part` that one process takes.

    A last batch too small for that part is left out: a DataLoader cannot make a batch of nothing.
    """
    return [[(epoch, index) for index in batch[part]] for batch in order.epoch(epoch) if batch[part]]


def epoch_batches(dataset: CropDataset, items: list[list[tuple[int, int]]], workers: int) -> DataLoader:
    """The batches of `items`: waves float32 (B, n_samples), labels int64 (B,)."""
    return DataLoader(dataset, batch_sampler=items, num_workers=workers)
