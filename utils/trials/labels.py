"""What is known of an utterance, and how the files of this project spell it."""
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields

UNKNOWN = "-"
KEYS = ("bonafide", "spoof")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Unknown or not applicable is "-"; `attack` is "-" exactly for bona fide."""
    speaker: str = UNKNOWN
    key: str
    attack: str = UNKNOWN
    codec: str = UNKNOWN
    gender: str = UNKNOWN
    source: str = UNKNOWN     # where the recording came from: a corpus, a repository, a page

    @property
    def is_bonafide(self) -> bool:
        """Whether the utterance is real speech."""
        return self.key == "bonafide"

    @classmethod
    def of(cls, row: Mapping[str, str]) -> "Labels":
        """The labels among the named columns of a row; columns that the row lacks are unknown."""
        return cls(**{name: sys.intern(row[name]) for name in NAMES if name in row})    # few texts


NAMES = tuple(field.name for field in fields(Labels))
# how trial lists and stores begin: then comes where the sound lies, and the source last
FIRST_COLUMNS = ("utterance", "speaker", "gender", "codec", "attack", "key")
LAST_COLUMN = "source"


def attributes(columns: tuple[str, ...]) -> list[str]:
    """Where a row that holds `labels` keeps these columns, as `operator.attrgetter` names it."""
    return [f"labels.{name}" if name in NAMES else name for name in columns]
