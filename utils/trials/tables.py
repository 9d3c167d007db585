"""Trial lists that come with a folder of audio: trials.tsv, tab-separated columns under a header, in any order.

Needed: utterance (the path of its file below the folder, with or without the ending), key, attack. Taken where they are
there: speaker, gender, codec, source (where the recording came from). Any other column can be asked for by --where.
"""
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from utils.trials.labels import KEYS, UNKNOWN, Labels
from utils.trials.protocols import ProtocolLine
from utils.trials.trial import SUBSETS
from utils.common.errors import InputError
from utils.common.files import reading

LIST = "trials.tsv"
NEEDED, TAKEN = ("utterance", "key", "attack"), ("speaker", "gender", "codec", "source")


@dataclass(frozen=True)
class Condition:
    """One --where: rows of `part` (all: None) whose `column` has one of `values`, or (not `wanted`) none of them."""
    column: str
    values: frozenset[str]
    wanted: bool
    text: str
    part: str | None = None

    def holds(self, row: dict[str, str]) -> bool:
        """Whether a row is taken; one of a list without that column is."""
        return self.column not in row or (row[self.column] in self.values) == self.wanted


def condition(text: str) -> Condition:
    """The condition that "[PART:]COLUMN=VALUE[,VALUE...]" or "[PART:]COLUMN!=VALUE[,VALUE...]" says, PART train, dev or eval.

    `ValueError` for other text.
    """
    part, colon, rest = text.partition(":")
    if not colon or part not in SUBSETS:
        part, rest = None, text
    column, equals, values = rest.partition("=")
    if not equals or not column.strip("! ") or not values:
        raise ValueError(f"{text!r} is not COLUMN=VALUE or COLUMN!=VALUE")
    return Condition(column.rstrip("!").strip(), frozenset(values.split(",")), not column.endswith("!"), text, part)


def has_list(folder: Path) -> bool:
    """Whether a folder of audio has its trial list in it."""
    return (folder / LIST).is_file()


def columns_of(folder: Path) -> list[str]:
    """The columns of a folder's list; `InputError` where one that is needed is missing."""
    path = folder / LIST
    with reading(path), open(path, encoding="utf-8-sig", errors="replace") as file:
        columns = file.readline(1 << 16).rstrip("\r\n").split("\t")
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise InputError(f"{path} names the column {twice[0]!r} twice in its first line: rename one of the two")
    if missing := [name for name in NEEDED if name not in columns]:
        raise InputError(f"{path} has no column {' and no column '.join(missing)} in its first line: a trial list names "
                         f"its columns there, separated by tabs ({', '.join(NEEDED)}; also {', '.join(TAKEN)})")
    return columns


def read_table(folder: Path, conditions: tuple[Condition, ...] = ()) -> Iterator[ProtocolLine]:
    """The trials of a folder's list that meet every condition. `InputError` names the line that is wrong.

    Without a column "source", or where it says "-", the folder's own name is the source.
    """
    path, columns, seen = folder / LIST, columns_of(folder), set()
    with reading(path), open(path, encoding="utf-8-sig", newline="") as file:
        for number, line in enumerate(_lines(path, file), start=1):
            if number == 1 or not line.strip():
                continue
            row = _row(f"{path}, line {number}", columns, line.split("\t"))
            trial = _trial(f"{path}, line {number}", row, folder.name)
            if trial.utterance in seen:
                raise InputError(f"{path}, line {number} lists {trial.utterance} a second time: remove one of the two")
            seen.add(trial.utterance)
            if all(condition.holds(row) for condition in conditions):
                yield trial
    if not seen:
        raise InputError(f"{path} lists no utterances: fill it or remove it")


def _lines(path: Path, file) -> Iterator[str]:
    try:
        yield from (line.rstrip("\r\n") for line in file)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save it as UTF-8") from error


def _row(where: str, columns: list[str], values: list[str]) -> dict[str, str]:
    if len(values) != len(columns):
        raise InputError(f"{where} does not have the {len(columns)} columns of the first line, but {len(values)}: mend it")
    return dict(zip(columns, values))


def _trial(where: str, row: dict[str, str], folder: str) -> ProtocolLine:
    if not row["utterance"] or not all(value.isprintable() for value in row.values()):
        raise InputError(f"{where} names no utterance, or has control characters: mend it")
    key, attack = row["key"], row["attack"] or UNKNOWN
    if key not in KEYS or (attack == UNKNOWN) != (key == "bonafide"):
        raise InputError(f"{where} says key {key!r} and attack {attack!r}: the key is bonafide, with attack -, or spoof, with "
                         "the attack's name")
    said = {name: row.get(name) or UNKNOWN for name in TAKEN}
    if said["source"] == UNKNOWN:
        said["source"] = folder
    return ProtocolLine(row["utterance"], Labels.of(said | {"key": key, "attack": attack}))
