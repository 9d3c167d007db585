"""Protocols: one utterance per line, columns separated by white space, no header."""
import re
from collections.abc import Iterator
from typing import BinaryIO

from utils.common.errors import InputError
from utils.trials.labels import KEYS, UNKNOWN
from utils.trials.releases import PROTOCOL_HEADERS, PROTOCOLS, ProtocolLine, named

LONGEST_LINE = 1024    # bytes
NAME = re.compile(r"\w[\w.+@=~-]{0,199}")   # speaker, utterance, codec, attack: fit for a file name
NOTHING = {"none", "nocodec", "bonafide"}   # how releases write "no codec" and "no attack"
ONE_ATTACK = "spoof"    # where a release names no attacks
AGAIN = "download the protocol again"


def read_protocol(name: str, file: BinaryIO) -> Iterator[ProtocolLine]:
    """The lines of a protocol, checked; `name` stands in messages.

    A byte order mark, CRLF, blank lines and a header line are allowed. `InputError` names the
    line with a wrong number of columns, an unknown key, an attack that contradicts the key, a
    repeated utterance, or text that is not UTF-8. A protocol without any line is refused too.
    """
    seen: set[str] = set()
    width = None
    for number, columns in _rows(name, file):
        if width is None and {column.lower() for column in columns} & PROTOCOL_HEADERS:
            continue
        width = width or len(columns)
        line = _parse(f"{name}, line {number}", columns, width)
        if line.utterance in seen:
            raise InputError(f"{name}, line {number} repeats the utterance {line.utterance}: "
                             f"{AGAIN}")
        seen.add(line.utterance)
        yield line
    if width is None:
        raise InputError(f"{name} lists no utterances: {AGAIN}")


def _rows(name: str, file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            raise InputError(f"{name}, line {number} is longer than {LONGEST_LINE} bytes, "
                             f"so the file is not a protocol: {AGAIN}")
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}, line {number} is not UTF-8 text: save the file as UTF-8, "
                             f"or {AGAIN}") from error
        if columns := text.split():
            yield number, columns


def _parse(where: str, columns: list[str], width: int) -> ProtocolLine:
    if len(columns) not in PROTOCOLS:
        known = ", ".join(map(str, sorted(PROTOCOLS)))
        raise InputError(f"{where} has {len(columns)} columns, but protocols have {known}: {AGAIN}")
    if len(columns) != width:
        raise InputError(f"{where} has {len(columns)} columns, but earlier lines have {width}: "
                         f"{AGAIN}")
    row = named(PROTOCOLS[width], columns)
    for value in (row["utterance"], *(value for value in row.values() if value != UNKNOWN)):
        if not NAME.fullmatch(value):
            raise InputError(f"{where} holds {value!r}, which is not a valid name: {AGAIN}")
    if row["key"] not in KEYS:
        raise InputError(f"{where} has the key {row['key']!r}, not bonafide or spoof: {AGAIN}")
    row.setdefault("attack", UNKNOWN if row["key"] == "bonafide" else ONE_ATTACK)
    for name in ("codec", "attack"):
        if row.get(name) in NOTHING:
            row[name] = UNKNOWN
    if (row["attack"] == UNKNOWN) != (row["key"] == "bonafide"):
        raise InputError(f"{where} has the key {row['key']} with the attack {row['attack']!r}, "
                         f"a contradiction: {AGAIN}")
    return ProtocolLine.of(row)
