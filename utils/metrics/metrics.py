"""The DET curve and detection metrics, by the official formulae of ASVspoof 2019, 2021 and 5.

Scores are CM scores: higher = bona fide. Rates are fractions. A metric is nan if a class is
missing. actDCF and Cllr read scores as log-likelihood ratios (natural logarithm); all others use
only their order. Sources: Brümmer & du Preez 2006 (Cllr); Kinnunen et al. 2018 and 2020 (t-DCF);
the evaluation plans of ASVspoof 2019, 2021 and 5. Two differences: Cllr stays finite where exp()
overflows, and the t-DCF also accepts scores with fewer than three different values.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.common.errors import InputError

PRIOR_SPOOF = 0.05      # this and the next two: ASVspoof 5, track 1
COST_MISS = 1.0
COST_FA = 10.0
TARGET_SHARE = 0.99     # target share of the trials without spoofing, for the t-DCF
NONTARGET_SHARE = 0.01
COST_ASV_FA = 10        # cost of a false acceptance in the t-DCF; a miss costs 1


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


@dataclass(frozen=True, slots=True)
class AsvRates:
    """Error rates of the speaker verification system behind the detector, for the t-DCF."""
    false_alarm: float   # share of non-target trials accepted
    miss: float          # share of target trials rejected
    spoof: float         # share of spoof trials accepted


# values of the ASVspoof 5 evaluation plan
ASVSPOOF5_ASV = AsvRates(false_alarm=0.01881016557566423, miss=0.01880141010575793,
                         spoof=0.4607082907604729)


def bayes_threshold(prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
                    cost_fa: float = COST_FA) -> float:
    """The log-likelihood ratio above which accepting costs less (ASVspoof 5: -0.6419)."""
    return float(-np.log(cost_miss * (1 - prior_spoof) / (cost_fa * prior_spoof)))


def eer_of(curve: Det) -> tuple[float, float]:
    """EER and its threshold on a DET curve.

    The mean of both rates at the first point where they are closest, without interpolation.
    """
    at = int(np.argmin(np.abs(curve.miss - curve.false_alarm)))
    return float((curve.miss[at] + curve.false_alarm[at]) / 2), float(curve.thresholds[at])


def eer(bonafide: np.ndarray, spoof: np.ndarray) -> tuple[float, float]:
    """Equal error rate (a fraction) and its threshold; (nan, nan) if a class is missing."""
    if not (np.size(bonafide) and np.size(spoof)):
        return np.nan, np.nan
    return eer_of(det_curve(bonafide, spoof))


def dcf(miss: np.ndarray, false_alarm: np.ndarray, prior_spoof: float, cost_miss: float,
        cost_fa: float) -> np.ndarray:
    """Normalised detection cost from miss and false alarm rates.

    1 is the cost of the cheaper of two rules: accept everything, or reject everything.
    """
    cost = cost_miss * (1 - prior_spoof) * miss + cost_fa * prior_spoof * false_alarm
    return cost / min(cost_miss * (1 - prior_spoof), cost_fa * prior_spoof)


def min_dcf(curve: Det, prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
            cost_fa: float = COST_FA) -> tuple[float, float]:
    """The lowest normalised detection cost on a DET curve, and its threshold."""
    costs = dcf(curve.miss, curve.false_alarm, prior_spoof, cost_miss, cost_fa)
    at = int(np.argmin(costs))
    return float(costs[at]), float(curve.thresholds[at])


def error_rates(bonafide: np.ndarray, spoof: np.ndarray, threshold: float) -> tuple[float, float]:
    """Miss rate (bona fide below `threshold`) and false alarm rate (spoof at or above it)."""
    bonafide = checked(bonafide)
    spoof = checked(spoof)
    miss = float(np.mean(bonafide < threshold)) if bonafide.size else np.nan
    return miss, float(np.mean(spoof >= threshold)) if spoof.size else np.nan


def act_dcf(bonafide: np.ndarray, spoof: np.ndarray, prior_spoof: float = PRIOR_SPOOF,
            cost_miss: float = COST_MISS, cost_fa: float = COST_FA) -> float:
    """Normalised detection cost at the Bayes threshold, with scores read as LLRs."""
    threshold = bayes_threshold(prior_spoof, cost_miss, cost_fa)
    miss, false_alarm = error_rates(bonafide, spoof, threshold)
    return float(dcf(miss, false_alarm, prior_spoof, cost_miss, cost_fa))


def cllr(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Cost of log-likelihood ratios in bits (Brümmer & du Preez 2006).

    0 is perfect, 1 carries no information, above 1 the scores mislead.
    """
    bonafide = checked(bonafide)
    spoof = checked(spoof)
    if not (bonafide.size and spoof.size):
        return float("nan")
    nats = np.mean(np.logaddexp(0, -bonafide)) + np.mean(np.logaddexp(0, spoof))
    return float(nats / (2 * np.log(2)))


def auc(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Area under the ROC curve.

    It is the probability that a bona fide trial scores above a spoof trial; a tie counts half.
    """
    bonafide = np.sort(checked(bonafide))
    spoof = np.sort(checked(spoof))
    if not (bonafide.size and spoof.size):
        return float("nan")
    below = np.searchsorted(spoof, bonafide, side="left").sum()
    below_or_equal = np.searchsorted(spoof, bonafide, side="right").sum()
    return float((below + below_or_equal) / 2 / bonafide.size / spoof.size)


def asv_error_rates(target: np.ndarray, nontarget: np.ndarray, spoof: np.ndarray) -> AsvRates:
    """Error rates of a verification system at its own EER threshold (target against non-target)."""
    threshold = eer(target, nontarget)[1]
    miss, false_alarm = error_rates(target, nontarget, threshold)
    return AsvRates(false_alarm, miss, error_rates(target, spoof, threshold)[1])


def min_tdcf(curve: Det, asv: AsvRates = ASVSPOOF5_ASV, prior_spoof: float = PRIOR_SPOOF,
             legacy: bool = False) -> float:
    """Minimum normalised cost of detector and speaker verification in tandem (t-DCF).

    As in ASVspoof 2021 and 5 (Kinnunen et al. 2020). `legacy` gives the form of 2019 (Kinnunen et
    al. 2018), without the cost of the verification system alone.
    """
    target = (1 - prior_spoof) * TARGET_SHARE
    nontarget = (1 - prior_spoof) * NONTARGET_SHARE
    always = target * asv.miss + nontarget * COST_ASV_FA * asv.false_alarm
    on_miss = target - always
    on_false_alarm = prior_spoof * COST_ASV_FA * asv.spoof
    costs = on_miss * curve.miss + on_false_alarm * curve.false_alarm
    default = min(on_miss, on_false_alarm)
    asv_alone = 0 if legacy else always
    return float((costs.min() + asv_alone) / (default + asv_alone))
