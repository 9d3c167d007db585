"""Hostile and broken archives, protocols, checkpoints and models through the scripts that open
them.
"""
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.helpers.hostile import cases, material, run
from tests.robustness.bench.records import Row


def hostile_input(folder: Path, say: Callable[[str], None] = print) -> Iterator[Row]:
    """One row per group of cases: refused in the words that the case names, or accepted; nothing
    written elsewhere.
    """
    stuff, rows = material(_made(folder / "material")), {}
    for number, case in enumerate(cases()):
        row = rows.setdefault(case.group, Row(f"hostile input: {case.group}", "{tried} cases"))
        row.tried += 1
        home = folder / f"case {number}"
        home.mkdir()
        try:
            outcome, said = run(case, stuff, home)
        except (Exception, SystemExit):
            outcome, said = "traceback", traceback.format_exc()[-600:]
        row.outcomes[outcome] += 1
        if outcome != case.outcome or not re.search(case.words, said):
            row.wrong.append(f"{row.what}: {case.name}: {outcome} instead of {case.outcome} "
                             f"({case.words}): {said[-300:]}")
    for row in rows.values():
        say(f"{row.what}: {dict(row.outcomes)}, {len(row.wrong)} wrong")
        yield row


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
