"""What every corpus module returns: the corpus' parts, each with its protocol and its files."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from utils.archives.index import Place
from utils.common.errors import InputError
from utils.trials.labels import UNKNOWN
from utils.trials.releases import ProtocolLine
from utils.trials.tables import Condition
from utils.trials.trial import Trial


PHASE = "eval"      # of the trials of 2021 that count; others are of the challenge's own course


def build_nothing(raw_dir: Path) -> None:
    """For corpora that nothing has to build."""


@dataclass(frozen=True)
class Request:
    """What the user asked for."""
    data_dir: Path
    extract: bool = False                 # unpack archives
    force: bool = False                   # read archives again although they have an index
    where: tuple[Condition, ...] = ()     # a row of a trial list must meet all of them
    build: Callable[[Path], object] = build_nothing   # makes the default corpus in data/raw

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
    """The files of a part."""
    places: dict[str, Place] = field(default_factory=dict)     # by utterance
    enrolment: set[str] = field(default_factory=set)           # utterances that are no trials
    notes: list[str] = field(default_factory=list)             # what was ignored, for the user


@dataclass(frozen=True)
class Part:
    """A partition as the corpus' authors made it. Its functions read when they are called."""
    protocol: str
    lines: Callable[[], Iterator[ProtocolLine]]
    files: Callable[[], Files]


@dataclass(frozen=True)
class Corpus:
    """A corpus found in data/raw."""
    name: str
    description: str                        # one phrase, fit for a verdict line
    layout: str
    found: str                              # what lies where
    parts: dict[str, Part]                  # by "train", "dev", "eval": those whose files exist
    archives: tuple[Path, ...] = ()         # read in place
    demo: bool = False
    keeps_sets: bool = False                # its eval is never trained on, its dev stays whole
    details: dict = field(default_factory=dict)

    def eval_alone(self) -> "Corpus":
        """The corpus with its eval alone; the only part of another corpus is taken for one.

        Raises `InputError` where that leaves a choice.
        """
        part = self.parts.get("eval")
        if part is None and len(self.parts) == 1:
            part, = self.parts.values()
        if part is None:
            raise InputError(f"{self.description} has {' and '.join(self.parts)} but no eval: "
                             "leave --eval_only out, or add the files of eval")
        return replace(self, parts={"eval": part}, keeps_sets=True)


@dataclass(frozen=True)
class Joined:
    """A part's trials, sorted by utterance, and what was left out."""
    trials: list[Trial]
    listed: int          # lines of the protocol
    unlisted: int        # files that the protocol does not list
    enrolment: int
    notes: list[str]


def join(part: Part) -> Joined:
    """Join the protocol of `part` with its files; `InputError` where they share no utterance.

    The trials are sorted by utterance, so an unpacked archive gives the same order.
    """
    files = part.files()
    trials = []
    listed = other_phases = 0
    for line in part.lines():
        listed += 1
        place = files.places.get(line.utterance)
        if place is None:
            continue
        if line.phase in (UNKNOWN, PHASE):
            trials.append(Trial(line.utterance, line.labels, place.container, place.offset,
                                place.size))
        else:
            other_phases += 1
    if not trials:
        raise InputError(f"none of the {len(files.places):,} files found is among the {listed:,} "
                         f"of {part.protocol}: download files and protocol of the same release, "
                         "and the files of this part")
    trials.sort(key=lambda trial: trial.utterance)
    unlisted = len(files.places) - len(trials) - other_phases
    if other_phases:
        files.notes.append(f"{other_phases:,} trials of the phases progress and hidden are left "
                           "out, as in the official evaluation")
    return Joined(trials, listed, unlisted, len(files.enrolment), files.notes)
