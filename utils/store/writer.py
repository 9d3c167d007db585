"""Writes a store beside the old one, one utterance after another. It may be stopped at any instant.

Samples go to the shard first. Once they are on disk, journal.tsv gets a line for them. The next run
resumes after the last whole line of the journal. It cuts off all later samples in the shards, so
every run ends with the same bytes.
"""
import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils.audio.sources import AudioError
from utils.common.errors import printable
from utils.common.files import atomic_write, disk_errors, write_json
from utils.store.reader import (COLUMNS, DESCRIPTION, FORMAT, INDEX, SAMPLE, Store, StoredTrial,
                                format_row, parse_row, shard_name)
from utils.store.replacement import JOURNAL, building, read_description, swap
from utils.trials.labels import Labels

SHARD_BYTES = 256 << 20   # a shard that reaches this size is closed after its utterance
COMMIT_BYTES = 32 << 20   # a killed run loses at most so many bytes
COMMIT_SECONDS = 5.0      # and at most so many seconds of work
MERGED = "merged"         # key of the number of merged parts, because a merge has another order
SAME_RUN = ("format", "subset", "settings", "corpus", "trial_list_sha256", MERGED)
# an unfinished store is resumed only with the same versions of these packages
DECODERS = ("numpy", "soxr", "av")


class StoreWriter:
    """Writes the store `path`, in a with statement; finished utterances survive an error."""

    def __init__(self, path: Path, description: dict) -> None:
        """Start, or resume a killed run with the same `description` (the content of store.json)."""
        self.path = path
        self.folder = building(path)
        self.description = {"format": FORMAT} | description | {"complete": False}
        self.done = 0        # utterances finished, with the skipped ones
        self.skipped = 0     # utterances that could not be stored
        self._shard = 0
        self._end = 0        # valid samples in the shard
        # bytes of the journal on disk, and its next lines; one value, so Ctrl-C cannot split them
        self._pending: tuple[int, list[str]] = (0, [])
        self._uncommitted = 0            # bytes of samples that may not be on disk yet
        self._committed_at = time.monotonic()
        self._file: BinaryIO | None = None

    def __enter__(self) -> "StoreWriter":
        with disk_errors(self.folder):
            if self._same_run():
                self._resume()
            else:
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(parents=True)
                (self.folder / JOURNAL).touch()
            write_json(self.folder / DESCRIPTION, self.description)
            path = self.folder / shard_name(self._shard)
            self._file = open(path, "r+b" if path.exists() else "w+b")
            self._cut_back()
        return self

    def __exit__(self, kind, error, trace) -> None:
        cause = getattr(error, "__cause__", None)
        disk_failed = isinstance(error, OSError) or isinstance(cause, OSError)
        with disk_errors(self.folder), contextlib.closing(self._file):
            if not self._file.closed and not disk_failed:
                self._commit()

    def _same_run(self) -> bool:
        found = read_description(self.folder)
        return (all(found.get(key) == self.description.get(key) for key in SAME_RUN)
                and _decoders(found) == _decoders(self.description))

    def _resume(self) -> None:
        """Read the journal up to its last whole line; cut off the rest of it and of the shards."""
        journal = self.folder / JOURNAL
        journal.touch()
        sizes = {path.name: path.stat().st_size for path in self.folder.glob("shard-*.i16")}
        kept = 0
        with open(journal, "r+b") as file:
            for line in file:
                if not line.endswith(b"\n") or not self._count(line.decode("utf-8"), sizes):
                    break
                kept += len(line)
            file.truncate(kept)
        self._pending = (kept, [])
        for name in sizes:
            if name > shard_name(self._shard):
                (self.folder / name).unlink()

    def _count(self, line: str, sizes: dict[str, int]) -> bool:
        """Count one line of the journal; False if its samples are missing."""
        if line[:1] not in ("+", "-"):
            return False
        if line[0] == "+":
            row = parse_row(line[2:])
            end = row.start + row.n_samples
            if sizes.get(shard_name(row.shard), 0) < end * SAMPLE.itemsize:
                return False
            self._shard = row.shard
            self._end = end
        self.skipped += line[0] == "-"
        self.done += 1
        return True

    def add(self, utterance: str, labels: Labels, blocks: Iterable[np.ndarray],
            source_rate: Callable[[], int]) -> str | None:
        """Store one utterance from `blocks` (int16); `source_rate` is called after the last block.

        If `blocks` raises `AudioError`, the utterance is skipped, and the reason is returned.
        """
        with disk_errors(self.folder):
            self._open_next_shard()
            try:
                count = self._append(blocks)
            except AudioError as error:
                self._cut_back()
                return self.skip(utterance, printable(error))
            row = StoredTrial(utterance, labels, self._shard, self._end, count, source_rate())
            self._end += count
            self._note("+\t" + format_row(row), count)
        return None

    def skip(self, utterance: str, reason: str) -> str:
        """Record an utterance that cannot be stored; returns `reason`."""
        self._note(f"-\t{utterance}\t{reason}\n", 0)
        self.skipped += 1
        return reason

    def adopt(self, store: Store) -> None:
        """Add the utterances of a complete store, whose shards are linked instead of copied.

        Afterwards only further stores are adopted: samples would go into the other store's file.
        """
        with disk_errors(self.folder):
            first = self._shard + 1 if self._end else self._shard
            ends: dict[int, int] = {}
            for row in store.rows:
                ends[row.shard] = row.start + row.n_samples
                self._note("+\t" + format_row(replace(row, shard=first + row.shard)), 0)
            for shard in ends:
                _link(store.path / shard_name(shard), self.folder / shard_name(first + shard))
            if ends:
                self._shard = first + max(ends)
                self._end = ends[max(ends)]
                self._file.close()
                self._file = open(self.folder / shard_name(self._shard), "r+b")

    def _append(self, blocks: Iterable[np.ndarray]) -> int:
        count = 0
        for block in blocks:
            self._file.write(block.astype(SAMPLE, copy=False).data)
            count += len(block)
        return count

    def _open_next_shard(self) -> None:
        """Open the next shard if the present one is full."""
        if self._end * SAMPLE.itemsize >= SHARD_BYTES:
            self._commit()
            self._file.close()
            self._shard += 1
            self._end = 0
            self._file = open(self.folder / shard_name(self._shard), "w+b")

    def _cut_back(self) -> None:
        self._file.seek(self._end * SAMPLE.itemsize)
        self._file.truncate()

    def _note(self, line: str, samples: int) -> None:
        self.done += 1
        self._pending[1].append(line)
        self._uncommitted += samples * SAMPLE.itemsize
        waited = time.monotonic() - self._committed_at
        if self._uncommitted >= COMMIT_BYTES or waited > COMMIT_SECONDS:
            self._commit()

    def _commit(self) -> None:
        """Write samples to disk, then their journal lines. Ctrl-C or a second call does no harm."""
        end, lines = self._pending
        content = "".join(lines).encode()
        with disk_errors(self.folder):
            _flush(self._file)
            with open(self.folder / JOURNAL, "r+b") as file:
                file.seek(end)
                file.truncate()
                file.write(content)
                _flush(file)
        self._pending = (end + len(content), [])
        self._uncommitted = 0
        self._committed_at = time.monotonic()

    def finish(self) -> dict:
        """Write index and description, replace the old store; returns the content of store.json."""
        self._commit()
        counts: Counter = Counter()
        skipped = []
        with atomic_write(self.folder / INDEX) as index:
            index.write("\t".join(COLUMNS) + "\n")
            for line in self._journal():
                if line.startswith("-"):
                    skipped.append(line.rstrip("\n").split("\t")[1:])
                    continue
                row = parse_row(line[2:])
                index.write(line[2:])
                counts.update({"stored": 1, row.labels.key: 1, "samples": row.n_samples})
        self.description.pop(MERGED, None)
        self.description |= {"complete": True, "skipped": skipped, "counts": {
            "selected": self.done, "stored": counts["stored"], "skipped": len(skipped),
            "bonafide": counts["bonafide"], "spoof": counts["spoof"],
            "samples": counts["samples"]}}
        self._file.close()
        write_json(self.folder / DESCRIPTION, self.description)
        swap(self.path)
        return self.description

    def _journal(self) -> Iterator[str]:
        with open(self.folder / JOURNAL, encoding="utf-8", newline="\n") as file:
            yield from file


def _decoders(description: dict) -> list[str | None]:
    packages = description.get("environment", {}).get("packages", {})
    return [packages.get(name) for name in DECODERS]


def _link(old: Path, new: Path) -> None:
    """Let `new` be the file `old`; a copy where the file system has no links."""
    new.unlink(missing_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
        with open(new, "r+b") as file:
            _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
