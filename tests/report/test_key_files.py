"""Score and key files of every ASVspoof are read; wrong ones end in a sentence with the line."""
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from utils.common.errors import InputError
from utils.report.key_files import align, read_keyed_scores, read_keys, read_scores
from utils.report.results import write_results
from utils.trials.labels import Labels
from utils.trials.releases import ProtocolLine


def row(utterance: str, key: str, attack: str = "-", speaker: str = "-", gender: str = "-",
        codec: str = "-", phase: str = "-") -> ProtocolLine:
    labels = Labels(key=key, attack=attack, speaker=speaker, gender=gender, codec=codec)
    return ProtocolLine(utterance, labels, phase)


EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "data" / "examples").glob("*.flac"))
FORMATS = {
    "2019 protocol": ("LA_0039 LA_E_2834763 - A11 spoof\nLA_0014 LA_E_8877452 - - bonafide\n",
                      [row("LA_E_2834763", "spoof", "A11", "LA_0039"),
                       row("LA_E_8877452", "bonafide", "-", "LA_0014")]),
    "ASVspoof 5, early": ("T_4850 T_0000000000 F - A05 spoof\n"
                          "T_3734 T_0000000011 M - bonafide bonafide\n",
                          [row("T_0000000000", "spoof", "A05", "T_4850", "F"),
                           row("T_0000000011", "bonafide", "-", "T_3734", "M")]),
    "2021 keys": ("LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval\n"
                  "LA_0020 LA_E_6866159 alaw ita_tx bonafide bonafide notrim eval\n",
                  [row("LA_E_9332881", "spoof", "A07", "LA_0009", "-", "alaw", "eval"),
                   row("LA_E_6866159", "bonafide", "-", "LA_0020", "-", "alaw", "eval")]),
    "2021 DF keys": ("LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim eval "
                     "traditional_vocoder - - - -\n",
                     [row("DF_E_2000011", "spoof", "A14", "LA_0023", "-", "nocodec", "eval")]),
    "2021 PA keys": ("PA_0010 PA_E_1000001 R3 M3 d4 r1 m1 s4 c4 spoof notrim eval\n",
                     [row("PA_E_1000001", "spoof", speaker="PA_0010", phase="eval")]),
    "ASVspoof 5": ("E_1607 E_0009538969 M C05 2 E_0009486171 AC1 A26 spoof -\n"
                   "D_0461 D_0000000190 M - - - - bonafide bonafide -\n",
                   [row("E_0009538969", "spoof", "A26", "E_1607", "M", "C05"),
                    row("D_0000000190", "bonafide", "-", "D_0461", "M")]),
    "Codecfake": ("E_1.wav fake 3\nE_2.wav real 0\n",
                  [row("E_1.wav", "spoof", codec="3"), row("E_2.wav", "bonafide", codec="0")]),
    "ASVspoof 5 package": ("filename\tcm-label\nE_1\tspoof\nE_2\tbonafide\n",
                           [row("E_1", "spoof"), row("E_2", "bonafide")]),
    "trial list of this project": (
        "utterance\tspeaker\tgender\tcodec\tattack\tkey\tcontainer\toffset\tsize\n"
        "u1\ts1\tF\t-\tworld\tspoof\traw/u1.flac\t0\t9\n",
        [row("u1", "spoof", "world", "s1", "F")]),
}
SCORES = {"ASVspoof 5 package": "filename\tcm-score\nE_1\t-1.5\nE_2\t2e0\n",
          "columns swapped": "cm-score\tfilename\n-1.5\tE_1\n2\tE_2\n",
          "2021": "E_1 -1.5\nE_2 2.0\n", "2019": "E_1 A07 spoof -1.5\nE_2 - bonafide 2.0\n",
          "score before key": "E_1 -1.5 spoof\nE_2 2 bonafide\n",
          "another name's header": "Utterance_ID score\nE_1 -1.5\nE_2 2\n",
          "a name nobody knows": "my_clip,score\nE_1,-1.5\nE_2,2\n",
          "two names": "id,file,score\n7,E_1,-1.5\n8,E_2,2\n",
          "a comment": "# made by x, y and z\nE_1 -1.5\nE_2 2\n",
          "separators at the ends": "E_1,-1.5,\nE_2,2,\n",
          "a tab at the ends": "E_1 -1.5\t\nE_2 2\n",
          "three columns": "E_1 spoof -1.5\nE_2 bonafide 2\n",
          "blank lines and CRLF": "\nE_1 -1.5\r\n\r\nE_2 2.0\r\n\r\n",
          "commas": "E_1,-1.5\nE_2,2\n", "semicolons": "file;score_cm\nE_1;-1,5\nE_2;2,0\n",
          "decimal commas": "E_1 -1,5\nE_2 2,0\n", "quotes": 'utt_id,score\n"E_1",-1.5\nE_2,2\n',
          "byte order mark": "\ufefffilename\tcm-score\nE_1\t-1.5\nE_2\t2.0\n"}


def write(folder, text: str):
    path = folder / "file.tsv"
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_official_key_format_is_read(tmp_path, name):
    text, expected = FORMATS[name]
    assert read_keys(write(tmp_path, text)) == expected
    assert read_keys(write(tmp_path, text.replace(" ", "\t"))) == expected
    assert read_keys(write(tmp_path, text.replace("\n", "\r\n"))) == expected


@pytest.mark.parametrize("name", SCORES)
def test_every_official_score_format_is_read(tmp_path, name):
    assert read_scores(write(tmp_path, SCORES[name])) == {"E_1": -1.5, "E_2": 2.0}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_every_encoding_of_a_score_file_is_read(tmp_path, encoding):
    path = tmp_path / "scores.txt"
    path.write_bytes("E\u00e9_1 -1.5\r\nE_2 2\r\n".encode(encoding))
    assert read_scores(path) == {"E\u00e9_1": -1.5, "E_2": 2.0}


@pytest.mark.parametrize("words", [("real", "fake"), ("Bona-fide", "Spoof"), ("human", "spoofed")])
def test_other_words_for_the_keys_are_read(tmp_path, words):
    rows = read_keys(write(tmp_path, f"u1 {words[0]}\nu2 {words[1]}\n"))
    assert [line.labels.key for line in rows] == ["bonafide", "spoof"]


def test_names_of_every_legal_kind_survive_writing_and_reading(tmp_path):
    speech = [path.stem for path in EXAMPLES]
    frames = ("{}", "my voice/{} 2.wav", "3.05\u202f{}", "{}\u00a0", " {}", '"{}', '"{}"',
              '{}"a""b"', "#{}", "a, {}; b|c", "\u5f55\u3000{}", "e\u0301{}", "'{}'", '""{}""')
    rows = [row(frame.format(name), key) for frame in frames for name in speech
            for key in (["bonafide", "spoof"][name.startswith("fake")],)]
    scores = np.random.default_rng(1).standard_normal(len(rows))
    write_results(tmp_path / "out", rows, scores, replicates=0)
    read = read_keys(tmp_path / "out" / "keys.tsv")
    assert [(line.utterance, line.labels.key) for line in read] == [
        (line.utterance, line.labels.key) for line in rows]
    assert align(read_scores(tmp_path / "out" / "scores.tsv"), read).tolist() == scores.tolist()


@pytest.mark.parametrize("pattern", ["flac/{}.flac", "{}.wav", "flac\\{}", "{}.FLAC"])
def test_names_that_differ_by_a_path_or_an_ending_are_the_same(pattern):
    keys = [row("LA_E_2", "spoof"), row("LA_E_1", "bonafide")]
    scores = {pattern.format("LA_E_1"): 1.0, pattern.format("LA_E_2"): 2.0}
    assert align(scores, keys).tolist() == [2.0, 1.0]
    with pytest.raises(InputError, match="the score file begins with"):
        align(scores | {"other/LA_E_1.wav": 3.0}, keys)


def test_2019_scores_carry_their_keys(tmp_path):
    rows = read_keyed_scores(write(tmp_path, SCORES["2019"]))
    assert rows == [row("E_1", "spoof", "A07"), row("E_2", "bonafide")]
    with pytest.raises(InputError, match="name the key file too"):
        read_keyed_scores(write(tmp_path, SCORES["2021"]))


def test_2021_trials_are_those_of_the_eval_phase_unless_asked(tmp_path):
    line = "LA_0009 LA_E_{} alaw ita_tx A07 spoof notrim {}\n"
    path = write(tmp_path, line.format(1, "eval") + line.format(2, "progress")
                 + line.format(3, "hidden"))
    for phase, expected in (("eval", "1"), ("progress", "2"), ("all", "123")):
        assert "".join(line.utterance[-1] for line in read_keys(path, phase)) == expected
    with pytest.raises(InputError, match="no trial of the phase 'other'"):
        read_keys(path, "other")


@pytest.mark.parametrize("text, why", [
    ("", "is empty"), ("filename\tcm-label\n", "lists no trials"), ("a b c d\n", "4 columns"),
    ("u1 maybe\n", "line 1: the key is 'maybe'"), ("u1 1\n", "0 and 1 do not say"),
    ("u1 spoof\nu2 spoof extra\n", "line 2 does not have 2 columns"),
    ("u1 spoof\nu1 spoof\n", "lists a trial twice"),
    ("filename cm-score\nu1 0.3\n", "no column of keys")])
def test_wrong_key_files_are_refused(tmp_path, text, why):
    with pytest.raises(InputError, match=why):
        read_keys(write(tmp_path, text))


@pytest.mark.parametrize("text, why", [
    ("u1 high\n", "line 1: the score is 'high'"), ("u1 1\nu2 nan\n", "line 2: the score is 'nan'"),
    ("u1 inf\n", "not a finite number"), ("u1 -0.5 0.5\n", "one score on each line"),
    ("u1 x 0.5\n", "line 1 has 'x' where"), ("u1,1\nu\0,2\n", "line 2 shows"),
    ("u1 1\nu1 2\n", "line 2: u1 already has a score"), ("a b c d e\n", "5 columns"),
    ("filename cm-label\nu1 spoof\n", "no column of scores")])
def test_wrong_score_files_are_refused(tmp_path, text, why):
    with pytest.raises(InputError, match=why):
        read_scores(write(tmp_path, text))


def test_a_long_key_file_takes_little_more_memory_than_its_trials(tmp_path):
    path = write(tmp_path, "".join(f"E_0001 E_{n:010} M C05 2 E_0009486171 AC1 A26 spoof -\n"
                                   for n in range(3000)))
    tracemalloc.start()
    rows = read_keys(path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) == 3000 and peak < 3 * kept    # all values at once: four times as much


def test_files_that_are_no_text_or_not_there_are_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80" * 100)
    for name, why in (("binary", "not a text file"), ("", "cannot be read"),
                      ("none", "does not exist")):
        with pytest.raises(InputError, match=why):
            read_scores(tmp_path / name)


def test_scores_are_put_in_the_order_of_the_keys_and_none_may_miss():
    keys = [row("b", "spoof"), row("a", "bonafide")]
    assert align({"a": 1.0, "b": 2.0, "unused": 3.0}, keys).tolist() == [2.0, 1.0]
    with pytest.raises(InputError, match="1 of 2 trials in the key file have no score, b first"):
        align({"a": 1.0}, keys)
