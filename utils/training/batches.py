"""Which utterances a training batch holds, and which part of each: balanced, seeded, the same with any worker count."""
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


def fit_length(samples: np.ndarray, length: int, start: int = 0) -> np.ndarray:
    """`samples` from `start` cut to `length`; a shorter utterance is repeated, as in the published recipe."""
    if len(samples) >= length:
        return samples[start:start + length]
    return np.tile(samples, -(-length // len(samples)))[:length]


def stratified_subset(groups: list[tuple], count: int | None, seed: int) -> list[int]:
    """Indices of `count` utterances, drawn so that each group keeps its share; all of them for None or a large count."""
    if count is None or count >= len(groups):
        return list(range(len(groups)))
    rng = np.random.default_rng([seed, 0x5E7])
    place = np.empty(len(groups))
    members = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    for indices in members.values():   # spread each group evenly over [0, 1): any prefix of the order is stratified
        place[rng.permutation(indices)] = (np.arange(len(indices)) + rng.random()) / len(indices)
    return sorted(np.argsort(place, kind="stable")[:count].tolist())


class BalancedOrder:
    """One epoch's utterances: as many bona fide as spoofed, spoofed ones spread evenly over the attacks.

    The larger class is drawn anew each epoch without replacement, so over the epochs all of it is seen. Every batch
    holds both classes in equal number.
    """

    def __init__(self, keys: list[str], attacks: list[str], batch_size: int, seed: int):
        self.bonafide = [i for i, key in enumerate(keys) if key == "bonafide"]
        self.spoof = [i for i, key in enumerate(keys) if key == "spoof"]
        self.attacks = attacks
        self.half = max(1, batch_size // 2)
        self.seed = seed

    def __len__(self) -> int:
        return max(1, min(len(self.bonafide), len(self.spoof)) // self.half)

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches (lists of utterance indices) of the given epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch, 0xBA1])
        count = len(self) * self.half
        bonafide = _draw(rng, self.bonafide, count)
        spoof = _draw_over_groups(rng, self.spoof, [self.attacks[i] for i in self.spoof], count)
        return [bonafide[k:k + self.half] + spoof[k:k + self.half] for k in range(0, count, self.half)]


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


class CropDataset(Dataset):
    """Crops of a store: item (epoch, index) is (wave float32 (n_samples,) in [-1, 1], label 1 bona fide or 0 spoof).

    Where a crop starts depends on seed, epoch and utterance alone, so neither the workers nor the order change it.
    """

    def __init__(self, store, n_samples: int, seed: int):
        self.store, self.n_samples, self.seed = store, n_samples, seed

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, int]:
        epoch, index = item
        row = self.store.rows[index]
        rng = np.random.default_rng([self.seed, epoch, index])
        start = int(rng.integers(max(1, row.n_samples - self.n_samples + 1)))
        samples = self.store.read(index, start, min(self.n_samples, row.n_samples - start))
        wave = fit_length(samples, self.n_samples).astype(np.float32) / 32768
        return torch.from_numpy(wave), int(row.key == "bonafide")


def epoch_batches(dataset: CropDataset, order: BalancedOrder, epoch: int, workers: int
                  ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The batches of one epoch: waves float32 (B, n_samples), labels int64 (B,)."""
    batches = [[(epoch, index) for index in batch] for batch in order.epoch(epoch)]
    return iter(DataLoader(dataset, batch_sampler=batches, num_workers=workers))
