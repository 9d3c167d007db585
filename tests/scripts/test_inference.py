"""simplified_inference.py end to end: verdicts, outputs, inputs, failures, stopped runs."""
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.helpers.networks.aasist_weights import PUBLISHED
from tests.conftest import ROOT
from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import genuine, write_small_model, write_store
from utils import simplified_inference as script
from utils.audio.decode import load_audio
from utils.common.errors import InputError
from utils.detector import Detector
from utils.detector.engines import load_engine
from utils.detector.scoring import score_store
from utils.inference.journal import Journal

SCRIPT = ROOT / "utils" / "simplified_inference.py"
MADE_BY = ("model", "model_file", "model_sha256", "demo", "direction", "version")
KEYS = ("file", "score", "verdict", "error", "score_kind", "threshold", "band", "threshold_origin",
        "model", "demo", "reasons", "warnings")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("a model ü"))


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A folder with a space and an umlaut: three recordings, two of the same name, and a text."""
    folder = tmp_path_factory.mktemp("real spéech ñ")
    for name, samples in zip(("a/x.wav", "b/x.wav", "b/y.flac"), crops("bonafide", 3)):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, samples, 16000)
    (folder / "notes.md").write_text("about the recordings")
    return folder


def infer(model, *arguments):
    return script.main(["--model", str(model), "--threads", "1", *map(str, arguments)])


def records(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def hear_interrupts():
    """In the child: react to Ctrl-C even where a shell runs the tests in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def started(*arguments, **options):
    return subprocess.Popen([sys.executable, SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **options,
                            preexec_fn=None if os.name == "nt" else hear_interrupts)


def ended(*arguments):
    process = started(*arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_one_file_gets_a_few_lines_a_person_understands(model, speech, capsys):
    assert infer(model, "--input_file", speech / "b" / "y.flac", "--force_cpu") == 0
    out, err = capsys.readouterr()
    assert "by a model made with the demo corpus" in out.splitlines()[0] and err == ""
    for word in ("log-likelihood ratio", "higher means bona fide",
                 "-0.64 (the Bayes threshold of dev)", "trained on the embedded default corpus",
                 "s of it speech", "16,000 Hz"):
        assert word in out


def test_json_is_one_object_per_file_and_nothing_else(model, speech, capsys):
    assert infer(model, "--input_file", speech, "--json") == 0
    found = records(capsys)
    names = [Path(record["file"]).relative_to(speech).as_posix() for record in found]
    assert names == ["a/x.wav", "b/x.wav", "b/y.flac"]
    assert all(key in record for record in found for key in KEYS)
    assert all(isinstance(record["score"], float) for record in found)
    for record in found:
        assert record["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
        assert "version" in record
        assert record["model_file"].endswith("/best.onnx") and record["demo"]
        assert record["direction"] == "higher = bona fide"


def test_a_file_gets_the_score_that_dev_and_eval_give_it(model, speech, capsys, tmp_path):
    infer(model, "--input_file", speech, "--json")
    found = records(capsys)
    store = write_store(tmp_path / "eval", [load_audio(record["file"]) for record in found])
    assert np.abs(score_store(load_engine(model), store, progress=False)
                  - [record["score"] for record in found]).max() <= 1e-5


def test_the_checkpoint_and_the_exported_model_agree(model, speech, capsys):
    for path in (model, model.with_suffix(".pt")):
        infer(path, "--input_file", speech / "b", "--json", "--force_cpu")
    found = [record["score"] for record in records(capsys)]
    assert found[:2] == pytest.approx(found[2:], abs=1e-3)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_scores_of_genuine_utterances(name, shared, tmp_path, capsys):
    from utils import import_weights
    import_weights.main(["--weights", str(shared / "reference" / "aasist" / f"{name}.pth"),
                         "--architecture", PUBLISHED[name], "--output", str(tmp_path / "model.pt")])
    capsys.readouterr()
    rows = genuine(shared)
    assert infer(tmp_path / "model.pt", "--published_protocol", "--json", "--force_cpu",
                 "--input_file", *(row["path"] for row in rows)) == 0
    found = records(capsys)
    assert [record["file"] for record in found] == [row["path"] for row in rows]
    expected = [float(row[f"score_{name}"]) for row in rows]
    assert [record["score"] for record in found] == pytest.approx(expected, abs=1e-4)
    assert {record["verdict"] for record in found} == {None}


@pytest.mark.parametrize("content", [b"", b"no audio at all", None])
def test_a_file_that_cannot_be_read_ends_in_one_sentence_and_exit_1(model, tmp_path, content):
    path = tmp_path / "broken.wav"
    if content is not None:
        path.write_bytes(content)
    code, out, err = ended("--model", model, "--input_file", path)
    assert code == 1 and len(out.splitlines()) == 2
    assert "broken.wav" in out and "cannot judge" in out
    assert "Traceback" not in out + err


def test_failed_files_are_rows_with_the_reason_among_the_others(model, speech, tmp_path, capsys):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    assert infer(model, "--input_file", speech / "a", tmp_path / "bad.wav", "--json") == 1
    good, bad = records(capsys)
    assert good["error"] is None and "bad.wav" in bad["error"]
    assert bad["score"] is None and bad["verdict"] == "cannot judge"


@pytest.mark.parametrize("arguments", [
    [], ["--input_file"], ["--input_file", "x", "--output", "r.xls"],
    ["--input_file", "x", "--threads", "0"],
    ["--input_file", "x", "--published_protocol", "--explain"],
    ["--input_file", "x", "--device", "abacus"]])
def test_wrong_usage_ends_with_exit_2(arguments):
    with pytest.raises(SystemExit) as stop:
        script.main(arguments)
    assert stop.value.code == 2


def test_without_a_model_it_says_how_to_get_one(speech, tmp_path, monkeypatch):
    monkeypatch.setattr("utils.detector.detector.CHECKPOINT_DIR", tmp_path)
    monkeypatch.setattr("utils.detector.engines.PRETRAINED", tmp_path / "no box")
    with pytest.raises(InputError, match=r"run\.sh.*aasist_training\.py.*--model"):
        script.main(["--input_file", str(speech)])


def test_before_any_training_the_pretrained_model_answers_and_is_named(speech, tmp_path,
                                                                       monkeypatch, capsys):
    monkeypatch.setattr("utils.detector.detector.CHECKPOINT_DIR", tmp_path)
    assert script.main(["--input_file", str(next(speech.rglob("*.wav"))), "--force_cpu"]) == 0
    said, err = capsys.readouterr()
    assert "pretrained/detector.onnx: hybrid trained on openly licensed speech" in said
    assert "threshold" in said and "not used" not in err


def test_a_newer_training_run_without_a_threshold_is_named(speech, tmp_path, monkeypatch, capsys):
    for module in ("utils.detector.detector", "utils.simplified_inference"):
        monkeypatch.setattr(f"{module}.CHECKPOINT_DIR", tmp_path)
    run = tmp_path / "mine" / "best.onnx"
    run.parent.mkdir()
    write_small_model(run.parent, decision=None)
    assert script.main(["--input_file", str(next(speech.rglob("*.wav"))), "--force_cpu"]) == 0
    said, err = capsys.readouterr()
    assert "pretrained/detector.onnx" in said
    assert f"not used: {run}, the newest training run, has no threshold" in err


def test_a_list_names_files_from_here_or_from_its_own_folder(model, speech, capsys):
    lines = "\ufeffa/x.wav\r\n\r\n# a remark\r\nb/y.flac\r\na/x.wav\r\n"
    (speech / "list.txt").write_bytes(lines.encode())
    assert infer(model, "--input_file", speech / "list.txt", "--json") == 0
    assert [Path(record["file"]).name for record in records(capsys)] == ["x.wav", "y.flac"]
    (speech / "list.txt").unlink()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(),
                                  lambda path: path.write_text("\n# nothing\n")])
def test_an_empty_folder_or_list_is_an_error(model, tmp_path, make):
    make(tmp_path / "input.txt")
    with pytest.raises(InputError, match="input.txt"):
        infer(model, "--input_file", tmp_path / "input.txt")


@pytest.mark.parametrize("text", ["a remark, no path\n", "word " * 2000 + "\nmore\n"])
def test_a_text_that_lists_nothing_there_is_told_as_one(model, tmp_path, text):
    (tmp_path / "notes.txt").write_text(text)
    said = "read as a list of recordings, one path per line, but .* existing file"
    with pytest.raises(InputError, match=said):
        infer(model, "--input_file", tmp_path / "notes.txt")


def test_a_recording_may_be_called_txt(model, speech, tmp_path, capsys):
    shutil.copy(speech / "b" / "y.flac", tmp_path / "y.txt")
    assert infer(model, "--input_file", tmp_path / "y.txt", "--json") == 0
    assert records(capsys)[0]["score"] is not None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_name_that_is_no_text_is_told_safely(model, speech, tmp_path, capsys):
    path = os.fsencode(tmp_path) + b"/\xff\n.wav"
    shutil.copy(speech / "a" / "x.wav", path)
    output = tmp_path / "r.csv"
    assert infer(model, "--input_file", os.fsdecode(path), "--json", "--output", output) == 0
    assert records(capsys)[0]["file"].endswith("/\\udcff\\n.wav")


def test_output_is_csv_json_or_json_lines(model, speech, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    for suffix in ("csv", "json", "jsonl"):
        assert infer(model, "--input_file", speech, tmp_path / "bad.wav", "--output",
                     tmp_path / "new" / f"r.{suffix}") == 1
    with open(tmp_path / "new" / "r.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    whole = json.loads((tmp_path / "new" / "r.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "new" / "r.jsonl").read_text().splitlines()]
    assert whole == lines and len(rows) == 4
    assert [row["file"] for row in rows] == [record["file"] for record in whole]
    assert list(rows[0])[:4] == ["file", "score", "verdict", "error"]
    assert all(str(whole[k][name] or "") == row[name]
               for k, row in enumerate(rows) for name in MADE_BY)
    assert rows[3]["score"] == "" and "bad.wav" in rows[3]["error"]
    assert float(rows[0]["score"]) == whole[0]["score"]
    written = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert written == ["r.csv", "r.json", "r.jsonl"]


def test_pictures_of_the_same_name_do_not_collide(model, speech, tmp_path, capsys):
    assert infer(model, "--input_file", speech, "--picture", tmp_path / "pictures", "--json") == 0
    folder = tmp_path / "pictures"
    drawn = [path.relative_to(folder).as_posix() for path in folder.rglob("*.png")]
    assert sorted(drawn) == ["a/x.wav.png", "b/x.wav.png", "b/y.flac.png"]
    assert all(Path(record["picture"]).read_bytes().startswith(b"\x89PNG")
               for record in records(capsys))


def test_one_picture_takes_one_recording(model, speech, tmp_path, capsys):
    assert infer(model, "--input_file", speech / "a", "--picture", tmp_path / "x.svg") == 0
    assert f"  picture    {tmp_path / 'x.svg'}\n" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "x.svg").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="folder"):
        infer(model, "--input_file", speech, "--picture", tmp_path / "x.png")


def test_a_picture_names_the_channel_that_it_is_of(model, tmp_path, capsys):
    talkers = [crops(key, 1)[0] for key in ("bonafide", "spoof")]
    length = min(map(len, talkers))
    stereo = np.stack([wave[:length] for wave in talkers], axis=1)
    soundfile.write(tmp_path / "call.wav", stereo, 16000)
    assert infer(model, "--input_file", tmp_path / "call.wav", "--json",
                 "--picture", tmp_path / "call.svg") == 0
    voice = records(capsys)[0]["voice"]
    assert voice in ("left channel", "right channel")
    assert f"call.wav ({voice}): " in (tmp_path / "call.svg").read_text(encoding="utf-8")


def test_an_explanation_names_times_and_frequencies_and_what_it_does_not_prove(model, speech,
                                                                               tmp_path, capsys):
    assert infer(model, "--input_file", speech / "a", "--explain", "--picture", tmp_path / "x.png",
                 "--json") == 0
    record = records(capsys)[0]
    told = record["explanation"]
    assert told["times"][0]["start"] == told["start"]
    assert told["times"][-1]["end"] == told["end"] <= record["seconds"]
    assert told["bands"][0]["low_hz"] == 0 and told["bands"][-1]["high_hz"] == 8000
    assert all(max(abs(part["moved"]) for part in told[kind]) > 1e-4 for kind in ("times", "bands"))
    assert infer(model, "--input_file", speech / "a", "--explain") == 0
    assert "does not prove" in capsys.readouterr().out


def test_what_cannot_be_judged_leads_with_the_reason_and_has_no_score(model, tmp_path, capsys):
    soundfile.write(tmp_path / "silence.wav", np.zeros(160000, np.int16), 16000)
    assert infer(model, "--input_file", tmp_path / "silence.wav", "--json") == 0
    record = records(capsys)[0]
    assert record["verdict"] == "cannot judge" and record["error"] is None
    assert "silent" in record["reasons"][0]
    assert record["score"] is None and record["stretches"] == [] and record["windows"]
    assert infer(model, "--input_file", tmp_path / "silence.wav", "--picture",
                 tmp_path / "p.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("silence.wav: cannot judge")
    assert lines[1].startswith("  reason     silent")
    assert not any(line.startswith(("  score", "  threshold", "  timeline")) for line in lines)


def test_a_model_that_cannot_judge_says_so_before_its_score(speech, tmp_path, capsys):
    bare = write_small_model(tmp_path, calibration=None, decision=None)
    assert infer(bare, "--input_file", speech / "a") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "cannot judge" in lines[0]
    assert lines[1].startswith("  reason") and lines[2].startswith("  score")


@pytest.mark.filterwarnings("error")
def test_a_picture_of_a_name_that_its_font_lacks_is_drawn_without_a_word(model, speech, tmp_path,
                                                                         capsys):
    shutil.copy(speech / "a" / "x.wav", tmp_path / "录音 запись.wav")
    assert infer(model, "--input_file", tmp_path / "录音 запись.wav", "--picture",
                 tmp_path / "p.png") == 0
    assert capsys.readouterr().err == "" and (tmp_path / "p.png").stat().st_size > 10_000
    from utils.common.drawing import drawable
    assert drawable("录a ж$") == r"\u5f55a ж\$"


def test_costs_move_the_threshold(model, speech, capsys):
    assert infer(model, "--input_file", speech / "a", "--json", "--prior", "0.5",
                 "--cost_fa", "1") == 0
    record = records(capsys)[0]
    assert record["threshold"] == 0.0 and "P(spoof) = 0.5" in record["threshold_origin"]


def test_an_exported_model_needs_neither_torch_nor_scipy_nor_matplotlib(model, speech):
    code = ("import sys; from utils import simplified_inference as script; "
            "code = script.main(sys.argv[1:]); "
            "heavy = ('torch', 'scipy', 'matplotlib', 'sklearn'); "
            "print(code, [name for name in heavy if name in sys.modules])")
    arguments = ["--model", str(model), "--input_file", str(speech / "b" / "y.flac"), "--json"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def test_help_imports_nothing_heavy():
    code = ("import sys; from utils import simplified_inference as script\n"
            "try: script.main(['--help'])\nexcept SystemExit: pass\n"
            "heavy = ('numpy', 'torch', 'onnxruntime', 'soundfile')\n"
            "print([name for name in heavy if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


# The same command resumes a stopped run; the outcome equals that of a run that never stopped.

@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    for k, samples in enumerate(crops("bonafide", 60) * 4):     # seconds, also on a busy machine
        soundfile.write(folder / f"{k:03}.wav", samples, 16000)
    (folder / "030.wav").write_bytes(b"RIFF")
    return folder


def stopped(model, folder, output, stop):
    """Start a run and stop it by signal once some records are kept; its exit code and stderr."""
    process = started("--model", model, "--threads", "1", "--input_file", folder,
                      "--output", output)
    journal = output.with_name(output.name + ".partial")
    while process.poll() is None and not (journal.exists()
                                          and journal.read_bytes().count(b"\n") > 3):
        time.sleep(0.01)
    process.send_signal(stop)
    err = process.communicate(timeout=60)[1]
    return process.returncode, err


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_killed_run_is_taken_up_and_gives_the_same_bytes(model, many, tmp_path, suffix, capsys):
    output, whole = tmp_path / f"killed.{suffix}", tmp_path / f"whole.{suffix}"
    assert infer(model, "--input_file", many, "--output", whole) == 1
    assert stopped(model, many, output, signal.SIGKILL)[0] == -signal.SIGKILL
    assert not output.exists()
    with open(tmp_path / f"killed.{suffix}.partial", "ab") as journal:
        journal.write(b'{"path": "torn')
    capsys.readouterr()
    assert infer(model, "--input_file", many, "--output", output) == 1
    assert "from the stopped run before" in capsys.readouterr().out
    assert output.read_bytes() == whole.read_bytes()
    assert not (tmp_path / f"killed.{suffix}.partial").exists()


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_an_interrupted_run_writes_what_it_has(model, many, tmp_path):
    code, err = stopped(model, many, tmp_path / "r.json", signal.SIGINT)
    rows = json.loads((tmp_path / "r.json").read_text())
    assert code == 130 and "Traceback" not in err and 3 <= len(rows) < 240


def read_so_far(process, path) -> int:
    """How many bytes of `path` a running process has read (Linux)."""
    for entry in Path(f"/proc/{process.pid}/fd").glob("*"):
        if os.path.realpath(entry) == str(path):
            return int(Path(f"/proc/{process.pid}/fdinfo/{entry.name}").read_text().split()[1])
    return 0


@pytest.mark.skipif(sys.platform != "linux", reason="how far a process has read is asked of /proc")
def test_ten_hours_interrupted_after_some_minutes_keep_what_was_heard(model, tmp_path):
    """Speech, then silence (a hole in the file): what was scored before Ctrl-C is written."""
    path, output, whole = tmp_path.resolve() / "long.wav", tmp_path / "r.jsonl", 36_000 * 32_000
    soundfile.write(path, np.concatenate(crops("bonafide", 8)), 16000)
    header = bytearray(path.read_bytes()[:44])
    header[4:8], header[40:44] = (36 + whole).to_bytes(4, "little"), whole.to_bytes(4, "little")
    with open(path, "r+b") as file:
        file.write(header)
        file.truncate(44 + whole)
    process = started("--model", model, "--threads", "1", "--input_file", path, "--output", output)
    while process.poll() is None and read_so_far(process, path) < 4_000_000:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    record, = map(json.loads, output.read_text().splitlines())
    heard = record["seconds"]
    assert process.returncode == 130 and "Traceback" not in err and 60 < heard < 36_000
    assert record["score"] is None and record["verdict"] == "cannot judge"
    assert "interrupted after" in record["error"]
    assert record["windows"][-1]["end"] <= heard and record["stretches"] and "timeline" in out


def test_a_journal_of_other_settings_or_of_a_changed_file_is_not_resumed(speech, tmp_path, capsys):
    path, record = str(speech / "a" / "x.wav"), {"error": None}
    journal = Journal(tmp_path / "r.csv", {"model": 1}, ["x"])
    journal.add(path, record)
    journal.file.close()
    same = Journal(tmp_path / "r.csv", {"model": 1}, ["x"])
    assert same.find(path) == record
    with pytest.raises(InputError, match="another run"):
        Journal(tmp_path / "r.csv", {"model": 1}, ["x"])
    os.utime(path, (1, 1))
    assert same.find(path) is None
    same.file.close()
    assert capsys.readouterr().err == ""
    other = Journal(tmp_path / "r.csv", {"model": 2}, ["x"])
    assert other.places == {} and "every recording is judged anew" in capsys.readouterr().err
    other.file.close()


def test_what_another_version_or_model_began_is_not_resumed(model, tmp_path):
    detector = Detector.load(model, threads=1)
    for name in ("version", "model_sha256"):
        journal = Journal(tmp_path / f"{name}.csv", detector.settings, ["x"])
        journal.add("x", {"error": None})
        journal.file.close()
        detector.provenance[name] = "another"
        journal = Journal(tmp_path / f"{name}.csv", detector.settings, ["x"])
        assert journal.places == {}
        journal.file.close()
