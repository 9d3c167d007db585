"""The DET curve as ASVspoof draws it: every figure that sweeps a threshold is read off this curve."""
from dataclasses import dataclass

from collections.abc import Sequence

import numpy as np

from utils.common.errors import InputError


@dataclass(frozen=True, slots=True)
class Det:
    """Miss and false alarm rates at n + 1 thresholds, ascending, for n trials."""
    frr: np.ndarray         # (n + 1,) share of bona fide trials rejected
    far: np.ndarray         # (n + 1,) share of spoof trials accepted
    thresholds: np.ndarray  # (n + 1,) the lowest score less 0.001, then the sorted scores


def checked(scores: np.ndarray) -> np.ndarray:
    """`scores` as float64 (n,); `InputError` where one of them is not a finite number."""
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise InputError(f"{bad} of {scores.size} scores are infinite or not a number: score those trials again")
    return scores


def det_curve(bonafide: np.ndarray, spoof: np.ndarray) -> Det:
    """The DET curve of CM scores (higher = bona fide), exactly as the official ASVspoof packages define it.

    Trials are taken in ascending order, at equal scores bona fide first, and ties are not merged. The two classes are
    sorted apart and merged by rank, which gives that order without a stable argsort of everything. Neither class may
    be empty.
    """
    bonafide, spoof = np.sort(checked(bonafide)), np.sort(checked(spoof))
    n_bonafide, n_spoof = bonafide.size, spoof.size
    is_bonafide = np.zeros(n_bonafide + n_spoof, dtype=bool)
    if n_bonafide <= n_spoof:
        is_bonafide[np.searchsorted(spoof, bonafide, side="left") + np.arange(n_bonafide)] = True
    else:
        is_bonafide[:] = True
        is_bonafide[np.searchsorted(bonafide, spoof, side="right") + np.arange(n_spoof)] = False
    missed = np.cumsum(is_bonafide)
    rejected_spoof = np.arange(1, missed.size + 1) - missed
    thresholds = np.empty(missed.size + 1)
    thresholds[0] = min(bonafide[0], spoof[0]) - 0.001
    thresholds[1:][is_bonafide] = bonafide
    thresholds[1:][~is_bonafide] = spoof
    return Det(np.concatenate(([0.0], missed / n_bonafide)), np.concatenate(([1.0], 1 - rejected_spoof / n_spoof)), thresholds)


def as_bonafide(keys: Sequence | np.ndarray) -> np.ndarray:
    """True where bona fide, (n,) bool, from booleans, 1 / 0 or the words bonafide / spoof."""
    keys = np.asarray(keys)
    return keys == "bonafide" if keys.dtype.kind in "UO" else keys.astype(bool)
