"""The store of decoded utterances, as training and scoring read it: shards of int16 samples, an index, a description.

    data/processed/<subset>/shard-00000.i16   little-endian int16, 16 kHz mono, whole utterances back to back
                            index.tsv         one row per utterance: what it is and where its samples lie
                            store.json        settings, counts, what was left out and why, versions
"""
import os
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np

from utils.common.errors import InputError
from utils.common.files import read_json
from utils.trials.labels import Labels, attributes
from utils.trials.releases import LABELLED

FORMAT = 1
INDEX, DESCRIPTION = "index.tsv", "store.json"
SAMPLE = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """One utterance of a store, and where its samples lie."""
    utterance: str
    labels: Labels
    shard: int
    start: int        # first sample within the shard
    n_samples: int
    source_rate: int  # Hz, before resampling


NUMBERS = ("shard", "start", "n_samples", "source_rate")
COLUMNS = (*LABELLED, *NUMBERS, "source")
HEADERS = COLUMNS, COLUMNS[:-1]     # stores written before sources were known have none
_values = attrgetter(*attributes(COLUMNS))


def shard_name(number: int) -> str:
    """The file name of a shard."""
    return f"shard-{number:05}.i16"


def parse_row(line: str) -> StoredTrial:
    """The trial of an index line; `ValueError` or `KeyError` where it is malformed."""
    values = line.rstrip("\n").split("\t")
    row = dict(zip(COLUMNS, values, strict=len(values) != len(COLUMNS) - 1))
    return StoredTrial(row["utterance"], Labels.of(row), *(int(row[name]) for name in NUMBERS))


def format_row(row: StoredTrial) -> str:
    """The line of the index that `parse_row` reads."""
    return "\t".join(map(str, _values(row))) + "\n"


class Store:
    """A complete store, opened for reading. May be pickled, forked and used by many processes at once."""

    def __init__(self, path: Path) -> None:
        """Open the store in folder `path`; `InputError` where it is missing, incomplete or damaged."""
        self.path = Path(path)
        again = f"run python utils/preprocess_data.py --subset {self.path.name}"
        if not (self.path / DESCRIPTION).is_file():
            raise InputError(f"there is no store {self.path}: {again}")
        self._made = self._stamp()
        self.info: dict = read_json(self.path / DESCRIPTION)
        if self.info.get("format") != FORMAT or self.info.get("complete") is not True:
            raise InputError(f"the store {self.path} is not complete or of another version: {again}")
        self.rows = self._read_index(again)
        self._check_shards(again)

    def _read_index(self, again: str) -> list[StoredTrial]:
        try:
            with open(self.path / INDEX, encoding="utf-8") as file:
                if tuple(file.readline().rstrip("\n").split("\t")) not in HEADERS:
                    raise ValueError("another header")
                rows = [parse_row(line) for line in file]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"the index of the store {self.path} is damaged: {again} --force") from error
        if len(rows) != self.info["counts"]["stored"]:
            raise InputError(f"the index of the store {self.path} is not complete: {again} --force")
        return rows

    def _check_shards(self, again: str) -> None:
        ends: dict[int, int] = {}
        for row in self.rows:
            ends[row.shard] = max(ends.get(row.shard, 0), row.start + row.n_samples)
        for shard, end in ends.items():
            path = self.path / shard_name(shard)
            if not path.is_file() or path.stat().st_size != end * SAMPLE.itemsize:
                raise InputError(f"{path} is missing or damaged: {again} --force")

    def _stamp(self) -> tuple[int, int]:
        """What tells this store apart from one that takes its place; zeros where there is none."""
        try:
            found = os.stat(self.path / DESCRIPTION)
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, i: int, start: int = 0, count: int | None = None) -> np.ndarray:
        """int16 (n,): samples `start` to `start + count` (to the end for None) of utterance `i`; fewer where it ends
        before."""
        row = self.rows[i]
        start = min(max(start, 0), row.n_samples)
        count = row.n_samples - start if count is None else max(0, min(count, row.n_samples - start))
        path = self.path / shard_name(row.shard)
        try:
            wave = np.fromfile(path, SAMPLE, count, offset=(row.start + start) * SAMPLE.itemsize)
        except FileNotFoundError:
            wave = np.empty(0, SAMPLE)
        if len(wave) != count or self._stamp() != self._made:   # asked after reading: a store is replaced as a whole
            raise InputError(f"the store {self.path} was replaced or damaged after it was opened: run this again")
        return wave.astype(np.int16, copy=False)


class StorePart:
    """Some utterances of a store, seen as a store: what `--max_samples` leaves, or one process' share."""

    def __init__(self, store: Store, indices: list[int]):
        self.store, self.indices = store, indices
        self.rows, self.info = [store.rows[i] for i in indices], store.info

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, i: int, start: int = 0, count: int | None = None) -> np.ndarray:
        """int16 samples of the part's utterance `i`."""
        return self.store.read(self.indices[i], start, count)
