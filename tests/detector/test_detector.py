"""The class behind the command line and Python: one record, however the recording is given."""
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import ROOT
from tests.helpers.networks.scoring_models import write_small_checkpoint, write_small_model
from utils import simplified_inference
from utils.audio.decode import load_audio
from utils.common.errors import InputError
from utils.detector import Detector
from utils.detector.detector import Interrupted
from utils.detector.model_files import can_judge

CODE_RAN = []


def leave_a_trace(number):
    CODE_RAN.append(number)


class Payload:
    """Unpickled without protection, it leaves a trace."""

    def __reduce__(self):
        return leave_a_trace, (1,)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clip(clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("speech") / "x.wav"
    soundfile.write(path, np.concatenate([load_audio(clip) for clip in clips["bonafide"][:4]]),
                    16000)
    return path


def test_the_record_is_the_one_that_the_command_line_prints(model, clip, capsys):
    record = Detector.load(model, threads=1).judge(str(clip))
    simplified_inference.main(["--model", str(model), "--threads", "1", "--json", "--input_file",
                               str(clip)])
    assert record == json.loads(capsys.readouterr().out)
    assert isinstance(record["score"], float) and record["file"] == str(clip)


def test_a_path_bytes_and_an_open_file_get_the_same_verdict(model, clip):
    detector = Detector.load(str(model), explain=True)
    with open(clip, "rb") as file:
        records = [detector.judge(source) for source in (clip, clip.read_bytes(), file)]
    assert [record.pop("file") for record in records] == [str(clip), "the given stream", str(clip)]
    assert records[0] == records[1] == records[2] and "explanation" in records[0]


@pytest.mark.parametrize("source", [b"", b"no audio at all", "nowhere.wav"])
def test_what_cannot_be_read_gives_a_record_with_the_reason(model, source):
    record = Detector.load(model).judge(source)
    assert record["error"] and record["verdict"] == "cannot judge" and record["score"] is None


def test_the_published_protocol_gives_bare_scores(model, clip):
    detector = Detector.load(model, published_protocol=True)
    record = detector.judge(clip)
    assert record["verdict"] is None and record["threshold"] is None
    assert record["score_kind"] == "bona fide logit" and record["score"] is not None
    assert detector.judge(b"")["verdict"] is None


def test_costs_move_the_threshold(model):
    assert Detector.load(model).decision.threshold == -0.64
    assert Detector.load(model, prior=0.5, cost_fa=1).decision.threshold == 0
    with pytest.raises(InputError, match="prior"):
        Detector.load(model, prior=2)


def test_what_was_scored_before_ctrl_c_is_kept(model, clip):
    def stop_late(blocks):
        yield from blocks
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stop:
        Detector.load(model, threads=1).judge(clip, stop_late)
    record = stop.value.record
    assert record["windows"] and record["stretches"] and record["score"] is None
    assert "interrupted after" in record["error"] and record["verdict"] == "cannot judge"


def test_a_tap_sees_every_block(model, clip):
    seen = []

    def tap(blocks):
        for block in blocks:
            seen.append(len(block))
            yield block

    record = Detector.load(model).judge(clip, tap)
    assert sum(seen) == round(record["seconds"] * 16000)


def test_without_a_path_the_newest_model_that_can_judge_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.detector.detector.CHECKPOINT_DIR", tmp_path)
    shipped = Detector.load()
    assert shipped.provenance["model_file"] == "pretrained/detector.onnx"
    (tmp_path / "bare").mkdir()
    write_small_checkpoint(tmp_path / "bare", decision=None)
    assert Detector.load().provenance == shipped.provenance
    (tmp_path / "able").mkdir()
    write_small_checkpoint(tmp_path / "able")
    assert Detector.load(device="cpu").provenance["model_file"] == "able/best.pt"


def test_importing_the_detector_imports_neither_torch_nor_onnxruntime():
    code = ("import sys; from utils.detector import Detector\n"
            "assert not {'torch', 'onnxruntime', 'scipy', 'matplotlib'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


# Whether a model file can judge is known without its library, and without running its code.

def test_both_kinds_of_model_files_say_whether_they_can_judge(model, tmp_path):
    assert can_judge(model) and can_judge(model.with_suffix(".pt"))
    bare = write_small_model(tmp_path, decision=None)
    assert not can_judge(bare) and not can_judge(bare.with_suffix(".pt"))


@pytest.mark.parametrize("name", ["best.pt", "best.onnx"])
@pytest.mark.parametrize("content", [b"", b'"decision": {', b"PK\x03\x04decisionq\x01}",
                                     bytes(1000), pickle.dumps({"decision": {"threshold": 0}})])
def test_other_files_cannot_judge(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert not can_judge(tmp_path / name) and not can_judge(tmp_path / "nowhere.pt")


def test_a_file_called_decision_in_a_description_is_no_decision(tmp_path):
    path = write_small_checkpoint(tmp_path, decision=None, args={"name": "decision", "next": {}},
                                  description='"decision": {}')
    assert not can_judge(path)


def test_code_in_a_checkpoint_does_not_run_when_it_is_asked(tmp_path):
    torch.save({"decision": {"threshold": 0.0}, "args": Payload()}, tmp_path / "best.pt")
    assert can_judge(tmp_path / "best.pt") and CODE_RAN == []


def test_entries_beyond_reason_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.detector.model_files.MAX_ENTRIES_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "best.pt", "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("archive/data.pkl", bytes(10_000))
    assert not can_judge(tmp_path / "best.pt")
