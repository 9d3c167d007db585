"""Folds of a `Bench`: each fold's sources are left out of training in turn, and scored."""
from collections import Counter, defaultdict

import numpy as np

from tests.benchmarks.accuracy.fits import Bench, percent, spread
from tests.benchmarks.results_files import Rows
from utils.trials.split import deal_folds

FOLDS = 5
Folds = dict[str, np.ndarray]   # of each subset: each utterance's fold from 1; 0: always trained on


def folds_of_train(bench: Bench) -> Rows:
    """Leave each fold's sources of train's pool out; a row for each, and one for all."""
    folds = dealt(bench, ["train"])
    fold = folds["train"]
    real = bench.bonafide["train"]
    scores = [left_out(bench, folds, ["train"], seed)["train"] for seed in bench.seeds]
    names = {number: f"fold {number}" for number in _numbers(folds)} | {0: "all together"}
    rows = []
    for number, name in names.items():
        which = fold == number if number else fold > 0
        rows.append({"sources left out": name,
                     "sources": str(len(np.unique(bench.source["train"][which]))),
                     "bona fide": str((which & real).sum()), "spoof": str((which & ~real).sum()),
                     **spread("EER", [percent(found, real, which) for found in scores])})
    return rows


def folds_of_both(bench: Bench) -> Rows:
    """Leave each fold's sources of train and dev out, with and without dev in training."""
    folds = dealt(bench, ["train", "dev"])
    trained = {"trained on the openly licensed sources": ["train"],
               "trained on all sources": ["train", "dev"]}
    rows = []
    for name, subsets in trained.items():
        figures = [_by_subset(bench, folds, left_out(bench, folds, subsets, seed))
                   for seed in bench.seeds]
        openly, others, both = zip(*figures)
        rows.append({"each source left out once": name, **spread("openly licensed sources", openly),
                     **spread("other sources", others), **spread("both", both)})
    return rows


def dealt(bench: Bench, subsets: list[str]) -> Folds:
    """The sources of the subsets' pools, each in one fold; classes and subsets spread evenly."""
    strata: dict[str, Counter] = defaultdict(Counter)
    for subset in subsets:
        for i in np.flatnonzero(bench.pool[subset]):
            labels = bench.rows[subset][i].labels
            strata[labels.source][labels.key, subset, "-"] += 1
    home = deal_folds(strata, min(FOLDS, len(strata)), 0)
    return {subset: np.array([home.get(row.labels.source, 0) if pool else 0
                              for row, pool in zip(bench.rows[subset], bench.pool[subset])], int)
            for subset in subsets}


def left_out(bench: Bench, folds: Folds, trained: list[str], seed: int) -> dict[str, np.ndarray]:
    """The scores of what is in a fold, each by a fit to the subsets `trained` without that fold.

    NaN elsewhere, and for a fit that would lack a class.
    """
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
    scored = [(scores[subset][fold > 0], bench.bonafide[subset][fold > 0])
              for subset, fold in folds.items()]
    together = tuple(map(np.concatenate, zip(*scored)))
    return [percent(*one) for one in [*scored, together]]
