"""Bootstrap intervals: how far the figures would move with other trials of the same kind, or other speakers if many."""
from collections.abc import Callable, Iterator

import numpy as np

from utils.metrics.metrics import COST_FA, COST_MISS, PRIOR_SPOOF, bayes_threshold, checked, dcf

REPLICATES, LEVEL = 1000, 0.95
BINS = 1000           # thresholds kept per class; with fewer trials, every one of them
CHUNK = 250           # replicates at a time, for memory
MIN_SPEAKERS = 5      # fewer say nothing about other speakers
MATRIX_CELLS = 20_000_000
FEW_SPEAKERS = 20     # so few are too narrow: "95 %" held the true EER in 81-84 % (5 speakers), 90-93 % (20) of simulations
METRICS = ("eer", "min_dcf", "act_dcf", "cllr")


def numbered_speakers(names: np.ndarray) -> np.ndarray | None:
    """A number for the speaker of each trial, str (n,), an unknown one ("-") being a speaker of its own; None where none is known."""
    unknown = np.flatnonzero(names == "-")
    if unknown.size == names.size:
        return None
    numbers = np.unique(names, return_inverse=True)[1]
    numbers[unknown] = numbers.max() + 1 + np.arange(unknown.size)
    return numbers


def _edges(bonafide: np.ndarray, spoof: np.ndarray, threshold: float) -> tuple[np.ndarray, list[bool]]:
    """Ascending scores that cut both classes into at most `BINS` parts each, with the fixed threshold; and, for each
    class, whether all its scores are among them."""
    distinct = [np.unique(group) for group in (bonafide, spoof)]
    whole, grid = [values.size <= BINS for values in distinct], np.linspace(0, 1, BINS)
    kept = [values if is_whole else np.quantile(group, grid, method="nearest")
            for values, is_whole, group in zip(distinct, whole, (bonafide, spoof))]
    below = min(bonafide.min(), spoof.min(), threshold) - 1
    return np.unique(np.concatenate([[below], *kept, [threshold]])), whole


def _mean_per_bin(values: np.ndarray, bins: np.ndarray, count: int) -> np.ndarray:
    total = np.bincount(bins, minlength=count)
    return np.bincount(bins, weights=values, minlength=count) / np.maximum(total, 1)


def _by_trial(bins: np.ndarray, count: int, rng: np.random.Generator) -> Callable[[int], np.ndarray]:
    """Draws (replicates, count) histograms of as many trials, resampled one by one."""
    shares = np.bincount(bins, minlength=count) / bins.size
    return lambda replicates: rng.multinomial(bins.size, shares, size=replicates).astype(float)


def _by_speaker(groups: list[np.ndarray], speakers: list[np.ndarray], count: int,
                rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields histograms of both classes where speakers are resampled, each with all its trials."""
    n_speakers = 1 + max(int(who.max()) for who in speakers)
    shares, sparse = np.full(n_speakers, 1 / n_speakers), n_speakers * count > MATRIX_CELLS
    if not sparse:
        tables = [np.bincount(who * count + bins, minlength=n_speakers * count).reshape(n_speakers, count).astype(float)
                  for bins, who in zip(groups, speakers)]
    while True:
        weights = rng.multinomial(n_speakers, shares, size=CHUNK).astype(float)
        if sparse:
            yield tuple(np.stack([np.bincount(bins, weights=row[who], minlength=count) for row in weights])
                        for bins, who in zip(groups, speakers))
        else:
            yield tuple(weights @ table for table in tables)


def _crossing(missed: np.ndarray, accepted: np.ndarray, sizes: tuple[np.ndarray, np.ndarray],
              whole: list[bool]) -> np.ndarray:
    """(replicates,) EER where the rates at bin edges (replicates, bins + 1) cross, in `sizes` trials of each class.

    A class that is whole lies at the lower edge of its bin, so that the curve there takes it first, trial by trial, and
    the EER is the official one: the mean of both rates where they are closest. Where neither class is whole, both are
    taken to be spread evenly inside the bin.
    """
    at = np.argmax(missed[:, 1:] >= accepted[:, 1:], axis=1)[:, None]
    miss, miss_after = (np.take_along_axis(missed, at + step, 1)[:, 0] for step in (0, 1))
    accept, accept_after = (np.take_along_axis(accepted, at + step, 1)[:, 0] for step in (0, 1))
    if not any(whole):
        ahead, behind = accept - miss, miss_after - accept_after
        return miss + (miss_after - miss) * ahead / (ahead + behind)
    n_bonafide, n_spoof = sizes
    far, frr = (accept, miss_after) if whole[0] else (accept_after, miss)
    among_bonafide = frr >= far if whole[0] else far > frr
    closest_frr, closest_far = np.ceil(far * n_bonafide - 0.5) / n_bonafide, np.floor(frr * n_spoof + 0.5) / n_spoof
    return np.where(among_bonafide, far + closest_frr, frr + closest_far) / 2


def _figures(bonafide: np.ndarray, spoof: np.ndarray, at: int, surprise: list[np.ndarray], costs: tuple,
             whole: list[bool]) -> np.ndarray:
    """(4, replicates) EER, minDCF, actDCF and Cllr of histograms (replicates, bins); both classes drawn at least once."""
    sizes = bonafide.sum(axis=1), spoof.sum(axis=1)
    bonafide, spoof = bonafide / sizes[0][:, None], spoof / sizes[1][:, None]
    start = np.zeros((len(bonafide), 1))
    missed = np.concatenate([start, np.cumsum(bonafide, axis=1)], axis=1)
    accepted = 1 - np.concatenate([start, np.cumsum(spoof, axis=1)], axis=1)
    missed[:, -1], accepted[:, -1] = 1, 0      # whatever the rounding
    min_dcf, act_dcf = dcf(missed, accepted, *costs).min(axis=1), dcf(missed[:, at], accepted[:, at], *costs)
    cllr = (bonafide @ surprise[0] + spoof @ surprise[1]) / (2 * np.log(2))
    return np.stack([_crossing(missed, accepted, sizes, whole), min_dcf, act_dcf, cllr])


def _bins(scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin of each score: bin k holds edges[k] <= score < edges[k + 1], so that k bins lie below edges[k]."""
    return np.searchsorted(edges, scores, side="right") - 1


def bootstrap_interval(bonafide: np.ndarray, spoof: np.ndarray, bonafide_speakers: np.ndarray | None = None,
                       spoof_speakers: np.ndarray | None = None, prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
                       cost_fa: float = COST_FA, replicates: int = REPLICATES, seed: int = 0) -> dict:
    """95 % percentile bootstrap intervals: {"eer": [low, high], "min_dcf", "act_dcf", "cllr", "by", "replicates", "seed"}.

    Speakers are resampled with all their trials where at least five are known (integers >= 0, one numbering for both
    classes), else trials within each class; "by" says which and "speakers" how many (None for trials); with
    `FEW_SPEAKERS` or fewer the intervals are too narrow. Thresholds are the scores themselves up to 1,000 different
    ones per class, 1,000 quantiles of each class above: a grid finer than any interval. An absent class gives an empty
    dict. Deterministic for a seed.
    """
    bonafide, spoof = checked(bonafide), checked(spoof)
    if not (bonafide.size and spoof.size and replicates):
        return {}
    costs, rng = (prior_spoof, cost_miss, cost_fa), np.random.default_rng(seed)
    threshold = bayes_threshold(*costs)
    edges, whole = _edges(bonafide, spoof, threshold)
    groups = [_bins(scores, edges) for scores in (bonafide, spoof)]
    surprise = [_mean_per_bin(np.logaddexp(0, sign * scores), bins, edges.size)
                for scores, bins, sign in ((bonafide, groups[0], -1), (spoof, groups[1], 1))]
    known = bonafide_speakers is not None and spoof_speakers is not None
    n_speakers = np.union1d(bonafide_speakers, spoof_speakers).size if known else 0
    if n_speakers >= MIN_SPEAKERS:
        numbered = np.unique(np.concatenate([bonafide_speakers, spoof_speakers]), return_inverse=True)[1]
        draws = _by_speaker(groups, [numbered[:bonafide.size], numbered[bonafide.size:]], edges.size, rng)
    else:
        draw = [_by_trial(bins, edges.size, rng) for bins in groups]
        draws = iter(lambda: (draw[0](CHUNK), draw[1](CHUNK)), None)
    at = int(np.searchsorted(edges, threshold))
    values = []
    for done in range(0, replicates, CHUNK):
        drawn = [group[:replicates - done] for group in next(draws)]
        both = np.all([group.any(axis=1) for group in drawn], axis=0)     # few speakers may leave a class out
        values.append(_figures(*(group[both] for group in drawn), at, surprise, costs, whole))
    values = np.concatenate(values, axis=1)
    tails = [(1 - LEVEL) / 2 * 100, (1 + LEVEL) / 2 * 100]
    by = f"{n_speakers} speakers" if n_speakers >= MIN_SPEAKERS else "trials"
    found = {name: [float(v) for v in np.percentile(row, tails)] for name, row in zip(METRICS, values) if row.size}
    return {**found, "level": LEVEL, "by": by, "speakers": n_speakers if n_speakers >= MIN_SPEAKERS else None, "replicates": values.shape[1], "seed": seed}
