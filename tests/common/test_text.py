"""Text and rows of tables are read as computers write them."""
import pytest

from utils.common.errors import InputError
from utils.common.text import (cells, counted, decoded, fits_in_line, lines_of, quoted,
                               readable_corpora, unquoted)

WORDS = "r\u00e9al.wav\r\nfake.wav\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_every_usual_encoding_is_read(encoding):
    assert lines_of(decoded(WORDS.encode(encoding), "x")) == [(1, "r\u00e9al.wav"), (2, "fake.wav")]


@pytest.mark.parametrize("data, said", [
    (b"a\nb\0c\n", "line 2"), (b"a\nb\x81\n", "line 2 is not UTF-8"),
    (b"\xff\xfea", "not a text file"), (WORDS.encode("utf-16-le"), "save the file as UTF-8")])
def test_what_is_no_text_is_told_with_its_line(data, said):
    with pytest.raises(InputError, match=said):
        decoded(data, "x")


def test_western_letters_are_told_where_they_are_not_wanted():
    with pytest.raises(InputError, match="x, line 1 is not UTF-8 text: save"):
        decoded(WORDS.encode("latin-1"), "x", western=False)


@pytest.mark.parametrize("separator", ["\t", ";", "|", ","])
def test_quotes_of_excel_are_undone(separator):
    line = separator.join(['"John, ""the; voice""|.wav"', "spoof", "", 'a "b"', '"c'])
    assert cells(line, separator) == ['John, "the; voice"|.wav', "spoof", "", 'a "b"', '"c']


@pytest.mark.parametrize("name", ['"a"', '"a', 'a"', '"a"b"', '""', '"', "a", '"""a"""'])
def test_a_quoted_name_is_read_again(name):
    assert unquoted(quoted(name)) == name
    assert cells(f"{quoted(name)}\t1", "\t") == [name, "1"]


@pytest.mark.parametrize("name, fits", [
    ("3.05\u202fPM", True), ("a\u00a0b", True), ("a\u200bb", True), ("a\tb", False),
    ("a\nb", False), ("a\x01", False), ("a\u2028b", False), ("\udce9", False)])
def test_names_without_control_characters_fit_in_a_line(name, fits):
    assert fits_in_line(name) == fits


@pytest.mark.parametrize("name, shown", [
    ("9 trials of folders 0aad6700d89d", "9 trials of folders of recordings"),
    ("ASVspoof5", "ASVspoof5"), ("folders 12", "folders 12")])
def test_a_corpus_of_folders_is_shown_without_its_checksum(name, shown):
    assert readable_corpora(name) == shown


@pytest.mark.parametrize("count, words", [
    (0, "0 clips"), (1, "1 clip"), (2, "2 clips"), (1500, "1,500 clips")])
def test_one_thing_is_counted_in_the_singular(count, words):
    assert counted(count, "clip") == words
