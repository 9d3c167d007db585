"""What every corpus module hands over: the corpus' own parts, each with its protocol lines and where its files lie."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from utils.archives.index import Place
from utils.trials.releases import ProtocolLine
from utils.trials.tables import Condition
from utils.trials.trial import Trial
from utils.common.errors import InputError


@dataclass(frozen=True)
class Request:
    """What the user asked for: where the data lie, and whether to unpack archives or read them anew."""
    data_dir: Path
    extract: bool = False
    force: bool = False
    where: tuple[Condition, ...] = ()     # which rows of trial lists are taken: all that meet every one

    @property
    def raw_dir(self) -> Path:
        """Where downloads lie."""
        return self.data_dir / "raw"

    @property
    def index_dir(self) -> Path:
        """Where the indexes of archives lie."""
        return self.data_dir / "protocols" / "index"


@dataclass
class Files:
    """Where the files of a part lie, by utterance; and the names of those known to be no trials, but enrolment."""
    places: dict[str, Place] = field(default_factory=dict)
    enrolment: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """A partition as the corpus' authors made it. The functions read when called: one part at a time is in memory."""
    protocol: str
    lines: Callable[[], Iterator[ProtocolLine]]
    files: Callable[[], Files]


@dataclass(frozen=True)
class Corpus:
    """A corpus found in data/raw. `description` is one phrase fit for a verdict line; `found` says what lies where."""
    name: str
    description: str
    layout: str
    found: str
    parts: dict[str, Part]                  # by "train", "dev", "eval": those whose files are there
    archives: tuple[Path, ...] = ()         # read in place
    demo: bool = False
    details: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Joined:
    """A part's trials, sorted by utterance, and what did not join."""
    trials: list[Trial]
    listed: int          # lines of the protocol
    unlisted: int        # files that the protocol does not know
    enrolment: int
    notes: list[str]


def join(part: Part) -> Joined:
    """Join the protocol of `part` with its files; `InputError` where they have nothing in common.

    The order is that of the utterance names, whatever the files lie in: an unpacked archive gives the same order.
    """
    files = part.files()
    trials, listed = [], 0
    for line in part.lines():
        listed += 1
        if (place := files.places.get(line.utterance)) is not None:
            trials.append(Trial(line.utterance, line.labels, *place))
    if not trials:
        raise InputError(f"none of the {len(files.places):,} files found is among the {listed:,} of {part.protocol}: "
                         "files and protocol are not of one release, or the download lacks the files of this part")
    trials.sort(key=lambda trial: trial.utterance)
    return Joined(trials, listed, len(files.places) - len(trials), len(files.enrolment), files.notes)
