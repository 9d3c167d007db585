"""A summary holds every figure once, groups them rightly, and says why where there is none."""
import json

import numpy as np
import pytest

from utils.metrics import metrics
from utils.metrics.summary import POINT_METRICS, summarise
from utils.report.words import interval_note


@pytest.fixture(scope="module")
def trials() -> dict:
    rng = np.random.default_rng(0)
    keys = ["bonafide"] * 200 + ["spoof"] * 300
    return {"scores": np.concatenate([rng.normal(2, 2, 200), rng.normal(-2, 2, 300)]), "keys": keys,
            "attacks": ["-"] * 200 + ["A01", "A02", "A03"] * 100,
            "speakers": [f"s{i % 20}" for i in range(500)],
            "codecs": ["C01" if i % 2 else "-" for i in range(500)],
            "genders": ["F"] * 100 + ["M"] * 400}


def test_figures_are_those_of_the_metrics_and_json_takes_them(trials):
    result = summarise(**trials, seen_attacks=["A01", "A02"], replicates=50)
    bonafide, spoof = trials["scores"][:200], trials["scores"][200:]
    curve = metrics.det_curve(bonafide, spoof)
    assert (result["eer"], result["eer_threshold"]) == metrics.eer(bonafide, spoof)
    assert (result["min_dcf"], result["min_dcf_threshold"]) == metrics.min_dcf(curve)
    for name in ("act_dcf", "cllr", "auc"):
        assert result[name] == getattr(metrics, name)(bonafide, spoof)
    assert result["min_tdcf"] == metrics.min_tdcf(curve)
    assert result["min_tdcf_2019"] == metrics.min_tdcf(curve, legacy=True)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_seen_and_unseen_attacks_stand_apart_against_all_bona_fide(trials):
    result = summarise(**trials, seen_attacks=["A01", "A02", "A99"], replicates=50)
    bonafide, spoof = trials["scores"][:200], trials["scores"][200:]
    assert result["seen"]["attacks"] == ["A01", "A02"] and result["unseen"]["attacks"] == ["A03"]
    assert result["unseen"]["trials"] == {"bonafide": 200, "spoof": 100}
    assert result["unseen"]["eer"] == metrics.eer(bonafide, spoof[2::3])[0]
    assert result["unseen"]["eer"] == result["per_attack"]["A03"]["eer"]
    for part in (result, result["seen"], result["unseen"], result["per_attack"]["A01"]):
        low, high = part["eer_interval"]
        assert low <= part["eer"] <= high and part["interval"]["by"] == "20 speakers"


def test_without_unseen_attacks_that_part_says_so(trials):
    result = summarise(**trials, seen_attacks=["A01", "A02", "A03"], replicates=0)
    assert result["unseen"]["eer"] is None and result["unseen"]["reason"] == "no spoof trials"
    assert "eer_interval" not in result


def test_codec_and_gender_groups_hold_both_classes_of_the_group(trials):
    result = summarise(**trials, replicates=0)
    chosen = np.arange(500) % 2 == 1
    bonafide, spoof = trials["scores"][:200][chosen[:200]], trials["scores"][200:][chosen[200:]]
    assert result["per_codec"]["C01"]["eer"] == metrics.eer(bonafide, spoof)[0]
    assert result["per_gender"]["F"]["eer"] is None and "seen" not in result


def test_an_absent_class_is_none_with_a_reason():
    for keys, reason in ((["bonafide"] * 2, "no spoof trials"),
                         (["spoof"] * 2, "no bonafide trials")):
        result = summarise([1.0, 2.0], keys)
        assert all(result[name] is None for name in POINT_METRICS) and result["reason"] == reason
        json.dumps(result, allow_nan=False)
    assert summarise([], [])["reason"] == "no bonafide and no spoof trials"


def test_the_operating_point_is_the_threshold_fixed_beforehand(trials):
    bonafide, spoof = trials["scores"][:200], trials["scores"][200:]
    at = summarise(trials["scores"], trials["keys"], threshold=1.5, replicates=0)["operating_point"]
    assert (at["miss_rate"], at["false_alarm_rate"]) == metrics.error_rates(bonafide, spoof, 1.5)
    assert at["hter"] == np.mean(metrics.error_rates(bonafide, spoof, 1.5))
    bayes = summarise(trials["scores"], trials["keys"], replicates=0)["operating_point"]
    assert bayes["dcf"] == metrics.act_dcf(bonafide, spoof)


def test_unknown_speakers_are_not_resampled(trials):
    found = summarise(trials["scores"], trials["keys"], speakers=["-"] * 500, replicates=20)
    assert found["interval"]["by"] == "trials"


def test_each_trial_of_an_unknown_speaker_is_a_speaker_of_its_own_among_known_ones(trials):
    speakers = ["-"] * 7 + trials["speakers"][7:]
    found = summarise(trials["scores"], trials["keys"], speakers=speakers, replicates=20)
    assert found["interval"]["by"] == "27 speakers"


@pytest.mark.parametrize("fewest, told", [(1, "One class has only 1 speaker, so"), (21, "")])
def test_intervals_are_called_too_narrow_where_one_class_has_few_speakers(trials, fewest, told):
    speakers = [f"s{n % fewest}" for n in range(200)] + ["-"] * 300
    found = summarise(trials["scores"], trials["keys"], speakers=speakers, replicates=20)
    assert found["interval"]["speakers"] == fewest + 300 and found["interval"]["fewest"] == fewest
    assert told in interval_note(found) and ("narrow" in interval_note(found)) == bool(told)
