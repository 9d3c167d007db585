"""The one scoring path: the same utterance, the same score, however it arrives."""
import numpy as np
import pytest

from tests.helpers.audio.example_speech import EXAMPLES, crops
from tests.helpers.networks.scoring_models import (CALIBRATION, write_small_checkpoint,
                                                   write_small_model, write_store)
from utils.audio.decode import load_audio, open_audio
from utils.common.errors import InputError
from utils.detector.engines import load_engine
from utils.detector.scoring import (Recording, audio_profile, published_score, raw_scores,
                                    score_blocks, score_store, waveform)
from utils.signals.windows import tile


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return load_engine(write_small_model(tmp_path_factory.mktemp("model")), threads=1)


@pytest.fixture(scope="module")
def speech():
    """Two dozen recordings of 1.3 to 5 s, and a longer one."""
    return [*crops("bonafide", 12), *crops("spoof", 12), np.concatenate(crops("bonafide", 6))]


def in_blocks(samples, size):
    return (samples[i:i + size] for i in range(0, len(samples), size))


def test_a_store_gives_the_scores_that_blocks_give(engine, speech, tmp_path):
    store = write_store(tmp_path / "eval", speech)
    scores = score_store(engine, store, batch_size=5, progress=False)
    assert scores.dtype == np.float64
    alone = [score_blocks(engine, [samples]).score for samples in speech]
    assert np.abs(scores - alone).max() <= 1e-5


def test_a_file_gives_the_score_that_its_samples_in_the_store_give(engine, tmp_path):
    path = EXAMPLES / "real_ljspeech_en.flac"
    with open_audio(path) as stream:
        from_file = score_blocks(engine, stream).score
    store = write_store(tmp_path / "eval", [load_audio(path)])
    assert abs(score_store(engine, store, progress=False)[0] - from_file) <= 1e-5


@pytest.mark.parametrize("block, batch", [(1000, 1), (64600, 3), (777777, 8)])
def test_neither_block_nor_batch_size_changes_a_score(engine, speech, block, batch):
    whole = score_blocks(engine, [speech[-1]])
    parts = score_blocks(engine, in_blocks(speech[-1], block), batch)
    assert len(whole.windows) > 3 and whole.score == pytest.approx(parts.score, abs=1e-5)
    assert ([(w.start, w.end, w.speech) for w in whole.windows]
            == [(w.start, w.end, w.speech) for w in parts.windows])


def test_batch_size_does_not_change_the_scores_of_a_store(engine, speech, tmp_path):
    store = write_store(tmp_path / "eval", speech[:8])
    one, many = (score_store(engine, store, batch_size, progress=False) for batch_size in (1, 16))
    assert np.abs(one - many).max() <= 1e-5


def test_the_reported_score_is_the_calibrated_difference_of_logits(engine, speech):
    samples = speech[0][:30000]
    raw = raw_scores(engine, waveform(tile(samples, 64600))[None])[0]
    expected = CALIBRATION["scale"] * raw + CALIBRATION["offset"]
    assert score_blocks(engine, [samples]).score == pytest.approx(expected, abs=1e-9)


def test_without_calibration_the_raw_score_is_reported(speech, tmp_path):
    engine = load_engine(write_small_checkpoint(tmp_path, calibration=None), threads=1)
    samples = speech[0][:64600]
    raw = raw_scores(engine, waveform(tile(samples, 64600))[None])[0]
    assert score_blocks(engine, [samples]).score == pytest.approx(raw, abs=1e-9)


def test_the_file_score_is_the_mean_over_speech_windows_only(engine, speech):
    scored = score_blocks(engine, [np.concatenate([speech[-1], np.zeros(16000 * 20, np.int16)])])
    marks = [window.speech for window in scored.windows]
    assert any(marks) and not all(marks)
    of_speech = [window.score for window in scored.windows if window.speech]
    assert scored.score == pytest.approx(np.mean(of_speech))


def test_where_no_window_is_speech_the_score_is_the_mean_over_all(engine):
    scored = score_blocks(engine, [np.zeros(200000, np.int16)])
    assert not any(window.speech for window in scored.windows)
    assert scored.score == pytest.approx(np.mean([window.score for window in scored.windows]))
    assert scored.speech_seconds == 0


def test_an_empty_recording_has_no_score(engine):
    scored = score_blocks(engine, [])
    assert scored.score is None and scored.windows == [] and scored.seconds == 0


def test_an_interrupted_recording_keeps_the_windows_scored_so_far(engine, speech):
    def broken_off():
        yield speech[-1][:200000]
        raise KeyboardInterrupt

    recording = Recording(engine)
    with pytest.raises(KeyboardInterrupt):
        score_blocks(engine, broken_off(), recording=recording)
    starts = [window.start for window in recording.result().windows]
    assert starts == [0.0, 2.01875, 4.0375, 6.05625, 8.075]


def test_an_utterance_without_samples_in_the_store_is_named(engine, speech, tmp_path):
    with pytest.raises(InputError, match="U1"):
        store = write_store(tmp_path / "eval", [speech[0], speech[0][:0]])
        score_store(engine, store, progress=False)


def test_published_scores_do_not_depend_on_blocks_and_use_the_first_window_only(engine, speech):
    logit = engine.logits(waveform(tile(speech[-1], 64600))[None])[0, 1]
    assert published_score(engine, in_blocks(speech[-1], 4321)) == pytest.approx(logit, abs=1e-9)
    assert published_score(engine, []) is None


def test_the_profile_of_a_store_tells_bandwidth_and_level(speech, tmp_path):
    profile = audio_profile(write_store(tmp_path / "train", speech[:8]), utterances=5)
    assert profile["utterances"] == 5 and 7000 < profile["bandwidth_hz"][1] <= 8000
    assert -45 < profile["speech_level_dbfs"][0] <= profile["speech_level_dbfs"][2] < 0
