"""Results of many recordings on disk: kept as they come, written whole at the end, taken up again after a stop.

While a run lasts, its records lie in OUTPUT.partial, one JSON line each; OUTPUT itself appears at once, complete, when
the run ends or is interrupted. A run killed at any instant leaves the journal, and the same command goes on from it.
"""
import contextlib
import csv
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from utils.common.errors import InputError, shown
from utils.common.locks import claim
from utils.common.files import atomic_write, disk_errors

SUFFIXES = (".csv", ".json", ".jsonl")
CSV_COLUMNS = ("file", "score", "verdict", "error", "score_kind", "threshold", "band_low", "band_high", "seconds",
               "speech_seconds", "sample_rate", "format", "reasons", "warnings", "direction", "model", "model_file",
               "model_sha256", "demo", "version")


def json_line(record: dict) -> str:
    """A record as one line of ASCII JSON."""
    return json.dumps(record, allow_nan=False)


def _csv_row(record: dict) -> list:
    low, high = record.get("band") or (None, None)
    flat = record | record.get("audio", {}) | {"band_low": low, "band_high": high,
                                               "reasons": "; ".join(record["reasons"]),
                                               "warnings": "; ".join(record["warnings"])}
    return [flat.get(column) for column in CSV_COLUMNS]


def write_table(path: Path, records: Iterable[dict]) -> None:
    """Write records as CSV, JSON (one list) or JSON lines, by the suffix of `path`; atomically, one at a time."""
    with atomic_write(path) as file:
        if path.suffix == ".csv":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(CSV_COLUMNS)
            writer.writerows(_csv_row(record) for record in records)
        elif path.suffix == ".jsonl":
            file.writelines(json_line(record) + "\n" for record in records)
        else:
            between = "[\n"
            for record in records:
                file.write(between + json_line(record))
                between = ",\n"
            file.write("\n]\n" if between == ",\n" else "[]\n")


class Journal:
    """The records of one run beside its output. `settings` says what they depend on: others are never taken up."""

    def __init__(self, output: Path, settings: dict) -> None:
        self.output, self.path = output, output.with_name(output.name + ".partial")
        self.places: dict[str, tuple[int, list[int] | None]] = {}  # path → place of its line, its file then
        with disk_errors(self.path):
            output.parent.mkdir(parents=True, exist_ok=True)
            self.file = _claimed(self.path)
            self._take_up(json_line(settings).encode() + b"\n")

    def _take_up(self, header: bytes) -> None:
        """Read the records of an earlier run with the same settings; drop a torn last line, or all of another run's."""
        self.file.seek(0)
        keep = 0
        if self.file.readline() == header:
            keep = len(header)
            for line in self.file:
                if not line.endswith(b"\n"):
                    break
                entry = json.loads(line)
                self.places[entry["path"]] = keep, entry["state"]
                keep += len(line)
        self.file.truncate(keep)
        if not keep:
            self.file.write(header)
            self.file.flush()

    def find(self, path: str) -> dict | None:
        """The record of `path` from the run before; None where there is none, it failed, or the file has changed."""
        place, state = self.places.get(shown(path), (None, None))
        record = self._read(place) if state is not None and state == _state(path) else None
        return record if record and not record["error"] else None

    def add(self, path: str, record: dict) -> None:
        """Keep a record; it is on its way to the disk when this returns."""
        with disk_errors(self.path):
            place, state = self.file.seek(0, os.SEEK_END), _state(path)
            self.file.write(json_line({"path": shown(path), "state": state, "record": record}).encode() + b"\n")
            self.file.flush()
        self.places[shown(path)] = place, state     # after its line is there: Ctrl-C may come between the two

    def _read(self, place: int) -> dict:
        self.file.seek(place)
        return json.loads(self.file.readline())["record"]

    def finish(self, paths: list[str], last: dict | None = None) -> None:
        """Write the output: the records of `paths`, then `last`. The journal goes, unless a `last` tells of a stop."""
        def records() -> Iterator[dict]:
            yield from (self._read(self.places[name][0]) for path in paths if (name := shown(path)) in self.places)
            if last:
                yield last
        write_table(self.output, records())
        done = last is None and all(shown(path) in self.places for path in paths)
        if done and os.name != "nt":        # before it is let go, so that nobody takes up what is about to vanish
            self.path.unlink(missing_ok=True)
        self.file.close()
        if done and os.name == "nt":        # where no open file can be removed
            self.path.unlink(missing_ok=True)


def _state(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def _claimed(path: Path) -> IO[Any]:
    """The journal, opened and claimed; opened again where the run before removed it between the two."""
    while True:
        file = open(path, "a+b")
        if not claim(file.fileno()):
            raise InputError(f"another run is writing {path}: wait for it, or name another --output")
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()
