"""Folds of a `tests.benchmarks.fits.Bench`: each fold's sources are left out of training in turn, and scored."""
from collections import Counter, defaultdict

import numpy as np

from tests.benchmarks.fits import Bench, percent, spread
from utils.trials.split import deal_folds

FOLDS = 5
Folds = dict[str, np.ndarray]      # of each subset: the fold of each utterance, from 1; 0: in none, always trained on


def folds_of_train(bench: Bench) -> None:
    """Leave each fold's sources of train's pool out; print a row for each, and one for all."""
    folds, real = dealt(bench, ["train"]), bench.bonafide["train"]
    fold, source = folds["train"], bench.source["train"]
    scores = [left_out(bench, folds, ["train"], seed)["train"] for seed in bench.seeds]
    print("\n| sources left out | sources | bona fide | spoof | EER |\n|---|---|---|---|---|")
    for number in [*_numbers(folds), 0]:
        which = fold == number if number else fold > 0
        print(f"| {f'fold {number}' if number else 'all folds together'} | {len(np.unique(source[which]))} | {(which & real).sum()} | "
              f"{(which & ~real).sum()} | {spread(percent(found, real, which) for found in scores)} |", flush=True)


def folds_of_both(bench: Bench) -> None:
    """Leave each fold's sources of train's pool and of dev out; what is won by training on the other sources of dev too."""
    folds = dealt(bench, ["train", "dev"])
    print("\n| each source left out once | EER on train's clips | on dev's clips | on both |\n|---|---|---|---|")
    for name, subsets in (("trained on train's sources", ["train"]), ("trained on train's and dev's", ["train", "dev"])):
        figures = [_by_subset(bench, folds, left_out(bench, folds, subsets, seed)) for seed in bench.seeds]
        print(f"| {name} | " + " | ".join(map(spread, zip(*figures))) + " |", flush=True)


def dealt(bench: Bench, subsets: list[str]) -> Folds:
    """The sources of the subsets' pools, each in one fold; both classes and subsets spread over the folds as sources allow."""
    strata: dict[str, Counter] = defaultdict(Counter)
    for subset in subsets:
        for i in np.flatnonzero(bench.pool[subset]):
            labels = bench.rows[subset][i].labels
            strata[labels.source][labels.key, subset, "-"] += 1
    home = deal_folds(strata, min(FOLDS, len(strata)), 0)
    return {subset: np.array([home.get(row.labels.source, 0) if pool else 0 for row, pool in zip(bench.rows[subset], bench.pool[subset])], int)
            for subset in subsets}


def left_out(bench: Bench, folds: Folds, trained: list[str], seed: int) -> dict[str, np.ndarray]:
    """The scores of what is in a fold, each by a fit to the subsets `trained` without that fold; NaN elsewhere, and where a
    fit would lack a class."""
    scores = {subset: np.full(len(fold), np.nan) for subset, fold in folds.items()}
    for number in _numbers(folds):
        kept = [(subset, np.flatnonzero(folds[subset] != number)) for subset in trained]
        if bench.fit([(subset, which, bench.crops[subset, seed][which]) for subset, which in kept]):
            for subset, fold in folds.items():
                scores[subset][fold == number] = bench.scores(subset)[fold == number]
    return scores


def _numbers(folds: Folds) -> list[int]:
    return sorted({int(number) for fold in folds.values() for number in fold} - {0})


def _by_subset(bench: Bench, folds: Folds, scores: dict[str, np.ndarray]) -> list[float]:
    """EER of what is in a fold: of each subset, and of all together."""
    scored = [(scores[subset][fold > 0], bench.bonafide[subset][fold > 0]) for subset, fold in folds.items()]
    return [percent(*one) for one in [*scored, tuple(map(np.concatenate, zip(*scored)))]]
