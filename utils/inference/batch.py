"""Judge recordings one after the other: progress, results as they come, pictures, a summary."""
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from utils.audio.decode import AudioStream
from utils.audio.info import AudioInfo
from utils.common.errors import InputError, printable
from utils.common.text import counted
from utils.detector.detector import Detector, Interrupted
from utils.inference import words
from utils.inference.inputs import LIST_SUFFIXES
from utils.inference.journal import Journal, json_line
from utils.inference.picture import (PICTURE_SUFFIXES, Sketch, draw, of_voice,
                                     picture_path, shared_folder)
from utils.signals import SAMPLE_RATE

MANY = 3            # with more recordings, one line each
LONG_SECONDS = 60   # a longer recording gets a progress bar of its own

Show = Callable[[dict], None]


def judge_all(detector: Detector, paths: list[str], *, as_json: bool = False,
              output: Path | None = None, picture: Path | None = None, left_out: int = 0) -> int:
    """Judge all recordings and print the results; 0, or 1 where some failed.

    `output`: file for the results. `picture`: folder or file for pictures. `left_out`: how many
    other files the summary mentions. Ctrl-C writes the finished results first.
    """
    if picture:
        _check_picture(picture, paths)
    settings = detector.settings | ({"picture": str(picture)} if picture else {})
    journal = Journal(output, settings, paths) if output else None
    shared = shared_folder(paths) if picture else None
    many = len(paths) > MANY
    show = _printer(detector, as_json, len(paths))
    if len(paths) > 1 and not as_json:
        print(*words.heading(detector), sep="\n")
    counts: Counter = Counter()
    resumed = failed = 0
    try:
        for path in tqdm(paths, "analysing", unit="recording", disable=None if many else True):
            record = journal.find(path) if journal else None
            if record:
                resumed += 1
            else:
                record = _with_advice(_judge(detector, path, picture, shared), path)
                if journal:
                    journal.add(path, record)
            counts[words.outcome(record)] += 1
            failed += bool(record["error"])
            show(record)
    except KeyboardInterrupt as stop:
        _write_stopped(stop.record if isinstance(stop, Interrupted) else None, show, journal, paths)
        raise
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if journal:
        journal.finish(paths)
    if len(paths) > 1 or output or left_out:
        print(_summary(counts, failed, resumed, left_out, output, picture),
              file=sys.stderr if as_json else sys.stdout)
    return 1 if failed else 0


def _check_picture(picture: Path, paths: list[str]) -> None:
    if picture.suffix.lower() in PICTURE_SUFFIXES and len(paths) > 1:
        raise InputError(f"{picture} is one picture, and there are {len(paths)} recordings: "
                         "name a folder with --picture")


def _printer(detector: Detector, as_json: bool, count: int) -> Show:
    """What prints one of `count` records: as JSON, as one line of many, or in full."""
    def show(record: dict) -> None:
        if as_json:
            lines = [json_line(record)]
        elif count > MANY:
            lines = [words.row(record)]
        else:
            lines = words.describe(record, detector, below_heading=count > 1)
        with tqdm.external_write_mode():    # not into the progress bar
            print(*lines, sep="\n", flush=True)
    return show


def _judge(detector: Detector, path: str, picture: Path | None, shared: str | None) -> dict:
    """The record of one recording; draws it where `picture` is given."""
    if not picture:
        return detector.judge(path, lambda stream: _progress(stream, stream.info))
    sketches = []

    def tap(stream: AudioStream) -> Iterator[np.ndarray]:
        sketches.append(Sketch())
        return _progress(sketches[-1].tap(stream), stream.info)

    record = detector.judge(path, tap)
    if not record["error"]:
        file = picture_path(picture, path, shared)
        draw(file, of_voice(sketches, record), record)
        record["picture"] = str(file)
    return record


def _with_advice(record: dict, path: str) -> dict:
    """The record; its error tells how a list of recordings must be called, if it may be one."""
    error = record["error"] or ""
    if not error.endswith("it is text") or path.lower().endswith(LIST_SUFFIXES):
        return record
    error += "; if it is a list of recordings, call it .txt"
    return record | {"error": error, "reasons": [error]}


def _write_stopped(partial: dict | None, show: Show, journal: Journal | None,
                   paths: list[str]) -> None:
    """After Ctrl-C: show the unfinished record, and write all results to the output."""
    if partial:
        show(partial)
    if journal:
        journal.finish(paths, partial or {})
        and_partial = ", and the finished part of the next recording," if partial else ""
        print(f"{len(journal.places)} of {len(paths)} results{and_partial} are in "
              f"{journal.output}", file=sys.stderr)


def _summary(counts: Counter, failed: int, resumed: int, left_out: int, output: Path | None,
             picture: Path | None) -> str:
    parts = [", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))]
    if failed:
        parts.append(f"{failed} of them cannot be read")
    if resumed:
        parts.append(f"{resumed} of them from the stopped run before")
    if left_out:
        parts.append(f"{counted(left_out, 'file')} without an audio suffix left out")
    if output:
        parts.append(f"results in {output}")
    if picture:
        parts.append(f"pictures in {printable(picture)}")
    return f"{counted(counts.total(), 'recording')}: {'; '.join(parts)}"


def _progress(blocks: Iterable[np.ndarray], info: AudioInfo) -> Iterator[np.ndarray]:
    """Pass blocks on; a long recording gets a progress bar with the time left."""
    seconds = 0.0
    bar = None
    try:
        for block in blocks:
            yield block
            seconds += len(block) / SAMPLE_RATE
            if bar is not None:
                bar.update(len(block) / SAMPLE_RATE)
            elif seconds > LONG_SECONDS and sys.stderr.isatty():
                expected = round(info.expected_seconds) if info.expected_seconds else None
                bar = tqdm(desc="recording", unit="s", unit_scale=True, initial=int(seconds),
                           leave=False, total=expected)
    finally:
        if bar is not None:
            bar.close()
