"""The user's own folders: the words for the classes and the sets, at any depth, and speakers."""
from pathlib import Path

import pytest

from tests.helpers.trial_lists import listed_trials
from utils import prepare_dataset
from utils.common.errors import InputError
from utils.corpora.folder_names import (key_of, labels_of, published_key, speaker_of,
                                        subsets_of)
from utils.trials.trial import SUBSETS, read_corpus


def put(clips, raw: Path, key: str, folder: str, count: int = 4) -> None:
    """Copy clips of a key into a folder, under a name of that folder's own."""
    (raw / folder).mkdir(parents=True, exist_ok=True)
    for number, clip in zip(range(count), clips[key], strict=False):
        with open(raw / folder / f"{number}.flac", "wb") as file:
            file.write(clip.read_bytes())
            file.write(folder.encode())     # no two folders hold equal files


def prepared(raw: Path) -> dict[str, list]:
    assert prepare_dataset.main(["--data_dir", str(raw.parent)]) == 0
    return {subset: listed_trials(raw.parent, subset) for subset in SUBSETS}


def counts(lists: dict[str, list]) -> list[tuple[int, int]]:
    real = [sum(trial.labels.is_bonafide for trial in lists[subset]) for subset in SUBSETS]
    return [(count, len(lists[subset]) - count) for count, subset in zip(real, SUBSETS)]


@pytest.mark.parametrize("name, key", [
    *((name, "bonafide") for name in ("bonafide", "Bona-Fide", "bona_fide", "REAL", "Genuine",
                                      "human", "original", "real_voices", "0_real", "RealVoices",
                                      "train_real", "real-speech_test")),
    *((name, "spoof") for name in ("Spoof", "spoofed", "FAKE", "deepfake", "Deep-Fake", "synthetic",
                                   "AI", "generated", "fake audio", "1_fake", "fakeaudio")),
    *((name, None) for name in ("realm", "cats", "real_and_fake", "real-bob", "LJSpeech", "audio",
                                "flac_T", "M-AILABS", "2019"))])
def test_the_usual_words_say_the_key(name, key):
    assert key_of(name) == key


@pytest.mark.parametrize("subset, words", [
    ("train", "train Training train_set 1_train trainset train2 TrainData train_real"),
    ("dev", "dev VAL valid validation validation-data valset"),
    ("eval", "eval Test testing evaluation Test_Set tests testset test1 holdout"),
    (None, "latest dev-clean train-clean-100 set data train_cats train_and_test")])
def test_the_usual_words_say_the_subset(subset, words):
    for word in words.split():
        assert subsets_of([word, "cats"]).get(word) == subset


def test_other_words_beside_the_subset_count_where_a_neighbour_says_another_one():
    assert subsets_of(["my-train", "my-test", "notes"]) == {"my-train": "train", "my-test": "eval"}
    assert subsets_of(["train", "test_unseen"]) == {"train": "train", "test_unseen": "eval"}
    assert subsets_of(["train_station", "street"]) == {}


@pytest.mark.parametrize("path, speaker", [
    ("LibriSpeech/dev-clean/84/121123", "84"), ("train-other-500/20/205", "20"),
    ("LibriTTS/train-clean-100/19/198", "19"), ("VCTK/wav48_silence_trimmed/p225", "p225"),
    ("wav48/p226", "p226"), ("en_US/by_book/female/mary_ann/book/wavs", "mary_ann"),
    ("Ann/monday", "Ann"), ("", None)])
def test_the_speaker_is_the_right_folder(path, speaker):
    assert speaker_of(tuple(filter(None, path.split("/")))) == speaker


@pytest.mark.parametrize("key, names", [
    ("bonafide", "LJSpeech-1.1 LibriSpeech LibriTTS_R dev-clean train-other-500 VCTK-Corpus-0.92 "
                 "M-AILABS m-ailabs by_book jsut_ver1.1"),
    ("spoof", "WaveFake ljspeech_melgan ljspeech_hifiGAN jsut_parallel_wavegan "
              "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech"),
    (None, "dev mine LJ libri ljspeakers wavs vctk_hifigan LibriSpeech-vocoded M-AILABS-xtts")])
def test_published_corpora_of_one_class_are_known_by_name(key, names):
    assert {published_key(name) for name in names.split()} == {key}


@pytest.mark.parametrize("key, path, wanted", [
    ("spoof", "fake/a.wav", ("spoof", "-", "-")), ("spoof", "fake/wavs/a.wav", ("spoof", "-", "-")),
    ("spoof", "fake/xtts/Ann/a.wav", ("xtts", "Ann", "-")),
    ("spoof", "ljspeech_melgan/LJ001-0002_gen.wav", ("ljspeech_melgan", "LJSpeech", "LJ001-0002")),
    ("spoof", "generated_audio/jsut_pwg/BASIC5000_0007_gen.wav",
     ("jsut_pwg", "JSUT", "BASIC5000_0007")),
    ("bonafide", "real/wavs/a.wav", ("-", "-", "-")),
    ("bonafide", "real/Ann/clips/a.wav", ("-", "Ann", "-")),
    ("bonafide", "LJSpeech-1.1/wavs/LJ001-0002.wav", ("-", "LJSpeech", "LJ001-0002")),
    ("bonafide", "by_book/male/bob/book/wavs/x.wav", ("-", "bob", "-")),
    ("bonafide", "VCTK/wav48/p225/p225_001.wav", ("-", "p225", "-"))])
def test_folders_and_names_give_attack_speaker_and_sentence(key, path, wanted):
    home, *below = path.split("/")
    labels = labels_of(key, home, tuple(below))
    assert (labels.attack, labels.speaker, labels.source) == wanted


def test_a_folder_of_fakes_called_like_a_real_speaker_is_that_speaker(clips, tmp_path):
    raw = tmp_path / "raw"
    for name in ("Ann", "Bob", "Eve"):
        put(clips, raw, "bonafide", f"real/{name}", 2)
        put(clips, raw, "spoof", f"fake/{name}", 2)
    put(clips, raw, "spoof", "fake/xtts/Bob", 2)
    home = {}
    for subset, found in prepared(raw).items():
        for trial in found:
            assert home.setdefault(trial.labels.speaker, subset) == subset
            if trial.labels.key == "spoof":
                assert trial.labels.attack == ("xtts" if "xtts" in trial.utterance else "spoof")
    assert set(home) == {"Ann", "Bob", "Eve"}


def test_equal_recordings_of_one_part_stay_in_one_subset(clips, tmp_path, capsys):
    raw = tmp_path / "raw"
    for folder in ("bonafide", "spoof"):
        put(clips, raw, folder, folder, 9)
    for number in range(5):
        copy = raw / "spoof" / f"copy{number}.flac"
        copy.write_bytes((raw / "spoof" / f"{number}.flac").read_bytes())
    for seed in range(4):
        prepare_dataset.main(["--data_dir", str(tmp_path), "--seed", str(seed)])
        home = {trial.utterance: subset for subset in SUBSETS
                for trial in listed_trials(tmp_path, subset)}
        assert [home[f"spoof/copy{n}.flac"] for n in range(5)] == [
            home[f"spoof/{n}.flac"] for n in range(5)]
    assert "recordings that equal another: 5" in capsys.readouterr().out


@pytest.mark.parametrize("home", ["", "my data/", "a/b/c/"])
def test_a_pair_is_found_at_any_depth_and_keeps_its_names(clips, tmp_path, home):
    raw = tmp_path / "raw"
    put(clips, raw, "bonafide", f"{home}Real", 6)
    put(clips, raw, "spoof", f"{home}FAKE", 6)
    lists = prepared(raw)
    assert [sum(pair) for pair in zip(*counts(lists))] == [6, 6]
    names = {trial.utterance for found in lists.values() for trial in found}
    assert names == {f"{home}{word}/{n}.flac" for word in ("Real", "FAKE") for n in range(6)}


@pytest.mark.parametrize("pattern", ["{part}/{word}", "for-norm/{part}/{word}", "{word}/{part}"])
@pytest.mark.parametrize("words", [("training", "validation", "testing"), ("Train", "Val", "Test")])
def test_the_users_sets_are_kept(clips, tmp_path, pattern, words):
    for count, part in zip((4, 2, 3), words):
        put(clips, tmp_path / "raw", "bonafide", pattern.format(part=part, word="real"), count)
        put(clips, tmp_path / "raw", "spoof", pattern.format(part=part, word="fake"), count)
    assert counts(prepared(tmp_path / "raw")) == [(4, 4), (2, 2), (3, 3)]
    subsets = read_corpus(tmp_path)["subsets"].values()
    assert {subset["origin"] for subset in subsets} == {"official"}


def test_without_val_dev_is_cut_from_train_and_a_pair_beside_them_is_told(clips, tmp_path, capsys):
    raw = tmp_path / "raw"
    for folder, count in (("train/", 6), ("test/", 3), ("", 2)):
        put(clips, raw, "bonafide", f"{folder}bonafide", count)
        put(clips, raw, "spoof", f"{folder}spoof", count)
    found = counts(prepared(raw))
    said = capsys.readouterr().out
    assert found[2] == (3, 3) and [sum(pair) for pair in zip(*found[:2])] == [6, 6]
    assert "train is split by file (no speaker is known) into train, dev" in said
    for key in ("bonafide", "spoof"):
        assert f"{raw / key} is left out: it lies in no folder that says a subset" in said


@pytest.mark.parametrize("pattern", ["{part}set/{word}", "my {part}/{word}", "{part}_{word}",
                                     "{word}-{part}", "deepfake/{part}/{word}"])
def test_sets_are_never_mixed_however_they_are_called(clips, tmp_path, pattern):
    for count, part in ((4, "train"), (2, "val"), (3, "test")):
        put(clips, tmp_path / "raw", "bonafide", pattern.format(part=part, word="real"), count)
        put(clips, tmp_path / "raw", "spoof", pattern.format(part=part, word="fake"), count)
    assert counts(prepared(tmp_path / "raw")) == [(4, 4), (2, 2), (3, 3)]


def test_sets_in_a_pair_are_kept_beside_other_files_which_are_told(clips, tmp_path, capsys):
    for count, part in ((4, "train/"), (2, "val/"), (3, "test/"), (1, "")):
        put(clips, tmp_path / "raw", "bonafide", f"real/{part}", count)
        put(clips, tmp_path / "raw", "spoof", f"fake/{part}", count)
    (tmp_path / "raw" / "real" / "Thumbs.db").write_text("pictures")
    assert counts(prepared(tmp_path / "raw")) == [(4, 4), (2, 2), (3, 3)]
    assert "left out, since their layout is not known: 2 audio files" in capsys.readouterr().out


def test_a_folder_without_sets_beside_one_with_sets_is_named(clips, tmp_path):
    put(clips, tmp_path / "raw", "bonafide", "real/train")
    put(clips, tmp_path / "raw", "bonafide", "real/test")
    put(clips, tmp_path / "raw", "spoof", "fake")
    with pytest.raises(InputError, match="raw/fake, lies in no folder that says a subset"):
        prepared(tmp_path / "raw")


@pytest.mark.parametrize("home", ["deepfake", "Fake Audio", "ai/v2"])
def test_a_pair_in_a_folder_called_like_one_class_is_a_pair(clips, tmp_path, home):
    put(clips, tmp_path / "raw", "bonafide", f"{home}/real", 6)
    put(clips, tmp_path / "raw", "spoof", f"{home}/fake", 6)
    assert [sum(pair) for pair in zip(*counts(prepared(tmp_path / "raw")))] == [6, 6]


@pytest.mark.parametrize("folder, key, other", [
    ("real", "bonafide", "spoof or fake"), ("x/Fake", "spoof", "bonafide or real")])
def test_one_class_only_is_told(clips, tmp_path, folder, key, other):
    put(clips, tmp_path / "raw", key, folder, 5)
    with pytest.raises(InputError, match=f"one class only: 5 recordings .*called {other}"):
        prepared(tmp_path / "raw")


def test_a_test_set_alone_is_not_trained_on(clips, tmp_path, capsys):
    put(clips, tmp_path / "raw", "bonafide", "test/real")
    put(clips, tmp_path / "raw", "spoof", "test/fake")
    assert prepare_dataset.main(["--data_dir", str(tmp_path)]) == 0
    assert "nothing to train on" in capsys.readouterr().out
    assert len(listed_trials(tmp_path, "eval")) == 8
    assert list(read_corpus(tmp_path)["subsets"]) == ["eval"]
    assert not (tmp_path / "protocols" / "train.tsv").exists()


def test_without_test_eval_is_cut_from_train_and_val_stays_whole(clips, tmp_path, capsys):
    for part, count in (("train", 10), ("val", 4)):
        put(clips, tmp_path / "raw", "bonafide", f"{part}/real", count)
        put(clips, tmp_path / "raw", "spoof", f"{part}/fake", count)
    found = counts(prepared(tmp_path / "raw"))
    assert found[1] == (4, 4) and [sum(pair) for pair in zip(found[0], found[2])] == [10, 10]
    said = capsys.readouterr().out
    assert "train is split by file (no speaker is known) into train, eval" in said
    assert "dev has 4 utterances of one class: every verdict will be uncertain" in said


def test_links_to_folders_are_followed_and_circles_end(clips, tmp_path):
    put(clips, tmp_path / "mine", "bonafide", "real", 6)
    put(clips, tmp_path / "mine", "spoof", "fake", 6)
    put(clips, tmp_path / "more", "bonafide", "Ann", 3)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "linked").symlink_to(tmp_path / "mine")
    (tmp_path / "mine" / "back").symlink_to(tmp_path / "raw")
    (tmp_path / "mine" / "real" / "more").symlink_to(tmp_path / "more")
    (tmp_path / "more" / "Ann" / "back").symlink_to(tmp_path / "mine" / "real")
    assert [sum(pair) for pair in zip(*counts(prepared(tmp_path / "raw")))] == [9, 6]
