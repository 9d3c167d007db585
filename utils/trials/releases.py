"""The columns of every file that lists trials: protocols and keys of each release, and our lists.

A column called "-" is not read. The known files without a header differ in their number of columns.
"""
from collections.abc import Iterable
from dataclasses import dataclass

from utils.trials.labels import UNKNOWN, Labels

Columns = tuple[str, ...]


def _columns(text: str) -> Columns:
    return tuple(text.split())


ASVSPOOF2019_LA = _columns("speaker utterance - attack key")
ASVSPOOF2021_LA = _columns("speaker utterance codec - attack key - phase")
ASVSPOOF2021_DF = _columns("speaker utterance codec - attack key - phase - - - - -")
ASVSPOOF2021_PA = _columns("speaker utterance - - - - - - - key - phase")
ASVSPOOF5 = _columns("speaker utterance gender codec - - - attack key -")
ASVSPOOF5_CHALLENGE = _columns("speaker utterance gender codec attack key")
KEY_ALONE = _columns("utterance key")

SCORE_ALONE = _columns("utterance score")
SCORE_WITH_KEY = _columns("utterance key score")
SCORE_2019 = _columns("utterance attack key score")

# This project's own files have a header. TABLE_*: the trials.tsv in a folder of the user's.
TABLE_NEEDED = _columns("utterance key attack")
TABLE_OPTIONAL = _columns("speaker gender codec source")
LABELLED = _columns("utterance speaker gender codec attack key")   # how lists and stores begin
TRIAL_LIST = (*LABELLED, "container", "offset", "size")            # where no source is known
TRIAL_LIST_WITH_SOURCE = (*TRIAL_LIST, "source")


def by_width(*layouts: Columns) -> dict[int, Columns]:
    """Layouts by their number of columns."""
    return {len(layout): layout for layout in layouts}


PROTOCOLS = by_width(ASVSPOOF5, ASVSPOOF5_CHALLENGE, ASVSPOOF2019_LA, ASVSPOOF2021_LA,
                     ASVSPOOF2021_DF, ASVSPOOF2021_PA)
KEY_FILES = PROTOCOLS | by_width(KEY_ALONE)
SCORE_FILES = by_width(SCORE_ALONE, SCORE_WITH_KEY, SCORE_2019)
# the first column of a protocol's header line, or its second
PROTOCOL_HEADERS = {"speaker_id", "flac_file_name", "speaker", "utterance", "filename"}
# how headers of the ASVspoof 5 evaluation package call what is called otherwise here
OFFICIAL_NAMES = {"filename": "utterance", "cm-label": "key", "cm-score": "score"}
# how headers of other systems call them; "_" and "-" count as the same
OTHER_NAMES = {"file": "utterance", "file-name": "utterance", "utt": "utterance",
               "utt-id": "utterance", "trial": "utterance", "path": "utterance",
               "label": "key", "score-cm": "score", "scores": "score"}
# the words of others for the keys, without "-" and "_"; 0 and 1 have no agreed meaning
KEY_WORDS = {"bonafide": "bonafide", "real": "bonafide", "genuine": "bonafide",
             "human": "bonafide", "spoof": "spoof", "spoofed": "spoof", "fake": "spoof"}


def named(columns: Columns, values: Iterable[str]) -> dict[str, str]:
    """The values of one line by the names of their columns, without those that are not read."""
    return {name: value for name, value in zip(columns, values) if name != UNKNOWN}


@dataclass(frozen=True, slots=True)
class ProtocolLine:
    """What a protocol or a key file says of one utterance."""
    utterance: str
    labels: Labels
    phase: str = UNKNOWN      # of the 2021 challenge: progress, eval or hidden

    @classmethod
    def of(cls, row: dict[str, str]) -> "ProtocolLine":
        """The line whose values `named` has named."""
        return cls(row["utterance"], Labels.of(row), row.get("phase", UNKNOWN))
