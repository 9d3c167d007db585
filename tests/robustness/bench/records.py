"""What the faults are written down in: a step, how a process ended, a line of the table."""
import re
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One script with its options, and what it writes, relative to the home folder."""
    name: str
    script: str
    options: tuple[str, ...]
    outputs: tuple[str, ...]
    # options of an earlier run with other settings, whose results lie there already
    other: tuple[str, ...] = ()
    # patterns of files that say: what lies beside me is of one run
    markers: tuple[str, ...] = ()
    code: int = 0                     # exit code when all goes well
    first: str = ""                   # Python that runs in the process before the script
    stop: str = ""                    # the same, for the earlier run alone
    # imports so much that most runs are forks of a parent that has it loaded
    heavy: bool = False


@dataclass
class Row:
    """A line of the table: what was done how often, what came of it, and what should not have."""
    what: str
    how: str                          # "{tried}" in it stands for the number counted
    tried: int = 0
    outcomes: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def cells(self) -> dict[str, str]:
        """The line's columns."""
        told = ", ".join(f"{count:,} {what}" for what, count in self.outcomes.items())
        return {"what": self.what, "tried": self.how.format(tried=f"{self.tried:,}"),
                "outcome": told, "wrong": str(len(self.wrong))}

    def text(self) -> str:
        """The line in Markdown."""
        return f"| {' | '.join(self.cells().values())} |"


def grouped(rows: list[Row], steps: list[str]) -> list[Row]:
    """One row for each fault, summed over the steps that it was injected into."""
    names = "|".join(map(re.escape, sorted(steps, key=len, reverse=True)))
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(re.sub(rf" (in|of) ({names})(?= |$)|: .*", "", row.what), []).append(row)
    return [_merged(what, group) for what, group in groups.items()]


def _merged(what: str, group: list[Row]) -> Row:
    if len(group) == 1:
        return group[0]
    kind = "kinds" if ":" in group[0].what else "steps"
    total = Row(what, f"{group[0].how}; {len(group)} {kind}", sum(row.tried for row in group))
    for row in group:
        total.outcomes.update(row.outcomes)
        total.wrong += row.wrong
    return total


@dataclass(frozen=True)
class Done:
    """How a process ended."""
    code: int
    out: str
    err: str
    seconds: float

    @property
    def sentence(self) -> str:
        """The last line on stderr, without progress bars."""
        lines = [line for line in re.split(r"[\r\n]+", self.err) if line.startswith((
            "error: ", "interrupted: "))]
        return lines[-1] if lines else ""

    def traceback(self) -> bool:
        """Whether anything that a programmer would read was printed."""
        return any(word in self.out + self.err for word in ("Traceback", "Exception ignored",
                                                            "terminate called", "Segmentation"))
