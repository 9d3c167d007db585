"""The decoders' processes: one that a file breaks ends alone, and the next file is judged."""
import os
import signal
import time

import numpy as np
import pytest
import soundfile

from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import write_small_model
from utils.detector import Detector
from utils.page.decoders import Decoders, Job
from utils.page.model import SharedModel

SIGNALS = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector.load(write_small_model(tmp_path_factory.mktemp("model")), "cpu", 1)


@pytest.fixture(scope="module")
def decoders(detector):
    made = Decoders(detector, SharedModel(detector.engine), longest=3600, patience=20)
    yield made
    made.close()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip"
    soundfile.write(path, crops("bonafide", 1)[0], 16000, format="FLAC")
    return path


@pytest.fixture
def long(tmp_path):
    """Forty minutes of speech."""
    path = tmp_path / "long"
    wave = np.concatenate(crops("bonafide", 6))
    with soundfile.SoundFile(path, "w", 16000, 1, "PCM_16", format="WAV") as file:
        for _ in range(40 * 60 * 16000 // len(wave)):
            file.write(wave)
    return path


def begun(job):
    """The decoder that is at work on a job."""
    end = time.monotonic() + 60
    while not job.seconds:
        assert time.monotonic() < end
        time.sleep(0.02)


def started(decoders, path):
    """A job that is being judged, what will become of it, and the decoder at work."""
    job = Job(str(path), "mine.wav")
    future = decoders.submit(job)
    begun(job)
    return job, future


def test_a_verdict_is_that_of_the_detector_and_the_upload_is_deleted(decoders, detector, clip):
    expected = detector.judge(clip.read_bytes())
    record, sketch = decoders.submit(Job(str(clip), "mine.flac")).result(60)
    assert record == expected | {"file": "mine.flac"}
    assert sketch["seconds"] == pytest.approx(record["seconds"], abs=1e-3)
    assert not clip.exists()


@SIGNALS
def test_a_decoder_that_crashes_takes_only_its_file_with_it(decoders, long, clip):
    job, future = started(decoders, long)
    for decoder in decoders.all:
        decoder.process.kill()
    record, sketch = future.result(60)
    assert record["error"] == "mine.wav cannot be decoded: its decoder crashed on it"
    assert record["verdict"] == "cannot judge" and sketch is None and not long.exists()
    assert decoders.submit(Job(str(clip), "next")).result(60)[0]["error"] is None


@SIGNALS
def test_a_decoder_that_hangs_is_ended_and_replaced(decoders, long, clip):
    hung = decoders.submit(Job(str(long), "mine.wav"))
    at_work = _at_work(decoders)
    at_work.patience = 0.5
    os.kill(at_work.process.pid, signal.SIGSTOP)
    record, _ = hung.result(60)
    at_work.patience = 20
    assert record["error"] == "mine.wav cannot be decoded: its decoder gave no answer for 0.5 s"
    clips = [clip, clip.with_name("other")]
    clips[1].write_bytes(clip.read_bytes())
    for future in [decoders.submit(Job(str(path), "next")) for path in clips]:
        assert future.result(60)[0]["error"] is None


def _at_work(decoders):
    """The decoder that is at work: it has got its file."""
    end = time.monotonic() + 60
    while True:
        idle = decoders._idle.qsize()
        assert time.monotonic() < end
        if idle < len(decoders.all):
            waiting = [decoders._idle.get() for _ in range(idle)]
            for decoder in waiting:
                decoders._idle.put(decoder)
            return next(decoder for decoder in decoders.all if decoder not in waiting)
        time.sleep(0.01)


def test_a_long_one_that_is_cancelled_stops_at_once(decoders, long, clip):
    job, future = started(decoders, long)
    processes = [decoder.process.pid for decoder in decoders.all]
    job.stop.set()
    begin = time.monotonic()
    assert future.result(60) is None and time.monotonic() - begin < 5
    assert job.seconds < 2300 and not long.exists()
    assert [decoder.process.pid for decoder in decoders.all] == processes     # it obeyed
    assert decoders.submit(Job(str(clip), "next")).result(60)[0]["error"] is None


def test_one_that_is_cancelled_while_it_waits_is_never_heard(decoders, clip):
    job = Job(str(clip), "mine.flac")
    job.stop.set()
    assert decoders.submit(job).result(60) is None and not clip.exists()


def test_one_whose_file_is_gone_was_cancelled(decoders, clip, tmp_path):
    assert decoders.submit(Job(str(tmp_path / "gone"), "mine.flac")).result(60) is None
    assert decoders.submit(Job(str(clip), "next")).result(60)[0]["error"] is None
