"""Score and key files in the official formats of ASVspoof 2019, 2021 and 5, and those this project writes.

Headerless files are told apart by their number of columns, files with a header by its names. Columns are separated by
any white space.
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.common.errors import InputError
from utils.trials.labels import KEYS, UNKNOWN
from utils.trials.releases import (KEY_FILES, OFFICIAL_NAMES, SCORE_FILES, Columns, ProtocolLine,
                                   named)

PHASE = "eval"


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if columns := line.split():
                    yield number, columns
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}: check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"{path} cannot be read as a file: check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file: give a score or key file in an ASVspoof format") from error


def _layout(path: Path, first: list[str], known: dict[int, Columns]) -> tuple[Columns, bool]:
    """Which column holds what, and whether the first line is a header."""
    names = tuple(OFFICIAL_NAMES.get(name.lower(), name.lower()) for name in first)
    if "utterance" in names:
        return names, True
    if len(first) not in known:
        expected = ", ".join(map(str, sorted(known)))
        raise InputError(f"{path} has {len(first)} columns where the known formats have {expected}: "
                         "check that it is a file in an ASVspoof format")
    return known[len(first)], False


def _table(path: Path, known: dict[int, Columns], needed: str) -> tuple[Columns, list[tuple[int, list[str]]]]:
    """The columns' places and the numbered lines below any header, all of one width."""
    lines = list(_lines(path))
    if not lines:
        raise InputError(f"{path} is empty: check that it was written to its end")
    width = len(lines[0][1])
    layout, header = _layout(path, lines[0][1], known)
    if needed not in layout:
        raise InputError(f"{path} has no column of {needed}s: check that it is the right file")
    lines = lines[1:] if header else lines
    if wrong := next((number for number, columns in lines if len(columns) != width), None):
        raise InputError(f"{path}, line {wrong} does not have {width} columns like the first: check that line")
    if not lines:
        raise InputError(f"{path} lists no trials: check that it was written to its end")
    return layout, lines


def _row(path: Path, number: int, columns: list[str], layout: Columns) -> ProtocolLine:
    values = named(layout, columns)
    if values["key"] not in KEYS:
        raise InputError(f"{path}, line {number}: the key is {values['key']!r}, not bonafide or spoof: check that line")
    if values["key"] == "bonafide":
        values["attack"] = UNKNOWN     # ASVspoof 5 repeats "bonafide" there
    return ProtocolLine.of(values)


def read_keys(path: Path, phase: str = PHASE) -> list[ProtocolLine]:
    """The trials of a key or protocol file, in its order.

    The 2021 keys mark each trial with a phase; only those of `phase` are returned ("all": every one), as the official
    packages do. Raises `InputError` naming the line that is wrong.
    """
    layout, lines = _table(path, KEY_FILES, "key")
    rows = [_row(path, number, columns, layout) for number, columns in lines]
    if "phase" in layout and phase != "all":
        rows = [row for row in rows if row.phase == phase]
        if not rows:
            raise InputError(f"{path} has no trial of the phase {phase!r}: choose another with --phase")
    if len({row.utterance for row in rows}) != len(rows):
        raise InputError(f"{path} lists a trial twice: remove the repeated lines")
    return rows


def read_scores(path: Path) -> dict[str, float]:
    """The CM score (higher = bona fide) of every utterance in a score file; `InputError` names the line that is wrong."""
    layout, lines = _table(path, SCORE_FILES, "score")
    name, value = layout.index("utterance"), layout.index("score")
    scores: dict[str, float] = {}
    for number, columns in lines:
        try:
            score = float(columns[value])
        except ValueError:
            score = float("nan")
        if not np.isfinite(score):
            raise InputError(f"{path}, line {number}: the score is {columns[value]!r}, not a finite number: "
                             "score that trial again")
        if columns[name] in scores:
            raise InputError(f"{path}, line {number}: {columns[name]} has a score already: remove one of the two lines")
        scores[columns[name]] = score
    return scores


def read_keyed_scores(path: Path) -> list[ProtocolLine]:
    """The keys inside a score file of the 2019 form (`utterance attack key score`); `InputError` where it has none."""
    layout, lines = _table(path, SCORE_FILES, "score")
    if "key" not in layout:
        raise InputError(f"{path} holds scores without keys: give the key file too, with --keys")
    return [_row(path, number, columns, layout) for number, columns in lines]


def read_asv_scores(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, non-target and spoof scores of a speaker verification score file (ASVspoof 2019: `source key score`).

    The key is the one column that holds nothing but those three words, the score the last. `InputError` names what is wrong.
    """
    lines, kinds = list(_lines(path)), ("target", "nontarget", "spoof")
    width = min((len(columns) for _, columns in lines), default=0)
    at = next((at for at in range(width) if all(columns[at] in kinds for _, columns in lines)), None)
    if at is None or at == width - 1:
        raise InputError(f"{path} has no column of target, nontarget and spoof before the scores: give the speaker "
                         "verification score file of ASVspoof 2019")
    groups: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number, columns in lines:
        try:
            groups[columns[at]].append(float(columns[-1]))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: the score is {columns[-1]!r}, not a number: check that line") from error
    if absent := [kind for kind, scores in groups.items() if not scores]:
        raise InputError(f"{path} has no {' and no '.join(absent)} trials: check that it was written to its end")
    return tuple(np.array(groups[kind]) for kind in kinds)


def align(scores: dict[str, float], keys: list[ProtocolLine]) -> np.ndarray:
    """The scores in the order of `keys`; scores of trials without a key are left out.

    Raises `InputError` where a trial has no score: figures over a part of the trials would not compare.
    """
    missing = [row.utterance for row in keys if row.utterance not in scores]
    if missing:
        raise InputError(f"{len(missing)} of {len(keys)} trials in the key file have no score, {missing[0]} first: "
                         "check that score and key file belong together")
    return np.array([scores[row.utterance] for row in keys])


def split_by_key(scores: dict[str, float], keys: list[ProtocolLine]) -> tuple[np.ndarray, np.ndarray]:
    """The scores of bona fide trials and those of spoof trials."""
    aligned, is_bonafide = align(scores, keys), np.array([row.labels.is_bonafide for row in keys])
    return aligned[is_bonafide], aligned[~is_bonafide]
