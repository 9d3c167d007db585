"""Scores of a store from several processes: each scores its share and leaves it in a file, number 0 puts them together."""
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import numpy as np

from utils.common.files import atomic_write
from utils.parallel.ranks import Ranks, wait_for

PATIENCE = 600      # seconds at least that another process may take longer than this one


def score_in_shares(ranks: Ranks, folder: Path, job: str, count: int, score: Callable[[slice], np.ndarray]) -> np.ndarray | None:
    """`score` of every process' share of `count` utterances, in order: float64 (count,); None for all processes but number 0.

    The files lie in `folder` until they are read. `job` names what is scored with what: files of another job are not taken.
    """
    started = monotonic()
    own = np.asarray(score(ranks.share(count)), dtype=float)
    if ranks.size == 1:
        return own
    paths = [folder / f".scores-{job}-{number + 1}-of-{ranks.size}.npy" for number in range(ranks.size)]
    with atomic_write(paths[ranks.rank], "wb") as file:
        np.save(file, own)
    if not ranks.lead:
        return None
    patience = max(PATIENCE, 10 * (monotonic() - started))      # a share is as large as any other
    wait_for(lambda: all(path.is_file() for path in paths), "the scores of the other processes",
             lambda: sum(path.is_file() for path in paths), patience)
    scores = np.concatenate([np.load(path, allow_pickle=False) for path in paths])
    for path in paths:
        path.unlink()
    return scores
