"""The small pretrained model, which --fast takes."""
import csv
import json

import numpy as np
import pytest

from tests.helpers.networks.scoring_models import write_small_model
from utils import simplified_inference as script
from utils.audio.decode import load_audio
from utils.common.errors import InputError
from utils.common.files import ROOT
from utils.detector import Detector
from utils.detector.engines import PRETRAINED, STUDENT, load_engine
from utils.detector.scoring import score_blocks
from utils.metrics.metrics import eer
from utils.pack_detector import pack

CLIPS = sorted((ROOT / "data/examples").glob("*.flac"))


def test_fast_takes_the_student_from_the_command_line_and_from_python(capsys):
    assert script.main(["--input_file", str(CLIPS[0]), "--fast", "--json", "--threads", "1"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["model_file"] == "pretrained/student.onnx"
    again = Detector.load(fast=True, threads=1).judge(CLIPS[0])
    assert (again["score"], again["verdict"]) == (record["score"], record["verdict"])


def test_fast_and_a_model_name_two_models(capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(["--input_file", str(CLIPS[0]), "--fast", "--model", str(PRETRAINED)])
    assert stop.value.code == 2 and "--fast and --model name two models" in capsys.readouterr().err


def test_the_student_is_small_and_has_a_calibration_and_a_band_of_its_own():
    assert STUDENT.stat().st_size <= 1.5e6
    own, teacher = load_engine(STUDENT).metadata, load_engine(PRETRAINED).metadata
    assert own["calibration"] and own["decision"]["band"]
    assert own["calibration"] != teacher["calibration"]
    assert own["decision"]["band"] != teacher["decision"]["band"]
    assert own["front"] == teacher["front"]


def test_the_student_tells_real_speech_from_fakes_of_sources_that_it_never_heard(shared):
    """24 clips of each class, the last by name of the dev sources."""
    with open(shared / "audio/train-pool/trials.tsv", encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file, delimiter="\t"))
    rows = sorted((row for row in listed if row["split"] == "dev"),
                  key=lambda row: row["utterance"])
    engine = load_engine(STUDENT, threads=1)
    bonafide, spoof = (np.array([
        score_blocks(engine, [load_audio(shared / f"audio/train-pool/{row['utterance']}.flac")]
                     ).score
        for row in [row for row in rows if row["key"] == key][-24:]]) for key in
        ("bonafide", "spoof"))
    assert eer(bonafide, spoof)[0] < 0.34
    low, high = engine.metadata["decision"]["band"]
    assert (bonafide < low).sum() <= 2 and (spoof > high).sum() <= 4


def test_only_a_hybrid_or_a_shallow_model_is_packed(tmp_path):
    with pytest.raises(InputError, match="has architecture small: name a hybrid, or a shallow"):
        pack(write_small_model(tmp_path).with_suffix(".pt"), tmp_path / "box", "a test")
    assert not (tmp_path / "box").exists()
