"""Merges the parts that several processes stored into the store of a single process."""
import shutil
from pathlib import Path

from utils.store.reader import Store
from utils.store.writer import StoreWriter


def part_path(path: Path, number: int, size: int) -> Path:
    """The path of the part that process `number` (from 0) of `size` writes for the store `path`."""
    return path.with_name(f"{path.name}.part-{number + 1}-of-{size}")


def merge(writer: StoreWriter, parts: list[Path]) -> None:
    """Add the utterances of complete stores to an empty `writer`, then their skipped utterances.

    The parts keep their shards, so that no samples are copied, and the disk need not hold them
    twice. A single process fills its shards otherwise, so a killed merge is not resumed.
    """
    assert writer.done == 0, "a merge needs an empty store"
    for store in map(Store, parts):
        writer.adopt(store)
        for utterance, reason in store.info["skipped"]:
            writer.skip(utterance, reason)


def remove(parts: list[Path]) -> None:
    """Delete merged parts."""
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
