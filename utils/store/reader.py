"""The store of decoded utterances: shards of int16 samples, an index, a description.

data/processed/<subset>/shard-00000.i16   little-endian int16, 16 kHz mono, without gaps
                        index.tsv         one row per utterance: its labels, where its samples lie
                        store.json        settings, counts, skipped utterances, reasons, versions
"""
import os
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np

from utils.common.errors import InputError
from utils.common.files import DATA_DIR, read_json
from utils.trials.labels import Labels, attributes
from utils.trials.releases import LABELLED

FORMAT = 1
INDEX = "index.tsv"
DESCRIPTION = "store.json"
SAMPLE = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """One utterance of a store, and the place of its samples."""
    utterance: str
    labels: Labels
    shard: int
    start: int        # first sample within the shard
    n_samples: int
    source_rate: int  # Hz, before resampling


NUMBERS = ("shard", "start", "n_samples", "source_rate")
COLUMNS = (*LABELLED, *NUMBERS, "source")
HEADERS = COLUMNS, COLUMNS[:-1]     # older stores do not name sources
_values = attrgetter(*attributes(COLUMNS))


def shard_name(number: int) -> str:
    """The file name of a shard."""
    return f"shard-{number:05}.i16"


def parse_row(line: str) -> StoredTrial:
    """The trial of an index line. Raises `ValueError` or `KeyError` if it is malformed."""
    values = line.rstrip("\n").split("\t")
    columns = COLUMNS[:max(len(values), len(COLUMNS) - 1)]      # older lines lack the source
    row = dict(zip(columns, values, strict=True))
    return StoredTrial(row["utterance"], Labels.of(row), *(int(row[name]) for name in NUMBERS))


def format_row(row: StoredTrial) -> str:
    """The line of the index that `parse_row` reads back."""
    return "\t".join(map(str, _values(row))) + "\n"


def prepared(path: Path) -> dict:
    """The subsets of the prepared corpus beside a store; none where nothing is prepared."""
    corpus = path.absolute().parents[1] / "protocols" / "corpus.json"
    return read_json(corpus)["subsets"] if corpus.is_file() else {}


def _preprocess(path: Path) -> str:
    """The command that makes the store at `path`, DATA/processed/SUBSET."""
    processed = path.absolute().parent
    elsewhere = processed.name == "processed" and processed.parent != DATA_DIR
    where = f" --data_dir {processed.parent}" if elsewhere else ""
    return f"run python utils/preprocess_data.py --subset {path.name}{where}"


def _how_to_get(path: Path) -> str:
    """What to do for a missing store: preprocess, if the prepared corpus has that subset."""
    listed = prepared(path)
    if path.name in listed or not listed:
        return _preprocess(path)
    return (f"the prepared corpus has only {' and '.join(listed)}, no {path.name}. Put that set "
            "into data/raw, and run python utils/prepare_dataset.py again")


class Store:
    """A complete store, open for reading. It may be pickled, forked and shared by processes."""

    def __init__(self, path: Path) -> None:
        """Open the store in folder `path`. Raises `InputError` if it is missing or damaged."""
        self.path = Path(path)
        again = _preprocess(self.path)
        if not (self.path / DESCRIPTION).is_file():
            raise InputError(f"the store {self.path} is missing: {_how_to_get(self.path)}")
        self._made = self._stamp()
        self.info: dict = read_json(self.path / DESCRIPTION)
        if self.info.get("format") != FORMAT or self.info.get("complete") is not True:
            raise InputError(f"the store {self.path} is incomplete or of another version: {again}")
        made_from = self.info["trial_list_sha256"]
        if prepared(self.path).get(self.path.name, {}).get("sha256", made_from) != made_from:
            raise InputError(f"the store {self.path} is older than the prepared trial list: "
                             f"{again}")
        self.rows = self._read_index(again)
        self._check_shards(again)

    def _read_index(self, again: str) -> list[StoredTrial]:
        try:
            with open(self.path / INDEX, encoding="utf-8") as file:
                if tuple(file.readline().rstrip("\n").split("\t")) not in HEADERS:
                    raise ValueError("another header")
                rows = [parse_row(line) for line in file]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"the index of the store {self.path} is damaged: "
                             f"{again} --force") from error
        if len(rows) != self.info["counts"]["stored"]:
            raise InputError(f"the index of the store {self.path} is incomplete: {again} --force")
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
        """A value that changes when another store replaces this one; zeros without a store."""
        try:
            found = os.stat(self.path / DESCRIPTION)
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, i: int, start: int = 0, count: int | None = None) -> np.ndarray:
        """Samples of utterance `i`, int16 (n,), from `start` to `start + count` (None: to the end).

        There are fewer if the utterance ends earlier.
        """
        row = self.rows[i]
        start = min(max(start, 0), row.n_samples)
        left = row.n_samples - start
        count = left if count is None else max(0, min(count, left))
        path = self.path / shard_name(row.shard)
        offset = (row.start + start) * SAMPLE.itemsize
        try:
            wave = np.fromfile(path, SAMPLE, count, offset=offset)
        except FileNotFoundError:
            wave = np.empty(0, SAMPLE)
        # check after reading, because another run may replace the whole store
        if len(wave) != count or self._stamp() != self._made:
            raise InputError(f"the store {self.path} was replaced or damaged while it was open: "
                             "run this again")
        return wave.astype(np.int16, copy=False)


class StorePart:
    """Some utterances of a store, with its methods: for `--max_samples`, or for one process."""

    def __init__(self, store: "Store | StorePart", indices: list[int]) -> None:
        self.store = store
        self.indices = indices
        self.rows = [store.rows[i] for i in indices]
        self.info = store.info
        self.path = store.path

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, i: int, start: int = 0, count: int | None = None) -> np.ndarray:
        """int16 samples of the part's utterance `i`."""
        return self.store.read(self.indices[i], start, count)
