"""Bootstrap intervals: how far a metric would move with other trials or speakers of the same kind.

Efron & Tibshirani 1993 (percentile intervals). Each replicate computes the official figure.
"""
from collections.abc import Iterator, Sequence

import numpy as np

from utils.metrics.metrics import (COST_FA, COST_MISS, PRIOR_SPOOF, bayes_threshold, checked,
                                   dcf)

REPLICATES = 1000
LEVEL = 0.95
BINS = 1000           # thresholds kept per class; a class with fewer scores keeps all of them
CHUNK = 250           # replicates at a time, to save memory
MIN_SPEAKERS = 5      # with fewer speakers, trials are resampled instead
MATRIX_CELLS = 20_000_000   # speakers times bins; above it, histograms are made one by one
# With so few speakers, intervals are too narrow. In simulations, "95 %" intervals held the true
# EER in 81-84 % of cases with 5 speakers, and in 90-93 % with 20.
FEW_SPEAKERS = 20
METRICS = ("eer", "min_dcf", "act_dcf", "cllr")

Histograms = tuple[np.ndarray, np.ndarray]      # of bona fide and of spoof, (replicates, bins)


def numbered_speakers(names: np.ndarray) -> np.ndarray | None:
    """A number for the speaker of each trial, from names (n,); None if no speaker is known.

    Each trial of an unknown speaker ("-") gets a number of its own.
    """
    unknown = np.flatnonzero(names == "-")
    if unknown.size == names.size:
        return None
    numbers = np.unique(names, return_inverse=True)[1]
    numbers[unknown] = numbers.max() + 1 + np.arange(unknown.size)
    return numbers


def bootstrap_interval(bonafide: np.ndarray, spoof: np.ndarray,
                       bonafide_speakers: np.ndarray | None = None,
                       spoof_speakers: np.ndarray | None = None,
                       prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
                       cost_fa: float = COST_FA, replicates: int = REPLICATES,
                       seed: int = 0) -> dict:
    """95 % percentile bootstrap intervals: {"eer": [low, high], ...} for each of `METRICS`.

    If at least five speakers are known, they are resampled with all their trials. Otherwise
    trials are resampled within each class. Speakers are integers >= 0, with one numbering for
    both classes. "by" says which was resampled, "speakers" how many (None for trials), and
    "fewest" how many the class with fewer of them has. If these are `FEW_SPEAKERS` or fewer,
    intervals are too narrow. The thresholds are all different scores of
    a class if there are up to 1,000, else 1,000 quantiles. A missing class gives an empty dict.
    The same seed always gives the same result.
    """
    bonafide = checked(bonafide)
    spoof = checked(spoof)
    if not (bonafide.size and spoof.size and replicates):
        return {}
    speakers = _enough_speakers(bonafide_speakers, spoof_speakers)
    values = _replicates(bonafide, spoof, speakers, (prior_spoof, cost_miss, cost_fa), replicates,
                         seed)
    n_speakers = np.union1d(*speakers).size if speakers else None
    fewest = min(np.unique(of_class).size for of_class in speakers) if speakers else None
    return {**_percentiles(values), "level": LEVEL,
            "by": f"{n_speakers} speakers" if speakers else "trials", "speakers": n_speakers,
            "fewest": fewest,
            "replicates": values.shape[1], "seed": seed}


def rise_interval(before: Sequence[np.ndarray], after: Sequence[np.ndarray],
                  bonafide_speakers: np.ndarray | None = None,
                  spoof_speakers: np.ndarray | None = None, replicates: int = REPLICATES,
                  seed: int = 0) -> list[float]:
    """95 % percentile bootstrap interval [low, high] of how much the EER rises.

    `before`, `after`: the scores of the same bona fide and spoofed trials by two models. Both have
    the same resamples: of speakers if at least five are known, else of trials of either class.
    """
    speakers = _enough_speakers(bonafide_speakers, spoof_speakers)
    if speakers is None:
        speakers = np.split(np.arange(sum(map(len, before))), [len(before[0])])
    first, second = (_replicates(*map(checked, scores), speakers,
                                 (PRIOR_SPOOF, COST_MISS, COST_FA), replicates, seed)[0]
                     for scores in (before, after))
    return _percentiles((second - first)[None])["eer"]


def _replicates(bonafide: np.ndarray, spoof: np.ndarray, speakers: list[np.ndarray] | None,
                costs: tuple[float, float, float], replicates: int, seed: int) -> np.ndarray:
    """(4, replicates) figures of resamples; the same speakers and seed give the same resamples."""
    threshold = bayes_threshold(*costs)
    edges, whole = _edges(bonafide, spoof, threshold)
    # bin k holds edges[k] <= score < edges[k + 1]
    bins = [np.searchsorted(edges, scores, side="right") - 1 for scores in (bonafide, spoof)]
    losses = [_mean_per_bin(np.logaddexp(0, -bonafide), bins[0], edges.size),
              _mean_per_bin(np.logaddexp(0, spoof), bins[1], edges.size)]
    rng = np.random.default_rng(seed)
    draws = (_by_speaker(bins, speakers, edges.size, rng) if speakers
             else _by_trial(bins, edges.size, rng))
    at = int(np.searchsorted(edges, threshold))
    return np.concatenate([_figures(*drawn, at, losses, costs, whole)
                           for drawn in _first(replicates, draws)], axis=1)


def _percentiles(values: np.ndarray) -> dict[str, list[float]]:
    """[low, high] of the first of `METRICS` from their values (metrics, replicates)."""
    tails = [(1 - LEVEL) / 2 * 100, (1 + LEVEL) / 2 * 100]
    return {name: [float(value) for value in np.percentile(row, tails)]
            for name, row in zip(METRICS, values) if row.size}


def _edges(bonafide: np.ndarray, spoof: np.ndarray,
           threshold: float) -> tuple[np.ndarray, list[bool]]:
    """Ascending bin edges: at most `BINS` scores of each class, and the fixed threshold.

    The list says for each class whether all its scores are edges.
    """
    kept = []
    whole = []
    for group in (bonafide, spoof):
        distinct = np.unique(group)
        whole.append(distinct.size <= BINS)
        kept.append(distinct if whole[-1]
                    else np.quantile(group, np.linspace(0, 1, BINS), method="nearest"))
    below = min(bonafide.min(), spoof.min(), threshold) - 1
    return np.unique(np.concatenate([[below], *kept, [threshold]])), whole


def _mean_per_bin(values: np.ndarray, bins: np.ndarray, count: int) -> np.ndarray:
    total = np.bincount(bins, minlength=count)
    return np.bincount(bins, weights=values, minlength=count) / np.maximum(total, 1)


def _enough_speakers(bonafide: np.ndarray | None,
                     spoof: np.ndarray | None) -> list[np.ndarray] | None:
    """The speakers of both classes, numbered together from 0; None for fewer than five."""
    if bonafide is None or spoof is None or np.union1d(bonafide, spoof).size < MIN_SPEAKERS:
        return None
    numbers = np.unique(np.concatenate([bonafide, spoof]), return_inverse=True)[1]
    return [numbers[:len(bonafide)], numbers[len(bonafide):]]


def _by_trial(bins: list[np.ndarray], count: int,
              rng: np.random.Generator) -> Iterator[Histograms]:
    """Yields histograms of both classes, with trials resampled within each class."""
    shares = [np.bincount(of_class, minlength=count) / of_class.size for of_class in bins]
    while True:
        yield tuple(rng.multinomial(of_class.size, share, size=CHUNK).astype(float)
                    for of_class, share in zip(bins, shares))


def _by_speaker(bins: list[np.ndarray], speakers: list[np.ndarray], count: int,
                rng: np.random.Generator) -> Iterator[Histograms]:
    """Yields histograms of both classes, with speakers resampled with all their trials."""
    n_speakers = 1 + max(int(who.max()) for who in speakers)
    shares = np.full(n_speakers, 1 / n_speakers)
    sparse = n_speakers * count > MATRIX_CELLS
    tables = [] if sparse else [_table(of_class, who, n_speakers, count)
                                for of_class, who in zip(bins, speakers)]
    while True:
        weights = rng.multinomial(n_speakers, shares, size=CHUNK).astype(float)
        if sparse:
            yield tuple(_weighted(of_class, who, weights, count)
                        for of_class, who in zip(bins, speakers))
        else:
            yield tuple(weights @ table for table in tables)


def _table(bins: np.ndarray, who: np.ndarray, n_speakers: int, count: int) -> np.ndarray:
    """(speakers, bins): each speaker's histogram."""
    cells = np.bincount(who * count + bins, minlength=n_speakers * count)
    return cells.reshape(n_speakers, count).astype(float)


def _weighted(bins: np.ndarray, who: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """(replicates, bins): histograms that count each trial as often as its speaker is drawn."""
    return np.stack([np.bincount(bins, weights=row[who], minlength=count) for row in weights])


def _first(replicates: int, draws: Iterator[Histograms]) -> Iterator[Histograms]:
    """The first `replicates` of the draws, without those that lack a class."""
    for done in range(0, replicates, CHUNK):
        bonafide, spoof = (group[:replicates - done] for group in next(draws))
        both = bonafide.any(axis=1) & spoof.any(axis=1)     # few speakers may lack a class
        yield bonafide[both], spoof[both]


def _figures(bonafide: np.ndarray, spoof: np.ndarray, at: int, losses: list[np.ndarray],
             costs: tuple[float, float, float], whole: list[bool]) -> np.ndarray:
    """(4, replicates) EER, minDCF, actDCF and Cllr of histograms (replicates, bins).

    `at` is the edge of the Bayes threshold, `losses` the mean log loss per bin of each class.
    """
    sizes = (bonafide.sum(axis=1), spoof.sum(axis=1))
    bonafide = bonafide / sizes[0][:, None]
    spoof = spoof / sizes[1][:, None]
    start = np.zeros((len(bonafide), 1))
    miss = np.concatenate([start, np.cumsum(bonafide, axis=1)], axis=1)
    false_alarm = 1 - np.concatenate([start, np.cumsum(spoof, axis=1)], axis=1)
    miss[:, -1] = 1             # exact in spite of rounding
    false_alarm[:, -1] = 0
    min_dcf = dcf(miss, false_alarm, *costs).min(axis=1)
    act_dcf = dcf(miss[:, at], false_alarm[:, at], *costs)
    cllr = (bonafide @ losses[0] + spoof @ losses[1]) / (2 * np.log(2))
    return np.stack([_crossing(miss, false_alarm, sizes, whole), min_dcf, act_dcf, cllr])


def _crossing(miss: np.ndarray, false_alarm: np.ndarray, sizes: tuple[np.ndarray, np.ndarray],
              whole: list[bool]) -> np.ndarray:
    """(replicates,) EER where the rates at bin edges (replicates, bins + 1) cross.

    `sizes` are the numbers of trials of each class. `whole` says for each class whether all its
    scores are edges. Those scores lie at the lower edge of their bin, so the EER is the official
    one: the mean of both rates where they are closest. If neither class is whole, scores are
    assumed to be spread evenly inside the bin.
    """
    at = np.argmax(miss[:, 1:] >= false_alarm[:, 1:], axis=1)[:, None]
    miss_before, miss_after = (np.take_along_axis(miss, at + step, 1)[:, 0] for step in (0, 1))
    alarm_before, alarm_after = (np.take_along_axis(false_alarm, at + step, 1)[:, 0]
                                 for step in (0, 1))
    if not any(whole):
        ahead = alarm_before - miss_before
        behind = miss_after - alarm_after
        return miss_before + (miss_after - miss_before) * ahead / (ahead + behind)
    n_bonafide, n_spoof = sizes
    if whole[0]:        # inside the bin, the curve passes its bona fide trials first
        alarm, missed = alarm_before, miss_after
        among_bonafide = missed >= alarm
    else:
        alarm, missed = alarm_after, miss_before
        among_bonafide = alarm > missed
    closest_miss = np.ceil(alarm * n_bonafide - 0.5) / n_bonafide
    closest_alarm = np.floor(missed * n_spoof + 0.5) / n_spoof
    return np.where(among_bonafide, alarm + closest_miss, missed + closest_alarm) / 2
