"""How a store is written: beside the old one, one utterance after the other, resumable at any instant, swapped in at
the end.

Samples go to the shard first; a line for them goes to journal.tsv once they are flushed to disk. A killed run is
continued after the last line of the journal, whatever followed it in the shards is cut away, and so every run ends in
the same bytes.
"""
import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils.audio.sources import AudioError
from utils.store.reader import (COLUMNS, DESCRIPTION, FORMAT, INDEX, SAMPLE, StoredTrial, format_row,
                                parse_row, shard_name)
from utils.trials.labels import Labels
from utils.common.errors import InputError, printable
from utils.common.files import atomic_write, disk_errors, read_json, write_json

SHARD_BYTES = 256 << 20   # a shard that has reached this is closed after the utterance
COMMIT_BYTES = 32 << 20   # at most this much, and this long, is lost when a run is killed
COMMIT_SECONDS = 5.0
JOURNAL = "journal.tsv"
MERGED = "merged"         # in the description of a half-built store: of how many parts it is put together, in another order
SAME_RUN = ("format", "subset", "settings", "corpus", "trial_list_sha256", MERGED)
DECODERS = ("numpy", "soundfile", "soxr", "av")  # a half-built store is not continued with other versions of these


def building(path: Path) -> Path:
    """Where the store `path` is written until it is complete."""
    return path.with_name(path.name + ".building")


def written(path: Path) -> int:
    """How many bytes a store that is being built has by now; 0 where none is."""
    with contextlib.suppress(FileNotFoundError):
        return sum(file.stat().st_size for file in building(path).iterdir())
    return 0


def recover(path: Path) -> None:
    """Finish a swap that was killed: put the new store in place where it is complete, else the old one back."""
    old = path.with_name(path.name + ".old")
    with disk_errors(path):
        if _description(building(path)).get("complete") is True:
            swap(path)
        elif not path.exists() and old.exists():
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)


def difference(path: Path, description: dict) -> str | None:
    """None where `path` holds the complete store of `description`; else the reason, in words, why it does not."""
    there = _description(path)
    if not there:
        return "there is none yet"
    if there.get("format") != FORMAT or there.get("complete") is not True:
        return "it is of another version"
    if there["trial_list_sha256"] != description["trial_list_sha256"] or there["corpus"] != description["corpus"]:
        return "the trial list changed"
    if there["settings"] != description["settings"]:
        before = there["settings"]
        changed = [f"{name} was {before.get(name)}, is {value}" for name, value in description["settings"].items()
                   if before.get(name) != value]
        return "other settings: " + ", ".join(changed)
    return None


def discard(path: Path) -> None:
    """Remove a half-built store; the complete one stays."""
    shutil.rmtree(building(path), ignore_errors=True)


def _description(folder: Path) -> dict:
    try:
        content = read_json(folder / DESCRIPTION)
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


class StoreWriter:
    """Writes the store `path`. Used in a with statement: what was finished is kept, also on the way out of an error."""

    def __init__(self, path: Path, description: dict) -> None:
        """Go on with a killed run of the same `description` (what store.json records), or begin anew."""
        self.path, self.folder = path, building(path)
        self.description = {"format": FORMAT} | description | {"complete": False}
        self.done = self.skipped = 0  # utterances finished, and those of them that could not be stored
        self._shard, self._at, self._uncommitted, self._since = 0, 0, 0, time.monotonic()
        self._pending: tuple[int, list[str]] = 0, []     # where the journal ends, and the lines that are not in it yet
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
        full = isinstance(error, OSError) or isinstance(getattr(error, "__cause__", None), OSError)
        with disk_errors(self.folder), contextlib.closing(self._file):
            if not self._file.closed and not full:
                self._commit()

    def _same_run(self) -> bool:
        there = _description(self.folder)
        versions = [[d.get("environment", {}).get("packages", {}).get(name) for name in DECODERS]
                    for d in (there, self.description)]
        return all(there.get(key) == self.description.get(key) for key in SAME_RUN) and versions[0] == versions[1]

    def _resume(self) -> None:
        """Read the journal up to what is whole, and cut away the rest of it and of the shards."""
        (self.folder / JOURNAL).touch()
        kept, sizes = 0, {path.name: path.stat().st_size for path in self.folder.glob("shard-*.i16")}
        with open(self.folder / JOURNAL, "r+b") as file:
            for line in file:
                if not line.endswith(b"\n") or not self._take(line.decode("utf-8"), sizes):
                    break
                kept += len(line)
            file.truncate(kept)
        self._pending = kept, []
        for name in sizes:
            if name > shard_name(self._shard):
                (self.folder / name).unlink()

    def _take(self, line: str, sizes: dict[str, int]) -> bool:
        """Count one line of the journal; False where its samples are not there."""
        if line[:1] not in ("+", "-"):
            return False
        if line[0] == "+":
            row = parse_row(line[2:])
            if sizes.get(shard_name(row.shard), 0) < (row.start + row.n_samples) * SAMPLE.itemsize:
                return False
            self._shard, self._at = row.shard, row.start + row.n_samples
        self.skipped += line[0] == "-"
        self.done += 1
        return True

    def add(self, utterance: str, labels: Labels, blocks: Iterable[np.ndarray],
            source_rate: Callable[[], int]) -> str | None:
        """Store one utterance; `source_rate` is called at the end.

        Where reading `blocks` (int16) raises `AudioError`, nothing of it stays; it is noted as skipped and the reason
        returned.
        """
        with disk_errors(self.folder):
            self._next_shard()
            try:
                count = self._append(blocks)
            except AudioError as error:
                self._cut_back()
                return self.skip(utterance, printable(error))
            row = StoredTrial(utterance, labels, self._shard, self._at, count, source_rate())
            self._at += count
            self._note("+\t" + format_row(row), count)
        return None

    def skip(self, utterance: str, reason: str) -> str:
        """Note an utterance that cannot be stored; returns `reason`."""
        self._note(f"-\t{utterance}\t{reason}\n", 0)
        self.skipped += 1
        return reason

    def _append(self, blocks: Iterable[np.ndarray]) -> int:
        count = 0
        for block in blocks:
            self._file.write(block.astype(SAMPLE, copy=False).data)
            count += len(block)
        return count

    def _next_shard(self) -> None:
        if self._at * SAMPLE.itemsize >= SHARD_BYTES:
            self._commit()
            self._file.close()
            self._shard, self._at = self._shard + 1, 0
            self._file = open(self.folder / shard_name(self._shard), "w+b")

    def _cut_back(self) -> None:
        self._file.seek(self._at * SAMPLE.itemsize)
        self._file.truncate()

    def _note(self, line: str, samples: int) -> None:
        self.done += 1
        self._pending[1].append(line)
        self._uncommitted += samples * SAMPLE.itemsize
        if self._uncommitted >= COMMIT_BYTES or time.monotonic() - self._since > COMMIT_SECONDS:
            self._commit()

    def _commit(self) -> None:
        """Samples to disk first, then the lines that say they are there; done again after Ctrl-C in the middle of it, it
        changes nothing more."""
        end, lines = self._pending
        content = "".join(lines).encode()
        with disk_errors(self.folder):
            _flush(self._file)
            with open(self.folder / JOURNAL, "r+b") as file:
                file.seek(end)
                file.truncate()
                file.write(content)
                _flush(file)
        self._pending = end + len(content), []
        self._uncommitted, self._since = 0, time.monotonic()

    def finish(self) -> dict:
        """Write the index and the description, and put the store in the place of the old one; returns its
        store.json."""
        self._commit()
        counts, skipped = Counter(), []
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
            "selected": self.done, "stored": counts["stored"], "skipped": len(skipped), "bonafide": counts["bonafide"],
            "spoof": counts["spoof"], "samples": counts["samples"]}}
        self._file.close()
        write_json(self.folder / DESCRIPTION, self.description)
        swap(self.path)
        return self.description

    def _journal(self) -> Iterator[str]:
        with open(self.folder / JOURNAL, encoding="utf-8", newline="\n") as file:
            yield from file


def swap(path: Path) -> None:
    """Put the complete store that was built beside in the place of the old one; `recover` finishes it where it is
    killed."""
    old = path.with_name(path.name + ".old")
    with disk_errors(path):
        (building(path) / JOURNAL).unlink(missing_ok=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
        os.replace(building(path), path)
        shutil.rmtree(old, ignore_errors=True)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
