"""Results of many recordings on disk, safe against a stop at any instant.

During a run, OUTPUT.partial (the journal) holds its records, one JSON line each. OUTPUT appears
complete when the run ends or is interrupted. After a kill, the same command resumes from the
journal.
"""
import contextlib
import csv
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from utils.common.errors import InputError, shown
from utils.common.files import atomic_write, disk_errors
from utils.common.locks import claim

SUFFIXES = (".csv", ".json", ".jsonl")
CSV_COLUMNS = ("file", "score", "verdict", "error", "score_kind", "threshold", "band_low",
               "band_high", "seconds", "speech_seconds", "sample_rate", "format", "notes",
               "reasons", "warnings", "direction", "model", "model_file", "model_sha256", "demo",
               "version", "origin", "model_warnings")
# what a spreadsheet would take for a formula: it may cut a cell at semicolons and tabs too
_FORMULA = re.compile(r"(^|[;\t\r\n])(\s*)(?=[=+\-@])")


class Journal:
    """The records of one run. Records made with other `settings` are never used again.

    It says on stderr if it will replace results of other recordings than `paths`.
    """

    def __init__(self, output: Path, settings: dict, paths: list[str]) -> None:
        self.output = output
        self.path = output.with_name(output.name + ".partial")
        # recording -> where its line begins, and the state of its file when it was judged
        self.places: dict[str, tuple[int, list[int] | None]] = {}
        with disk_errors(self.path):
            output.parent.mkdir(parents=True, exist_ok=True)
            self.file = _claimed(self.path)
            self._resume(json_line(settings).encode() + b"\n")
        same = self.places and self.places.keys() <= set(map(shown, paths))
        if output.exists() and not same:
            print(f"{output} exists: the results of this run will replace it", file=sys.stderr)

    def _resume(self, header: bytes) -> None:
        """Read the records of an earlier run with this header; drop an incomplete last line.

        The journal of a run with another header starts afresh.
        """
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
        if not keep and self.file.seek(0, os.SEEK_END):
            print(f"{self.path} holds records of another version or of other settings: every "
                  "recording is judged anew", file=sys.stderr)
        self.file.truncate(keep)
        if not keep:
            self.file.write(header)
            self.file.flush()

    def find(self, path: str) -> dict | None:
        """The record of `path` from the stopped run.

        None if there is none, if it failed, or if the file has changed since.
        """
        place, state = self.places.get(shown(path), (None, None))
        if state is None or state != _state(path):
            return None
        record = self._read(place)
        return None if record["error"] else record

    def add(self, path: str, record: dict) -> None:
        """Keep a record; when this returns, the system has it."""
        state = _state(path)
        entry = {"path": shown(path), "state": state, "record": record}
        with disk_errors(self.path):
            place = self.file.seek(0, os.SEEK_END)
            self.file.write(json_line(entry).encode() + b"\n")
            self.file.flush()
        self.places[shown(path)] = place, state     # last, since Ctrl-C may come before it

    def _read(self, place: int) -> dict:
        self.file.seek(place)
        return json.loads(self.file.readline())["record"]

    def finish(self, paths: list[str], last: dict | None = None) -> None:
        """Write the output: the records of `paths`, then `last`, and close the journal.

        `last`, also if empty, means that the run was stopped: its journal stays.
        """
        def records() -> Iterator[dict]:
            for path in paths:
                if shown(path) in self.places:
                    yield self._read(self.places[shown(path)][0])
            if last:
                yield last
        write_table(self.output, records())
        done = last is None and all(shown(path) in self.places for path in paths)
        if done and os.name != "nt":    # while it is claimed, so that no other run resumes it
            self.path.unlink(missing_ok=True)
        self.file.close()
        if done and os.name == "nt":    # where an open file cannot be removed
            self.path.unlink(missing_ok=True)


def write_table(path: Path, records: Iterable[dict]) -> None:
    """Write records as CSV, one JSON list or JSON lines, by the suffix of `path`; atomically."""
    with atomic_write(path) as file:
        if path.suffix == ".csv":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(CSV_COLUMNS)
            writer.writerows(map(csv_row, records))
        elif path.suffix == ".jsonl":
            file.writelines(json_line(record) + "\n" for record in records)
        else:
            between = "[\n"
            for record in records:
                file.write(between + json_line(record))
                between = ",\n"
            file.write("\n]\n" if between == ",\n" else "[]\n")


def json_line(record: dict) -> str:
    """A record as one line of ASCII JSON."""
    return json.dumps(record, allow_nan=False)


def csv_row(record: dict) -> list:
    """A record's values of CSV_COLUMNS; an apostrophe precedes what would be a formula."""
    low, high = record.get("band") or (None, None)
    joined = {name: "; ".join(record[name])
              for name in ("notes", "reasons", "warnings", "model_warnings")}
    joined["origin"] = "; ".join(f"{told['what']}: {told['says']}" for told in record["origin"])
    flat = record | record.get("audio", {}) | joined | {"band_low": low, "band_high": high}
    return [_FORMULA.sub(r"\1\2'", value) if isinstance(value, str) else value
            for value in map(flat.get, CSV_COLUMNS)]


def _state(path: str) -> list[int] | None:
    """Size and time of change of a file; None where it cannot be read."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def _claimed(path: Path) -> IO[Any]:
    """The journal, opened and locked; opened again where another run removed it in between."""
    while True:
        file = open(path, "a+b")
        if not claim(file.fileno()):
            raise InputError(f"another run is writing {path}: "
                             "wait until it ends, or name another --output")
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()
