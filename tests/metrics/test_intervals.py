"""Bootstrap intervals: each replicate is the official figure; speakers and the seed count."""
import numpy as np
import pytest

from utils.metrics import intervals, metrics
from utils.metrics.intervals import bootstrap_interval, rise_interval

THRESHOLD = metrics.bayes_threshold()
COSTS = (0.05, 1.0, 10.0)


def replicate_errors(n_bonafide: int, n_spoof: int, rng: np.random.Generator) -> np.ndarray:
    """How far EER, minDCF and actDCF of one resample lie from the official figures.

    Those are computed on the repeated trials.
    """
    scores = [rng.normal(mean, 1, n) for mean, n in ((1, n_bonafide), (-1, n_spoof))]
    edges, whole = intervals._edges(*scores, THRESHOLD)
    counts = [np.bincount(rng.integers(0, group.size, group.size), minlength=group.size)
              for group in scores]
    bins = [np.searchsorted(edges, group, side="right") - 1 for group in scores]
    histograms = [np.bincount(of_class, weights=drawn, minlength=edges.size)[None]
                  for of_class, drawn in zip(bins, counts)]
    at = int(np.searchsorted(edges, THRESHOLD))
    unused = [np.zeros(edges.size)] * 2
    figures = intervals._figures(*histograms, at, unused, COSTS, whole)[:3, 0]
    repeated = [np.repeat(group, drawn) for group, drawn in zip(scores, counts)]
    curve = metrics.det_curve(*repeated)
    return np.abs(figures - [metrics.eer(*repeated)[0], metrics.min_dcf(curve)[0],
                             metrics.act_dcf(*repeated)])


@pytest.mark.parametrize("n_bonafide, n_spoof", [(1, 30), (30, 1), (5, 7), (199, 907), (1, 3000)])
def test_a_replicate_is_the_official_figure(n_bonafide, n_spoof):
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert replicate_errors(n_bonafide, n_spoof, rng) == pytest.approx(0, abs=1e-9)


def test_on_a_grid_a_replicate_is_within_a_fifth_of_a_percent():
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert (replicate_errors(4000, 3000, rng)[:2] < 0.002).all()


def clustered(n: int, speakers: int, seed: int) -> tuple:
    """Scores and speakers of both classes; speakers differ more than their own scores do."""
    rng = np.random.default_rng(seed)
    offset = rng.normal(0, 1.5, speakers)
    who = rng.integers(0, speakers, (2, n))
    scores = [rng.normal(mean, 1, n) + offset[spoken] for mean, spoken in zip((1.5, -1.5), who)]
    return *scores, *who


def test_resampling_speakers_widens_the_interval_where_speakers_differ():
    bonafide, spoof, *who = clustered(2000, 20, seed=1)
    by_speaker = bootstrap_interval(bonafide, spoof, *who)
    by_trial = bootstrap_interval(bonafide, spoof)
    assert by_speaker["by"] == "20 speakers" and by_trial["by"] == "trials"
    for name in intervals.METRICS:
        assert np.ptp(by_speaker[name]) > 2 * np.ptp(by_trial[name])


def test_speaker_resampling_equals_the_plain_loop():
    bonafide, spoof, *who = clustered(200, 12, seed=2)
    rng = np.random.default_rng(0)
    eers = []
    for _ in range(1000):
        times = np.bincount(rng.integers(0, 12, 12), minlength=12)
        repeated = [np.repeat(scores, times[spoken])
                    for scores, spoken in zip((bonafide, spoof), who)]
        eers.append(metrics.eer(*repeated)[0])
    expected = np.percentile(eers, [2.5, 97.5])
    assert bootstrap_interval(bonafide, spoof, *who)["eer"] == pytest.approx(expected, abs=0.01)


def test_many_speakers_take_the_memory_saving_path_to_the_same_figures(monkeypatch):
    data = clustered(300, 40, seed=3)
    expected = bootstrap_interval(*data, replicates=100)
    monkeypatch.setattr(intervals, "MATRIX_CELLS", 0)
    found = bootstrap_interval(*data, replicates=100)
    assert found["eer"] == pytest.approx(expected["eer"], abs=1e-12)


def test_the_interval_covers_the_truth_nearly_always():
    truth = metrics.eer(*clustered(200_000, 5000, seed=9)[:2])[0]
    covered = 0
    for seed in range(60):
        low, high = bootstrap_interval(*clustered(300, 40, seed=100 + seed), replicates=200)["eer"]
        covered += low <= truth <= high
    assert 51 <= covered


def test_a_seed_gives_one_result():
    data = clustered(100, 10, seed=4)
    first, again, other = (bootstrap_interval(*data, seed=seed) for seed in (7, 7, 8))
    assert first == again != other


def test_fewer_than_five_speakers_are_not_resampled():
    bonafide, spoof, *who = clustered(100, 4, seed=5)
    assert bootstrap_interval(bonafide, spoof, *who)["by"] == "trials"


def test_an_absent_class_has_no_interval():
    assert bootstrap_interval(np.array([]), np.array([1.0])) == {}


@pytest.mark.parametrize("by_speaker", [True, False])
def test_both_models_have_the_same_resamples(by_speaker):
    """Against explicit resamples of trials; and unpaired, the interval would be wider."""
    rng = np.random.default_rng(3)
    who = rng.integers(0, 12, 240) if by_speaker else np.arange(240)
    before = np.where(np.arange(240) < 80, 1.5, -0.5) + rng.normal(0, 1, 240)
    after = before + rng.normal(0, 0.3, 240)
    split = np.split(who, [80]) if by_speaker else (None, None)
    low, high = rise_interval(*(np.split(scores, [80]) for scores in (before, after)), *split)
    rises = []
    for _ in range(600):
        drawn = np.concatenate([np.flatnonzero(who == one) for one in rng.choice(
            np.unique(who), np.unique(who).size)])
        bonafide, spoof = drawn[drawn < 80], drawn[drawn >= 80]
        first, second = (metrics.eer(scores[bonafide], scores[spoof])[0]
                         for scores in (before, after))
        rises.append(second - first)
    assert [low, high] == pytest.approx(np.percentile(rises, [2.5, 97.5]), abs=0.008)
    ends = [bootstrap_interval(scores[:80], scores[80:], *split)["eer"]
            for scores in (before, after)]
    assert high - low < 0.8 * (ends[1][1] - ends[0][0])
