"""What a run on several recordings prints and writes."""
import csv
import json
import shutil

import pytest
import soundfile

from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import write_small_model
from utils import simplified_inference as script
from utils.inference.journal import Journal

HELD = ("the Bayes threshold", "log-likelihood ratio", "trained on")     # said of all recordings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A folder with two recordings and a file that is none."""
    folder = tmp_path_factory.mktemp("speech")
    for name, samples in zip("ab", crops("bonafide", 2)):
        soundfile.write(folder / f"{name}.wav", samples, 16000)
    (folder / "c.wav").write_bytes(b"RIFF")
    return folder


def infer(model, *arguments):
    return script.main(["--model", str(model), "--threads", "1", "--force_cpu",
                        *map(str, arguments)])


def test_what_holds_for_all_recordings_is_said_once(model, three, capsys):
    assert infer(model, "--input_file", three) == 1
    out = capsys.readouterr().out
    assert [out.count(word) for word in HELD] == [1, 1, 1]
    assert [out.count(f"{name}.wav: ") for name in "ab"] == [1, 1]
    assert infer(model, "--input_file", three / "a.wav") == 0
    alone = capsys.readouterr().out
    assert [alone.count(word) for word in HELD] == [1, 1, 1]


@pytest.mark.parametrize("count", [2, 4])
def test_a_weak_model_is_told_once_for_all_recordings(three, tmp_path, capsys, count):
    weak = write_small_model(tmp_path, history=[{"dev_eer": 0.3}])
    for number in range(count):
        shutil.copy(three / "a.wav", tmp_path / f"{number}.wav")
    assert infer(weak, "--input_file", tmp_path) == 0
    assert capsys.readouterr().out.count("the model is weak") == 1
    assert infer(weak, "--input_file", tmp_path, "--json") == 0
    records = map(json.loads, capsys.readouterr().out.splitlines())
    told = [(record["model_warnings"][0][:17], str(record["warnings"]).count("weak"))
            for record in records]
    assert told == [("the model is weak", 0)] * count


def test_the_summary_uses_the_words_of_the_lines_above_it(model, three, capsys):
    assert infer(model, "--input_file", three) == 1
    *lines, summary = capsys.readouterr().out.splitlines()
    assert any(line.endswith("c.wav: cannot judge") for line in lines)
    assert "1 cannot judge" in summary and summary.endswith("1 of them cannot be read")
    assert "failed" not in summary


def test_results_of_another_run_are_replaced_with_a_word(model, three, tmp_path, capsys):
    output = tmp_path / "r.csv"
    assert infer(model, "--input_file", three / "a.wav", "--output", output) == 0
    assert "replace" not in capsys.readouterr().err
    assert infer(model, "--input_file", three / "b.wav", "--output", output) == 0
    assert f"{output} exists: the results of this run will replace it" in capsys.readouterr().err


def test_results_beside_the_journal_of_other_recordings_are_replaced_with_a_word(tmp_path, capsys):
    output = tmp_path / "r.csv"
    output.touch()
    for paths, told in ((["a", "b"], True), (["a", "b"], False), (["c"], True)):
        journal = Journal(output, {}, paths)        # of a run that is stopped after its first
        journal.add(paths[0], {"error": None})
        journal.file.close()
        assert ("will replace it" in capsys.readouterr().err) == told


def test_recordings_of_a_stopped_run_without_pictures_are_drawn_too(model, three, tmp_path,
                                                                    monkeypatch):
    def stopped(*given: object) -> None:
        raise KeyboardInterrupt
    output, names = tmp_path / "r.jsonl", (three / "a.wav", three / "b.wav")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Journal, "finish", stopped)
        infer(model, "--input_file", *names, "--output", output)
    assert infer(model, "--input_file", *names, "--output", output, "--picture",
                 tmp_path / "drawn") == 0
    assert len(list((tmp_path / "drawn").iterdir())) == 2


@pytest.mark.parametrize("name, told", [("names.wav", True), ("names.txt", False)])
def test_a_text_that_may_be_a_list_is_told_how_to_be_called(model, tmp_path, capsys, name, told):
    (tmp_path / name).write_text("a text\n")
    (tmp_path / "all.txt").write_text(name)
    assert infer(model, "--input_file", tmp_path / "all.txt") == 1
    said = capsys.readouterr().out
    assert "is not audio: it is text" in said and ("call it .txt" in said) == told


def test_no_cell_of_the_csv_is_a_formula(model, three, tmp_path, monkeypatch):
    for name in ("=1+2.wav", "@x.wav", "-y.wav", "z;=3.wav"):
        shutil.copy(three / "a.wav", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert infer(model, "--input_file", "=1+2.wav", "@x.wav", "z;=3.wav", "./-y.wav",
                 "--output", "r.csv") == 0
    with open("r.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["'=1+2.wav", "'@x.wav", "z;'=3.wav", "./-y.wav"]
    assert all(float(row["threshold"]) < 0 for row in rows)     # a number stays one
