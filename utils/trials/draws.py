"""Stratified draws: fewer trials, in which every group keeps its share.

There are two, since they promise different things and stores and runs depend on both. `--limit`
gives each group its share to the nearest trial. `--max_samples` is nested: a larger draw of the
same seed holds every smaller one that has as many utterances as there are groups.
"""
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from utils.common.generators import generator


def draw_shares(members: Mapping[str, np.ndarray], limit: int, seed: int) -> np.ndarray:
    """`limit` row numbers, ascending, from groups of row numbers; each group draws by its name."""
    quotas = shares(np.array([len(rows) for rows in members.values()]), limit)
    drawn = [generator(seed, name).permutation(rows)[:quota]
             for (name, rows), quota in zip(members.items(), quotas)]
    return np.sort(np.concatenate(drawn))


def shares(sizes: np.ndarray, limit: int) -> np.ndarray:
    """How many of each group make `limit` in all: in proportion, by largest remainder.

    No group is empty where `limit` allows.
    """
    exact = sizes * (limit / sizes.sum())
    quotas = np.floor(exact).astype(int)
    by_remainder = np.argsort(quotas - exact, kind="stable")
    quotas[by_remainder[:limit - quotas.sum()]] += 1
    while limit >= len(sizes) and (quotas == 0).any():
        quotas[np.argmax(quotas == 0)] += 1
        quotas[np.argmax(quotas)] -= 1
    return quotas


def draw_nested(groups: Sequence[Hashable], count: int | None, seed: int) -> list[int]:
    """`count` indices of `groups` (all for None), ascending, each group in its share.

    Where `count` allows, no group is lost. With fewer than there are groups, large ones keep their
    share: those of one utterance each would leave no other any.
    """
    if count is None or count >= len(groups):
        return list(range(len(groups)))
    rng = np.random.default_rng([seed, 0x5E7])
    place = np.empty(len(groups))
    members = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    for indices in members.values():    # spread evenly over [0, 1): any prefix is stratified
        place[rng.permutation(indices)] = (np.arange(len(indices)) + rng.random()) / len(indices)
        if len(members) <= count:       # each group's first precedes all seconds
            place[min(indices, key=place.__getitem__)] -= 1
    return sorted(np.argsort(place, kind="stable")[:count].tolist())
