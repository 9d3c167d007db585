"""Scores become log-likelihood ratios, a threshold and a band of uncertainty, from dev alone."""
import json

import numpy as np
import pytest

from utils.common.errors import InputError
from utils.detector.decision import (MIN_HALF_WIDTH, Calibration, Costs, Decision, decision_of,
                                     fit_on_dev)
from utils.detector.fitting import band_over_sources, conformal_band
from utils.metrics import metrics
from utils.report.key_files import align, read_keys, read_scores


def gaussian(n_bonafide: int, n_spoof: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose log-likelihood ratio is the score itself: normal at +2 and -2, variance 4."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(2, 2, n_bonafide), rng.normal(-2, 2, n_spoof)])
    return scores, np.repeat([True, False], [n_bonafide, n_spoof])


def official(shared, name: str) -> tuple[np.ndarray, np.ndarray]:
    cases = shared / "reference" / "metrics" / "cases"
    keys = read_keys(cases / f"{name}.key.tsv")
    return (align(read_scores(cases / f"{name}.score.tsv"), keys),
            np.array([row.labels.is_bonafide for row in keys]))


@pytest.mark.parametrize("scale, offset", [(1, 0), (0.2, 3), (25, -400), (1e-7, 5)])
def test_calibration_undoes_any_scale_and_offset(scale, offset):
    llrs, is_bonafide = gaussian(20_000, 60_000)
    fitted = Calibration.fit(llrs * scale + offset, is_bonafide, Costs().effective_prior)
    assert fitted.scale * scale == pytest.approx(1, abs=0.03)
    assert fitted.apply(offset) == pytest.approx(0, abs=0.05)


def test_undo_is_the_inverse_of_apply():
    scores = np.linspace(-3, 5, 9)
    fitted = Calibration(0.3, -2.0)
    assert fitted.undo(fitted.apply(scores)) == pytest.approx(scores, abs=1e-12)


def test_the_fit_is_the_minimum_of_its_own_cost():
    from scipy.optimize import minimize
    scores, is_bonafide = gaussian(30, 90, seed=3)
    target = np.where(is_bonafide, 31 / 32, 1 / 92)
    weight = np.where(is_bonafide, 0.655 / 30, 0.345 / 90)

    def cost(p):
        z = p[0] * scores + p[1] + np.log(0.655 / 0.345)
        return weight @ (target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z))

    fitted = Calibration.fit(scores, is_bonafide, 0.345)
    expected = minimize(cost, [1, 0], tol=1e-12).x
    assert [fitted.scale, fitted.offset] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["shifted_plus5", "shifted_minus5", "logit_margin_softmax",
                                  "real_asvspoof19_la_dev_tool_fusion"])
def test_calibration_brings_actual_cost_near_the_lowest(shared, name):
    scores, is_bonafide = official(shared, name)
    fitted = fit_on_dev(scores, is_bonafide)["calibration"]
    llrs = Calibration.from_dict(fitted).apply(scores)
    groups = llrs[is_bonafide], llrs[~is_bonafide]
    lowest = metrics.min_dcf(metrics.det_curve(*groups))[0]
    assert metrics.act_dcf(*groups) <= 1.15 * lowest + 0.002     # two trials of a thousand
    assert fitted["cllr_after"] == metrics.cllr(*groups) <= fitted["cllr_before"]


def test_calibration_on_half_of_real_scores_holds_on_the_other_half(shared):
    scores, is_bonafide = official(shared, "real_asvspoof19_la_dev_tool_fusion")
    raw = 3 - 0.2 * -scores
    for shift in (0, 1):
        fitted = Calibration.fit(raw[shift::2], is_bonafide[shift::2], Costs().effective_prior)
        llrs, keys = fitted.apply(raw[1 - shift::2]), is_bonafide[1 - shift::2]
        lowest = metrics.min_dcf(metrics.det_curve(llrs[keys], llrs[~keys]))[0]
        assert metrics.act_dcf(llrs[keys], llrs[~keys]) <= lowest + 0.005


def test_perfectly_separated_classes_give_finite_ratios_that_grow_with_the_evidence():
    reach = []
    for n in (5, 50, 500):
        fitted = Calibration.fit(np.repeat([10.0, -10.0], n), np.repeat([True, False], n), 0.5)
        reach.append(fitted.apply(10))
        assert reach[-1] == pytest.approx(np.log(n + 1), rel=1e-6)
    assert reach == sorted(reach)


@pytest.mark.parametrize("scores, keys, why", [
    ([1, 2, -1, -2], [0, 0, 1, 1], "higher scores are not more bona fide"),
    ([0.3] * 7, [1, 0, 1, 0, 1, 0, 1], "every score is the same"),
    ([1, 2], [1, 1], "0 spoof"), ([], [], "0 bona fide"), ([1, np.nan], [1, 0], "not a number")])
def test_calibration_refuses_what_it_cannot_do(scores, keys, why):
    with pytest.raises(InputError, match=why):
        Calibration.fit(np.array(scores, dtype=float), np.array(keys, dtype=bool))


@pytest.mark.parametrize("target", [0.05, 0.1])
def test_the_band_keeps_its_promise_on_trials_it_never_saw(target):
    """Averaged over dev sets, at most `target` of new trials fall beyond the band's far side."""
    beyond = []
    for seed in range(200):
        dev, new = gaussian(60, 60, seed), gaussian(500, 500, seed + 10_000)
        low, high = conformal_band(*dev, {"bonafide": target, "spoof": target})
        low, high = min(low, 0.0), max(high, 0.0)
        beyond.append([np.mean(new[0][new[1]] < low), np.mean(new[0][~new[1]] >= high)])
    mean = np.mean(beyond, axis=0)
    assert (mean < target + 0.01).all() and (mean > target - 0.03).all()


def test_the_band_is_never_narrower_than_a_factor_of_two_in_evidence():
    scores, is_bonafide = np.repeat([50.0, -50.0], 100), np.repeat([True, False], 100)
    found = Decision.fit(scores, is_bonafide, Costs(0.5, 1.0, np.e))
    assert found.threshold == pytest.approx(1.0)
    assert found.band == pytest.approx([1 - np.log(2), 1 + np.log(2)])


def sources_of_their_own_kind(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, keys and sources of 12 trials of each of 60 sources, which move with their source."""
    rng = np.random.default_rng(seed)
    sources = np.repeat(np.arange(60), 12)
    is_bonafide = np.arange(720) % 3 == 0
    scores = np.where(is_bonafide, 2.0, -2.0) + rng.normal(0, 1, 720)
    return scores + rng.normal(0, 1.5, 60)[sources], is_bonafide, sources.astype(str)


def test_the_band_over_sources_keeps_its_promise_on_most_sets_of_new_sources():
    """The band of the trials alone does so on a few of them."""
    kept = {True: 0, False: 0}
    for seed in range(60):
        scores, is_bonafide, sources = sources_of_their_own_kind(seed)
        new, real, _ = sources_of_their_own_kind(seed + 1000)
        for known in kept:
            low, high = band_over_sources(scores, is_bonafide, sources if known else None)
            kept[known] += (new[real] < low).mean() <= 0.03 and (new[~real] >= high).mean() <= 0.05
    assert kept[True] > 30 and kept[False] < 20


def test_with_few_sources_the_band_follows_from_the_trials():
    scores, is_bonafide = gaussian(100, 300)
    few = np.arange(400).astype(str)
    few[:] = np.resize(few[:19], 400)
    assert (band_over_sources(scores, is_bonafide, few)
            == band_over_sources(scores, is_bonafide, None) == conformal_band(scores, is_bonafide))


def test_dev_sets_too_small_for_a_band_say_so():
    for n, enough in ((18, False), (19, True)):
        decision = fit_on_dev(*gaussian(n, 200))["decision"]
        assert (decision["band"] is not None) == enough
    too_small = fit_on_dev(*gaussian(18, 200))["decision"]
    assert "at least 19 trials" in too_small["band_origin"]


def test_a_fit_takes_words_or_booleans_and_is_json():
    scores, is_bonafide = gaussian(100, 300)
    words = fit_on_dev(scores, ["bonafide" if b else "spoof" for b in is_bonafide])
    assert words == fit_on_dev(scores, is_bonafide)
    assert words == json.loads(json.dumps(words, allow_nan=False))
    assert words["decision"]["threshold"] == metrics.bayes_threshold()
    assert "400 dev trials" in words["decision"]["origin"]
    llrs = Calibration.from_dict(words["calibration"]).apply(scores)
    assert words["score_range"] == [llrs.min(), llrs.max()]


def test_what_is_stored_comes_back():
    stored = fit_on_dev(*gaussian(100, 300))
    assert Decision.from_dict(stored["decision"]).to_dict() == stored["decision"]
    assert Calibration.from_dict(stored["calibration"]).to_dict() == stored["calibration"]
    assert list(stored["decision"]) == ["threshold", "band", "band_origin", "bands",
                                        "prior_spoof", "cost_miss", "cost_fa", "origin"]
    assert list(stored["calibration"]) == ["scale", "offset", "method", "prior_spoof", "subset",
                                           "trials", "cllr_before", "cllr_after"]
    assert Decision.from_dict(None) is None and Calibration.from_dict(None) is None


@pytest.mark.parametrize("turn, why", [(-1.0, "on dev, higher scores are not more bona fide"),
                                       (0.0, "every score is the same")])
def test_there_is_no_threshold_where_dev_speaks_against_the_detector(turn, why):
    scores, is_bonafide = gaussian(100, 300)
    found = fit_on_dev(turn * scores, is_bonafide)
    assert found["calibration"] is None and found["decision"] is None and why in found["reason"]


def test_the_bands_sentence_says_that_dev_was_used_before():
    band_origin = fit_on_dev(*gaussian(100, 300))["decision"]["band_origin"]
    assert "at most 5% of spoof" in band_origin and "chose the epoch and fitted" in band_origin
    alone = fit_on_dev(*gaussian(100, 300), chose_epoch=False)["decision"]["band_origin"]
    assert alone == band_origin.replace("chose the epoch and fitted", "fitted")


def test_dev_without_one_class_decides_nothing_and_says_why():
    found = fit_on_dev([1.0, 2.0], ["bonafide", "bonafide"])
    assert found["calibration"] is None and found["decision"] is None
    assert "0 spoof" in found["reason"]


@pytest.mark.parametrize("costs", [(0, 1, 10), (1, 1, 10), (0.05, 0, 10), (0.05, 1, -1),
                                   (float("nan"), 1, 1), (0.05, float("inf"), 1)])
def test_impossible_costs_are_refused(costs):
    with pytest.raises(InputError, match="give"):
        Costs(*costs)


def test_other_costs_give_the_bayes_threshold_and_widen_the_band_where_needed():
    own = Decision(-0.64, (-1.5, 0.2), Costs(), "dev")
    assert own.at(Costs()) is own
    far = own.at(Costs(0.9, 1.0, 10.0))
    assert far.threshold == metrics.bayes_threshold(0.9, 1.0, 10.0) > 3
    assert far.band == (-1.5, far.threshold + MIN_HALF_WIDTH)
    assert Decision(0.0).at(Costs(0.9)).band is None


def test_costs_that_are_not_given_are_the_stored_ones():
    stored = {"threshold": 0.0, "band": None, "origin": "dev", "prior_spoof": 0.2,
              "cost_miss": 3.0, "cost_fa": 7.0}
    metadata = {"calibration": {"scale": 1.0, "offset": 0.0}, "decision": stored}
    assert decision_of(metadata) == decision_of(metadata, 0.2, 3.0, 7.0)
    assert decision_of(metadata, 0.5).costs == Costs(0.5, 3.0, 7.0)
    assert decision_of({"calibration": metadata["calibration"]}, 0.5).costs == Costs(0.5)
    assert decision_of({}) is None


def test_a_condition_widens_the_band_and_never_narrows_it():
    decision = Decision(0.0, (-1.0, 2.0), bands={"noisy": (-3.0, 1.0), "narrow": (-2.0, 4.0)})
    assert decision.under([]) == decision
    assert decision.under(["noisy"]).band == (-3.0, 2.0)
    assert decision.under(["noisy", "narrow"]).band == (-3.0, 4.0)
    assert Decision(0.0, bands=decision.bands).under(["noisy"]).band is None
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
    assert decision.at(Costs(0.9)).bands == decision.bands
