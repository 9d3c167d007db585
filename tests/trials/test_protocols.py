"""Protocols: recognised by their number of columns, in any text form, strict in what they say."""
import csv
import io

import pytest

from utils.trials.labels import Labels
from utils.trials.protocols import read_protocol
from utils.trials.releases import ProtocolLine
from utils.common.errors import InputError

GENUINE = (b"T_4850 T_0000000000 F - - - AC3 A05 spoof -\n"
           b"T_3734 T_0000000011 F - - - - bonafide bonafide -\n"
           b"E_1607 E_0009538969 M C05 2 E_0009486171 AC1 A26 spoof -\n")


def protocol_line(speaker: str, utterance: str, gender: str, codec: str, attack: str, key: str,
                  phase: str = "-") -> ProtocolLine:
    labels = Labels(speaker=speaker, gender=gender, codec=codec, attack=attack, key=key)
    return ProtocolLine(utterance, labels, phase)


LINES = [protocol_line("T_4850", "T_0000000000", "F", "-", "A05", "spoof"),
         protocol_line("T_3734", "T_0000000011", "F", "-", "-", "bonafide"),
         protocol_line("E_1607", "E_0009538969", "M", "C05", "A26", "spoof")]


def parse(text: bytes) -> list[ProtocolLine]:
    return list(read_protocol("p.tsv", io.BytesIO(text)))


def test_genuine_lines_of_ASVspoof5_are_read():
    assert parse(GENUINE) == LINES


@pytest.mark.parametrize("line, expected", [
    (b"T_4850 T_0000000000 F - A05 spoof",
     protocol_line("T_4850", "T_0000000000", "F", "-", "A05", "spoof")),
    (b"LA_0039 LA_E_2834763 - A11 spoof",
     protocol_line("LA_0039", "LA_E_2834763", "-", "-", "A11", "spoof")),
    (b"LA_0069 LA_D_1047731 - - bonafide",
     protocol_line("LA_0069", "LA_D_1047731", "-", "-", "-", "bonafide")),
    (b"LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
     protocol_line("LA_0009", "LA_E_9332881", "-", "alaw", "A07", "spoof", "eval")),
    (b"LA_0040 LA_E_6977360 none none bonafide bonafide notrim eval",
     protocol_line("LA_0040", "LA_E_6977360", "-", "-", "-", "bonafide", "eval"))])
def test_each_release_is_known_by_its_columns(line, expected):
    assert parse(line) == [expected]


@pytest.mark.parametrize("saved", [
    GENUINE.replace(b" ", b"\t"), GENUINE.replace(b" ", b"  \t "), b"\xef\xbb\xbf" + GENUINE,
    GENUINE.replace(b"\n", b"\r\n"), GENUINE.rstrip(), b"\n" + GENUINE + b"\n \n"])
def test_how_a_protocol_was_saved_does_not_matter(saved):
    assert parse(saved) == LINES


def test_a_header_line_is_ignored():
    header = (b"SPEAKER_ID FLAC_FILE_NAME SPEAKER_GENDER CODEC CODEC_Q CODEC_SEED ATTACK_TAG "
              b"ATTACK_LABEL KEY TMP\n")
    assert parse(header + GENUINE) == LINES


@pytest.mark.parametrize("bad, match", [
    (b"T_1 T_2 F - - - AC3 A05 spoof", "line 4 has 9 columns"),
    (b"T_1 T_2 F - A05 spoof", "line 4 has 6 columns, but earlier lines have 10"),
    (b"T_1 T_2 F - - - AC3 A05 fake -", "line 4 has the key 'fake'"),
    (b"T_1 T_2 F - - - AC3 A05 Spoof -", "line 4 has the key 'Spoof'"),
    (b"T_1 T_0000000011 F - - - AC3 A05 spoof -", "line 4 repeats the utterance T_0000000011"),
    (b"T_1 T_2 F - - - AC3 A05 bonafide -", "line 4 has the key bonafide with the attack 'A05'"),
    (b"T_1 T_2 F - - - - - spoof -", "line 4 has the key spoof with the attack '-'"),
    (b"T_1 ../T_2 F - - - AC3 A05 spoof -", "line 4 holds '../T_2', which is not a valid name"),
    (b"T_1 - F - - - AC3 A05 spoof -", "line 4 holds '-', which is not a valid name"),
    (b"T_1 T_2 \xff - - - AC3 A05 spoof -", "line 4 is not UTF-8"),
    (b"T_1 T_\0 F - - - AC3 A05 spoof -", "line 4 holds"),
    (b"x" * 5000, "line 4 is longer")])
def test_what_is_malformed_is_named_by_its_line(bad, match):
    with pytest.raises(InputError, match=match):
        parse(GENUINE + bad)


@pytest.mark.parametrize("empty", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_protocol_without_lines_is_refused(empty):
    with pytest.raises(InputError, match="lists no utterances"):
        parse(empty)


def test_text_of_another_encoding_is_refused():
    with pytest.raises(InputError, match="not UTF-8"):
        parse(GENUINE.decode().encode("utf-16"))


def test_genuine_utterances_of_ASVspoof_keep_their_labels(shared):
    path = shared / "reference" / "asvspoof" / "trials.tsv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t")
                if row["dataset"] == "ASVspoof2019-LA"]
    lines = [f"{row['speaker']} {row['utterance']} - {row['attack']} {row['key']}" for row in rows]
    found = parse("\n".join(lines).encode())
    assert [(line.utterance, line.labels.key, line.labels.attack) for line in found] == [
        (row["utterance"], row["key"], row["attack"]) for row in rows]
