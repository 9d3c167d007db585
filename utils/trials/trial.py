"""Trial lists: one TSV per subset, one row per utterance and where its bytes lie; corpus.json."""
from collections.abc import Collection
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import atomic_write, read_json
from utils.trials.labels import KEYS, UNKNOWN, Labels, attributes
from utils.trials.releases import TRIAL_LIST, TRIAL_LIST_WITH_SOURCE, Columns

SUBSETS = ("train", "dev", "eval")
AGAIN = "run python utils/prepare_dataset.py again"


@dataclass(frozen=True, slots=True)
class Trial:
    """One utterance of a trial list, and where its audio file lies."""
    utterance: str
    labels: Labels
    container: str   # the file with its bytes: relative to the data folder with "/", or absolute
    offset: int      # first byte of the audio file inside the container; 0 for a file of its own
    size: int        # bytes of the audio file


def trial_list_path(data_dir: Path, subset: str) -> Path:
    """Where the trial list of a subset lies."""
    return data_dir / "protocols" / f"{subset}.tsv"


def write_trials(path: Path, trials: Collection[Trial]) -> None:
    """Write a trial list, header first, atomically."""
    known = any(trial.labels.source != UNKNOWN for trial in trials)
    columns = TRIAL_LIST_WITH_SOURCE if known else TRIAL_LIST
    values = attrgetter(*attributes(columns))
    with atomic_write(path) as file:
        file.write("\t".join(columns) + "\n")
        for trial in trials:
            file.write("\t".join(map(str, values(trial))) + "\n")


def read_header(path: Path, line: str) -> Columns:
    """The columns that the first line of a list names; `InputError` for a file of another kind."""
    columns = tuple(line.rstrip("\n").split("\t"))
    if columns not in (TRIAL_LIST, TRIAL_LIST_WITH_SOURCE):
        raise InputError(f"{path} is not a trial list of this project: {AGAIN}")
    return columns


def parse_trial(path: Path, number: int, line: str, columns: Columns) -> Trial:
    """The trial of line `number` (from 1) of a list; `InputError` where it is malformed."""
    values = line.rstrip("\n").split("\t")
    row = dict(zip(columns, values))
    if len(values) != len(columns) or row["key"] not in KEYS \
            or not (row["offset"].isdecimal() and row["size"].isdecimal()):
        raise InputError(f"{path}, line {number} is malformed: {AGAIN}")
    return Trial(row["utterance"], Labels.of(row), row["container"], int(row["offset"]),
                 int(row["size"]))


def read_corpus(data_dir: Path) -> dict:
    """The content of protocols/corpus.json: what the corpus is and where its parts come from."""
    path = data_dir / "protocols" / "corpus.json"
    if not path.is_file():
        raise InputError(f"{data_dir} holds no prepared corpus: "
                         "run python utils/prepare_dataset.py first")
    return read_json(path)
