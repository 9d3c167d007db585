"""A verdict, prepare and the making of copies see the same recordings in a folder."""
from utils.audio.file_types import AUDIO_SUFFIXES
from utils.corpora import folders
from utils.corpora.corpus import Request
from utils.inference.inputs import expand
from utils.synthesis.copies.clips import find_clips


def test_every_suffix_is_seen_alike(tmp_path):
    speech = tmp_path / "raw" / "bonafide"
    speech.mkdir(parents=True)
    (tmp_path / "raw" / "spoof").mkdir()
    (tmp_path / "raw" / "spoof" / "a.wav").touch()
    names = {f"{suffix[1:]}{suffix}" for suffix in AUDIO_SUFFIXES} | {"loud.WAV"}
    for name in names | {"notes.txt", "table.csv", "picture.png", "none", ".hidden.wav"}:
        (speech / name).touch()
    judged, left_out = expand([str(speech)])
    part = folders.find(Request(tmp_path)).parts["train"]
    prepared = {line.utterance for line in part.lines()}
    assert {name.removeprefix(f"{speech}/") for name in judged} == names and left_out == 4
    assert prepared == {f"bonafide/{name}" for name in names} | {"spoof/a.wav"}
    assert set(part.files().places) == prepared
    assert {clip.source for clip in find_clips(speech)} == names
