"""simplified_inference.py --input_file -: a recording from a pipe, heard while it comes."""
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.helpers.audio.audio_encodings import by_pyav, by_soundfile
from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import write_small_model
from utils import simplified_inference
from utils.common.errors import InputError
from utils.detector import Detector
from utils.signals.front import FRONT

SCRIPT = ROOT / "utils" / "simplified_inference.py"
UNKNOWN = (0, 0x7FFFF000, 0xFFFFFFFF)       # lengths that programs write when they do not know
LENGTH = 40                                 # where a WAV's length of sound stands


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("model"), front=FRONT)


@pytest.fixture(scope="module")
def speech():
    return np.concatenate(crops("bonafide", 4))[:250_000]


@pytest.fixture(scope="module")
def wav(speech):
    return by_soundfile(speech, "WAV", "PCM_16", 16000, 1, as_it_is=True)


@pytest.fixture
def heard(model, monkeypatch, capsys):
    """Pipes content into the script: (exit code, lines of its output)."""
    def run(content, *options):
        read, write = os.pipe()
        feeder = threading.Thread(target=feed, args=(write, content))
        feeder.start()
        with open(read) as pipe:
            monkeypatch.setattr(sys, "stdin", pipe)
            code = simplified_inference.main(["--model", str(model), "--threads", "1",
                                              "--input_file", "-", *options])
        feeder.join()
        return code, capsys.readouterr().out.splitlines()
    return run


def feed(descriptor, content):
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(content)


def line(lines, name):
    """The line of a verdict that begins with `name`."""
    return next(text for text in lines if text.strip().startswith(name))


def with_length(wav, length):
    content = bytearray(wav)
    struct.pack_into("<I", content, LENGTH, length)
    return bytes(content)


def test_a_line_for_each_window_then_the_verdict_of_the_whole(model, wav, heard, tmp_path):
    (tmp_path / "x.wav").write_bytes(wav)
    record = Detector.load(model, threads=1).judge(tmp_path / "x.wav")
    code, lines = heard(wav, "--json", "--output", str(tmp_path / "out.jsonl"),
                        "--picture", str(tmp_path / "x.png"))
    *windows, last = map(json.loads, lines)
    assert code == 0 and last["file"] == "standard input"
    for name in ("verdict", "score", "windows", "stretches", "seconds", "audio", "warnings"):
        assert last[name] == record[name]
    assert [(window["start"], window["score"], window["speech"]) for window in windows] == [
        (window["start"], window["score"], window["speech"]) for window in record["windows"][:-1]]
    assert windows[-1]["score_so_far"] == pytest.approx(
        np.mean([window["score"] for window in windows if window["speech"]]))
    assert json.loads((tmp_path / "out.jsonl").read_text()) == last
    assert (tmp_path / "x.png").stat().st_size > 10_000


@pytest.mark.parametrize("length", UNKNOWN)
def test_a_wav_of_unknown_length_is_heard_to_its_end(heard, wav, length):
    code, lines = heard(with_length(wav, length))
    assert code == 0
    assert lines[0].split()[:3] == ["0:00.0", "to", "0:04.0"] and "so far" in lines[0]
    assert line(lines, "recording").split()[1] == "15.6"


def test_raw_samples_get_the_score_of_their_wav(heard, wav, speech):
    *_, of_wav = heard(wav, "--json")[1]
    *_, of_raw = heard(speech.tobytes(), "--json", "--raw", "16000")[1]
    assert json.loads(of_raw)["score"] == json.loads(of_wav)["score"]
    other = json.loads(heard(speech.tobytes(), "--json", "--raw", "32000")[1][-1])
    assert other["seconds"] == pytest.approx(7.8, abs=0.1)
    assert other["audio"]["sample_rate"] == 32000


@pytest.mark.parametrize("container, encoder, rate", [
    ("webm", "libopus", 48000), ("mpegts", "aac", 44100), ("mp3", "libmp3lame", 16000),
    ("ogg", "flac", 16000), ("matroska", "flac", 16000), ("adts", "aac", 44100)])
def test_whatever_libav_can_stream_is_heard(heard, speech, container, encoder, rate):
    code, lines = heard(by_pyav(speech / 32768, container, encoder, rate, 1))
    assert code == 0 and line(lines, "recording").split()[1] in ("15.6", "15.7")


@pytest.mark.parametrize("content, sentence", [
    (b"", "standard input is empty: the program before the pipe wrote nothing"),
    (b"hello\n", "is not audio: it is text"), (b"\0" * 100_000, "say --raw and their rate"),
    (by_pyav(crops("spoof", 1)[0] / 32768, "ipod", "aac", 44100, 1), "must be named as a file")])
def test_what_cannot_be_heard_ends_in_one_sentence(heard, content, sentence):
    code, lines = heard(content)
    assert code == 1 and lines[0] == "standard input: cannot judge"
    assert sentence in lines[1] and len(lines) == 2


def test_a_pipe_that_breaks_off_or_goes_on_is_told(heard, wav):
    code, lines = heard(wav[:300_000])
    assert code == 0 and "9.4 of 15.6 s could be decoded" in line(lines, "heard")
    code, lines = heard(with_length(wav, 160_000))
    assert code == 0 and "340,000 bytes follow behind the end" in line(lines, "heard")
    assert line(lines, "recording").split()[1] == "5.0"


def test_channels_of_a_pipe_are_judged_as_those_of_a_file(heard, model, speech, tmp_path):
    """The same sound: their mean; two talkers: each; opposite phase: one alone."""
    other = np.roll(speech[::-1], 40_000)
    for left, right, told in ((speech, speech, ""), (speech, other, "each is judged"),
                              (speech, -speech, "left channel alone is judged")):
        stereo = by_soundfile(np.stack([left, right], axis=1), "WAV", "PCM_16", 16000, 2,
                              as_it_is=True)
        code, lines = heard(stereo, "--json")
        (tmp_path / "stereo.wav").write_bytes(stereo)
        of_pipe = json.loads(lines[-1])
        of_file = Detector.load(model, "cpu", 1).judge(tmp_path / "stereo.wav")
        assert code == 0 and told in " ".join(of_pipe["notes"])
        assert of_pipe["voice"] == of_file["voice"]
        assert of_pipe["notes"] == of_file["notes"]
        assert of_pipe["score"] == pytest.approx(of_file["score"], abs=1e-4)


@pytest.mark.parametrize("options", [
    ["--explain"], ["--published_protocol"], ["--raw", "100"], ["--input_file", "x.wav"]])
def test_options_that_do_not_fit_are_refused(heard, options, capsys):
    with pytest.raises(SystemExit) as stop:
        heard(b"", *options)
    assert stop.value.code == 2


def test_raw_needs_a_pipe(capsys):
    with pytest.raises(SystemExit) as stop:
        simplified_inference.main(["--raw", "16000", "--input_file", "x.wav"])
    assert stop.value.code == 2 and "--raw needs --input_file -" in capsys.readouterr().err


def hear_interrupts():
    """In the child: react to Ctrl-C even where a shell runs the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def started(model, *options):
    return subprocess.Popen(
        [sys.executable, SCRIPT, "--model", model, "--threads", "1", "--input_file", "-", *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=None if os.name == "nt" else hear_interrupts)


@pytest.mark.skipif(os.name == "nt", reason="no signals to one process")
def test_lines_come_while_the_recording_runs_and_ctrl_c_ends_it(model, wav):
    process = started(model)
    process.stdin.write(with_length(wav, 0xFFFFFFFF)[:200_000])
    process.stdin.flush()
    assert process.stdout.readline().split()[:3] == [b"0:00.0", b"to", b"0:04.0"]
    process.send_signal(signal.SIGINT)
    lines = process.stdout.read().decode().splitlines()
    assert process.wait(timeout=60) == 130 and process.stderr.read() == b""
    assert "stopped by Ctrl-C after" in line(lines, "heard")
    assert any(text.startswith("standard input: ") for text in lines) and line(lines, "score")
    process.stdin.close()
    process.stdout.close()
    process.stderr.close()


def test_a_reader_that_leaves_ends_it_with_one_sentence(model, wav):
    process = started(model)
    feeder = threading.Thread(target=feed, args=(os.dup(process.stdin.fileno()), wav * 50))
    feeder.start()
    process.stdout.readline()
    process.stdout.close()
    process.stdin.close()
    assert process.wait(timeout=60) == 1
    feeder.join()
    error = process.stderr.read().decode()
    process.stderr.close()
    assert error.startswith("error: the program that reads this output has ended")
    assert error.count("\n") == 1


def test_without_a_pipe_it_says_how_to_make_one(model, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="ffmpeg -i RECORDING -f wav - |"):
        simplified_inference.main(["--model", str(model), "--input_file", "-"])
