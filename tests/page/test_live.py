"""The verdict that follows: at its end that of a file, in between one of what was said so far."""
import asyncio
import io
import threading
import time

import numpy as np
import pytest
import soundfile
from fastapi import WebSocket

from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import write_small_model
from utils.detector import Detector
from utils.page import microphone
from utils.page.live import Abandoned, Backlog, LiveRecording
from utils.page.model import LiveEngine, SharedModel

SCORED = ("score", "verdict", "reasons", "stretches", "windows", "seconds", "speech_seconds",
          "level_dbfs", "bandwidth_hz", "voices")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector.load(write_small_model(tmp_path_factory.mktemp("model")), "cpu", 1)


@pytest.fixture(scope="module")
def pretrained():
    return Detector.load("models/pretrained/detector.onnx", "cpu", 1)


def live(detector, samples, rate=16000, piece=1600):
    """The last record, and the updates before it."""
    updates = []
    shared = Detector(LiveEngine(SharedModel(detector.engine)), detector.decision,
                      provenance=detector.provenance)
    recording = LiveRecording(shared, rate, updates.append)
    record = recording.judge(samples[at:at + piece] for at in range(0, len(samples), piece))
    return record, updates


def in_file(detector, samples, rate=16000):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return detector.judge(file.getvalue())


@pytest.mark.parametrize("piece", [333, 4096, 10**9])
def test_the_last_verdict_is_that_of_the_same_samples_in_a_file(detector, piece):
    samples = np.concatenate(crops("bonafide", 3))
    record, _ = live(detector, samples, piece=piece)
    expected = in_file(detector, samples)
    for name in SCORED:
        assert record[name] == expected[name], name


def test_behind_the_front_stage_too(pretrained):
    samples = np.concatenate(crops("bonafide", 2))
    record, updates = live(pretrained, samples)
    expected = in_file(pretrained, samples)
    for name in SCORED:
        assert record[name] == expected[name], name
    assert updates[0]["seconds"] == 1 and updates[0]["score"] == in_file(
        pretrained, samples[:16000])["score"]       # an update is the verdict so far


def test_another_rate_makes_no_difference_to_a_file_of_that_rate(detector):
    samples = np.repeat(np.concatenate(crops("bonafide", 2)), 3)    # 48 kHz, with images
    record, _ = live(detector, samples, 48000, 4096)
    expected = in_file(detector, samples, 48000)
    assert record["score"] == pytest.approx(expected["score"], abs=1e-3)
    assert record["audio"]["sample_rate"] == 48000


def test_an_update_comes_about_every_second_and_is_the_verdict_so_far(detector):
    samples = np.concatenate(crops("bonafide", 3))
    _, updates = live(detector, samples)
    times = [update["seconds"] for update in updates]
    assert times[0] <= 1.2 and max(np.diff([0, *times])) <= 2.2
    assert len(updates) >= len(samples) / 16000 * 0.8 and sorted(times) == times


def test_the_first_second_of_speech_has_an_answer_within_the_next_one(pretrained):
    samples = np.concatenate([np.zeros(16000, np.int16), crops("spoof", 1)[0]])
    _, updates = live(pretrained, samples)
    first = next(update for update in updates if update["score"] is not None)
    assert first["seconds"] <= 1 + 2.5
    quiet = [update for update in updates if update["seconds"] <= 1]
    assert all(update["score"] is None for update in quiet)


@pytest.mark.parametrize("samples", [np.zeros(80000, np.int16), np.zeros(0, np.int16),
                                     np.zeros(10, np.int16)])
def test_silence_is_silence(pretrained, samples):
    record, updates = live(pretrained, samples)
    for found in (record, *updates):
        assert found["verdict"] == "cannot judge" and found["score"] is None


def test_windows_of_the_microphone_overtake_those_of_files(detector):
    shared = SharedModel(detector.engine)
    wave = np.zeros((150, 64600), np.float32)
    order = []
    many = [threading.Thread(target=lambda: (shared.logits(wave), order.append("file")))
            for _ in range(2)]
    for thread in many:
        thread.start()
    time.sleep(0.05)
    shared.logits(wave[:1], live=True)
    order.append("live")
    for thread in many:
        thread.join()
    assert order.index("live") < 2


def test_what_waits_is_counted_in_seconds_and_nobody_scores_what_is_abandoned():
    backlog = Backlog(8000)
    backlog.put(np.arange(20000, dtype=np.int16))
    assert backlog.seconds == 2.5
    waiting = iter(backlog)
    assert len(next(waiting)) == 8000 and backlog.seconds == 1.5
    backlog.abandon()
    with pytest.raises(Abandoned):
        next(waiting)


def test_all_that_waits_comes_out_until_the_end():
    backlog = Backlog(8000)
    samples = np.arange(20000, dtype=np.int16)
    backlog.put(samples)
    backlog.end()
    assert np.array_equal(np.concatenate(list(backlog)), samples)


def test_a_stream_without_a_sample_ends_by_the_clock(monkeypatch):
    monkeypatch.setattr(microphone, "LONGEST", 0.1)
    monkeypatch.setattr(microphone, "SPARE", 0.1)
    messages = [{"type": "websocket.connect"}]

    async def receive():
        await asyncio.sleep(0.01)
        return messages.pop() if messages else {"type": "websocket.receive", "bytes": b""}

    async def heard():
        socket = WebSocket({"type": "websocket"}, receive, None)
        await socket.receive()
        return [block async for block in microphone._spoken(socket, 16000)]

    blocks = asyncio.run(asyncio.wait_for(heard(), 10))
    assert blocks and not any(map(len, blocks))
