"""A case: how its input is made, and what must come of it."""
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

RIGHT, WRONG, WISH, SKIPPED = "right", "wrong", "wish", "skipped"
WINDOW_BLUR = 2.5   # s: the timeline is right to about half a window
LEFT_OUT = ("file", "model", "model_file", "version", "model_sha256", "threshold_origin", "windows")


class Missing(Exception):
    """The input cannot be made here; the message says what is missing."""


@dataclass
class Seen:
    """What came of an input: the record of a recording, or how a command ended."""
    record: dict = field(default_factory=dict)
    code: int = 0
    out: str = ""
    err: str = ""
    folder: Path = Path()
    score_of: Callable[[bytes], float | None] = lambda data: None

    @property
    def said(self) -> str:
        """Everything that was said, the model's own data left out."""
        told = {name: value for name, value in self.record.items() if name not in LEFT_OUT}
        return "\n".join(part for part in (json.dumps(told) if told else "", self.out, self.err)
                         if part)

    def words(self) -> str:
        """What happened, in a line."""
        record = self.record
        if record.get("error"):
            return f"refused: {record['error']}"
        if record:
            score = "" if record["score"] is None else f" {record['score']:.2f}"
            told = [*record.get("notes", []), *record["reasons"], *record["warnings"]]
            return "; ".join([f"{record['verdict']}{score}, {record['seconds']:.1f} s", *told])
        lines = [_short(line) for line in (self.out + "\n" + self.err).splitlines()
                 if line.strip()]
        return f"exit code {self.code}: {' / '.join(lines[-3:])}"


def _short(line: str) -> str:
    """A line of a command; of a record in JSON what matters."""
    try:
        record = json.loads(line)
        return f"{record['file']}: {record['error'] or record['verdict']}"
    except (ValueError, KeyError, TypeError):
        return line[:300]


@dataclass(frozen=True)
class Check:
    """One thing that must hold."""
    words: str
    holds: Callable[[Seen], bool]


@dataclass(frozen=True)
class Case:
    """`make(folder)` writes the input into an empty folder and returns what is handed over:
    a path, or the words of a command line."""
    kind: str
    name: str
    make: Callable[[Path], Path | list[str]]
    checks: tuple[Check, ...]
    row: str = ""           # its number in the table of the reports; "": a neighbour
    wish: bool = False
    command: str = ""       # the script that is run; "": the detector judges the path

    @property
    def expected(self) -> str:
        return "; ".join(check.words for check in self.checks)

    def outcome(self, seen: Seen) -> tuple[str, list[str]]:
        """(right, wrong or wish; the checks that do not hold)."""
        failed = [check.words for check in self.checks if not check.holds(seen)]
        return (RIGHT if not failed else WISH if self.wish else WRONG), failed


def put(name: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    """Makes one file of these bytes."""
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name
    return make


# What a recording must give


def judged() -> Check:
    """A verdict that rests on a score."""
    return Check("judged", lambda seen: seen.record.get("score") is not None)


def verdict(*allowed: str) -> Check:
    return Check(" or ".join(allowed), lambda seen: seen.record.get("verdict") in allowed)


def never(word: str) -> Check:
    return Check(f"never {word}", lambda seen: seen.record.get("verdict") != word)


LOOSE = 0.3     # so far a sample more or less at either end may move the score


def scores_like(plain: Callable[[], bytes], tolerance: float = 0.05) -> Check:
    """The score of the same sound in a plain file."""
    def holds(seen: Seen) -> bool:
        score, wanted = seen.record.get("score"), seen.score_of(plain())
        return score is not None and wanted is not None and abs(score - wanted) <= tolerance
    return Check(f"scored like the plain file, to {tolerance}", holds)


def lasts(seconds: float, tolerance: float = 0.15) -> Check:
    return Check(f"{seconds:.1f} s long", lambda seen: abs(
        (seen.record.get("seconds") or 0) - seconds) <= tolerance)


def says(pattern: str, words: str = "") -> Check:
    """A sentence that matches, in any case of letters."""
    return Check(words or f"says {pattern!r}", lambda seen: bool(
        re.search(pattern, seen.said, re.IGNORECASE | re.DOTALL)))


def refused(pattern: str = "", words: str = "") -> Check:
    """Refused, with a sentence that matches."""
    return Check(words or f"refused: {pattern!r}", lambda seen: bool(
        re.search(pattern, seen.record.get("error") or "", re.IGNORECASE))
                 and bool(seen.record.get("error")))


def both_judged() -> Check:
    """Real and synthetic speech are both named."""
    return Check("both judged", lambda seen: all(
        re.search(word, seen.said) for word in ("likely spoof", "likely bona fide")))


def told(number: int) -> Check:
    """The number of sound tracks is told."""
    names = {2: "two", 3: "three", 4: "four"}
    count = rf"\b({number}|{names[number]})\b"
    return says(rf"{count}[^.;\"]{{0,20}}\btracks?\b", f"{number} tracks told")


def spoof_after(seconds: float, until: float | None = None) -> Check:
    """The timeline calls nothing spoof before `seconds`, and something from there on."""
    def holds(seen: Seen) -> bool:
        spoof = [part for part in seen.record.get("stretches") or []
                 if part["outcome"] == "likely spoof"]
        return bool(spoof) and min(part["start"] for part in spoof) >= seconds - WINDOW_BLUR and (
            until is None or max(part["end"] for part in spoof) <= until + WINDOW_BLUR)
    return Check(f"spoof from {seconds:.1f} s on", holds)


# What a command must give


def ends(code: int) -> Check:
    """The exit code; never a traceback."""
    return Check(f"exit code {code}", lambda seen: seen.code == code
                 and "Traceback" not in seen.err)


def silent_about(pattern: str, words: str) -> Check:
    return Check(words, lambda seen: not re.search(pattern, seen.said, re.IGNORECASE))
