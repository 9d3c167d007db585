"""Outcomes, reasons and warnings; and the timeline that tells where in a recording they hold."""
import math

import numpy as np
import pytest

from utils.audio.info import AudioInfo
from utils.common.errors import InputError
from utils.detector.decision import (BONAFIDE, SPOOF, UNCERTAIN, Costs, Decision, decision_of,
                                     fit_on_dev)
from utils.report.evaluation import evaluation_decision
from utils.detector.scoring import RecordingScore, Window
from utils.detector.record import (LLR, NO_SPEECH, head, judged, segments, spoofed_parts,
                                   stretches)
from utils.signals.front import FRONT
from utils.detector.verdict import CANNOT_JUDGE, is_demo, judge, trained_on

LINE = Decision(0.0, (-1.0, 2.0))
METADATA = {"calibration": {"scale": 1.0, "offset": 0.0},
            "decision": {"threshold": -0.64, "band": [-1.5, 0.2], "origin": "dev"},
            "score_range": [-8.0, 8.0],
            "audio": {"bandwidth_hz": [7000.0, 7700.0, 8000.0],
                      "speech_level_dbfs": [-30.0, -22.0, -15.0]}}


def recording(score=3.0, speech=True, seconds=4.0, speech_seconds=3.0, level=-20.0, peak=-18.0,
              bandwidth=7700.0, snr=40.0):
    windows = [Window(0.0, seconds, score, speech)] if score is not None else []
    return RecordingScore(score, windows, seconds, speech_seconds, level, peak, bandwidth,
                          snr)


def source(**changed):
    return AudioInfo(**{"sample_rate": 16000, "channels": 1, "format": "FLAC", "subtype": "flac",
                        "lossless": True, "frames": 64000} | changed)


def verdict(scored=None, info=None, metadata=METADATA, line=LINE):
    return judge(scored or recording(), info or source(), metadata, line)


@pytest.mark.parametrize("entries, weak", [
    ({"history": [{"dev_eer": 0.4}, {"dev_eer": 0.24}]}, False),
    ({"history": [{"dev_eer": None}, {"dev_eer": 0.25}]}, True),
    ({"history": [{"dev_eer": 0.1}], "dev_eer": 0.3}, True),
    ({"history": [{"dev_eer": 0.1}], "dev_eer": 0.1, "calibrated_on": {"eer": 0.38}}, True),
    ({"history": [{"dev_eer": 0.3}], "dev_eer": None}, False), ({}, False)])
def test_a_model_that_errs_often_on_its_dev_set_is_said_to_be_weak(entries, weak):
    begun = head("x.wav", LLR, LINE, METADATA, {})
    for seconds, told in ((4.0, weak), (0.1, False)):       # too short: the score is left out
        record = judged(begun, recording(seconds=seconds), source(), METADATA | entries, LINE)
        assert any("the model is weak" in text for text in record["model_warnings"]) == told


@pytest.mark.parametrize("score, expected", [(2.1, BONAFIDE), (2.0, UNCERTAIN), (0.0, UNCERTAIN),
                                             (-1.0, UNCERTAIN), (-1.1, SPOOF)])
def test_the_band_of_uncertainty_belongs_to_neither_side(score, expected):
    found = verdict(recording(score))
    assert found.outcome == expected and bool(found.reasons) == (expected == UNCERTAIN)


WIDER = Decision(0.0, (-1.0, 2.0), bands={"noisy": (-4.0, 2.0), "narrow": (-1.0, 5.0)})


@pytest.mark.parametrize("scored, words", [
    (recording(-3.0, snr=12.0), "noisy: its background is 12 dB below it"),
    (recording(4.0, bandwidth=3844.0), "ends at 3,844 Hz, as on a telephone")])
def test_a_noisy_or_telephone_recording_needs_a_clearer_score_and_is_told_why(scored, words):
    assert verdict(scored).outcome != UNCERTAIN
    found = verdict(scored, line=WIDER)
    assert found.outcome == UNCERTAIN and words in found.reasons[1]
    clear = recording(9.0 * np.sign(scored.score), bandwidth=scored.bandwidth_hz, snr=scored.snr_db)
    assert verdict(clear, line=WIDER).outcome == (BONAFIDE if scored.score > 0 else SPOOF)


def test_a_band_for_the_telephone_replaces_the_warnings_about_it():
    scored, info = recording(bandwidth=3844.0), source(sample_rate=8000)
    assert len(verdict(scored, info).warnings) == 2
    assert verdict(scored, info, line=WIDER).warnings == []


def test_the_band_and_the_timeline_of_a_record_are_those_of_its_condition():
    found = judged(head("x", "llr", WIDER, METADATA, {}), recording(-3.0, snr=12.0), source(),
                   METADATA, WIDER)
    assert found["band"] == [-4.0, 2.0] and found["stretches"][0]["outcome"] == UNCERTAIN


@pytest.mark.parametrize("score", [9.0, 0.0, -9.0])
def test_without_a_band_every_verdict_is_uncertain_and_says_why(score):
    found = verdict(recording(score), line=Decision(0.0))
    assert found.outcome == UNCERTAIN and "dev utterances" in found.reasons[0]


@pytest.mark.parametrize("scored, word", [
    (recording(None, seconds=0.0, speech_seconds=0.0, level=-math.inf, peak=-math.inf), "empty"),
    (recording(speech=False, speech_seconds=0.0, level=-math.inf, peak=-81.0), "silent"),
    (recording(speech=False, speech_seconds=0.0, level=-math.inf), "not speech-like"),
    (recording(seconds=0.1, speech_seconds=0.1), "too short"),
    (recording(speech_seconds=0.2), "too short"),
])
def test_what_cannot_be_judged_is_not_judged_and_the_reason_is_told(scored, word):
    found = verdict(scored)
    assert found.outcome == CANNOT_JUDGE and word in found.reasons[0]


@pytest.mark.parametrize("score", [9.0, -9.0])
def test_less_than_one_and_a_half_seconds_of_speech_is_uncertain_whatever_its_score(score):
    found = verdict(recording(score, speech_seconds=1.49))
    assert found.outcome == UNCERTAIN and "at least 1.5 s" in found.reasons[0]
    expected = BONAFIDE if score > 0 else SPOOF
    assert verdict(recording(score, speech_seconds=1.5)).outcome == expected


def test_a_model_without_a_threshold_gives_no_verdict():
    found = verdict(line=None)
    assert found.outcome == CANNOT_JUDGE and "threshold" in found.reasons[0] and found.judgeable


def test_a_model_that_dev_showed_to_be_inverted_says_so_in_the_verdict():
    scores = np.repeat([1.0, 2.0, -1.0, -2.0], 30)
    learnt = fit_on_dev(scores, scores < 0)
    found = verdict(metadata=learnt, line=decision_of(learnt))
    assert found.outcome == CANNOT_JUDGE
    assert found.reasons[0].startswith("on dev, higher scores are not more bona fide")


def test_inference_and_evaluation_draw_the_same_line():
    costs = {"prior_spoof": 0.2, "cost_miss": 3.0, "cost_fa": 7.0}
    learnt = {**METADATA, "decision": {**METADATA["decision"], **costs}}
    for price in ((None, None, None), (0.5, None, None), (None, 2.0, None), (None, None, 1.0),
                  (0.2, 3.0, 7.0)):
        assert decision_of(learnt, *price) == evaluation_decision(learnt, *price)
    assert decision_of(learnt, 0.5).threshold == pytest.approx(-math.log(0.5 * 3 / (0.5 * 7)))


def test_an_ordinary_recording_gives_no_warning():
    assert verdict().warnings == []


@pytest.mark.parametrize("scored, info, word", [
    (recording(), source(sample_rate=8000), "8,000 Hz"),
    (recording(bandwidth=3900.0), None, "reaches 3,900 Hz"),
    (recording(), source(clipped_samples=1280.0), "2.0%"),
    (recording(), source(format="MPEG audio", subtype="mp3", lossless=False), "lossy"),
    (recording(), source(eight_bits=True), "8 bits"),
    (recording(), source(format="MP3", unmarked_end=True), "cut short"),
    (recording(9.0), None, "range of scores on dev"),
    (recording(level=-45.0), None, "-45 dBFS"),
    (recording(speech_seconds=1.8), None, "short recordings"),
    (recording(seconds=60.0), None, "mostly silent"),
])
def test_what_may_mislead_is_warned_about_and_scored(scored, info, word):
    found = verdict(scored, info)
    assert found.outcome == BONAFIDE and any(word in warning for warning in found.warnings)


@pytest.mark.parametrize("coding", [("WAV", "pcm_s16le"), ("WAV", "pcm_f32le"), ("FLAC", "flac"),
                                    ("MP4", "alac")])
def test_lossless_coding_is_not_called_lossy(coding):
    assert verdict(info=source(format=coding[0], subtype=coding[1])).warnings == []


def test_a_model_that_knows_nothing_of_its_training_audio_gives_no_warning_about_it():
    assert verdict(recording(9.0, bandwidth=3900.0, level=-45.0), metadata={}).warnings == []


def test_behind_a_front_stage_only_very_soft_speech_is_warned_about():
    behind = METADATA | {"front": FRONT}
    rounded = source(rounded=True)
    assert verdict(recording(level=-45.0), rounded, behind).warnings == []
    assert "so soft (-55 dBFS)" in verdict(recording(level=-55.0), rounded, behind).warnings[0]
    assert verdict(recording(level=-55.0), source(), behind).warnings == []


def test_the_threshold_is_the_stored_one_unless_costs_are_given():
    assert decision_of(METADATA) == Decision(-0.64, (-1.5, 0.2), Costs(), "dev")
    assert decision_of(METADATA, 0.5, 1.0, 1.0).threshold == 0.0
    assert decision_of(METADATA, 0.1).threshold == pytest.approx(-math.log(0.9 / 1.0))


def test_a_threshold_outside_the_stored_band_widens_it():
    far = decision_of(METADATA, 0.9, 1.0, 10.0)
    assert far.band[0] == -1.5 and far.band[1] > far.threshold > 3


@pytest.mark.parametrize("metadata, prior", [({"calibration": None}, 0.5), (METADATA, 1.5)])
def test_a_prior_needs_calibrated_scores_and_must_be_one(metadata, prior):
    with pytest.raises(InputError):
        decision_of(metadata, prior, None, None)


def test_what_the_model_learnt_from_is_told():
    source = {"description": "the embedded default corpus", "utterances": 1200, "demo": True}
    metadata = {"architecture": "small", "trained_on": source}
    assert trained_on(metadata) == "small trained on the embedded default corpus, 1,200 utterances"
    assert is_demo(metadata)
    assert "does not name" in trained_on({}) and not is_demo({})


def windows(*scores, length=4.0):
    return [Window(k * length / 2, k * length / 2 + length, score, True)
            for k, score in enumerate(scores)]


def test_each_half_window_gets_the_mean_of_the_windows_over_it():
    edges, scores = segments(windows(1.0, 3.0, 5.0))
    assert edges.tolist() == [0, 2, 4, 6, 8] and scores.tolist() == [1, 2, 4, 5]


def test_windows_without_speech_do_not_count():
    marked = [Window(0, 4, 1.0, True), Window(2, 6, 99.0, False), Window(4, 8, 99.0, False)]
    edges, scores = segments(marked)
    assert edges.tolist() == [0, 2, 4, 6, 8]
    assert scores[:2].tolist() == [1, 1] and np.isnan(scores[2:]).all()
    assert [stretch.outcome for stretch in stretches(marked, LINE)] == [UNCERTAIN, NO_SPEECH]


def test_neighbours_of_one_outcome_become_one_stretch():
    found = stretches(windows(5.0, 5.0, 5.0, -9.0, -9.0, -9.0, 5.0), Decision(0.0, (0.0, 0.0)))
    assert [(s.start, s.end, s.outcome) for s in found] == [
        (0, 6, BONAFIDE), (6, 14, SPOOF), (14, 16, BONAFIDE)]
    assert found[0].score == 5.0 and found[2].score == 5.0


def test_spoofed_stretches_of_a_recording_that_passes_as_a_whole_are_warned_about():
    found = stretches(windows(5.0, 5.0, 5.0, -9.0, -9.0, -9.0, 5.0), Decision(0.0, (0.0, 0.0)))
    warning, = spoofed_parts(BONAFIDE, found)
    assert "likely spoof" in warning and "6.0 to 14.0 s" in warning
    assert spoofed_parts(UNCERTAIN, found)
    assert not spoofed_parts(SPOOF, found) and not spoofed_parts(CANNOT_JUDGE, found)
    assert not spoofed_parts(BONAFIDE, found[:1])
    assert spoofed_parts(BONAFIDE, found * 7)[0].endswith("and 2 more stretches")


def test_a_shifted_last_window_makes_a_shorter_piece():
    edges, scores = segments([Window(0, 4, 0.0, True), Window(1, 5, 2.0, True)])
    assert edges.tolist() == [0, 1, 4, 5] and scores.tolist() == [0, 1, 2]


def test_there_is_no_timeline_without_a_threshold_or_without_windows():
    assert stretches(windows(1.0), None) == [] and stretches([], LINE) == []
