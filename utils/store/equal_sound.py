"""Recordings of equal sound in two stores, or under both keys: one as WAV, the other as FLAC.

Their files differ, so only the decoded samples tell. Candidates are equal in length, then in the
middle; only those are read to their end.
"""
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from utils.parallel.processes import Processes, place
from utils.store.reader import Store, StoredTrial
from utils.store.replacement import read_description
from utils.trials.overlap import copies_between, sharing, under_both_keys

MIDDLE = 64     # samples that are compared first


class _Place(NamedTuple):
    """An utterance of a store."""
    store: Store
    number: int

    @property
    def row(self) -> StoredTrial:
        return self.store.rows[self.number]


def check_stores(data_dir: Path, corpus: dict) -> None:
    """Compare the complete stores of a corpus of folders; `InputError` as in `compare_sound`.

    A published corpus keeps its subsets apart itself, so it is not read again.
    """
    if corpus.get("layout") != "folders" or not Processes(*place()).lead:
        return
    stores = []
    for subset, listed in corpus["subsets"].items():
        path = data_dir / "processed" / subset
        if read_description(path).get("trial_list_sha256") == listed["sha256"]:
            stores.append(Store(path))
    compare_sound(stores)


def compare_sound(stores: Iterable[Store], say: Callable[[str], object] = print) -> None:
    """Tell which recordings sound equal under both keys, or in two of the stores.

    `InputError` where train and another subset share a recording.
    """
    keys: list[list[_Place]] = []
    between: dict[tuple[str, str], list[list[_Place]]] = defaultdict(list)
    for group in _equal(stores):
        if len({one.row.labels.key for one in group}) > 1:
            keys.append(group)
        first = {one.store.path.name: one for one in reversed(group)}
        for pair in combinations(reversed(first), 2):
            between[pair].append([first[subset] for subset in pair])
    if keys:
        under_both_keys(len(keys), _example(keys), say)
    for (one, other), groups in between.items():
        copies_between(one, other, len(groups), _example(groups), say)


def _equal(stores: Iterable[Store]) -> Iterator[list[_Place]]:
    """Groups of utterances with equal samples."""
    lengths: dict[int, list[_Place]] = defaultdict(list)
    for store in stores:
        for number, row in enumerate(store.rows):
            lengths[row.n_samples].append(_Place(store, number))
    for places in lengths.values():
        for alike in sharing(places, _middle):
            yield from sharing(alike, _sum)


def _middle(one: _Place) -> bytes:
    return _sum(one, (one.row.n_samples - MIDDLE) // 2, MIDDLE)


def _sum(one: _Place, start: int = 0, count: int | None = None) -> bytes:
    return hashlib.sha256(one.store.read(one.number, start, count)).digest()


def _example(groups: list[list[_Place]]) -> str:
    return " and ".join(one.row.utterance for one in groups[0][:2])
