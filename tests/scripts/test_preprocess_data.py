"""From trial lists to stores: what is stored, what is printed, what a bad file does."""
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import ROOT
from tests.helpers.asvspoof5_archives import build_raw
from tests.helpers.audio.example_speech import EXAMPLES
from tests.helpers.trial_lists import listed_trials
from utils.common.errors import InputError
from utils.common.files import read_json, write_json
from utils.common.locks import only_run
from utils.prepare_dataset import main as prepare
from utils.preprocess_data import main
from utils.store.reader import Store
from utils.store.writer import StoreWriter
from utils.trials.draws import shares
from utils.trials.labels import Labels
from utils.trials.trial import Trial, trial_list_path, write_trials
from utils.trials.trial_index import TrialIndex, subsets_of

SCRIPT = ROOT / "utils" / "preprocess_data.py"


@pytest.fixture
def data_dir(clips, tmp_path) -> Path:
    """The minimal download, prepared; the folder's name has a space and umlauts."""
    folder = tmp_path / "my dätä"
    build_raw(folder / "raw", clips, speakers=12, utterances=6)
    prepare(["--data_dir", str(folder)])
    return folder


def run(data_dir: Path, *options: str) -> int:
    return main(["--data_dir", str(data_dir), *options])


def folders(data_dir: Path) -> dict[str, bytes]:
    """All files of all stores, by their path; locks left out."""
    base = data_dir / "processed"
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*")
            if path.is_file() and path.suffix != ".lock"}


def contents(path: Path) -> tuple[list, list]:
    """Every utterance of a store with its samples, wherever they lie, and what was skipped."""
    store = Store(path)
    return [(replace(row, shard=0, start=0), store.read(number).tobytes())
            for number, row in enumerate(store.rows)], store.info["skipped"]


def plain_list(data_dir: Path, paths: list[Path], subset: str = "dev") -> list[Trial]:
    """A trial list of files of their own, as a folder corpus has them; every third is bona fide."""
    trials = []
    for number, path in enumerate(paths):
        key, attack = ("spoof", f"A{number % 4:02}") if number % 3 else ("bonafide", "-")
        labels = Labels(speaker=f"S{number % 5}", key=key, attack=attack)
        size = path.stat().st_size if path.exists() else 1
        trials.append(Trial(f"U{number:05}", labels, str(path), 0, size))
    write_trials(trial_list_path(data_dir, subset), trials)
    write_json(data_dir / "protocols" / "corpus.json", {
        "name": "plain", "description": "a folder", "demo": False, "seen_attacks": [],
        "containers": {}, "subsets": {subset: {"partition": subset}}})
    return trials


def test_the_guides_minimal_download_gives_three_stores(data_dir, capsys):
    assert run(data_dir, "--subset", "dev") == 0
    out = capsys.readouterr().out
    assert "dev was split into train, dev, eval" in out
    for subset in ("train", "dev", "eval"):
        store = Store(data_dir / "processed" / subset)
        trials = listed_trials(data_dir, subset)
        assert [row.utterance for row in store.rows] == [trial.utterance for trial in trials]
        assert [row.labels for row in store.rows] == [trial.labels for trial in trials]
        corpus = read_json(data_dir / "protocols" / "corpus.json")
        assert store.info["corpus"]["name"] == corpus["name"]
        assert f"{subset}: {len(trials)} utterances" in out


def test_what_is_stored_is_what_libsndfile_reads(data_dir):
    run(data_dir, "--subset", "train")
    store = Store(data_dir / "processed" / "train")
    for number, trial in enumerate(listed_trials(data_dir, "train")):
        with open(data_dir / trial.container, "rb") as archive:
            archive.seek(trial.offset)
            (data_dir / "one.flac").write_bytes(archive.read(trial.size))
        assert (store.read(number) == soundfile.read(data_dir / "one.flac", dtype="int16")[0]).all()


def test_unpacked_files_give_the_same_bytes_as_the_archive(data_dir, clips, tmp_path):
    run(data_dir)
    other = tmp_path / "unpacked"
    shutil.copytree(data_dir / "raw", other / "raw")
    prepare(["--data_dir", str(other), "--extract"])
    run(other)
    for name, content in folders(data_dir).items():
        if not name.endswith("store.json"):  # it holds the sum of the list, which names the files
            assert folders(other)[name] == content, name


@pytest.mark.parametrize("options", (["--workers", "1"], ["--workers", "4"], ["--low_memory"]))
def test_the_number_of_workers_changes_no_byte(data_dir, options):
    run(data_dir)
    expected = folders(data_dir)
    run(data_dir, "--force", *options)
    assert folders(data_dir) == expected


def test_the_same_again_is_already_complete(data_dir, capsys):
    run(data_dir, "--subset", "train")
    folder = data_dir / "processed" / "train"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    capsys.readouterr()
    assert run(data_dir, "--subset", "train", "--low_memory") == 0
    assert "train: already complete" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_settings_or_another_list_are_stored_again_and_the_reason_printed(data_dir, capsys):
    run(data_dir, "--subset", "train")
    capsys.readouterr()
    run(data_dir, "--subset", "train", "--limit", "6")
    assert "limit was None, is 6" in capsys.readouterr().out
    assert len(Store(data_dir / "processed" / "train")) == 6
    trials = listed_trials(data_dir, "train")
    write_trials(trial_list_path(data_dir, "train"), trials[1:])
    run(data_dir, "--subset", "train", "--limit", "6")
    assert "the trial list changed" in capsys.readouterr().out


def test_a_limit_keeps_every_key_and_attack_in_its_share(tmp_path):
    sizes = {("bonafide", "-"): 200, ("spoof", "A01"): 600, ("spoof", "A02"): 150,
             ("spoof", "A03"): 50}
    strata = [stratum for stratum, size in sizes.items() for _ in range(size)]
    trials = [Trial(f"U{number:04}", Labels(key=key, attack=attack), "a.tar", number, 1)
              for number, (key, attack) in enumerate(strata)]
    write_trials(tmp_path / "t.tsv", trials)
    index = TrialIndex(tmp_path / "t.tsv")
    rows = index.select(100, 0)
    tenth = {stratum: size // 10 for stratum, size in sizes.items()}
    assert Counter(strata[row] for row in rows) == tenth
    assert list(rows) == sorted(rows) == list(index.select(100, 0))
    assert list(rows) != list(index.select(100, 1))
    assert rows.max() > 900 and list(rows) != list(range(100)), "never the head of the list"
    assert len(index.select(None, 0)) == len(index.select(5000, 0)) == 1000
    first = [trial.utterance for trial in index.trials(rows[:2])]
    assert first == [f"U{row:04}" for row in rows[:2]]
    assert {strata[row] for row in index.select(4, 0)} == set(sizes), "none is lost where 4 fit"


@pytest.mark.parametrize("limit", (1, 2, 3, 7, 10, 99, 100))
def test_shares_add_up(limit):
    sizes = np.array([70, 1, 20, 9])
    quotas = shares(sizes, limit)
    assert quotas.sum() == limit and (quotas <= sizes).all() and (limit < 4 or (quotas > 0).all())


def test_a_name_means_the_partition_and_what_was_cut_from_it():
    one = {"subsets": {name: {"partition": "dev"} for name in ("train", "dev", "eval")}}
    three = {"subsets": {name: {"partition": name} for name in ("train", "dev", "eval")}}
    two = {"subsets": {"train": {"partition": "train"}, "dev": {"partition": "train"}}}
    assert subsets_of("dev", one) == subsets_of("all", one) == ["train", "dev", "eval"]
    assert subsets_of("train", one) == ["train"] and subsets_of("dev", three) == ["dev"]
    assert subsets_of("train", two) == ["train", "dev"] and subsets_of("dev", two) == ["dev"]
    with pytest.raises(InputError, match="no subset eval, only train, dev"):
        subsets_of("eval", two)


def test_unreadable_files_are_skipped_counted_and_named(tmp_path, clips, capsys):
    paths = (clips["bonafide"] + clips["spoof"])[:39]
    (tmp_path / "broken.flac").write_bytes(paths[0].read_bytes()[:5000])
    plain_list(tmp_path, [*paths, tmp_path / "broken.flac"])
    assert run(tmp_path) == 0
    captured = capsys.readouterr()
    info = Store(tmp_path / "processed" / "dev").info
    assert "39 utterances" in captured.out and "1 skipped" in captured.out
    assert "skipped U00039" in captured.err
    (utterance, reason), = info["skipped"]
    assert info["counts"]["skipped"] == 1 and utterance == "U00039" and "broken.flac" in reason


def test_too_many_unreadable_files_stop_the_step_and_keep_the_old_store(tmp_path, clips):
    paths = (clips["bonafide"] + clips["spoof"])[:20]
    plain_list(tmp_path, paths)
    run(tmp_path)
    plain_list(tmp_path, [*paths[:18], tmp_path / "gone1.flac", tmp_path / "gone2.flac"])
    message = "2 of the first 20 utterances of dev are unreadable .*gone2.flac does not exist"
    with pytest.raises(InputError, match=message):
        run(tmp_path)
    assert len(Store(tmp_path / "processed" / "dev")) == 20
    assert sorted(path.name for path in (tmp_path / "processed").iterdir()) == ["dev", "dev.lock"]


def test_any_rate_channels_and_format_become_16_khz_mono(tmp_path):
    from tests.helpers.audio.audio_encodings import build, speech
    wave = speech(EXAMPLES / "real_librispeech_2412_en.flac", 1.6)
    zoo = {name: content for name, content in build(wave).items() if name != "wav-6ch"}
    for name, content in zoo.items():
        (tmp_path / name).write_bytes(content)
    plain_list(tmp_path, [tmp_path / name for name in zoo])
    run(tmp_path)
    store = Store(tmp_path / "processed" / "dev")
    assert len(store) == len(zoo)
    assert all(abs(row.n_samples - len(wave)) < 2500 for row in store.rows)
    assert {8000, 16000, 44100, 48000, 192000} <= {row.source_rate for row in store.rows}


def test_an_archive_that_changed_is_refused(data_dir):
    with open(data_dir / "raw" / "flac_D_ab.tar", "ab") as archive:
        archive.write(bytes(512))
    with pytest.raises(InputError, match="flac_D_ab.tar changed"):
        run(data_dir)


def test_without_prepare_it_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match="prepare_dataset.py"):
        run(tmp_path)


@pytest.mark.parametrize("options", (
    ["--limit", "0"], ["--workers", "0"], ["--subset", "test"], ["--seed", "-1"]))
def test_wrong_options_are_usage_errors(tmp_path, options):
    with pytest.raises(SystemExit) as error:
        run(tmp_path, *options)
    assert error.value.code == 2


def script(data_dir: Path, *options: str) -> list[str]:
    return [sys.executable, str(SCRIPT), "--data_dir", str(data_dir), *options]


def test_the_script_runs_from_anywhere_and_ends_in_one_sentence(data_dir, tmp_path):
    done = subprocess.run(script(data_dir, "--subset", "eval"), cwd=tmp_path, capture_output=True,
                          text=True, encoding="utf-8")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1 and "utterances" in done.stdout
    done = subprocess.run(script(tmp_path / "none"), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_the_second_run_at_once_is_refused(data_dir):
    with only_run(data_dir / "processed" / "eval.lock", "writing"):
        done = subprocess.run(script(data_dir, "--subset", "eval"), capture_output=True, text=True,
                              encoding="utf-8")
    assert done.returncode == 1 and "another run (process" in done.stderr


def test_a_half_built_store_is_resumed_after_an_interruption(tmp_path, clips, capsys, monkeypatch):
    paths = clips["bonafide"] + clips["spoof"]
    plain_list(tmp_path, paths)
    add = StoreWriter.add

    def interrupted(self, *args):
        if self.done == 17:
            raise KeyboardInterrupt
        return add(self, *args)

    monkeypatch.setattr(StoreWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    monkeypatch.undo()
    run(tmp_path)
    assert "resuming after 17 of 48" in capsys.readouterr().out
    first = folders(tmp_path)
    run(tmp_path, "--force")
    assert folders(tmp_path) == first and json.loads(first["dev/store.json"])["complete"] is True


def as_process(monkeypatch, rank: int, size: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(size))


@pytest.mark.parametrize("killed, then", [(1, 2), (2, 1), (2, 2)])
def test_killed_runs_of_any_number_of_processes_lose_nothing(tmp_path, clips, monkeypatch, killed,
                                                             then):
    """A merge keeps the shards of its parts, so neither way resumes what the other left."""
    paths = clips["bonafide"] + clips["spoof"]
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio")
    plain_list(tmp_path, [paths[0], bad, *paths[1:]])
    run(tmp_path)
    undisturbed = contents(tmp_path / "processed/dev")
    shutil.rmtree(tmp_path / "processed")
    method = "adopt" if killed > 1 else "add"
    original = getattr(StoreWriter, method)

    def interrupted(self, *args):
        if self.path.name == "dev" and self.done >= 2:
            raise KeyboardInterrupt
        return original(self, *args)

    def step(processes: int) -> None:
        for rank in reversed(range(processes)):
            with monkeypatch.context() as process:
                if processes > 1:
                    as_process(process, rank, processes)
                run(tmp_path)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(StoreWriter, method, interrupted)
        step(killed)
    step(then)
    stored = contents(tmp_path / "processed/dev")
    assert stored == undisturbed and len(stored[0]) == len(paths)
