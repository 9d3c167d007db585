"""Which utterances each training batch holds: seeded, and the same for any number of workers."""
from collections import defaultdict

import numpy as np

from utils.common.errors import InputError
from utils.store.reader import StoredTrial


class BalancedOrder:
    """One epoch's utterances: as many bona fide as spoofed, each class spread over its groups.

    `groups` names each utterance's group (its attack, its source, or "-" for all). A group of n
    utterances has a share of its class in proportion to n^power. With power 0 all groups count
    alike, with 1 all utterances. Each epoch draws from the larger class without replacement, so
    all of it is used over several epochs. A batch of odd size holds one more spoofed utterance.
    """

    def __init__(self, keys: list[str], groups: list[str], batch_size: int, seed: int,
                 power: float = 0.0):
        if batch_size < 2:
            raise InputError("a balanced batch holds both classes: "
                             "give --batch_size of at least 2")
        self.bonafide = [i for i, key in enumerate(keys) if key == "bonafide"]
        self.spoof = [i for i, key in enumerate(keys) if key == "spoof"]
        self.groups = groups
        self.power = power
        self.batch_size = batch_size
        self.shares = batch_size // 2, batch_size - batch_size // 2
        self.seed = seed

    def __len__(self) -> int:
        bonafide, spoof = self.shares
        return max(1, min(len(self.bonafide) // bonafide, len(self.spoof) // spoof))

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
    """One epoch's utterances: all of them in random order, as in the published recipe.

    The last incomplete batch is left out.
    """

    def __init__(self, count: int, batch_size: int, seed: int):
        self.count = count
        self.batch_size = min(batch_size, count)
        self.seed = seed

    def __len__(self) -> int:
        return self.count // self.batch_size

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches (lists of utterance indices) of the given epoch, counted from 0."""
        order = np.random.default_rng([self.seed, epoch, 0x5A1]).permutation(self.count).tolist()
        ends = range(self.batch_size, self.count + 1, self.batch_size)
        return [order[end - self.batch_size:end] for end in ends]


class PlainOrder:
    """One epoch's utterances: every one once, in the store's order."""

    def __init__(self, count: int, batch_size: int):
        self.count = count
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches (lists of utterance indices), the same in every epoch."""
        return [list(range(start, min(start + self.batch_size, self.count)))
                for start in range(0, self.count, self.batch_size)]


Order = BalancedOrder | ShuffledOrder | PlainOrder


def make_order(rows: list[StoredTrial], recipe: dict, seed: int) -> Order:
    """The order that the recipe's `balance` names; without it, every utterance once.

    Raises `InputError` if sources are to be balanced, but no source is known.
    """
    balance = recipe.get("balance")
    if balance is None:
        return PlainOrder(len(rows), recipe["batch_size"])
    if balance == "none":
        return ShuffledOrder(len(rows), recipe["batch_size"], seed)
    keys = [row.labels.key for row in rows]
    if balance == "source":
        groups = [row.labels.source for row in rows]
        if set(groups) == {"-"}:
            raise InputError("--balance source: the train store names no sources. Prepare and "
                             "preprocess it again, from a folder with a trials.tsv, or choose "
                             "--balance attack")
        return BalancedOrder(keys, groups, recipe["batch_size"], seed, recipe["source_power"])
    groups = [row.labels.attack if balance == "attack" else "-" for row in rows]
    return BalancedOrder(keys, groups, recipe["batch_size"], seed)


def _draw(rng: np.random.Generator, items: list[int], count: int) -> list[int]:
    """`count` of `items` in random order; each comes once before any comes twice."""
    order = [i for _ in range(-(-count // len(items))) for i in rng.permutation(items).tolist()]
    return order[:count]


def _draw_over_groups(rng: np.random.Generator, items: list[int], groups: list[str], count: int,
                      power: float) -> list[int]:
    """`count` of `items` in random order, of each group of n in proportion to n^power."""
    members = defaultdict(list)
    for item, group in zip(items, groups, strict=True):
        members[group].append(item)
    names = rng.permutation(sorted(members)).tolist()
    share = [count // len(names) + (k < count % len(names)) for k in range(len(names))]
    if power:       # systematic sampling: over epochs, every group's mean is its exact share
        edges = np.cumsum([0.0, *(len(members[name]) ** power for name in names)])
        share = np.diff(np.floor(edges / edges[-1] * count + rng.random()).astype(int)).tolist()
    drawn = [i for name, number in zip(names, share, strict=True) if number
             for i in _draw(rng, members[name], number)]
    return rng.permutation(drawn).tolist()
