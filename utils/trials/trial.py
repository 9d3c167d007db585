"""Trial lists: one TSV per subset, one row per utterance with where its bytes lie; and corpus.json beside them."""
from collections.abc import Collection
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import atomic_write, read_json

SUBSETS = ("train", "dev", "eval")
KEYS = ("bonafide", "spoof")
AGAIN = "run python utils/prepare_dataset.py again"


@dataclass(frozen=True, slots=True)
class Trial:
    """One utterance. Unknown or not applicable is "-"; `attack` is "-" exactly for bona fide."""
    utterance: str
    speaker: str
    gender: str
    codec: str
    attack: str
    key: str
    container: str   # the file that holds the bytes: relative to the data folder with "/" between, or absolute
    offset: int      # first byte of the audio file inside the container; 0 for a file of its own
    size: int        # bytes of the audio file
    source: str = "-"   # where the recording came from: a corpus, a repository, a page


COLUMNS = tuple(field.name for field in fields(Trial))
WITHOUT_SOURCE = COLUMNS[:-1]      # the columns of a list where no source is known


def trial_list_path(data_dir: Path, subset: str) -> Path:
    """Where the trial list of a subset lies."""
    return data_dir / "protocols" / f"{subset}.tsv"


def write_trials(path: Path, trials: Collection[Trial]) -> None:
    """Write a trial list, header first, atomically."""
    columns = COLUMNS if any(trial.source != "-" for trial in trials) else WITHOUT_SOURCE
    values = attrgetter(*columns)      # dataclasses.astuple copies deeply: ten times the time
    with atomic_write(path) as file:
        file.write("\t".join(columns) + "\n")
        for trial in trials:
            file.write("\t".join(map(str, values(trial))) + "\n")


def read_header(path: Path, line: str) -> int:
    """How many columns a list has, by its first line; `InputError` where it is not a list of this project."""
    if (columns := tuple(line.rstrip("\n").split("\t"))) not in (COLUMNS, WITHOUT_SOURCE):
        raise InputError(f"{path} is not a trial list of this project: {AGAIN}")
    return len(columns)


def parse_trial(path: Path, number: int, line: str, columns: int) -> Trial:
    """The trial of line `number` (from 1) of a list; `InputError` where it is malformed."""
    row = line.rstrip("\n").split("\t")
    if len(row) != columns or row[5] not in KEYS or not (row[7].isdecimal() and row[8].isdecimal()):
        raise InputError(f"{path}, line {number} is malformed: {AGAIN}")
    return Trial(*row[:7], int(row[7]), int(row[8]), *row[9:])


def read_trials(path: Path) -> list[Trial]:
    """The trials of a list written by `write_trials`; `InputError` names the line that is wrong."""
    if not path.is_file():
        raise InputError(f"there is no trial list {path}: run python utils/prepare_dataset.py first")
    with open(path, encoding="utf-8") as file:
        columns = read_header(path, file.readline())
        trials = [parse_trial(path, number, line, columns) for number, line in enumerate(file, start=2)]
    if not trials:
        raise InputError(f"{path} lists no trials: run python utils/prepare_dataset.py again")
    return trials


def read_corpus(data_dir: Path) -> dict:
    """The content of protocols/corpus.json: what the corpus is and where its parts come from."""
    path = data_dir / "protocols" / "corpus.json"
    if not path.is_file():
        raise InputError(f"there is no prepared corpus in {data_dir}: run python utils/prepare_dataset.py first")
    return read_json(path)
