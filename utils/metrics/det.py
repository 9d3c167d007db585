"""The DET curve as ASVspoof defines it. All metrics that sweep a threshold are computed from it."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.common.errors import InputError


@dataclass(frozen=True, slots=True)
class Det:
    """Miss and false alarm rates at n + 1 ascending thresholds, for n trials."""
    miss: np.ndarray            # (n + 1,) share of bona fide trials rejected
    false_alarm: np.ndarray     # (n + 1,) share of spoof trials accepted
    thresholds: np.ndarray      # (n + 1,) the lowest score minus 0.001, then the sorted scores


def checked(scores: np.ndarray) -> np.ndarray:
    """`scores` as float64 (n,). Raises `InputError` if a score is not a finite number."""
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise InputError(f"{bad} of {scores.size} scores are infinite or not a number: "
                         "score those trials again")
    return scores


def det_curve(bonafide: np.ndarray, spoof: np.ndarray) -> Det:
    """The DET curve of CM scores (higher = bona fide); neither class may be empty.

    As in the official ASVspoof packages, trials are sorted by score and ties are not merged. At
    equal scores bona fide trials come first.
    """
    bonafide = np.sort(checked(bonafide))
    spoof = np.sort(checked(spoof))
    is_bonafide = _merged(bonafide, spoof)
    missed = np.cumsum(is_bonafide)
    rejected_spoof = np.arange(1, missed.size + 1) - missed
    thresholds = np.empty(missed.size + 1)
    thresholds[0] = min(bonafide[0], spoof[0]) - 0.001
    thresholds[1:][is_bonafide] = bonafide
    thresholds[1:][~is_bonafide] = spoof
    return Det(np.concatenate(([0.0], missed / bonafide.size)),
               np.concatenate(([1.0], 1 - rejected_spoof / spoof.size)), thresholds)


def _merged(bonafide: np.ndarray, spoof: np.ndarray) -> np.ndarray:
    """(n,) bool: which trials are bona fide, after both sorted classes are merged by score.

    A binary search for ranks gives the order of a stable sort, in less time.
    """
    is_bonafide = np.zeros(bonafide.size + spoof.size, dtype=bool)
    if bonafide.size <= spoof.size:
        ranks = np.searchsorted(spoof, bonafide, side="left") + np.arange(bonafide.size)
        is_bonafide[ranks] = True
    else:
        ranks = np.searchsorted(bonafide, spoof, side="right") + np.arange(spoof.size)
        is_bonafide[:] = True
        is_bonafide[ranks] = False
    return is_bonafide


def as_bonafide(keys: Sequence | np.ndarray) -> np.ndarray:
    """(n,) bool: True for bona fide; `keys` are booleans, 1 / 0 or the words bonafide / spoof."""
    keys = np.asarray(keys)
    return keys == "bonafide" if keys.dtype.kind in "UO" else keys.astype(bool)
