"""Every case made, run and judged: the rows of the table."""
import contextlib
import hashlib
import importlib
import io
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from tests.robustness.everyday import (channels, ends, formats, lengths, level, lists, playing,
                                       tracks)
from tests.robustness.everyday.data_sets import layouts, names, published, scores
from tests.robustness.everyday.making.case import RIGHT, SKIPPED, WRONG, Case, Missing, Seen
from tests.robustness.everyday.making.sound import MODEL
from tests.benchmarks.results_files import among_earlier, write_rows
from tests.robustness.bench.records import Row
from utils.common.errors import InputError, printable
from utils.detector import Detector
from utils.detector.engines import Engine

MODULES = (level, channels, tracks, playing, lengths, ends, formats, layouts, published,
           names, lists, scores)
COLUMNS = ("row", "kind", "input", "outcome", "expected", "what happened")

TAKES_ANOTHER = "using the default corpus"


class TakenInstead(BaseException):
    """A step is about to build the default corpus: nobody asked for it, so it is stopped here."""


class Output(io.StringIO):
    """What a command prints."""

    def write(self, text: str) -> int:
        written = super().write(text)
        if TAKES_ANOTHER in self.getvalue():
            raise TakenInstead
        return written

    def reconfigure(self, **options: str) -> None:
        """As the scripts ask for."""


class ScoredOnce:
    """An engine that scores equal windows once: many files hold the same samples."""

    batch_size = 1

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.metadata = engine.metadata
        self.known: dict[bytes, np.ndarray] = {}

    def logits(self, waves: np.ndarray) -> np.ndarray:
        """As of the engine."""
        return np.concatenate([self._of(waves[i:i + 1]) for i in range(len(waves))])

    def _of(self, wave: np.ndarray) -> np.ndarray:
        key = hashlib.sha256(wave.tobytes()).digest()
        if key not in self.known:
            self.known[key] = self.engine.logits(wave)
        return self.known[key]


class Everyday:
    """Runs cases with one detector."""

    def __init__(self) -> None:
        self.detector = Detector.load(MODEL, device="cpu", threads=1)
        self.detector.engine = ScoredOnce(self.detector.engine)
        self.score_of = lru_cache(4096)(lambda data: self.detector.judge(data)["score"])

    def run(self, case: Case) -> dict[str, str]:
        """The case's row of the table."""
        with tempfile.TemporaryDirectory(prefix="everyday ") as name:
            folder = Path(name)
            row = {"row": case.row, "kind": case.kind, "input": case.name,
                   "expected": case.expected}
            try:
                seen = self.see(case, folder)
            except Missing as reason:
                return row | {"outcome": SKIPPED, "what happened": str(reason)}
            outcome, failed = case.outcome(seen)
            happened = printable(seen.words().replace(name + os.sep, ""))
            if failed:
                happened += f" (not: {'; '.join(failed)})"
            return row | {"outcome": outcome, "what happened": happened}

    def see(self, case: Case, folder: Path) -> Seen:
        """What comes of a case's input."""
        made = case.make(folder)
        if case.command:
            return command(case.command, list(map(str, made)), folder)
        record = self.detector.judge(made)
        record["file"] = Path(made).name
        return Seen(record, score_of=self.score_of, folder=folder)


def command(script: str, words: list[str], folder: Path) -> Seen:
    """Run a script in this process, with `folder` as the current one."""
    main = importlib.import_module(script.removesuffix(".py").replace("/", ".")).main
    out, err, before = Output(), Output(), os.getcwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except InputError as error:
        code, _ = 1, err.write(f"error: {printable(error)}\n")
    except TakenInstead:
        code, _ = 0, None
    except SystemExit as ended:
        code = int(ended.code or 0)
    except Exception as error:
        code, _ = 1, err.write(f"Traceback: {type(error).__name__}: {printable(error)}\n")
    finally:
        os.chdir(before)
    return Seen(code=code, out=out.getvalue(), err=err.getvalue(), folder=folder)


def cases(chosen: str = "") -> list[Case]:
    """All cases; those of a kind or row called `chosen`, or those with this text in their names."""
    found = [case for module in MODULES for case in module.cases()]
    exact = [case for case in found if chosen and chosen in (case.kind, case.row)]
    return exact or [case for case in found if chosen in f"{case.kind}: {case.name}"]


def everyday(chosen: str, path: Path, say: Callable[[str], None] = print) -> list[Row]:
    """Run the cases; writes a row for each to `path`, returns a row for each kind.

    The rows of other cases that `path` has already stay: kind by kind, it becomes the whole table.
    """
    run, rows = Everyday(), []
    kinds: dict[str, Row] = {}
    for case in cases(chosen):
        row = run.run(case)
        rows.append({name: row[name] for name in COLUMNS})
        kind = kinds.setdefault(case.kind, Row(f"everyday inputs: {case.kind}", "{tried} inputs"))
        kind.tried += 1
        kind.outcomes[row["outcome"]] += 1
        told = f"{case.row or '-':>3} {case.kind}: {case.name}: {row['what happened']}"
        if row["outcome"] == WRONG:
            kind.wrong.append(told)
        elif row["outcome"] != RIGHT:
            say(f"{row['outcome'].upper()}: {told}")
    write_rows(path, with_earlier(rows, path))
    return list(kinds.values())


def with_earlier(rows: list[dict[str, str]], path: Path) -> list[dict[str, str]]:
    """These rows, and those of `path` for other cases, in the order of the cases."""
    found = {(row["kind"], row["input"]): row
             for row in among_earlier(rows, path, ("kind", "input"))}
    return [found[case.kind, case.name] for case in cases() if (case.kind, case.name) in found]
