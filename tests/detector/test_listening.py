"""A running recording: the verdict so far is that of a file so far, and the last that of all."""
import tracemalloc

import numpy as np
import pytest

from tests.helpers.audio.audio_encodings import by_soundfile
from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import write_small_model
from utils.detector import Detector
from utils.signals.front import FRONT

OF_THE_FILE = ("file", "audio", "warnings", "voices", "notes")      # not of the sound alone


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    model = write_small_model(tmp_path_factory.mktemp("model"), front=FRONT)
    return Detector.load(model, threads=1)


@pytest.fixture(scope="module")
def speech():
    """A talk of 25 s, every sample of which counts."""
    return np.concatenate([*crops("bonafide", 4), *crops("spoof", 4)])[:400_001]


def of_the_sound(record):
    return {name: value for name, value in record.items() if name not in OF_THE_FILE}


def of_a_file(detector, samples):
    return detector.judge(by_soundfile(samples, "WAV", "PCM_16", 16000, 1, as_it_is=True))


def fed(listener, samples, size):
    return [window for start in range(0, len(samples), size)
            for window in listener.feed(samples[start:start + size])]


@pytest.mark.parametrize("size", [799, 16000, 500_000])
def test_the_verdict_at_the_end_is_that_of_the_file_to_the_last_bit(detector, speech, size):
    listener = detector.listen()
    windows = fed(listener, speech, size)
    record = listener.verdict()
    assert of_the_sound(record) == of_the_sound(of_a_file(detector, speech))
    assert [(window.start, window.score) for window in windows] == [
        (window["start"], window["score"]) for window in record["windows"][:-1]]


def test_the_verdict_may_be_asked_for_while_the_recording_goes_on(detector, speech):
    listener = detector.listen()
    fed(listener, speech[:100_000], 1600)
    assert of_the_sound(listener.verdict()) == of_the_sound(of_a_file(detector, speech[:100_000]))
    fed(listener, speech[100_000:], 1600)
    assert of_the_sound(listener.verdict()) == of_the_sound(of_a_file(detector, speech))


def test_the_first_second_of_speech_has_a_verdict(detector, speech):
    listener = detector.listen()
    assert listener.feed(speech[:20_000]) == [] and listener.score is None
    record = listener.verdict()
    assert record["seconds"] == 1.25 and len(record["windows"]) == 1 and record["score"] is not None


def test_nothing_and_silence_cannot_be_judged(detector):
    listener = detector.listen("a broken microphone")
    assert listener.verdict()["reasons"] == ["the recording is empty"]
    assert not any(window.speech for window in listener.feed(np.zeros(100_000, np.int16)))
    record = listener.verdict()
    assert record["verdict"] == "cannot judge" and "silent" in record["reasons"][0]
    assert record["file"] == "a broken microphone" and listener.score is None


def test_bare_samples_are_measured(detector, speech):
    listener = detector.listen()
    fed(listener, np.clip(speech.astype(np.int32) * 20, -32768, 32767).astype(np.int16), 8000)
    record = listener.verdict()
    assert record["audio"]["peak"] == 1 and any("clipped" in text for text in record["warnings"])
    assert record["audio"]["sample_rate"] == 16000


def test_memory_does_not_grow_with_the_recording(detector):
    listener = detector.listen()
    second = np.zeros(16000, np.int16)
    held = []
    tracemalloc.start()
    for minutes in (1, 3):
        for _ in range(60 * minutes):
            listener.feed(second)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] - held[0] < 100_000      # below 2 MB an hour
