"""Audio and archives that no corpus module recognises stop prepare; nothing is taken instead."""
import shutil
from pathlib import Path

import pytest

from utils import prepare_dataset
from utils.corpora.choice import choose
from utils.common.errors import InputError


def prepare(raw: Path) -> None:
    prepare_dataset.main(["--data_dir", str(raw.parent)])


def put(clips, raw: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clips["bonafide"][number], raw / name)


def test_audio_of_no_layout_is_counted_by_folder_and_the_layouts_are_named(clips, tmp_path, capsys):
    put(clips, tmp_path / "raw", "cats/1.flac", "cats/2.FLAC", "a/b/c/d/e/f/3.flac")
    (tmp_path / "raw" / "sets.zip").write_bytes(b"PK\3\4")
    with pytest.raises(InputError) as error:
        prepare(tmp_path / "raw")
    for words in ("3 audio files (2 in raw/cats/, 1 in raw/a/b/c/d/e/f/)",
                  "1 archive (raw/sets.zip)", "Unpack", "bonafide and spoof", "trials.tsv",
                  "ASVspoof5", "--corpus default"):
        assert words in str(error.value)
    assert "default corpus" not in capsys.readouterr().out
    assert not (tmp_path / "raw" / "default_corpus").exists()


@pytest.mark.parametrize("name", ["LA.tar.gz", "x/sound.7z", "a/b/sound.rar", "speech.zip.part"])
def test_an_archive_alone_stops_prepare(tmp_path, name):
    (tmp_path / "raw" / name).parent.mkdir(parents=True)
    (tmp_path / "raw" / name).write_bytes(bytes(2000))
    with pytest.raises(InputError, match=f"1 archive .raw/{name}.*Unpack"):
        prepare(tmp_path / "raw")


def test_links_to_folders_count_and_circles_end(clips, tmp_path):
    put(clips, tmp_path / "elsewhere", "1.flac", "2.flac")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "raw")
    with pytest.raises(InputError, match="2 audio files .2 in raw/mine/"):
        prepare(tmp_path / "raw")


def test_the_default_corpus_and_notes_are_no_audio_of_the_users(clips, tmp_path):
    put(clips, tmp_path / "raw", "default_corpus/flac_T/T_0000000001.flac")
    (tmp_path / "raw" / "notes.txt").write_text("no sound")
    assert choose(tmp_path / "raw", "auto") == "default"


def test_recordings_beside_a_corpus_stop_prepare_and_a_few_are_told(clips, tmp_path, capsys):
    raw = tmp_path / "raw"
    put(clips, raw, *(f"real/{n}.flac" for n in range(9)), *(f"mine/{n}.flac" for n in range(9)))
    for number, clip in enumerate(clips["spoof"][:9]):
        (raw / "fake").mkdir(exist_ok=True)
        shutil.copyfile(clip, raw / "fake" / f"{number}.flac")
    (raw / "sets.zip").write_bytes(b"PK")
    prepare(raw)
    told = "9 audio files (9 in raw/mine/) and 1 archive (raw/sets.zip)"
    assert f"left out, since their layout is not known: {told}" in capsys.readouterr().out
    put(clips, raw, *(f"mine/{n}.flac" for n in range(10)))
    with pytest.raises(InputError, match="10 in raw/mine/.*add --corpus folders"):
        prepare(raw)
    prepare_dataset.main(["--data_dir", str(tmp_path), "--corpus", "folders"])
    assert "10 in raw/mine/" in capsys.readouterr().out


def test_the_default_corpus_is_taken_when_asked_for(clips, tmp_path):
    put(clips, tmp_path / "raw", "1.flac")
    assert choose(tmp_path / "raw", "default") == "default"
