"""Detection metrics by the official formulae of ASVspoof 2019, 2021 and 5, in numpy alone.

Scores are CM scores: higher = bona fide. Rates are fractions. A metric whose class is absent is nan. actDCF and Cllr
take scores as log-likelihood ratios (natural logarithm); the others only use their order.
Sources: Brümmer & du Preez 2006 (Cllr); Kinnunen et al. 2018 and 2020 (t-DCF); the evaluation plans of ASVspoof 2019,
2021 and 5. Two departures: Cllr stays finite where exp() overflows, and the t-DCF of scores with fewer than three
values is computed, where the official programs stop.
"""
from dataclasses import dataclass

import numpy as np

from utils.metrics.det import Det, checked, det_curve

PRIOR_SPOOF, COST_MISS, COST_FA = 0.05, 1.0, 10.0    # ASVspoof 5, track 1


@dataclass(frozen=True, slots=True)
class AsvRates:
    """Error rates of the speaker verification system that the t-DCF puts behind the detector."""
    false_alarm: float   # share of non-target trials accepted
    miss: float          # share of target trials rejected
    spoof: float         # share of spoof trials accepted


ASVSPOOF5_ASV = AsvRates(0.01881016557566423, 0.01880141010575793, 0.4607082907604729)   # fixed by the ASVspoof 5 plan


def bayes_threshold(prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS, cost_fa: float = COST_FA) -> float:
    """The log-likelihood ratio from which accepting as bona fide costs less than rejecting (ASVspoof 5: -0.6419)."""
    return float(-np.log(cost_miss * (1 - prior_spoof) / (cost_fa * prior_spoof)))


def _curve(bonafide: np.ndarray, spoof: np.ndarray) -> Det | None:
    bonafide, spoof = checked(bonafide), checked(spoof)
    return det_curve(bonafide, spoof) if bonafide.size and spoof.size else None


def eer_of(curve: Det) -> tuple[float, float]:
    """EER and its threshold on a DET curve: the mean of both rates where they are first closest, not interpolated."""
    at = int(np.argmin(np.abs(curve.frr - curve.far)))
    return float((curve.frr[at] + curve.far[at]) / 2), float(curve.thresholds[at])


def eer(bonafide: np.ndarray, spoof: np.ndarray) -> tuple[float, float]:
    """Equal error rate (a fraction) and its threshold; (nan, nan) where a class is absent."""
    curve = _curve(bonafide, spoof)
    return eer_of(curve) if curve else (np.nan, np.nan)


def dcf(miss: np.ndarray, false_alarm: np.ndarray, prior_spoof: float, cost_miss: float, cost_fa: float) -> np.ndarray:
    """Normalised detection cost of miss and false alarm rates; 1 is the better of accepting and rejecting everything."""
    cost = cost_miss * (1 - prior_spoof) * miss + cost_fa * prior_spoof * false_alarm
    return cost / min(cost_miss * (1 - prior_spoof), cost_fa * prior_spoof)


def min_dcf_of(curve: Det, prior_spoof: float, cost_miss: float, cost_fa: float) -> tuple[float, float]:
    """minDCF and its threshold on a DET curve."""
    costs = dcf(curve.frr, curve.far, prior_spoof, cost_miss, cost_fa)
    at = int(np.argmin(costs))
    return float(costs[at]), float(curve.thresholds[at])


def min_dcf(bonafide: np.ndarray, spoof: np.ndarray, prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
            cost_fa: float = COST_FA) -> tuple[float, float]:
    """The lowest normalised detection cost over all thresholds, and that threshold; (nan, nan) where a class is absent."""
    curve = _curve(bonafide, spoof)
    return min_dcf_of(curve, prior_spoof, cost_miss, cost_fa) if curve else (np.nan, np.nan)


def error_rates(bonafide: np.ndarray, spoof: np.ndarray, threshold: float) -> tuple[float, float]:
    """Share of bona fide trials below `threshold` (miss) and of spoof trials at or above it (false alarm)."""
    bonafide, spoof = checked(bonafide), checked(spoof)
    miss = float(np.mean(bonafide < threshold)) if bonafide.size else np.nan
    return miss, float(np.mean(spoof >= threshold)) if spoof.size else np.nan


def hter(bonafide: np.ndarray, spoof: np.ndarray, threshold: float) -> float:
    """Half total error rate at a threshold fixed beforehand, on dev: the mean of miss and false alarm rate."""
    return float(np.mean(error_rates(bonafide, spoof, threshold)))


def act_dcf(bonafide: np.ndarray, spoof: np.ndarray, prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
            cost_fa: float = COST_FA) -> float:
    """Normalised detection cost at the Bayes threshold: what scores cost when taken at their word as LLRs."""
    miss, false_alarm = error_rates(bonafide, spoof, bayes_threshold(prior_spoof, cost_miss, cost_fa))
    return float(dcf(miss, false_alarm, prior_spoof, cost_miss, cost_fa))


def cllr(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Cost of log-likelihood ratios in bits: 0 is perfect, 1 says nothing, above 1 misleads. Never overflows."""
    bonafide, spoof = checked(bonafide), checked(spoof)
    if not (bonafide.size and spoof.size):
        return float("nan")
    return float((np.mean(np.logaddexp(0, -bonafide)) + np.mean(np.logaddexp(0, spoof))) / (2 * np.log(2)))


def auc(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a bona fide trial scores above a spoof trial, ties counting half."""
    bonafide, spoof = checked(bonafide), np.sort(checked(spoof))
    if not (bonafide.size and spoof.size):
        return float("nan")
    bonafide = np.sort(bonafide)
    below = np.searchsorted(spoof, bonafide, side="left").sum() + np.searchsorted(spoof, bonafide, side="right").sum()
    return float(below / 2 / bonafide.size / spoof.size)


def asv_error_rates(target: np.ndarray, nontarget: np.ndarray, spoof: np.ndarray) -> AsvRates:
    """Error rates of a speaker verification system at its own EER threshold (targets against non-targets)."""
    threshold = eer(target, nontarget)[1]
    miss, false_alarm = error_rates(target, nontarget, threshold)
    return AsvRates(false_alarm, miss, error_rates(target, spoof, threshold)[1])


def tdcf_of(curve: Det, asv: AsvRates, prior_spoof: float, legacy: bool) -> float:
    """Minimum t-DCF on a DET curve; see `min_tdcf`."""
    target, nontarget = (1 - prior_spoof) * 0.99, (1 - prior_spoof) * 0.01
    always = target * asv.miss + nontarget * 10 * asv.false_alarm
    on_miss, on_false_alarm = target - always, prior_spoof * 10 * asv.spoof
    costs = on_miss * curve.frr + on_false_alarm * curve.far
    default = min(on_miss, on_false_alarm)
    return float((costs.min() + (0 if legacy else always)) / (default + (0 if legacy else always)))


def min_tdcf(bonafide: np.ndarray, spoof: np.ndarray, asv: AsvRates = ASVSPOOF5_ASV, prior_spoof: float = PRIOR_SPOOF,
             legacy: bool = False) -> float:
    """Minimum normalised tandem cost of detector and speaker verification together; nan where a class is absent.

    As in ASVspoof 2021 and 5; `legacy` gives the 2019 form, which leaves out what the verification system costs by
    itself. Of what is not spoofed, 99 % are targets; a miss costs 1, a false acceptance 10.
    """
    curve = _curve(bonafide, spoof)
    return tdcf_of(curve, asv, prior_spoof, legacy) if curve else float("nan")
