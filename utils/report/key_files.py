"""Score and key files: those of ASVspoof 2019, 2021 and 5, and those that this project writes.

A header names the columns; without a header, their number tells the format. Columns are separated
by tabs, semicolons, bars or commas if the first line has them, else by blanks. Lines at the top
that begin with "# " are comments.
"""
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

import numpy as np

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError
from utils.common.text import SEPARATORS, cells, lines_of, read_text, same_name, without_ending
from utils.trials.labels import UNKNOWN
from utils.trials.releases import (KEY_FILES, KEY_WORDS, OTHER_NAMES, SCORE_FILES, UTTERANCE_NAMES,
                                   Columns, ProtocolLine, named)

PHASE = "eval"
ALL_PHASES = "all"
ENDS = " \t;|,"      # what other programs leave at the ends of lines


@dataclass(frozen=True, slots=True)
class _Table:
    """The lines of a file below any header. Their values are cut one line at a time."""
    path: Path
    columns: Columns
    separator: str | None
    blanks: bool                        # whether values keep the blanks around them
    listed: list[tuple[int, str]]       # numbers from 1, and lines

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The number and the values of each line; `InputError` where there are more or fewer."""
        width = len(self.columns)
        for number, line in self.listed:
            values = cells(line, self.separator)
            if len(values) != width:
                raise InputError(f"{self.path}, line {number} does not have {width} columns like "
                                 "the first: check that line")
            yield number, values if self.blanks else [value.strip(" ") for value in values]


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
    """The trials of a score file that holds keys too; `InputError` if it has none."""
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
    key = table.columns.index("key") if "key" in table.columns else None
    scores: dict[str, float] = {}
    for number, values in table.rows():
        if key is not None:
            _no_second_score(path, number, values[key])
        if values[name] in scores:
            raise InputError(f"{path}, line {number}: {values[name]} already has a score: "
                             "remove one of the two lines")
        scores[values[name]] = one_score(path, number, values[value])
    return scores


def align(scores: dict[str, float], keys: list[ProtocolLine]) -> np.ndarray:
    """The scores in the order of `keys`; scores without a key are left out.

    Names may differ by a path, an ending or capitals, if each still has one match. Raises
    `InputError` if a trial has no score: figures of a part of the trials could not be compared.
    """
    names = [row.utterance for row in keys]
    missing = [name for name in names if name not in scores]
    if missing:
        bare = {_bare(name): value for name, value in scores.items()}
        wanted = [_bare(name) for name in names]
        if len(bare) == len(scores) and len(set(wanted)) == len(names) and bare.keys() >= {*wanted}:
            return np.array([bare[name] for name in wanted])
        raise InputError(f"{len(missing)} of {len(keys)} trials in the key file have no score, "
                         f"{missing[0]} first: check that score and key file belong together; "
                         f"the score file begins with {next(iter(scores), 'nothing')}")
    return np.array([scores[name] for name in names])


def _bare(name: str) -> str:
    """A name without its folders, its ending and its capitals."""
    return without_ending(same_name(name).rpartition("/")[2], AUDIO_SUFFIXES)


def file_text(path: Path) -> str:
    """The text of a file that the user named; `InputError` if it does not exist."""
    if not path.exists():
        raise InputError(f"the file {path} does not exist: check the path")
    if not path.is_file():
        raise InputError(f"{path} cannot be read as a file: check the path")
    return read_text(path)


def _read_table(path: Path, formats: dict[int, Columns], needed: str) -> _Table:
    """The lines of a file in one of `formats` or with a header, which has the column `needed`."""
    lines = list(dropwhile(lambda line: line[1].startswith("# "), lines_of(file_text(path))))
    if not lines:
        raise InputError(f"{path} is empty: check that the file is complete")
    columns, separator, has_header = _layout(path, lines[0][1], formats, needed)
    if not has_header:
        lines = [(number, line.rstrip(ENDS)) for number, line in lines]
    if needed not in columns:
        raise InputError(f"{path} has no column of {needed}s: check that it is the right file")
    if len(lines) == has_header:
        raise InputError(f"{path} lists no trials: check that the file is complete")
    blanks = has_header and separator == "\t"   # names of our own files may begin with one
    return _Table(path, columns, separator, blanks, lines[has_header:])


def _layout(path: Path, first: str, formats: dict[int, Columns],
            needed: str) -> tuple[Columns, str | None, bool]:
    """The columns, what separates them, and whether the first line is a header."""
    for separator in (*SEPARATORS, None):
        names = [_column(name) for name in cells(first, separator)]
        if len(names) > 1 and {needed, *UTTERANCE_NAMES} & {*names}:
            return _with_utterance(names), separator, True
    for separator in ("\t", None, *SEPARATORS[1:]):
        values = cells(first.rstrip(ENDS), separator)
        if columns := formats.get(len(values)):
            return _in_order(columns, values), separator, False
    known = ", ".join(map(str, sorted(formats)))
    raise InputError(f"{path} has {len(cells(first, None))} columns, but the known formats have "
                     f"{known}: check that it is a file in an ASVspoof format")


def _in_order(columns: Columns, values: list[str]) -> Columns:
    """The columns of a format; others write the score before the key, as the first line shows."""
    if not {"key", "score"} <= {*columns} or _plain(values[columns.index("key")]) in KEY_WORDS:
        return columns
    if _plain(values[columns.index("score")]) not in KEY_WORDS:
        return columns
    return tuple({"key": "score", "score": "key"}.get(name, name) for name in columns)


def _column(name: str) -> str:
    """What a header's name for a column means here."""
    plain = name.strip().lower().replace("_", "-")
    return OTHER_NAMES.get(plain, plain)


def _with_utterance(names: list[str]) -> Columns:
    """A header's columns; the first one names the utterance where no usual name does."""
    found = next((name for name in UTTERANCE_NAMES if name in names), names[0])
    at = names.index(found)
    return (*names[:at], "utterance", *names[at + 1:])


def _key_rows(table: _Table) -> list[ProtocolLine]:
    rows = []
    for number, values in table.rows():
        row = named(table.columns, values)
        row["key"] = _key(table.path, number, row["key"])
        if row["key"] == "bonafide":
            row["attack"] = UNKNOWN     # ASVspoof 5 repeats "bonafide" there
        rows.append(ProtocolLine.of(row))
    return rows


def _key(path: Path, number: int, text: str) -> str:
    if (plain := _plain(text)) not in KEY_WORDS:
        raise InputError(f"{path}, line {number}: the key is {text!r}, not bonafide or spoof: "
                         "check that line; 0 and 1 do not say which of the two they mean")
    return KEY_WORDS[plain]


def _plain(text: str) -> str:
    """A word for a key, without capitals and what stands between its parts."""
    return re.sub(r"[-_ ]", "", text.lower())


def _no_second_score(path: Path, number: int, text: str) -> None:
    """Raise `InputError` if another score or word stands in the place of the key."""
    try:
        _key(path, number, text)
    except InputError as error:
        raise InputError(f"{path}, line {number} has {text!r} where a score file with keys has "
                         "bonafide or spoof: keep the name and one score on each line, "
                         "higher meaning bona fide") from error


def one_score(path: Path, number: int, text: str) -> float:
    """A score; a decimal comma is read as a point."""
    try:
        value = float(text if "." in text else text.replace(",", ".", 1))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{path}, line {number}: the score is {text!r}, not a finite number: "
                         "score that trial again")
    return value
