"""Trial lists of users: a trials.tsv in a folder of audio, with a header.

Tabs separate the columns, or semicolons, bars or commas where the header shows them.
Needed columns: utterance (its file's path below the folder, with or without the ending), key and
attack. Optional columns: speaker, gender, codec, source. --where can ask for any other column.
"""
from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from utils.common.errors import InputError
from utils.common.text import SEPARATORS, cells, fits_in_line, lines_of, read_text
from utils.trials.labels import KEYS, UNKNOWN
from utils.trials.releases import TABLE_NEEDED, TABLE_OPTIONAL, ProtocolLine
from utils.trials.trial import SUBSETS

LIST = "trials.tsv"


@dataclass(frozen=True)
class Condition:
    """One --where: rows of `part` (None: of all parts) whose `column` has one of `values`.

    If not `wanted`, it means the rows that have none of them.
    """
    column: str
    values: frozenset[str]
    wanted: bool
    text: str
    part: str | None = None

    def holds(self, row: dict[str, str]) -> bool:
        """Whether a row is used; every row of a list without that column is."""
        return self.column not in row or (row[self.column] in self.values) == self.wanted


def condition(text: str) -> Condition:
    """The condition in "[PART:]COLUMN=VALUE[,VALUE...]" or "[PART:]COLUMN!=VALUE[,VALUE...]".

    PART is train, dev or eval. `ArgumentTypeError` for other text.
    """
    part, colon, rest = text.partition(":")
    if not colon or part not in SUBSETS:
        part, rest = None, text
    column, equals, values = rest.partition("=")
    if not equals or not column.strip("! ") or not values:
        raise ArgumentTypeError(f"{text!r} is not COLUMN=VALUE or COLUMN!=VALUE, "
                                "such as source=lab or train:source!=lab")
    name = column.rstrip("!").strip()
    return Condition(name, frozenset(values.split(",")), not column.endswith("!"), text, part)


def has_list(folder: Path) -> bool:
    """Whether a folder of audio holds a trial list."""
    return (folder / LIST).is_file()


def columns_of(folder: Path) -> list[str]:
    """The columns of a folder's list; `InputError` where one is missing or repeated."""
    return _rows(folder / LIST)[0]


def _rows(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The columns of a list, and the number and the values of each line below its header."""
    lines = lines_of(read_text(path, western=False))
    first = lines[0][1] if lines else ""
    separator = max(SEPARATORS, key=lambda mark: len({*TABLE_NEEDED} & {*cells(first, mark)}))
    columns = cells(first, separator)
    _check_columns(path, columns)
    return columns, ((number, cells(line, separator)) for number, line in lines[1:])


def _check_columns(path: Path, columns: list[str]) -> None:
    if repeated := [name for name in columns if columns.count(name) > 1]:
        raise InputError(f"{path} repeats the column {repeated[0]!r} in its first line: "
                         "rename one of the two")
    if missing := [name for name in TABLE_NEEDED if name not in columns]:
        raise InputError(
            f"{path} lacks the column {' and '.join(missing)} in its first line: name the columns "
            f"there, separated by tabs ({', '.join(TABLE_NEEDED)}; optional: "
            f"{', '.join(TABLE_OPTIONAL)})")


def read_table(folder: Path, conditions: tuple[Condition, ...] = ()) -> Iterator[ProtocolLine]:
    """The trials of a folder's list that meet every condition. `InputError` names a wrong line.

    The folder's name is the source of trials whose source the list does not name.
    """
    path = folder / LIST
    columns, rows = _rows(path)
    seen: set[str] = set()
    for number, values in rows:
        where = f"{path}, line {number}"
        row = _row(where, columns, values)
        trial = _trial(where, row, folder.name)
        if trial.utterance in seen:
            raise InputError(f"{where} repeats {trial.utterance}: remove one of the two lines")
        seen.add(trial.utterance)
        if all(condition.holds(row) for condition in conditions):
            yield trial
    if not seen:
        raise InputError(f"{path} lists no utterances: fill it or remove it")


def _row(where: str, columns: list[str], values: list[str]) -> dict[str, str]:
    if len(values) != len(columns):
        raise InputError(f"{where} has {len(values)} columns, but the first line has "
                         f"{len(columns)}: correct that line")
    return dict(zip(columns, values))


def _trial(where: str, row: dict[str, str], folder: str) -> ProtocolLine:
    if not row["utterance"] or not all(map(fits_in_line, row.values())):
        raise InputError(f"{where} names no utterance or has control characters: correct that line")
    row = {name: value.strip() if name in ("key", "attack") else value
           for name, value in row.items()}
    said = {name: row.get(name) or UNKNOWN for name in (*TABLE_NEEDED, *TABLE_OPTIONAL)}
    if said["key"] not in KEYS or (said["attack"] == UNKNOWN) != (said["key"] == "bonafide"):
        raise InputError(f"{where} has the key {row['key']!r} with the attack {said['attack']!r}: "
                         "write bonafide with the attack -, or spoof with the attack's name")
    if said["source"] == UNKNOWN:
        said["source"] = folder
    return ProtocolLine.of(said)
