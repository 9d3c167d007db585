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

CODECFAKE = _columns("utterance key codec")

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
KEY_FILES = PROTOCOLS | by_width(KEY_ALONE, CODECFAKE)
SCORE_FILES = by_width(SCORE_ALONE, SCORE_WITH_KEY, SCORE_2019)
# the first column of a protocol's header line, or its second
PROTOCOL_HEADERS = {"speaker_id", "flac_file_name", "speaker", "utterance", "filename"}
# how headers call what is called otherwise here: those of the ASVspoof 5 evaluation package, and
# those of other systems; "_" and "-" count as the same
OTHER_NAMES = {"cm-label": "key", "label": "key", "class": "key", "category": "key",
               "target": "key", "ground-truth": "key",
               "cm-score": "score", "score-cm": "score", "scores": "score", "llr": "score"}
# the column that names the utterance: the first of these that a header has
UTTERANCE_NAMES = _columns(
    "utterance filename file-name file file-path filepath path fname utt utt-id utterance-id trial "
    "trial-id file-id audio-file audio-path wav-file wav-path audio wav audio-id name id")


# the words that say a key, in files and as names of folders; 0 and 1 have no agreed meaning
_KEY_WORDS = {
    "bonafide": "bonafide real genuine human original authentic natural true",
    "spoof": "spoof spoofed fake deepfake synthetic synthesized synthesised ai generated cloned "
             "clone tts converted artificial"}
KEY_WORDS = {word: key for key, words in _KEY_WORDS.items() for word in words.split()}


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
