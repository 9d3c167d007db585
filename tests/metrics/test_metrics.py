"""The metrics equal the official programs' figures, and say nan rather than guess."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.common.errors import InputError
from utils.metrics import metrics
from utils.report.key_files import align, read_keys, read_scores

SYNTHETIC_B = metrics.AsvRates(false_alarm=0.05, miss=0.04, spoof=0.30)
ASV = {"asvspoof5_default": metrics.ASVSPOOF5_ASV, "synthetic_b": SYNTHETIC_B}
# metric_cases.*: 31 score sets (one real: ASVspoof 2019's fusion scores) and the figures of the
# official programs: asvspoof-challenge/asvspoof5@fe23d305 (evaluation-package) and
# asvspoof-challenge/2021@9b33f5ec (eval-package).
FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def cases() -> dict:
    """Per case the official programs' figures and the scores of both classes."""
    expected = json.loads((FIXTURES / "metric_cases.json").read_text(encoding="utf-8"))
    with np.load(FIXTURES / "metric_cases.npz") as scores:
        return {name: (case, scores[f"{name}.bonafide"].astype(float),
                       scores[f"{name}.spoof"].astype(float)) for name, case in expected.items()}


def test_the_official_score_and_key_files_hold_the_same_trials(cases, shared):
    folder = shared / "reference" / "metrics" / "cases"
    for case, *groups in cases.values():
        keys = read_keys(folder / case["key_file"])
        scores = align(read_scores(folder / case["score_file"]), keys)
        is_bonafide = np.array([row.labels.is_bonafide for row in keys])
        np.testing.assert_array_equal(scores[is_bonafide], groups[0])
        np.testing.assert_array_equal(scores[~is_bonafide], groups[1])


def test_all_31_official_cases_are_met_to_1e_9(cases):
    assert len(cases) == 31
    for name, (case, bonafide, spoof) in cases.items():
        eer, eer_threshold = metrics.eer(bonafide, spoof)
        min_dcf, min_dcf_threshold = metrics.min_dcf(metrics.det_curve(bonafide, spoof))
        got = {"n_bonafide": bonafide.size, "n_spoof": spoof.size, "eer": eer,
               "eer_threshold": eer_threshold, "minDCF": min_dcf,
               "minDCF_threshold": min_dcf_threshold, "actDCF": metrics.act_dcf(bonafide, spoof)}
        for metric, value in got.items():
            assert value == pytest.approx(case[metric], abs=1e-9, rel=1e-9), (name, metric)


def test_cllr_is_official_where_that_is_finite_and_finite_where_it_overflows(cases):
    for name, (case, bonafide, spoof) in cases.items():
        value = metrics.cllr(bonafide, spoof)
        assert np.isfinite(value), name
        if case["cllr_bits"] != "inf":
            assert value == pytest.approx(case["cllr_bits"], rel=1e-9), name
    assert cases["huge_scale_overflow_bad"][0]["cllr_bits"] == "inf"


@pytest.mark.parametrize("system", ASV)
def test_min_tdcf_is_official_in_three_forms(cases, system):
    compared = 0
    for name, (case, bonafide, spoof) in cases.items():
        curve = metrics.det_curve(bonafide, spoof)
        value, legacy = (metrics.min_tdcf(curve, ASV[system], legacy=old) for old in (False, True))
        assert np.isfinite([value, legacy]).all(), name
        published = case["min_tDCF"][system]
        if isinstance(published, dict):     # the official program needs three different scores
            compared += 1
            assert value == pytest.approx(published["asvspoof5"], abs=1e-9), name
            assert value == pytest.approx(published["asvspoof2021"], abs=1e-9), name
            assert legacy == pytest.approx(published["asvspoof2019_legacy"], abs=1e-9), name
    assert compared >= 25


def test_bayes_threshold_of_asvspoof5():
    assert metrics.bayes_threshold() == -0.6418538861723947


def test_the_operating_point_counts_misses_below_and_false_alarms_at_or_above():
    assert metrics.error_rates([0.0, 1.0], [0.0, -1.0], 0.0) == (0.0, 0.5)


def test_an_absent_class_gives_nan_and_no_warning():
    for bonafide, spoof in (([], [1.0]), ([1.0], []), ([], [])):
        assert np.isnan(metrics.eer(bonafide, spoof)).all()
        assert np.isnan(metrics.error_rates(bonafide, spoof, 0)).any()
        for metric in (metrics.cllr, metrics.auc, metrics.act_dcf):
            assert np.isnan(metric(bonafide, spoof))


def test_scores_that_are_not_numbers_are_refused():
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match="1 of 2 scores"):
            metrics.eer([bad, 1.0], [0.0])


def test_asv_rates_are_taken_at_the_verification_systems_own_eer():
    target = np.array([2.0, 3.0, 4.0, 0.5])
    nontarget = np.array([-1.0, 0.0, 1.0, 2.5])
    spoof = np.array([3.5, -2.0])
    assert metrics.eer(target, nontarget) == (0.25, 1.0)
    assert (metrics.asv_error_rates(target, nontarget, spoof)
            == metrics.AsvRates(false_alarm=0.5, miss=0.25, spoof=0.5))


scores = st.lists(st.integers(-6, 6).map(lambda n: n / 2), min_size=1, max_size=30)


@given(scores, scores)
def test_the_det_curve_is_a_stable_sort_with_bona_fide_first(bonafide, spoof):
    both = np.array(bonafide + spoof)
    order = np.argsort(both, kind="stable")
    labels = np.array([1] * len(bonafide) + [0] * len(spoof))[order]
    curve = metrics.det_curve(bonafide, spoof)
    miss = np.cumsum(labels) / len(bonafide)
    false_alarm = 1 - np.cumsum(1 - labels) / len(spoof)
    thresholds = np.concatenate(([both.min() - 0.001], both[order]))
    np.testing.assert_array_equal(curve.miss, np.concatenate(([0], miss)))
    np.testing.assert_allclose(curve.false_alarm, np.concatenate(([1], false_alarm)), atol=1e-15)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


@given(scores, scores)
def test_auc_is_the_share_of_pairs_in_order(bonafide, spoof):
    pairs = [(b > s) + (b == s) / 2 for b in bonafide for s in spoof]
    assert metrics.auc(bonafide, spoof) == pytest.approx(np.mean(pairs))
