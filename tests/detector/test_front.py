"""The front stage: neither gain, nor an offset, nor hum below the voice moves a score."""
import numpy as np
import pytest

from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import write_small_checkpoint, write_small_model
from utils.common.errors import InputError
from utils.detector.engines import load_engine
from utils.detector.scoring import score_blocks
from utils.signals.front import (COVER_DB, FRONT, LEVEL_DBFS, TAPS, at_speech_level, front_stage,
                                 high_passed, speech_rms)

TIME = np.arange(100000) / 16000
DISTURBED = {"-20 dB": lambda x: x / 10, "offset": lambda x: x * 0.5 + 6500,
             "50 Hz": lambda x: x * 0.5 + 983 * np.sin(2 * np.pi * 50 * TIME[:len(x)]),
             "60 Hz": lambda x: x * 0.5 + 983 * np.sin(2 * np.pi * 60 * TIME[:len(x)]),
             "drift": lambda x: x * 0.5 + 1638 * np.sin(2 * np.pi * 4 * TIME[:len(x)])}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return load_engine(write_small_model(tmp_path_factory.mktemp("model"), front=FRONT), threads=1)


@pytest.fixture(scope="module")
def speech():
    return [*crops("bonafide", 4), *crops("spoof", 4)]


def test_the_filter_takes_hum_and_keeps_the_voice():
    response = 20 * np.log10(np.abs(np.fft.rfft(TAPS, 160000)) + 1e-12)     # every 0.1 Hz
    assert response[:601].max() < -55 and np.abs(response[1000:]).max() < 0.1
    assert np.allclose(TAPS, TAPS[::-1], atol=1e-15)                        # linear phase


@pytest.mark.parametrize("size", [1, 777, 16384, 50000])
def test_blocks_of_any_size_are_filtered_alike(speech, size):
    samples = speech[0][:40000]
    whole = np.concatenate(list(high_passed([samples])))
    parts = high_passed(samples[i:i + size] for i in range(0, len(samples), size))
    assert len(whole) == len(samples)
    assert np.abs(np.concatenate(list(parts)) - whole).max() < 1e-2         # of 32,768


@pytest.mark.parametrize("count", [1, 300, 1472, 16384, 17000])
def test_a_recording_keeps_its_length(speech, count):
    assert sum(map(len, high_passed([speech[0][:count]]))) == count
    assert list(high_passed([])) == []


def test_the_level_is_that_of_speech_and_silence_stays_low(speech):
    wave = speech[0][:32000].astype(np.float32) / 32768
    for heard in (wave, wave / 100, np.concatenate([wave, np.zeros(32000, np.float32)])):
        assert 20 * np.log10(speech_rms(at_speech_level(heard))) == pytest.approx(LEVEL_DBFS, abs=1)
    noise = np.random.default_rng(1).normal(0, 1e-5, 64600).astype(np.float32)
    assert 20 * np.log10(speech_rms(at_speech_level(noise))) < LEVEL_DBFS - 20
    silence = at_speech_level(np.zeros(64600, np.float32))
    assert 20 * np.log10(speech_rms(silence)) == pytest.approx(LEVEL_DBFS - COVER_DB, abs=0.2)


@pytest.mark.parametrize("name", DISTURBED)
def test_what_is_not_the_voice_moves_no_score(engine, speech, name):
    before = np.array([score_blocks(engine, [samples]).score for samples in speech])
    disturbed = [DISTURBED[name](samples).round().astype(np.int16) for samples in speech]
    after = np.array([score_blocks(engine, [samples]).score for samples in disturbed])
    assert np.abs(after - before).mean() < 0.1 * before.std()


def test_the_score_is_that_of_the_wave_which_training_would_make(engine, speech):
    samples = np.resize(speech[0], 64600)
    logits = engine.logits(front_stage(samples.astype(np.float32) / 32768)[None])[0]
    line = engine.metadata["calibration"]
    expected = line["scale"] * (logits[1] - logits[0]) + line["offset"]
    assert score_blocks(engine, [samples]).score == pytest.approx(expected, abs=1e-3)


def test_another_front_stage_is_refused(tmp_path):
    with pytest.raises(InputError, match="front stage 'louder'"):
        load_engine(write_small_checkpoint(tmp_path, front="louder"))
