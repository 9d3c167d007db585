"""Score files of the organisers' speaker verification system: ASVspoof 2019 and 2021."""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.common.errors import InputError
from utils.common.text import cells, lines_of
from utils.metrics.metrics import ASVSPOOF5_ASV, AsvRates, asv_error_rates
from utils.report.key_files import ALL_PHASES, PHASE, file_text, one_score
from utils.trials.releases import KEY_FILES, named

KEYS = ("target", "nontarget", "spoof")
KEYS_2021 = "trial_metadata.txt"       # one line for each line of the scores
Line = tuple[int, list[str]]           # its number from 1, and its values


def read_asv_rates(path: Path | None, phase: str = PHASE) -> AsvRates:
    """Error rates of the verification system whose scores a file holds, at its own EER.

    Without a file, those of ASVspoof 5. In the form of 2019 a column holds only the three words
    target, nontarget and spoof. The scores of 2021 have no such column: line for line their keys
    stand in trial_metadata.txt, in the same folder or the one above, and only those of `phase`
    count. The score is the last column. Raises `InputError` and names what is wrong.
    """
    if path is None:
        return ASVSPOOF5_ASV
    lines = _lines(path)
    groups: dict[str, list[float]] = {name: [] for name in KEYS}
    for (number, values), key in zip(lines, _keys(path, lines, phase)):
        if key is not None:
            groups[key].append(one_score(path, number, values[-1]))
    if missing := [name for name, scores in groups.items() if not scores]:
        raise InputError(f"{path} has no {' and no '.join(missing)} trials: "
                         "check that the file is complete")
    return asv_error_rates(*map(np.array, groups.values()))


def _lines(path: Path) -> list[Line]:
    return [(number, cells(line, None)) for number, line in lines_of(file_text(path))]


def _keys(path: Path, lines: list[Line], phase: str) -> Iterator[str | None]:
    """The key of each line; None for a trial of another phase."""
    width = min((len(values) for _, values in lines), default=0)
    column = next((at for at in range(width - 1)
                   if all(values[at] in KEYS for _, values in lines)), None)
    if column is not None:
        return (values[column] for _, values in lines)
    places = (path.parent / KEYS_2021, path.parents[1] / KEYS_2021)
    table = next((place for place in places if place.is_file()), None)
    if table is None:
        raise InputError(f"{path} has no column of target, nontarget and spoof, as the scores of "
                         f"ASVspoof 2019 have, and no {KEYS_2021} lies beside it, as for those of "
                         "2021: keep the folder ASV as its archive unpacks it")
    return _keys_of_2021(path, len(lines), table, phase)


def _keys_of_2021(path: Path, count: int, table: Path, phase: str) -> Iterator[str | None]:
    keys = _lines(table)
    if len(keys) != count:
        raise InputError(f"{path} has {count:,} lines, but {table} has {len(keys):,}: "
                         "use the two files of one download")
    for number, values in keys:
        row = named(KEY_FILES.get(len(values), ()), values)
        if row.get("key") not in KEYS:
            raise InputError(f"{table}, line {number} has no target, nontarget or spoof where "
                             "the keys of ASVspoof 2021 have it: download it again")
        yield row["key"] if phase in (row["phase"], ALL_PHASES) else None
