"""A trial list read row by row: memory is a few bytes per trial, however long the list."""
import hashlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from utils.common.errors import InputError
from utils.trials.draws import draw_shares
from utils.trials.trial import AGAIN, SUBSETS, Trial, parse_trial, read_header


def subsets_of(name: str, corpus: dict) -> list[str]:
    """The subsets that `name` ("train", "dev", "eval" or "all") stands for, in order.

    A name means the corpus' own partition and every subset cut from it. If only dev was
    downloaded, train, dev and eval are all parts of dev, and "dev" means the three.
    `InputError` where there is none.
    """
    listed = corpus["subsets"]
    found = [subset for subset in SUBSETS if subset in listed and
             (name == "all" or name in (subset, listed[subset].get("partition")))]
    if not found:
        raise InputError(f"the prepared corpus has no subset {name}, only "
                         f"{', '.join(listed) or 'none'}: download the missing part and {AGAIN}")
    return found


class TrialIndex:
    """A trial list of which only each line's position and stratum are held (10 bytes per trial).

    Trials keep the order of the list. That order does not depend on where their audio lies, so an
    archive gives the same store as its unpacked files.
    """

    def __init__(self, path: Path) -> None:
        """Scan `path` once; `InputError` where it is missing, malformed or empty."""
        if not path.is_file():
            raise InputError(f"the trial list {path} is missing: "
                             "run python utils/prepare_dataset.py first")
        self.path = path
        self.strata: dict[str, int] = {}      # "key<tab>attack" to the stratum's number
        self._lines = array("q")
        self._stratum = array("H")
        self.sha256 = self._scan()
        if not self._lines:
            raise InputError(f"{path} lists no trials: {AGAIN}")

    def _scan(self) -> str:
        sha256 = hashlib.sha256()
        position = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                sha256.update(line)
                if number == 1:
                    self._columns = read_header(self.path, line.decode("utf-8", "replace"))
                else:
                    self._add(position, self._parse(line, number))
                position += len(line)
        return sha256.hexdigest()

    def _parse(self, line: bytes, number: int) -> Trial:
        return parse_trial(self.path, number, line.decode("utf-8", "replace"), self._columns)

    def _add(self, position: int, trial: Trial) -> None:
        name = f"{trial.labels.key}\t{trial.labels.attack}"
        self._lines.append(position)
        self._stratum.append(self.strata.setdefault(name, len(self.strata)))

    def __len__(self) -> int:
        return len(self._lines)

    def select(self, limit: int | None, seed: int) -> np.ndarray:
        """Row numbers, ascending, of at most `limit` trials (of all for None).

        Every key and attack keeps its share, with at least one trial of each where `limit` allows.
        """
        if limit is None or limit >= len(self):
            return np.arange(len(self))
        stratum = np.frombuffer(self._stratum, dtype=f"u{self._stratum.itemsize}")
        members = {name: np.flatnonzero(stratum == number) for name, number in self.strata.items()}
        return draw_shares(members, limit, seed)

    def trials(self, rows: Iterable[int]) -> Iterator[Trial]:
        """The trials of `rows`, read from the list one by one."""
        with open(self.path, "rb") as file:
            for row in rows:
                file.seek(self._lines[row])
                yield self._parse(file.readline(), int(row) + 2)
