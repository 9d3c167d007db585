"""Protocols: one utterance per line, blank-separated columns, no header; their number tells the release apart."""
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from utils.trials.labels import KEYS, UNKNOWN, Labels
from utils.common.errors import InputError

LONGEST_LINE = 1024    # bytes; a longer one is not a protocol's
NAME = re.compile(r"\w[\w.+@=~-]{0,199}")   # of a speaker, utterance, codec or attack: fit for a file name


@dataclass(frozen=True, slots=True)
class ProtocolLine:
    """What a protocol or a key file says of one utterance."""
    utterance: str
    labels: Labels
    phase: str = UNKNOWN      # of the 2021 challenge: progress, eval or hidden


# number of columns: where speaker, utterance, gender, codec, attack and key stand (None: the release does not say)
LAYOUTS: dict[int, tuple[int | None, ...]] = {
    10: (0, 1, 2, 3, 7, 8),      # ASVspoof5: speaker utterance gender codec quality seed tag attack key tmp
    6: (0, 1, 2, 3, 4, 5),       # ASVspoof5, challenge release: speaker utterance gender codec attack key
    5: (0, 1, None, None, 3, 4),  # ASVspoof2019 LA: speaker utterance - attack key
    8: (0, 1, None, 2, 4, 5),    # ASVspoof2021 keys: speaker utterance codec transmission attack key trim subset
}
HEADERS = {"speaker_id", "flac_file_name", "speaker", "utterance", "filename"}
NOTHING = {"none", "nocodec", "bonafide"}   # how releases write "no codec" and "no attack"


def read_protocol(name: str, file: BinaryIO) -> Iterator[ProtocolLine]:
    """The lines of a protocol, checked; `name` stands in messages.

    Any white space separates; a byte order mark, CRLF, blank lines and a header line are passed over. `InputError`
    names the line: a wrong or changing number of columns, an unknown key, an attack that contradicts the key, an
    utterance listed twice, text that is not UTF-8; and a protocol without any line.
    """
    seen: set[str] = set()
    width = None
    for number, columns in _rows(name, file):
        if width is None and {column.lower() for column in columns} & HEADERS:
            continue
        width = width or len(columns)
        line = _parse(f"{name}, line {number}", columns, width)
        if line.utterance in seen:
            raise InputError(f"{name}, line {number} lists {line.utterance} a second time: get the protocol again")
        seen.add(line.utterance)
        yield line
    if width is None:
        raise InputError(f"{name} lists no utterances: get the protocol again")


def _rows(name: str, file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            raise InputError(f"{name}, line {number} is longer than {LONGEST_LINE} bytes: this is not a protocol")
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}, line {number} is not UTF-8 text: save it as UTF-8 or get it again") from error
        if columns := text.split():
            yield number, columns


def _parse(where: str, columns: list[str], width: int) -> ProtocolLine:
    if len(columns) not in LAYOUTS:
        raise InputError(f"{where} has {len(columns)} columns where 10, 6, 5 or 8 are known: get the protocol again")
    if len(columns) != width:
        raise InputError(f"{where} has {len(columns)} columns, the lines before have {width}: get the protocol again")
    speaker, utterance, gender, codec, attack, key = (UNKNOWN if place is None else columns[place]
                                                      for place in LAYOUTS[width])
    for value in (utterance, *(v for v in (speaker, gender, codec, attack) if v != UNKNOWN)):
        if not NAME.fullmatch(value):
            raise InputError(f"{where} has {value!r}, which cannot be a name: get the protocol again")
    if key not in KEYS:
        raise InputError(f"{where} has the key {key!r} where bonafide or spoof is expected: get the protocol again")
    codec, attack = (UNKNOWN if value in NOTHING else value for value in (codec, attack))
    if (attack == UNKNOWN) != (key == "bonafide"):
        raise InputError(f"{where} says {key} with attack {attack!r}, a contradiction: get the protocol again")
    said = {"speaker": speaker, "gender": gender, "codec": codec, "attack": attack, "key": key}
    return ProtocolLine(utterance, Labels.of(said))
