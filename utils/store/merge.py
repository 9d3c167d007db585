"""Several processes store parts of a list; merged, they are the store of a single process."""
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.store.reader import Store
from utils.store.writer import StoreWriter

BLOCK = 160_000    # samples copied at a time: 10 s


def part_path(path: Path, number: int, size: int) -> Path:
    """Where process `number` (from 0) of `size` keeps its part of the store `path`."""
    return path.with_name(f"{path.name}.part-{number + 1}-of-{size}")


def merge(writer: StoreWriter, parts: list[Path]) -> None:
    """Add the utterances of complete stores to an empty `writer`, and then what each skipped.

    A single process writes in another order, so a merge that was killed is never resumed.
    """
    assert writer.done == 0, "a merge begins with an empty store"
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
