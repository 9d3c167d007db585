"""All metrics of one set of scored trials, as one dict for JSON: overall and by group."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.metrics import intervals
from utils.metrics.metrics import (ASVSPOOF5_ASV, COST_FA, COST_MISS, PRIOR_SPOOF, AsvRates,
                                   act_dcf, as_bonafide, auc, bayes_threshold, checked, cllr, dcf,
                                   det_curve, eer_of, error_rates, min_dcf, min_tdcf)

POINT_METRICS = ("eer", "eer_threshold", "min_dcf", "min_dcf_threshold", "act_dcf", "cllr", "auc",
                 "min_tdcf", "min_tdcf_2019")


def point_metrics(bonafide: np.ndarray, spoof: np.ndarray, prior_spoof: float = PRIOR_SPOOF,
                  cost_miss: float = COST_MISS, cost_fa: float = COST_FA,
                  asv: AsvRates = ASVSPOOF5_ASV) -> dict:
    """Counts and all `POINT_METRICS`; if a class is missing, these are None with a "reason"."""
    counts = {"bonafide": int(bonafide.size), "spoof": int(spoof.size)}
    missing = [name for name, count in counts.items() if not count]
    if missing:
        return {"trials": counts, **dict.fromkeys(POINT_METRICS),
                "reason": f"no {' and no '.join(missing)} trials"}
    costs = (prior_spoof, cost_miss, cost_fa)
    curve = det_curve(bonafide, spoof)
    eer, eer_threshold = eer_of(curve)
    lowest, at = min_dcf(curve, *costs)
    return {"trials": counts, "eer": eer, "eer_threshold": eer_threshold, "min_dcf": lowest,
            "min_dcf_threshold": at, "act_dcf": act_dcf(bonafide, spoof, *costs),
            "cllr": cllr(bonafide, spoof), "auc": auc(bonafide, spoof),
            "min_tdcf": min_tdcf(curve, asv, prior_spoof),
            "min_tdcf_2019": min_tdcf(curve, asv, prior_spoof, legacy=True)}


def operating_point(bonafide: np.ndarray, spoof: np.ndarray, threshold: float, prior_spoof: float,
                    cost_miss: float, cost_fa: float) -> dict:
    """Error rates, HTER and cost at a threshold that was set on dev; None for a missing class."""
    miss, false_alarm = error_rates(bonafide, spoof, threshold)
    values = {"miss_rate": miss, "false_alarm_rate": false_alarm, "hter": (miss + false_alarm) / 2,
              "dcf": float(dcf(miss, false_alarm, prior_spoof, cost_miss, cost_fa))}
    return {"threshold": threshold,
            **{name: None if np.isnan(value) else value for name, value in values.items()}}


@dataclass(frozen=True)
class _Trials:
    """The trials and settings that every part of a summary shares."""
    scores: np.ndarray              # (n,)
    is_bonafide: np.ndarray         # (n,) bool
    speakers: np.ndarray | None     # (n,) numbers
    threshold: float
    costs: tuple[float, float, float]   # prior of spoof, cost of a miss, cost of a false alarm
    asv: AsvRates
    replicates: int
    seed: int

    def part(self, chosen: np.ndarray) -> dict:
        """All metrics of the trials where `chosen` (n,) is True."""
        masks = [chosen & self.is_bonafide, chosen & ~self.is_bonafide]
        bonafide, spoof = (self.scores[mask] for mask in masks)
        result = point_metrics(bonafide, spoof, *self.costs, asv=self.asv)
        result["operating_point"] = operating_point(bonafide, spoof, self.threshold, *self.costs)
        if result["eer"] is not None:
            who = [None if self.speakers is None else self.speakers[mask] for mask in masks]
            found = intervals.bootstrap_interval(bonafide, spoof, *who, *self.costs,
                                                 replicates=self.replicates, seed=self.seed)
            result |= {f"{name}_interval": found.pop(name)
                       for name in intervals.METRICS if name in found}
            result["interval"] = found
        return result

    def against(self, attacks: np.ndarray, chosen: Sequence[str]) -> dict:
        """All bona fide trials against the spoof trials of the chosen attacks."""
        return self.part(self.is_bonafide | np.isin(attacks, list(chosen)))


def summarise(scores: np.ndarray, keys: Sequence, attacks: Sequence | None = None,
              speakers: Sequence | None = None, codecs: Sequence | None = None,
              genders: Sequence | None = None, seen_attacks: Sequence[str] | None = None,
              dev_attacks: Sequence[str] = (), threshold: float | None = None,
              prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
              cost_fa: float = COST_FA, asv: AsvRates = ASVSPOOF5_ASV,
              replicates: int = intervals.REPLICATES, seed: int = 0) -> dict:
    """Every metric of scored trials, for JSON; None with a "reason" if a class is missing.

    The top level holds all `POINT_METRICS`, <metric>_interval [low, high], and "operating_point"
    at `threshold` (from dev; by default the Bayes threshold). "per_attack" holds the same for each
    attack. "seen" holds it for `seen_attacks`, "seen_on_dev" for attacks in `dev_attacks` alone,
    and "unseen" for all others. Each of these parts compares with all bona fide trials. In
    "per_codec" and "per_gender" both classes belong to the group. "-" means unknown. Intervals
    resample `speakers` if any are known. `asv` sets the speaker verification of the t-DCF.
    """
    costs = (prior_spoof, cost_miss, cost_fa)
    bayes = bayes_threshold(*costs)
    who = None if speakers is None else intervals.numbered_speakers(np.asarray(speakers, dtype=str))
    trials = _Trials(checked(scores), as_bonafide(keys), who,
                     bayes if threshold is None else float(threshold), costs, asv, replicates, seed)
    result = {**trials.part(np.ones(trials.scores.size, dtype=bool)), "prior_spoof": prior_spoof,
              "cost_miss": cost_miss, "cost_fa": cost_fa, "act_dcf_threshold": bayes}
    if attacks is not None:
        attacks = np.where(trials.is_bonafide, "", np.asarray(attacks, dtype=str))
        result |= _by_attack(trials, attacks, seen_attacks, dev_attacks)
    for name, groups in (("per_codec", codecs), ("per_gender", genders)):
        groups = np.asarray([] if groups is None else groups, dtype=str)
        if len(names := sorted(map(str, set(groups)))) > 1:
            result[name] = {group: trials.part(groups == group) for group in names}
    return result


def _by_attack(trials: _Trials, attacks: np.ndarray, seen_attacks: Sequence[str] | None,
               dev_attacks: Sequence[str]) -> dict:
    """"per_attack" and, with `seen_attacks`, the parts that the model has seen or not.

    Attacks of dev alone chose the epoch and the threshold, so they are neither seen nor unseen.
    """
    tags = sorted(map(str, set(attacks) - {"", "-"}))
    result = {"per_attack": {tag: trials.against(attacks, [tag]) for tag in tags}}
    if seen_attacks is None or not tags:
        return result
    seen = [tag for tag in tags if tag in set(seen_attacks)]
    on_dev = [tag for tag in tags if tag in set(dev_attacks) and tag not in seen]
    unseen = [tag for tag in tags if tag not in seen and tag not in on_dev]
    for name, group in (("seen", seen), ("seen_on_dev", on_dev), ("unseen", unseen)):
        if group or name != "seen_on_dev":
            result[name] = {"attacks": group, **trials.against(attacks, group)}
    return result
