"""The speech-activity rule: real speech passes, what is plainly no speech does not."""
import numpy as np
import pytest
import soxr

from tests.helpers.audio.example_speech import EXAMPLES, crops
from tests.helpers.networks.scoring_models import genuine
from utils.audio.decode import load_audio
from utils.detector.speech_activity import Activity
from utils.signals.windows import cut


def activity(samples):
    found = Activity()
    for start, window in cut([samples], 64600):
        found.add(start, window)
    return found


def as_int16(wave):
    return np.clip(np.round(wave * 32768), -32768, 32767).astype(np.int16)


SECONDS = np.arange(10 * 16000) / 16000
NOISE = np.random.default_rng(0).standard_normal(len(SECONDS))
NO_SPEECH = {
    "digital silence": np.zeros(len(SECONDS)), "an offset": np.full(len(SECONDS), 0.1),
    "hiss": 0.1 * NOISE,
    "faint hiss": 1e-4 * NOISE,
    "rumble": np.convolve(NOISE, np.full(40, 0.02), "same"),
    "mains hum": 0.2 * np.sin(2 * np.pi * 50 * SECONDS),
    "dial tone": 0.2 * (np.sin(2 * np.pi * 350 * SECONDS) + np.sin(2 * np.pi * 440 * SECONDS)),
}


@pytest.mark.parametrize("kind", NO_SPEECH)
def test_what_is_plainly_no_speech_is_not_marked(kind):
    found = activity(as_int16(NO_SPEECH[kind]))
    assert not found.speech().any() and found.speech_seconds() == 0 and found.bandwidth_hz() is None


def test_every_genuine_ASVspoof_utterance_holds_speech(shared):
    assert all(activity(load_audio(row["path"])).speech().any() for row in genuine(shared))


@pytest.mark.parametrize("key", ["bonafide", "spoof"])
def test_every_example_and_every_crop_of_it_holds_speech(key):
    assert all(activity(samples).speech().any() for samples in crops(key, 50))


def test_pauses_do_not_count_as_speech():
    samples = load_audio(EXAMPLES / "real_librispeech_2412_en.flac")
    found = activity(samples)
    longer = activity(np.concatenate([samples, np.zeros(16000 * 30, np.int16), samples]))
    assert 0.4 * len(samples) / 16000 < found.speech_seconds() < len(samples) / 16000
    assert longer.speech_seconds() == pytest.approx(2 * found.speech_seconds(), rel=0.05)
    marks = longer.speech()
    assert marks[0] and marks[-1] and not marks[len(marks) // 2]


def test_the_rule_follows_the_loudness_of_the_recording():
    samples = load_audio(EXAMPLES / "real_librispeech_2412_en.flac")
    quiet = activity((samples // 16).astype(np.int16))
    assert quiet.speech().tolist() == activity(samples).speech().tolist()
    assert quiet.level == pytest.approx(activity(samples).level - 24, abs=1)


def test_a_voice_far_below_the_loudest_is_background():
    samples = load_audio(EXAMPLES / "real_librispeech_2412_en.flac")
    faint = np.concatenate([samples, np.zeros(64600, np.int16), (samples // 256).astype(np.int16)])
    marks = activity(faint).speech()
    assert marks[0] and not marks[-1]


@pytest.mark.parametrize("rate, below", [(8000, 4000), (12000, 6000)])
def test_bandwidth_is_that_of_the_original_recording(rate, below):
    samples = load_audio(EXAMPLES / "real_librispeech_2412_en.flac") / 32768
    narrow = as_int16(soxr.resample(soxr.resample(samples, 16000, rate), rate, 16000))
    assert below - 500 < activity(narrow).bandwidth_hz() <= below
    assert activity(as_int16(samples)).bandwidth_hz() > below


def test_a_recording_shorter_than_a_frame_is_taken():
    assert activity(np.ones(10, np.int16)).speech_seconds() == 0


def test_the_background_is_as_far_below_the_speech_as_the_noise_and_silence_does_not_count():
    clean = load_audio(EXAMPLES / "real_librispeech_2412_en.flac")
    level = activity(clean).level
    noisy = as_int16(clean / 32768 + 10 ** ((level - 15) / 20) * NOISE[:len(clean)])
    padded = np.concatenate([np.zeros(16000, np.int16), noisy, np.zeros(16000, np.int16)])
    assert activity(noisy).snr_db() == pytest.approx(15, abs=2)
    assert activity(padded).snr_db() == pytest.approx(15, abs=2)
    assert activity(clean).snr_db() > 28
    assert activity(as_int16(NO_SPEECH["hiss"])).snr_db() is None
