"""Score and key files: those of ASVspoof 2019, 2021 and 5, and those that this project writes.

White space separates the columns. A header names them; without one, their number tells the format.
"""
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.common.errors import InputError
from utils.trials.labels import KEYS, UNKNOWN
from utils.trials.releases import (KEY_FILES, OFFICIAL_NAMES, SCORE_FILES, Columns, ProtocolLine,
                                   named)

PHASE = "eval"
ALL_PHASES = "all"
ASV_KEYS = ("target", "nontarget", "spoof")


@dataclass(frozen=True, slots=True)
class _Table:
    """The lines of a file below any header, all with the same columns."""
    path: Path
    columns: Columns
    lines: list[tuple[int, list[str]]]      # numbers from 1, and values


def read_keys(path: Path, phase: str = PHASE) -> list[ProtocolLine]:
    """The trials of a key or protocol file, in its order.

    The keys of 2021 give each trial a phase. Only trials of `phase` are returned, or all of them
    for "all", as in the official packages. Raises `InputError` and names the wrong line.
    """
    table = _read_table(path, KEY_FILES, "key")
    rows = _key_rows(table)
    if "phase" in table.columns and phase != ALL_PHASES:
        rows = [row for row in rows if row.phase == phase]
        if not rows:
            raise InputError(f"{path} has no trial of the phase {phase!r}: "
                             "choose another with --phase")
    if len({row.utterance for row in rows}) != len(rows):
        raise InputError(f"{path} lists a trial twice: remove the repeated lines")
    return rows


def read_keyed_scores(path: Path) -> list[ProtocolLine]:
    """The trials of a score file that holds keys too; `InputError` where it has none."""
    table = _read_table(path, SCORE_FILES, "score")
    if "key" not in table.columns:
        raise InputError(f"{path} holds scores without keys: name the key file too, with --keys")
    return _key_rows(table)


def read_scores(path: Path) -> dict[str, float]:
    """The CM score (higher = bona fide) of each utterance in a score file.

    Raises `InputError` and names the wrong line.
    """
    table = _read_table(path, SCORE_FILES, "score")
    name = table.columns.index("utterance")
    value = table.columns.index("score")
    scores: dict[str, float] = {}
    for number, values in table.lines:
        if values[name] in scores:
            raise InputError(f"{path}, line {number}: {values[name]} already has a score: "
                             "remove one of the two lines")
        scores[values[name]] = _score(path, number, values[value])
    return scores


def read_asv_scores(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, non-target and spoof scores in a speaker verification score file of ASVspoof 2019.

    The key is the column with only those three words, the score the last column. Raises
    `InputError` and names what is wrong.
    """
    lines = list(_lines(path))
    width = min((len(values) for _, values in lines), default=0)
    key = next((at for at in range(width - 1)
                if all(values[at] in ASV_KEYS for _, values in lines)), None)
    if key is None:
        raise InputError(f"{path} has no column of target, nontarget and spoof before the scores: "
                         "name the speaker verification score file of ASVspoof 2019")
    groups: dict[str, list[float]] = {name: [] for name in ASV_KEYS}
    for number, values in lines:
        groups[values[key]].append(_score(path, number, values[-1]))
    if missing := [name for name, scores in groups.items() if not scores]:
        raise InputError(f"{path} has no {' and no '.join(missing)} trials: "
                         "check that the file is complete")
    return tuple(np.array(scores) for scores in groups.values())


def align(scores: dict[str, float], keys: list[ProtocolLine]) -> np.ndarray:
    """The scores in the order of `keys`; scores without a key are left out.

    Raises `InputError` where a trial has no score: figures of some trials would not compare.
    """
    missing = [row.utterance for row in keys if row.utterance not in scores]
    if missing:
        raise InputError(f"{len(missing)} of {len(keys)} trials in the key file have no score, "
                         f"{missing[0]} first: check that score and key file belong together")
    return np.array([scores[row.utterance] for row in keys])


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of each line, from 1, and its values; blank lines are skipped."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if values := line.split():
                    yield number, values
    except FileNotFoundError as error:
        raise InputError(f"the file {path} does not exist: check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"{path} cannot be read as a file: "
                         "check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file: "
                         "name a score or key file in an ASVspoof format") from error


def _read_table(path: Path, formats: dict[int, Columns], needed: str) -> _Table:
    """The lines of a file in one of `formats` or with a header, which has the column `needed`."""
    lines = list(_lines(path))
    if not lines:
        raise InputError(f"{path} is empty: check that the file is complete")
    first = lines[0][1]
    columns = tuple(OFFICIAL_NAMES.get(name.lower(), name.lower()) for name in first)
    if "utterance" in columns:
        lines = lines[1:]
    elif len(first) in formats:
        columns = formats[len(first)]
    else:
        known = ", ".join(map(str, sorted(formats)))
        raise InputError(f"{path} has {len(first)} columns, but the known formats have {known}: "
                         "check that it is a file in an ASVspoof format")
    if needed not in columns:
        raise InputError(f"{path} has no column of {needed}s: check that it is the right file")
    if not lines:
        raise InputError(f"{path} lists no trials: check that the file is complete")
    if wrong := next((number for number, values in lines if len(values) != len(first)), None):
        raise InputError(f"{path}, line {wrong} does not have {len(first)} columns like the first: "
                         "check that line")
    return _Table(path, columns, lines)


def _key_rows(table: _Table) -> list[ProtocolLine]:
    rows = []
    for number, values in table.lines:
        row = named(table.columns, values)
        if row["key"] not in KEYS:
            raise InputError(f"{table.path}, line {number}: the key is {row['key']!r}, "
                             "not bonafide or spoof: check that line")
        if row["key"] == "bonafide":
            row["attack"] = UNKNOWN     # ASVspoof 5 repeats "bonafide" there
        rows.append(ProtocolLine.of(row))
    return rows


def _score(path: Path, number: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{path}, line {number}: the score is {text!r}, not a finite number: "
                         "score that trial again")
    return value
