"""The benchmark of channels: which clips it takes, what the channels do, what it counts."""
import re
import shutil

import numpy as np
import pytest

from tests.benchmarks.accuracy.bench_channels import (CHANNELS, by_speech, chosen, main,
                                                     measure)
from tests.benchmarks.results_files import read_rows
from tests.helpers.audio.example_speech import example_files
from tests.helpers.networks.scoring_models import write_small_model
from utils.audio.decode import load_audio
from utils.common.errors import InputError
from utils.detector.decision import Decision
from utils.detector.detector import Detector
from utils.signals.codecs import available

SEED = 1


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Two clips of each class of source a and two bona fide ones of source b."""
    folder = tmp_path_factory.mktemp("pool")
    rows = ["utterance\tkey\tsource\tsplit"]
    for key in ("bonafide", "spoof"):
        for number, file in enumerate(example_files(key)[:4]):
            source = "a" if number < 2 else "b"
            if (key, source) != ("spoof", "b"):
                rows.append(f"{file.stem}\t{key}\t{source}\tdev")
                shutil.copy(file, folder / f"{file.stem}.flac")
    (folder / "trials.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_only_sources_of_both_classes_count_and_a_draw_follows_the_seed(pool):
    clips = chosen(pool, "split=dev", None, SEED)
    assert {clip.source for clip in clips} == {"a"}
    assert sorted(clip.bonafide for clip in clips) == [False, False, True, True]
    drawn = chosen(pool, "split=dev", 1, SEED)
    assert len(drawn) == 2 and drawn == chosen(pool, "split=dev", 1, SEED)


@pytest.mark.parametrize("where, said", [("split=eval", "no source"), ("part=dev", "no column")])
def test_a_list_that_gives_nothing_is_refused(pool, where, said):
    with pytest.raises(InputError, match=said):
        chosen(pool, where, None, SEED)


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "as it is"])
def test_a_channel_changes_real_speech_and_draws_by_the_generator_alone(pool, name):
    if "AMR" in name and "amr" not in available():
        pytest.skip("this PyAV build cannot encode AMR")
    wave = load_audio(chosen(pool, "split=dev", 1, SEED)[0].path) / 32768
    sent, again = (CHANNELS[name](wave, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(sent, again) and np.isfinite(sent).all()
    short = re.match(r"its first ([\d.]+) s", name)
    assert len(sent) == min(len(wave), float(short[1]) * 16000 if short else len(wave))
    assert len(sent) < len(wave) or np.abs(sent - wave).max() > 1e-3
    if "telephone" in name:
        power = np.abs(np.fft.rfft(sent)) ** 2
        assert power[len(power) // 2:].sum() < 1e-3 * power.sum()
    if "clipped" in name:
        assert np.mean(np.abs(sent) > 0.99 * np.abs(sent).max()) == pytest.approx(0.01, abs=0.003)


def test_the_command_writes_a_row_for_each_channel(pool, tmp_path):
    model = write_small_model(tmp_path)
    names = ["as it is", "30 dB softer"]
    given = ["--model", str(model), "--clips", str(pool), "--where", "split=dev", "--conditions",
             "x", "--output", str(tmp_path), "--channels", *names]
    assert main(given) == 0
    rows = read_rows(tmp_path / "channels-x.csv")
    assert [row["channel"] for row in rows] == names
    clips = chosen(pool, "split=dev", None, SEED)
    scores = {key: [Detector.load(model, threads=1).judge(clip.path)["score"] for clip in clips
                    if clip.bonafide == key] for key in (True, False)}
    apart = min(scores[True]) > max(scores[False])
    assert (rows[0]["EER"] == "0.0") == apart
    assert rows[0]["bona fide"] == rows[0]["spoof"] == "2"


def test_wrong_verdicts_are_counted_by_seconds_of_speech_whatever_the_verdict_is():
    spoken = [({"score": score, "speech_seconds": seconds}, real) for score, seconds, real in (
        (-3.0, 1.0, True), (0.0, 1.1, True), (9.0, 1.2, False), (None, 1.1, True),
        (-9.0, 1.3, False), (-9.0, 7.0, True))]
    rows = by_speech(spoken, Decision(0.0, (-2.0, 2.0)))
    assert [(row["seconds of speech"], *list(row.values())[1:]) for row in rows[1:3]] == [
        ("1 to 1.25", "2", "1", "50.0", "100.0"), ("1.25 to 1.5", "0", "1", "-", "0.0")]


def test_verdicts_are_counted_within_their_class(pool, tmp_path):
    detector = Detector.load(write_small_model(tmp_path), threads=1)
    clips = chosen(pool, "split=dev", None, SEED)
    row = measure(detector, clips, {"as it is": CHANNELS["as it is"]}, SEED)[0][0]
    said = [detector.judge(clip.path)["verdict"] for clip in clips if not clip.bonafide]
    share = 100 * np.mean([verdict == "likely spoof" for verdict in said])
    assert row["fakes called likely spoof %"] == f"{share:.1f}"
