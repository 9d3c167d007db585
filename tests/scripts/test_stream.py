"""simplified_inference.py --input_file -: a recording from a pipe, heard while it comes."""
import json
import os
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.helpers.audio_encodings import by_soundfile
from tests.helpers.example_speech import crops
from tests.helpers.scoring_models import write_small_model
from utils.detector import Detector
from utils.signals.front import FRONT

SCRIPT = ROOT / "utils" / "simplified_inference.py"
UNKNOWN = (0, 0x7FFFF000, 0xFFFFFFFF)       # lengths that programs write when they do not know


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("model"), front=FRONT)


@pytest.fixture(scope="module")
def speech():
    return np.concatenate(crops("bonafide", 4))[:250_000]


@pytest.fixture(scope="module")
def wav(speech):
    return by_soundfile(speech, "WAV", "PCM_16", 16000, 1, as_it_is=True)


def hear_interrupts():
    """In the child: react to Ctrl-C even where a shell runs the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def started(model, *options, **pipes):
    return subprocess.Popen(
        [sys.executable, SCRIPT, "--model", model, "--threads", "1", "--input_file", "-", *options],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | pipes,
        preexec_fn=None if os.name == "nt" else hear_interrupts)


def heard(model, content, *options):
    """(exit code, lines of the output, what stderr says)."""
    process = started(model, *options)
    out, err = process.communicate(content, timeout=60)
    return process.returncode, out.decode().splitlines(), err.decode()


def test_a_line_for_each_window_then_the_verdict_of_the_whole(model, wav, tmp_path):
    (tmp_path / "x.wav").write_bytes(wav)
    record = Detector.load(model, threads=1).judge(tmp_path / "x.wav")
    code, lines, err = heard(model, wav, "--json", "--output", str(tmp_path / "out.jsonl"),
                             "--picture", str(tmp_path / "x.png"))
    *windows, last = map(json.loads, lines)
    assert code == 0 and err == ""
    for name in ("verdict", "score", "windows", "stretches", "seconds", "audio"):
        assert last[name] == record[name]
    assert [(window["start"], window["score"], window["speech"]) for window in windows] == [
        (window["start"], window["score"], window["speech"]) for window in record["windows"][:-1]]
    assert windows[-1]["score_so_far"] == pytest.approx(
        np.mean([window["score"] for window in windows if window["speech"]]))
    assert json.loads((tmp_path / "out.jsonl").read_text()) == last
    assert (tmp_path / "x.png").stat().st_size > 10_000


@pytest.mark.parametrize("length", UNKNOWN)
def test_a_wav_of_unknown_length_is_heard_to_its_end(model, wav, length):
    content = bytearray(wav)
    struct.pack_into("<I", content, 4, 0xFFFFFFFF)
    struct.pack_into("<I", content, 40, length)
    code, lines, err = heard(model, bytes(content))
    assert code == 0 and err == ""
    assert "so far" in lines[0] and lines[0].split()[:3] == ["0:00.0", "to", "0:04.0"]
    assert any(line.startswith("  recording  15.6 s") for line in lines)
