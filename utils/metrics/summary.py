"""All figures of one set of scored trials, as one JSON-able dict: overall, seen and unseen attacks, and by group."""
from collections.abc import Sequence

import numpy as np

from utils.metrics import intervals
from utils.metrics.det import as_bonafide, checked, det_curve
from utils.metrics.metrics import (ASVSPOOF5_ASV, COST_FA, COST_MISS, PRIOR_SPOOF, AsvRates, act_dcf, auc, bayes_threshold,
                                      cllr, dcf, eer_of, error_rates, min_dcf_of, tdcf_of)

POINT_METRICS = ("eer", "eer_threshold", "min_dcf", "min_dcf_threshold", "act_dcf", "cllr", "auc", "min_tdcf", "min_tdcf_2019")


def point_metrics(bonafide: np.ndarray, spoof: np.ndarray, prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
                  cost_fa: float = COST_FA, asv: AsvRates = ASVSPOOF5_ASV) -> dict:
    """Counts and the metrics named in `POINT_METRICS`; every one None, and "reason", where a class is absent."""
    counts = {"bonafide": int(bonafide.size), "spoof": int(spoof.size)}
    absent = [name for name, count in counts.items() if not count]
    if absent:
        return {"trials": counts, **dict.fromkeys(POINT_METRICS), "reason": f"no {' and no '.join(absent)} trials"}
    curve, costs = det_curve(bonafide, spoof), (prior_spoof, cost_miss, cost_fa)
    (equal, equal_at), (lowest, lowest_at) = eer_of(curve), min_dcf_of(curve, *costs)
    return {"trials": counts, "eer": equal, "eer_threshold": equal_at, "min_dcf": lowest, "min_dcf_threshold": lowest_at,
            "act_dcf": act_dcf(bonafide, spoof, *costs), "cllr": cllr(bonafide, spoof), "auc": auc(bonafide, spoof),
            "min_tdcf": tdcf_of(curve, asv, prior_spoof, legacy=False),
            "min_tdcf_2019": tdcf_of(curve, asv, prior_spoof, legacy=True)}


def operating_point(bonafide: np.ndarray, spoof: np.ndarray, threshold: float, prior_spoof: float, cost_miss: float,
                    cost_fa: float) -> dict:
    """Error rates, HTER and cost at a threshold fixed beforehand; None for what an absent class would have given."""
    miss, false_alarm = error_rates(bonafide, spoof, threshold)
    values = {"miss_rate": miss, "false_alarm_rate": false_alarm, "hter": (miss + false_alarm) / 2,
              "dcf": float(dcf(miss, false_alarm, prior_spoof, cost_miss, cost_fa))}
    return {"threshold": threshold, **{name: None if np.isnan(value) else value for name, value in values.items()}}


class _Trials:
    """The trials and settings that every part of a summary shares."""

    def __init__(self, scores: np.ndarray, keys: Sequence, speakers: Sequence | None, threshold: float | None,
                 costs: tuple, asv: AsvRates, replicates: int, seed: int) -> None:
        self.scores, self.is_bonafide = checked(scores), as_bonafide(keys)
        self.speakers = None if speakers is None else intervals.numbered_speakers(np.asarray(speakers, dtype=str))
        self.costs, self.asv, self.replicates, self.seed = costs, asv, replicates, seed
        self.threshold = bayes_threshold(*costs) if threshold is None else float(threshold)

    def part(self, chosen: np.ndarray, with_intervals: bool = True) -> dict:
        """All figures of the trials where `chosen` (n,) is True."""
        masks = [chosen & self.is_bonafide, chosen & ~self.is_bonafide]
        bonafide, spoof = (self.scores[mask] for mask in masks)
        result = point_metrics(bonafide, spoof, *self.costs, asv=self.asv)
        result["operating_point"] = operating_point(bonafide, spoof, self.threshold, *self.costs)
        if with_intervals and result["eer"] is not None:
            who = [None if self.speakers is None else self.speakers[mask] for mask in masks]
            found = intervals.bootstrap_interval(bonafide, spoof, *who, *self.costs, replicates=self.replicates, seed=self.seed)
            result |= {f"{name}_interval": found.pop(name) for name in intervals.METRICS if name in found}
            result["interval"] = found
        return result


def _by_attack(trials: _Trials, attacks: np.ndarray, chosen: Sequence[str]) -> dict:
    """All bona fide trials against the spoof trials of the chosen attacks."""
    return trials.part(trials.is_bonafide | np.isin(attacks, list(chosen)))


def summarise(scores: np.ndarray, keys: Sequence, attacks: Sequence | None = None, speakers: Sequence | None = None,
              codecs: Sequence | None = None, genders: Sequence | None = None, seen_attacks: Sequence[str] | None = None,
              dev_attacks: Sequence[str] = (), threshold: float | None = None, prior_spoof: float = PRIOR_SPOOF,
              cost_miss: float = COST_MISS, cost_fa: float = COST_FA, asv: AsvRates = ASVSPOOF5_ASV,
              replicates: int = intervals.REPLICATES, seed: int = 0) -> dict:
    """Every figure of scored trials; JSON-able, with None and a "reason" where a class is absent.

    The top level holds `POINT_METRICS` of all trials, `<metric>_interval` [low, high], and "operating_point" at
    `threshold` (fixed on dev; by default the Bayes threshold). "seen" and "unseen" hold the same for all bona fide trials
    against the spoof trials of attacks in `seen_attacks` and of all others; attacks in `dev_attacks` alone, which chose the
    epoch and the threshold, count as neither and stand in "seen_on_dev" where there are any. "per_attack" for each attack alone. In
    "per_codec" and "per_gender" both classes are of that group. "-" in `attacks`, `codecs`, ... means unknown; `speakers` are
    resampled for the intervals where any are known, each trial of an unknown one being a speaker of its own. The t-DCF's verification system is that of the ASVspoof 5 plan,
    unless `asv` says otherwise.
    """
    trials = _Trials(scores, keys, speakers, threshold, (prior_spoof, cost_miss, cost_fa), asv, replicates, seed)
    everything = np.ones(trials.scores.size, dtype=bool)
    result = {**trials.part(everything), "prior_spoof": prior_spoof, "cost_miss": cost_miss, "cost_fa": cost_fa,
              "act_dcf_threshold": bayes_threshold(prior_spoof, cost_miss, cost_fa)}
    if attacks is not None:
        attacks = np.where(trials.is_bonafide, "", np.asarray(attacks, dtype=str))
        tags = sorted(map(str, set(attacks) - {"", "-"}))
        result["per_attack"] = {tag: _by_attack(trials, attacks, [tag]) for tag in tags}
        if seen_attacks is not None and tags:
            seen = [tag for tag in tags if tag in set(seen_attacks)]
            on_dev = [tag for tag in tags if tag in set(dev_attacks) and tag not in seen]
            unseen = [tag for tag in tags if tag not in seen and tag not in on_dev]
            result["seen"] = {"attacks": seen, **_by_attack(trials, attacks, seen)}
            if on_dev:
                result["seen_on_dev"] = {"attacks": on_dev, **_by_attack(trials, attacks, on_dev)}
            result["unseen"] = {"attacks": unseen, **_by_attack(trials, attacks, unseen)}
    for name, groups in (("per_codec", codecs), ("per_gender", genders)):
        groups = np.asarray([] if groups is None else groups, dtype=str)
        if len(names := sorted(map(str, set(groups)))) > 1:
            result[name] = {group: trials.part(groups == group) for group in names}
    return result
