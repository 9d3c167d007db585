"""Which trials of a list are taken: chosen on a few bytes per trial, so that memory does not grow with the list."""
import hashlib
import zlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from utils.trials.trial import AGAIN, SUBSETS, Trial, parse_trial, read_header
from utils.common.errors import InputError


def subsets_of(name: str, corpus: dict) -> list[str]:
    """The subsets that `name` ("train", "dev", "eval" or "all") stands for, in order.

    A name means the corpus' own partition and every subset cut from it: with a download of dev alone, train, dev and
    eval are all parts of dev, and "dev" means the three. `InputError` where there is none.
    """
    listed = corpus["subsets"]
    found = [subset for subset in SUBSETS if subset in listed and
             (name == "all" or name in (subset, listed[subset].get("partition")))]
    if not found:
        raise InputError(f"the prepared corpus has no subset {name}, only {', '.join(listed) or 'none'}: "
                         "download what is missing and run python utils/prepare_dataset.py again")
    return found


class TrialIndex:
    """A trial list of which only each line's position and stratum are held (10 bytes per trial).

    Trials keep the order of the list, which does not depend on where their audio lies: an archive read in place and the
    same archive unpacked give the same store.
    """

    def __init__(self, path: Path) -> None:
        """Scan `path` once; `InputError` where it is missing, malformed (with the line number) or empty."""
        if not path.is_file():
            raise InputError(f"there is no trial list {path}: run python utils/prepare_dataset.py first")
        self.path, self.strata = path, {}
        self._lines, self._stratum = array("q"), array("H")
        sha256, position = hashlib.sha256(), 0
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                sha256.update(line)
                if number == 1:
                    self._columns = read_header(path, line.decode("utf-8", "replace"))
                else:
                    self._add(position, self._parse(line, number))
                position += len(line)
        if not self._lines:
            raise InputError(f"{path} lists no trials: {AGAIN}")
        self.sha256 = sha256.hexdigest()

    def _parse(self, line: bytes, number: int) -> Trial:
        return parse_trial(self.path, number, line.decode("utf-8", "replace"), self._columns)

    def _add(self, position: int, trial: Trial) -> None:
        self._lines.append(position)
        self._stratum.append(self.strata.setdefault((trial.labels.key, trial.labels.attack), len(self.strata)))

    def __len__(self) -> int:
        return len(self._lines)

    def select(self, limit: int | None, seed: int) -> np.ndarray:
        """Row numbers, ascending, of at most `limit` trials (of all for None).

        The share of every (key, attack) is kept to the nearest whole trial, with at least one of each where `limit`
        allows; which ones is drawn by `seed`, within each on its own.
        """
        if limit is None or limit >= len(self):
            return np.arange(len(self))
        stratum = np.frombuffer(self._stratum, dtype=f"u{self._stratum.itemsize}")
        quotas = shares(np.bincount(stratum), limit)
        drawn = [_draw(np.flatnonzero(stratum == number), quotas[number], seed, name)
                 for name, number in self.strata.items()]
        return np.sort(np.concatenate(drawn))

    def trials(self, rows: Iterable[int]) -> Iterator[Trial]:
        """The trials of `rows`, read from the list one by one."""
        with open(self.path, "rb") as file:
            for row in rows:
                file.seek(self._lines[row])
                yield self._parse(file.readline(), int(row) + 2)


def _draw(members: np.ndarray, quota: int, seed: int, stratum: tuple[str, str]) -> np.ndarray:
    rng = np.random.default_rng([seed, zlib.crc32("\t".join(stratum).encode())])
    return rng.permutation(members)[:quota]


def shares(sizes: np.ndarray, limit: int) -> np.ndarray:
    """How many of each group make `limit` in all: proportional, by largest remainder, none empty where `limit`
    allows."""
    exact = sizes * (limit / sizes.sum())
    quotas = np.floor(exact).astype(int)
    by_remainder = np.argsort(quotas - exact, kind="stable")
    quotas[by_remainder[:limit - quotas.sum()]] += 1
    while limit >= len(sizes) and (quotas == 0).any():
        quotas[np.argmax(quotas == 0)] += 1
        quotas[np.argmax(quotas)] -= 1
    return quotas
