"""Merges the parts that several processes stored into the store of a single process."""
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.store.reader import Store
from utils.store.writer import StoreWriter

BLOCK = 160_000    # samples copied at a time: 10 s


def part_path(path: Path, number: int, size: int) -> Path:
    """The path of the part that process `number` (from 0) of `size` writes for the store `path`."""
    return path.with_name(f"{path.name}.part-{number + 1}-of-{size}")


def merge(writer: StoreWriter, parts: list[Path]) -> None:
    """Add the utterances of complete stores to an empty `writer`, then their skipped utterances.

    A single process writes in another order, so a killed merge is not resumed.
    """
    assert writer.done == 0, "a merge needs an empty store"
    for store in map(Store, parts):
        for i, row in enumerate(store.rows):
            writer.add(row.utterance, row.labels, _blocks(store, i),
                       lambda rate=row.source_rate: rate)
        for utterance, reason in store.info["skipped"]:
            writer.skip(utterance, reason)


def _blocks(store: Store, i: int) -> Iterator[np.ndarray]:
    return (store.read(i, start, BLOCK) for start in range(0, store.rows[i].n_samples, BLOCK))


def remove(parts: list[Path]) -> None:
    """Delete merged parts."""
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
