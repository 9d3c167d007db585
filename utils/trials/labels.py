"""What is known of an utterance."""
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
    source: str = UNKNOWN     # where the recording comes from: a corpus, a repository, a page

    @property
    def is_bonafide(self) -> bool:
        """Whether the utterance is real speech."""
        return self.key == "bonafide"

    @classmethod
    def of(cls, row: Mapping[str, str]) -> "Labels":
        """The labels among the named columns of a row; a column that is missing is unknown."""
        return cls(**{name: sys.intern(row[name]) for name in NAMES if name in row})


NAMES = tuple(field.name for field in fields(Labels))


def attributes(columns: tuple[str, ...]) -> list[str]:
    """For `operator.attrgetter`: where a row with `labels` keeps each of these columns."""
    return [f"labels.{name}" if name in NAMES else name for name in columns]
