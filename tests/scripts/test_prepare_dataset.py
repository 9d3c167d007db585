"""prepare_dataset.py end to end: every corpus, what it prints and writes, and how it refuses."""
import errno
import gzip
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.asvspoof5_archives import (FOLDERS, PROTOCOLS, build_raw, write_protocols,
                                              write_tar)
from tests.conftest import ROOT
from tests.helpers.trial_lists import listed_trials
from utils import prepare_dataset
from utils.synthesis import default_corpus
from utils.archives.index import check_containers
from utils.trials.trial import SUBSETS, read_corpus
from utils.common.errors import InputError
from utils.common.files import write_json
from utils.common.locks import only_run


@pytest.fixture
def data(tmp_path) -> Path:
    """A data folder whose name has a space and a letter beyond ASCII."""
    (tmp_path / "données x" / "raw").mkdir(parents=True)
    return tmp_path / "données x"


def prepare(data: Path, *options: str) -> int:
    return prepare_dataset.main(["--data_dir", str(data), *options])


def lists(data: Path) -> dict[str, list]:
    return {subset: listed_trials(data, subset) for subset in SUBSETS}


def audio_of(data: Path, trial) -> bytes:
    with open(data / trial.container, "rb") as file:
        file.seek(trial.offset)
        return file.read(trial.size)


def written(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data / "protocols").iterdir()
            if path.is_file() and path.suffix != ".lock"}


def test_the_guides_minimal_set_up_gives_three_subsets(clips, data, capsys):
    raw = build_raw(data / "raw", clips, speakers=12, utterances=8, absent=7)
    lines = {line.utterance: line for line in raw}
    assert prepare(data) == 0
    said = capsys.readouterr().out
    assert "found in" in said and "flac_D_ab.tar" in said
    assert "dev: 96 of 103 listed utterances found" in said
    assert "dev is split by speaker into train, dev, eval (seed 1)" in said
    for trial in (trial for found in lists(data).values() for trial in found):
        line = lines[trial.utterance]
        labels = trial.labels
        assert (labels.speaker, labels.gender, labels.key) == (line.speaker, line.gender, line.key)
        assert labels.attack == ("-" if line.key == "bonafide" else line.attack)
        assert audio_of(data, trial) == line.clip.read_bytes()


def test_prepare_writes_no_audio_unless_asked(clips, data):
    build_raw(data / "raw", clips)
    before = sorted((data / "raw").rglob("*"))
    prepare(data)
    assert sorted((data / "raw").rglob("*")) == before
    small = sum(path.stat().st_size for path in (data / "protocols").rglob("*"))
    assert small < 40_000 < (data / "raw" / "flac_D_ab.tar").stat().st_size


def test_extract_gives_the_same_trials_with_the_same_bytes(clips, data):
    build_raw(data / "raw", clips)
    prepare(data)
    plain = lists(data)
    prepare(data, "--extract")
    unpacked = lists(data)
    for subset in SUBSETS:
        assert [t.utterance for t in unpacked[subset]] == [t.utterance for t in plain[subset]]
        assert {t.container for t in plain[subset]} == {"raw/flac_D_ab.tar"}
        names = {f"raw/flac_D/{t.utterance}.flac" for t in unpacked[subset]}
        assert {t.container for t in unpacked[subset]} == names
        assert [audio_of(data, t) for t in unpacked[subset]] == [
            audio_of(data, t) for t in plain[subset]]


def test_unpacked_folders_need_no_archive(clips, data):
    build_raw(data / "raw", clips, parts=("T_aa", "D_ab", "E_aj"))
    prepare(data, "--extract")
    unpacked = written(data)
    for archive in (data / "raw").glob("flac_*.tar"):
        archive.unlink()
    prepare(data)
    assert written(data) == unpacked
    folders = [path.name for path in (data / "raw").iterdir() if path.is_dir()]
    assert sorted(folders) == sorted(FOLDERS.values())


def test_all_three_parts_stay_what_they_are(clips, data, capsys):
    build_raw(data / "raw", clips, parts=("T_aa", "T_ae", "D_ab", "E_aa", "E_aj"))
    prepare(data)
    corpus = read_corpus(data)
    assert "split" not in capsys.readouterr().out
    assert {s: (v["partition"], v["origin"], v["found"]) for s, v in corpus["subsets"].items()} == {
        s: (s, "official", 36) for s in SUBSETS}
    assert {trial.labels.codec for trial in lists(data)["eval"]} == {"-", "C05"}


def test_corpus_json_says_what_is_there(clips, data):
    build_raw(data / "raw", clips, parts=("T_aa", "D_ab"), absent=4)
    prepare(data, "--seed", "5")
    corpus = read_corpus(data)
    assert (corpus["name"], corpus["layout"]) == ("ASVspoof5", "asvspoof5")
    assert (corpus["demo"], corpus["seed"]) == (False, 5)
    assert corpus["description"] == "ASVspoof5 (flac_T_aa, flac_D_ab)"
    assert corpus["seen_attacks"] == ["A01", "A02", "A03", "A04"]
    assert set(corpus["containers"]) == {"raw/flac_T_aa.tar", "raw/flac_D_ab.tar"}
    train = corpus["subsets"]["train"]
    counts = ("listed", "found", "bonafide", "spoof", "speakers")
    assert [train[name] for name in counts] == [40, 36, 18, 18, 6]
    assert sum(train["attacks"].values()) == 18
    assert corpus["subsets"]["eval"]["origin"] == "split of dev"
    assert corpus["environment"]["python"]


def test_enrolment_files_are_no_trials_and_no_error(clips, data, capsys):
    build_raw(data / "raw", clips)
    prepare(data)
    assert "files for enrolment left out: 1" in capsys.readouterr().out
    assert not any("_A" in trial.utterance for found in lists(data).values() for trial in found)


@pytest.mark.parametrize("folder", ["ASVspoof5_protocols/", "./", "x/y/"])
def test_protocols_are_found_wherever_they_lie_in_their_archive(clips, data, folder):
    build_raw(data / "raw", clips, folder=folder)
    assert prepare(data) == 0


def test_protocols_may_be_unpacked_and_in_the_older_layout(clips, data):
    lines = build_raw(data / "raw", clips)
    prepare(data)
    expected = written(data)["train.tsv"]
    (data / "raw" / "ASVspoof5_protocols.tar.gz").unlink()
    table = data / "raw" / "ASVspoof5_protocols" / "ASVspoof5.dev.metadata.txt"
    table.parent.mkdir()
    table.write_text("\n".join(line.text(6) for line in lines))
    prepare(data)
    assert written(data)["train.tsv"] == expected


def test_archives_may_lie_in_a_folder_of_data_raw(clips, data):
    build_raw(data / "raw" / "ASVspoof5", clips)
    prepare(data)
    assert lists(data)["dev"][0].container == "raw/ASVspoof5/flac_D_ab.tar"


def test_a_second_run_says_unchanged_and_leaves_every_byte(clips, data, capsys):
    build_raw(data / "raw", clips)
    prepare(data)
    before = written(data)
    files = [path for path in (data / "protocols").rglob("*")
             if path.is_file() and path.suffix != ".lock"]
    times = {path: path.stat().st_mtime_ns for path in files}
    capsys.readouterr()
    prepare(data)
    assert "unchanged in" in capsys.readouterr().out
    assert written(data) == before
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_changed_archive_is_indexed_again(clips, data):
    lines = build_raw(data / "raw", clips)
    prepare(data)
    build_raw(data / "raw", clips, utterances=8)
    with pytest.raises(InputError, match="changed after it was indexed"):
        check_containers(data, read_corpus(data))
    prepare(data)
    check_containers(data, read_corpus(data))
    subsets = read_corpus(data)["subsets"].values()
    assert sum(subset["found"] for subset in subsets) > len(lines) * 0.7


def test_what_a_killed_run_leaves_is_replaced(clips, data):
    build_raw(data / "raw", clips)
    prepare(data)
    expected = written(data)
    (data / "protocols" / "corpus.json").unlink()
    (data / "protocols" / "eval.tsv").unlink()
    (data / "protocols" / ".staging").mkdir()
    (data / "protocols" / ".staging" / "train.tsv").write_text("half")
    with pytest.raises(InputError, match="no prepared corpus"):
        read_corpus(data)
    prepare(data)
    assert written(data) == expected
    assert not (data / "protocols" / ".staging").exists()


def test_a_second_run_at_the_same_time_is_told(clips, data):
    build_raw(data / "raw", clips)
    lock = data / "protocols" / ".prepare.lock"
    with only_run(lock, "preparing"), pytest.raises(InputError, match="another run"):
        prepare(data)
    assert prepare(data) == 0


def test_no_dataset_files_says_where_it_looked_and_what_to_download(data):
    with pytest.raises(InputError, match="no dataset files of ASVspoof5") as error:
        prepare(data, "--corpus", "asvspoof5")
    for word in (str(data / "raw"), "ASVspoof5_protocols.tar.gz", "flac_D_ab.tar", "6.6 GB",
                 "84.8 GB", "14498691"):
        assert word in str(error.value)


def test_protocols_without_audio_are_not_taken_for_an_empty_folder(clips, data):
    build_raw(data / "raw", clips)
    (data / "raw" / "flac_D_ab.tar").rename(data / "raw" / "flac_D_ab.tar.part")
    with pytest.raises(InputError, match="no dataset files of ASVspoof5.*flac_D_ab.tar.part"):
        prepare(data)


def test_a_missing_protocol_is_named(clips, data):
    lines = build_raw(data / "raw", clips, parts=("T_aa", "D_ab"))
    write_protocols(data / "raw" / "ASVspoof5_protocols.tar.gz",
                    [line for line in lines if line.partition == "T"])
    with pytest.raises(InputError, match="protocol of the dev part is missing.*20.7 MB"):
        prepare(data)
    (data / "raw" / "ASVspoof5_protocols.tar.gz").unlink()
    with pytest.raises(InputError, match="protocol of the train part is missing"):
        prepare(data)


def test_a_malformed_protocol_is_named_by_its_line(clips, data):
    lines = build_raw(data / "raw", clips)
    table = "\n".join(line.text() for line in lines[:10]) + "\nD_0001 D_0000009999 F - - spoof\n"
    write_tar(data / "raw" / "ASVspoof5_protocols.tar.gz", [(PROTOCOLS["D"], table.encode())])
    with pytest.raises(InputError, match=r"ASVspoof5\.dev\.track_1\.tsv\), line 11 has 6 columns"):
        prepare(data)


@pytest.mark.parametrize("spoil, match", [
    (lambda content: content[:len(content) // 2], "cut short or damaged"),
    (lambda content: b"<html>", "damaged"),
    (lambda content: gzip.compress(b"no tar" * 300), "not an uncompressed tar")])
def test_a_spoilt_protocol_archive_is_refused(clips, data, spoil, match):
    build_raw(data / "raw", clips)
    path = data / "raw" / "ASVspoof5_protocols.tar.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=match):
        prepare(data)


def test_an_archive_cut_short_is_refused_and_earlier_lists_stay(clips, data):
    build_raw(data / "raw", clips)
    prepare(data)
    before = written(data)
    path = data / "raw" / "flac_D_ab.tar"
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(InputError, match="flac_D_ab.tar is cut short"):
        prepare(data)
    assert written(data) == before


def test_files_and_protocol_of_different_releases_are_refused(clips, data):
    build_raw(data / "raw", clips)
    write_tar(data / "raw" / "ASVspoof5_protocols.tar.gz",
              [(PROTOCOLS["D"], b"D_0001 D_9999999999 F - - - AC1 A11 spoof -\n")])
    with pytest.raises(InputError, match="of the same release"):
        prepare(data)


def test_one_class_only_is_refused(clips, data):
    lines = build_raw(data / "raw", clips, parts=("T_aa", "D_ab", "E_aa"))
    write_protocols(data / "raw" / "ASVspoof5_protocols.tar.gz",
                    [line for line in lines if line.partition != "E" or line.key == "spoof"])
    with pytest.raises(InputError, match="eval would have one class only"):
        prepare(data)
    assert not (data / "protocols" / "corpus.json").exists()


def test_one_speaker_alone_is_split_by_recording_and_told(clips, data, capsys):
    build_raw(data / "raw", clips, speakers=1, utterances=18)
    prepare(data)
    assert ("dev is split by recording (all real speech is of one speaker, D_"
            in capsys.readouterr().out)


def test_two_speakers_are_too_few_to_split(clips, data):
    build_raw(data / "raw", clips, speakers=2, utterances=9)
    with pytest.raises(InputError, match="cannot be split"):
        prepare(data)


def test_a_wrong_check_sum_is_refused(clips, data):
    build_raw(data / "raw", clips)
    with pytest.raises(InputError, match="has the md5 sum"):
        prepare(data, "--md5")


def test_unpacking_without_room_is_refused_before_a_byte_is_written(clips, data, monkeypatch):
    build_raw(data / "raw", clips)
    nearly_full = shutil.disk_usage(data)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nearly_full)
    with pytest.raises(InputError, match="GB are free"):
        prepare(data, "--extract")
    assert not (data / "raw" / "flac_D").exists()


def test_a_full_disk_ends_in_a_sentence_and_earlier_lists_stay(clips, data, monkeypatch):
    build_raw(data / "raw", clips)
    prepare(data)
    before = written(data)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full while writing .*train.tsv"):
        prepare(data, "--seed", "2")
    assert written(data) == before


def tree_2019(clips, root: Path) -> None:
    for part, name in (("train", "train.trn"), ("dev", "dev.trl"), ("eval", "eval.trl")):
        home = root / f"ASVspoof2019_LA_{part}" / "flac"
        home.mkdir(parents=True)
        rows = []
        for number in range(8):
            key = "bonafide" if number % 2 else "spoof"
            utterance = f"LA_{part[0].upper()}_{number:07}"
            shutil.copyfile(clips[key][number], home / f"{utterance}.flac")
            rows.append(f"LA_00{number // 4} {utterance} - {'-' if number % 2 else 'A07'} {key}")
        table = root / "ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{name}.txt"
        table.parent.mkdir(exist_ok=True)
        table.write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("home", [".", "LA", "ASVspoof2019/LA"])
def test_ASVspoof2019_LA_is_read_from_its_folders(clips, data, home):
    tree_2019(clips, data / "raw" / home)
    assert prepare(data) == 0
    assert read_corpus(data)["description"] == "ASVspoof2019 LA"
    assert [len(found) for found in lists(data).values()] == [8, 8, 8]
    assert audio_of(data, lists(data)["eval"][1]) == clips["bonafide"][1].read_bytes()


@pytest.mark.parametrize("how, options", [
    (zipfile.ZIP_STORED, []), (zipfile.ZIP_STORED, ["--extract"]),
    (zipfile.ZIP_DEFLATED, ["--extract"])])
def test_ASVspoof2019_LA_is_read_from_its_zip(clips, data, tmp_path, how, options):
    tree_2019(clips, tmp_path / "LA")
    with zipfile.ZipFile(data / "raw" / "LA.zip", "w", how) as archive:
        for path in sorted((tmp_path / "LA").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path).as_posix())
    assert prepare(data, *options) == 0
    assert audio_of(data, lists(data)["eval"][1]) == clips["bonafide"][1].read_bytes()
    assert bool(read_corpus(data)["containers"]) == (not options)


def test_ASVspoof2019_without_its_protocols_says_so(clips, data):
    tree_2019(clips, data / "raw" / "LA")
    shutil.rmtree(data / "raw" / "LA" / "ASVspoof2019_LA_cm_protocols")
    with pytest.raises(InputError, match="lacks its list.*LA.zip.* unpack all of it"):
        prepare(data)


def pair(clips, root: Path) -> None:
    for number, clip in enumerate(clips["bonafide"]):
        home = root / "bonafide" / f"Ærø {number % 6}"
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip, home / f"{number}.flac")
    for number, clip in enumerate(clips["spoof"]):
        home = root / "spoof" / ("vits", "hifigan", "world", "kokoro")[number % 4]
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip, home / f"{number} ü.FLAC")


def test_a_folder_pair_gives_speakers_and_attacks_by_its_folders(clips, data, capsys):
    pair(clips, data / "raw")
    (data / "raw" / "spoof" / "notes.txt").write_text("x")
    assert prepare(data) == 0
    assert "in their names: 1 (.txt)" in capsys.readouterr().out
    everything = [trial for found in lists(data).values() for trial in found]
    speakers = {t.labels.speaker for t in everything if t.labels.is_bonafide}
    attacks = {t.labels.attack for t in everything if not t.labels.is_bonafide}
    assert speakers == {f"Ærø {n}" for n in range(6)}
    assert attacks == {"vits", "hifigan", "world", "kokoro"}
    corpus = read_corpus(data)
    assert len(corpus["seen_attacks"]) == 3 and corpus["containers"] == {}
    assert audio_of(data, everything[0]).startswith(b"fLaC")


def test_a_folder_pair_may_have_parts_of_its_own(clips, data):
    for number, part in enumerate(SUBSETS):
        pair({key: clips[key][number::3] for key in clips}, data / "raw" / part)
    prepare(data)
    assert {v["origin"] for v in read_corpus(data)["subsets"].values()} == {"official"}


def test_half_a_folder_pair_is_refused(clips, data):
    pair(clips, data / "raw")
    shutil.rmtree(data / "raw" / "spoof")
    with pytest.raises(InputError, match="one class only: .*bonafide.*called spoof or fake"):
        prepare(data)
    (data / "raw" / "spoof").mkdir()
    with pytest.raises(InputError, match="spoof holds no audio files"):
        prepare(data)


def test_where_several_corpora_lie_the_others_are_named(clips, data, capsys):
    build_raw(data / "raw", clips)
    pair(clips, data / "raw")
    prepare(data)
    assert "also holds folders: choose with --corpus" in capsys.readouterr().out
    prepare(data, "--corpus", "folders")
    assert read_corpus(data)["layout"] == "folders"
    assert "choose with --corpus" not in capsys.readouterr().out


def built_corpus(raw_dir: Path, clips) -> None:
    """What the builder leaves: ASVspoof5's layout in files, and a description."""
    build_raw(raw_dir / "scratch", clips, parts=("T_aa", "D_ab", "E_aa"))
    home = raw_dir / "default_corpus"
    for archive in (raw_dir / "scratch").glob("*.tar*"):
        shutil.unpack_archive(archive, home, filter="data")
    shutil.rmtree(raw_dir / "scratch")
    info = {"description": "embedded default corpus", "demo": True, "attacks": {}, "seed": 1,
            "leak_check": {"level": {"all": 0.4, "seen": 0.5, "A01": 0.4}}}
    write_json(home / "corpus_info.json", info)


def test_the_default_corpus_is_read_like_any_other_and_marked_as_demo(clips, data, monkeypatch):
    built_corpus(data / "raw", clips)
    monkeypatch.setattr(default_corpus, "build_default_corpus",
                        lambda *_, **__: pytest.fail("built although it exists"))
    prepare(data)
    corpus = read_corpus(data)
    assert (corpus["demo"], corpus["layout"]) == (True, "default")
    assert corpus["description"] == "embedded default corpus"
    assert lists(data)["eval"][0].container.startswith("raw/default_corpus/flac_E_eval/E_")


def test_options_reach_the_builder_of_the_default_corpus(clips, data, monkeypatch):
    built_corpus(data / "raw", clips)
    asked = {}
    monkeypatch.setattr(default_corpus, "build_default_corpus",
                        lambda raw_dir, **options: asked.update(options))
    prepare(data, "--seed", "3", "--size", "600", "--attacks", "A01, A02", "--bonafide_dir", "x y")
    assert asked == {"seed": 3, "size": 600, "attacks": ["A01", "A02"],
                     "bonafide_dir": Path("x y"), "workers": 2}


def test_the_script_runs_from_any_folder_and_ends_errors_in_one_line(clips, data):
    build_raw(data / "raw", clips)
    command = [sys.executable, str(ROOT / "utils" / "prepare_dataset.py"), "--data_dir", str(data)]

    def run(*options: str) -> subprocess.CompletedProcess:
        return subprocess.run([*command, *options], cwd=data, capture_output=True, text=True,
                              encoding="utf-8", timeout=60, env=os.environ | {"PYTHONUTF8": "1"})

    done = run()
    assert done.returncode == 0 and "written to" in done.stdout
    shutil.rmtree(data / "raw")
    (data / "raw").mkdir()
    done = run("--corpus", "asvspoof5")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: no dataset files") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("named, why", [
    ("nowhere", "does not exist"), ("raw", "holds no folder raw"), ("", "holds no folder raw")])
def test_a_folder_without_raw_gets_no_default_corpus(data, named, why):
    folder = data / named if named else data.parent
    with pytest.raises(InputError, match=f"{why}: name the folder above raw, or .*corpus default"):
        prepare(folder)
    assert sorted(path.name for path in data.parent.rglob("*")) == sorted([data.name, "raw"])


def test_the_usual_data_folder_needs_no_raw_whatever_its_path(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prepare_dataset, "DATA_DIR", tmp_path / "data")
    args = prepare_dataset.build_parser().parse_args(["--data_dir", "data"])
    assert prepare_dataset.check_data_dir(args) is None


def test_corpus_json_is_plain_json(clips, data):
    build_raw(data / "raw", clips)
    prepare(data)
    corpus = json.loads((data / "protocols" / "corpus.json").read_text(encoding="utf-8"))
    assert corpus["subsets"]["dev"]["partition"] == "dev"
