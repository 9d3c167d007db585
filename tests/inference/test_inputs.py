"""Lists of recordings, patterns and addresses name the files that people mean."""
import shutil
import unicodedata
from pathlib import Path

import pytest

from utils.common.errors import InputError
from utils.inference.inputs import expand

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "data/examples").glob("*.flac"))[:2]
NAMES = ("my voice/r\u00e9al, 3.05\u202fPM.flac", "fake.flac")


@pytest.fixture
def speech(tmp_path) -> Path:
    for name, example in zip(NAMES, EXAMPLES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(example, tmp_path / name)
    return tmp_path


def listed(folder: Path, text: str, name: str = "list.txt", encoding: str = "utf-8") -> list[str]:
    """The files that a list names."""
    (folder / name).write_bytes(text.encode(encoding))
    return expand([str(folder / name)])[0]


def same(found: list[str], folder: Path) -> bool:
    return len(found) == 2 and all(map(Path.samefile, map(Path, found),
                                       (folder / name for name in NAMES)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("change", [
    str, str.upper, lambda name: f'"{name}"', lambda name: f".\\{name}".replace("/", "\\"),
    lambda name: f"{name}\u00a0", lambda name: unicodedata.normalize("NFD", name),
    lambda name: name.replace("\u202f", " "), lambda name: name.replace(".flac", ".wav")])
def test_a_name_in_another_spelling_is_that_file(speech, encoding, change):
    assert same(listed(speech, "\r\n".join(map(change, NAMES)), encoding=encoding), speech)


@pytest.mark.parametrize("name, text", [
    ("l.csv", 'file,label\n"{}",x\n{},y\n'), ("l.csv", "file;label\n{};x\n{};y\n"),
    ("l.tsv", "{}\tx\n{}\ty\n"), ("l.scp", "u1 {}\nu2 {}\n"), ("l.lst", "{}\n{}\n"),
    ("l.m3u", "#EXTM3U\n{}\n{}\n"), ("l.m3u8", "#EXTM3U\n{}\n{}\n"), ("list", "{}\n{}\n")])
def test_other_kinds_of_lists_are_read(speech, name, text):
    assert same(listed(speech, text.format(*NAMES), name), speech)


@pytest.mark.parametrize("text", [
    '"{}" "{}"\n', "{1}|{0}\n", "['{}', '{}']\n",
    '{{"audio": "{}"}}\n{{"audio": "{}"}}\n', "sep=;\n{};x\n{};y\n"])
def test_every_recording_of_a_line_is_taken(speech, text):
    assert {*map(Path, listed(speech, text.format(*NAMES)))} == {speech / name for name in NAMES}


@pytest.mark.parametrize("encoding, name", [
    ("latin-1", "st\u00e9"), ("cp850", "gr\u00fc\u00dfe"), ("mac_roman", "st\u00e9"),
    ("cp1251", "\u0433\u043e\u043b\u043e\u0441"), ("gb18030", "\u5f55\u97f3"),
    ("shift_jis", "\u97f3\u58f0"), ("euc_kr", "\uc74c\uc131")])
def test_a_list_in_an_old_encoding_names_the_file_that_exists(tmp_path, encoding, name):
    shutil.copy(EXAMPLES[0], tmp_path / f"{name}.flac")
    assert listed(tmp_path, f"{name}.flac\n", encoding=encoding) == [str(tmp_path / f"{name}.flac")]
    with pytest.raises(InputError, match="save the list as UTF-8"):
        listed(tmp_path, "\u0111.flac\n")


def test_addresses_of_files_are_read_and_those_of_the_network_told(speech):
    assert same(listed(speech, "\n".join((speech / name).as_uri() for name in NAMES)), speech)
    with pytest.raises(InputError, match="download it first"):
        expand(["https://example.org/a.wav"])


def test_a_pattern_stands_for_what_matches_it(speech):
    assert expand([str(speech / "*.flac")])[0] == [str(speech / "fake.flac")]
    with pytest.raises(InputError, match="matches no file"):
        expand([str(speech / "*.mp3")])


def test_a_line_that_names_nothing_stays_as_it_is(speech):
    assert listed(speech, "fake.flac\ngone.flac\n")[1] == "gone.flac"
