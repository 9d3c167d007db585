"""Scores become log-likelihood ratios, a threshold and a band of uncertainty, from dev and nothing else."""
import json

import numpy as np
import pytest

from utils.common.errors import InputError
from utils.metrics import metrics
from utils.detector.decision import decide, effective_prior, fit_calibration, uncertainty_band
from utils.report.key_files import read_keys, read_scores, split_by_key


def gaussian(n_bonafide: int, n_spoof: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose log-likelihood ratio is the score itself: normal at +2 and -2 with variance 4."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(2, 2, n_bonafide), rng.normal(-2, 2, n_spoof)])
    return scores, np.repeat([True, False], [n_bonafide, n_spoof])


def official(shared, name: str) -> tuple[np.ndarray, np.ndarray]:
    cases = shared / "reference" / "metrics" / "cases"
    groups = split_by_key(read_scores(cases / f"{name}.score.tsv"), read_keys(cases / f"{name}.key.tsv"))
    return np.concatenate(groups), np.repeat([True, False], [group.size for group in groups])


@pytest.mark.parametrize("scale, offset", [(1, 0), (0.2, 3), (25, -400), (1e-7, 5)])
def test_calibration_undoes_any_scale_and_offset(scale, offset):
    llrs, is_bonafide = gaussian(20_000, 60_000)
    fitted = fit_calibration(llrs * scale + offset, is_bonafide, effective_prior())
    assert fitted["scale"] * scale == pytest.approx(1, abs=0.03)
    assert fitted["scale"] * offset + fitted["offset"] == pytest.approx(0, abs=0.05)


def test_the_fit_is_the_minimum_of_its_own_cost():
    from scipy.optimize import minimize
    scores, is_bonafide = gaussian(30, 90, seed=3)
    target = np.where(is_bonafide, 31 / 32, 1 / 92)
    weight = np.where(is_bonafide, 0.655 / 30, 0.345 / 90)

    def cost(p):
        z = p[0] * scores + p[1] + np.log(0.655 / 0.345)
        return weight @ (target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z))

    fitted = fit_calibration(scores, is_bonafide, 0.345)
    assert [fitted["scale"], fitted["offset"]] == pytest.approx(minimize(cost, [1, 0], tol=1e-12).x, abs=1e-5)


@pytest.mark.parametrize("name", ["shifted_plus5", "shifted_minus5", "logit_margin_softmax",
                                  "real_asvspoof19_la_dev_tool_fusion"])
def test_calibration_brings_actual_cost_near_the_lowest(shared, name):
    scores, is_bonafide = official(shared, name)
    outcome = decide(scores, is_bonafide)
    llrs = outcome["calibration"]["scale"] * scores + outcome["calibration"]["offset"]
    groups = llrs[is_bonafide], llrs[~is_bonafide]
    assert metrics.act_dcf(*groups) <= 1.15 * metrics.min_dcf(*groups)[0] + 0.002     # two trials of a thousand
    assert outcome["calibration"]["cllr_after"] == metrics.cllr(*groups) <= outcome["calibration"]["cllr_before"]


def test_calibration_on_half_of_real_scores_holds_on_the_other_half(shared):
    scores, is_bonafide = official(shared, "real_asvspoof19_la_dev_tool_fusion")
    for shift in (0, 1):
        fitted = fit_calibration(3 - 0.2 * -scores[shift::2], is_bonafide[shift::2], effective_prior())
        llrs, keys = fitted["scale"] * (3 - 0.2 * -scores[1 - shift::2]) + fitted["offset"], is_bonafide[1 - shift::2]
        assert metrics.act_dcf(llrs[keys], llrs[~keys]) <= metrics.min_dcf(llrs[keys], llrs[~keys])[0] + 0.005


def test_perfectly_separated_classes_give_finite_ratios_that_grow_with_the_evidence():
    reach = []
    for n in (5, 50, 500):
        fitted = fit_calibration(np.repeat([10.0, -10.0], n), np.repeat([True, False], n), 0.5)
        reach.append(fitted["scale"] * 10 + fitted["offset"])
        assert reach[-1] == pytest.approx(np.log(n + 1), rel=1e-6)
    assert reach == sorted(reach)


@pytest.mark.parametrize("scores, keys, why", [
    ([1, 2, -1, -2], [0, 0, 1, 1], "higher scores are not more bona fide"),
    ([0.3] * 7, [1, 0, 1, 0, 1, 0, 1], "every score is the same"),
    ([1, 2], [1, 1], "0 spoof"), ([], [], "0 bona fide"), ([1, np.nan], [1, 0], "not a number")])
def test_calibration_refuses_what_it_cannot_do(scores, keys, why):
    with pytest.raises(InputError, match=why):
        fit_calibration(np.array(scores, dtype=float), np.array(keys, dtype=bool))


@pytest.mark.parametrize("target", [0.05, 0.1])
def test_the_band_keeps_its_promise_on_trials_it_never_saw(target):
    """Averaged over dev sets, at most `target` of new trials of either class fall beyond the band's far side."""
    beyond = []
    for seed in range(200):
        dev, new = gaussian(60, 60, seed), gaussian(500, 500, seed + 10_000)
        low, high = uncertainty_band(*dev, threshold=0.0, target=target, min_half_width=0.0)
        beyond.append([np.mean(new[0][new[1]] < low), np.mean(new[0][~new[1]] >= high)])
    assert (np.mean(beyond, axis=0) < target + 0.01).all() and (np.mean(beyond, axis=0) > target - 0.03).all()


def test_the_band_is_never_narrower_than_a_factor_of_two_in_evidence():
    scores, is_bonafide = np.repeat([50.0, -50.0], 100), np.repeat([True, False], 100)
    assert uncertainty_band(scores, is_bonafide, threshold=1.0) == pytest.approx([1 - np.log(2), 1 + np.log(2)])


def test_dev_sets_too_small_for_a_band_say_so():
    for n, enough in ((18, False), (19, True)):
        decision = decide(*gaussian(n, 200))["decision"]
        assert (decision["band"] is not None) == enough
    assert "at least 19 trials" in decide(*gaussian(18, 200))["decision"]["band_origin"]


def test_decide_takes_words_or_booleans_and_is_json():
    scores, is_bonafide = gaussian(100, 300)
    words = decide(scores, ["bonafide" if b else "spoof" for b in is_bonafide])
    assert words == decide(scores, is_bonafide) == json.loads(json.dumps(words, allow_nan=False))
    assert words["decision"]["threshold"] == metrics.bayes_threshold() and "400 dev trials" in words["decision"]["origin"]
    llrs = words["calibration"]["scale"] * scores + words["calibration"]["offset"]
    assert words["score_range"] == [llrs.min(), llrs.max()]


@pytest.mark.parametrize("turn, why", [(-1.0, "on dev, higher scores are not more bona fide"), (0.0, "every score is the same")])
def test_decide_gives_no_threshold_where_dev_speaks_against_the_detector_and_says_why(turn, why):
    scores, is_bonafide = gaussian(100, 300)
    outcome = decide(turn * scores, is_bonafide)
    assert outcome["calibration"] is None and outcome["decision"] is None and why in outcome["reason"]


def test_the_bands_sentence_says_that_dev_was_used_before():
    band_origin = decide(*gaussian(100, 300))["decision"]["band_origin"]
    assert "about 5%" in band_origin and "chose the epoch and fitted the calibration" in band_origin
    alone = decide(*gaussian(100, 300), chose=False)["decision"]["band_origin"]
    assert alone == band_origin.replace("chose the epoch and fitted", "fitted")


def test_decide_without_one_class_decides_nothing_and_says_why():
    outcome = decide([1.0, 2.0], ["bonafide", "bonafide"])
    assert outcome["calibration"] is None and outcome["decision"] is None and "0 spoof" in outcome["reason"]


@pytest.mark.parametrize("price", [(0, 1, 10), (1, 1, 10), (0.05, 0, 10), (0.05, 1, -1), (float("nan"), 1, 1),
                                   (0.05, float("inf"), 1)])
def test_impossible_costs_are_refused(price):
    with pytest.raises(InputError, match="give"):
        decide([1.0, -1.0], [True, False], *price)
