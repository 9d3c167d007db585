"""From raw scores to a verdict's line: costs, calibration to log-likelihood ratios, decision.

All three are fitted on dev and travel inside the checkpoint, as "calibration" and "decision".
"""
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

from utils.common.errors import InputError
from utils.detector.fitting import BAND_TARGETS, MIN_TRIALS, band_over_sources, fit_line
from utils.metrics.metrics import (COST_FA, COST_MISS, PRIOR_SPOOF, as_bonafide, bayes_threshold,
                                   checked, cllr)

BONAFIDE, UNCERTAIN, SPOOF = "likely bona fide", "uncertain", "likely spoof"
METHOD = ("prior-weighted logistic regression; soft targets (n + 1) / (n + 2) keep it finite "
          "where the classes do not overlap; prior_spoof is the effective prior, costs included")
UNCALIBRATED = {     # entries of a model whose scores no dev set has calibrated
    "calibration": None, "decision": None, "score_range": None, "dev_eer": None,
    "reason": "score, not calibrated: fit a threshold on a dev set of your own with python "
              "utils/calibrate_model.py --model FILE --data_dir FOLDER"}
MIN_HALF_WIDTH = float(np.log(2))  # evidence within a factor of two of the threshold is too weak


@dataclass(frozen=True)
class Costs:
    """How common spoofs are and what each error costs; the defaults are those of ASVspoof 5.

    `miss`: a bona fide recording is called spoof. `false_alarm`: a spoof passes as bona fide.
    Raises `InputError` unless the prior lies between 0 and 1 and both costs are positive.
    """
    prior_spoof: float = PRIOR_SPOOF
    miss: float = COST_MISS
    false_alarm: float = COST_FA

    def __post_init__(self) -> None:
        if not 0 < self.prior_spoof < 1:
            raise InputError(f"the prior of spoof is {self.prior_spoof}: "
                             "give a probability between 0 and 1, both excluded")
        if not (0 < self.miss < np.inf and 0 < self.false_alarm < np.inf):
            raise InputError(f"the costs are {self.miss} and {self.false_alarm}: "
                             "give positive numbers")

    def __str__(self) -> str:
        return (f"P(spoof) = {self.prior_spoof:g}, a miss costing {self.miss:g} "
                f"and a false alarm {self.false_alarm:g}")

    @property
    def threshold(self) -> float:
        """The Bayes threshold: the log-likelihood ratio from which on accepting costs less."""
        return bayes_threshold(self.prior_spoof, self.miss, self.false_alarm)

    @property
    def effective_prior(self) -> float:
        """The prior of spoof that gives the same threshold at equal costs; 0.345 by default.

        Brümmer & du Preez 2006.
        """
        spoof = self.prior_spoof * self.false_alarm
        bonafide = (1 - self.prior_spoof) * self.miss
        return spoof / (spoof + bonafide)

    def changed(self, prior_spoof: float | None = None, miss: float | None = None,
                false_alarm: float | None = None) -> "Costs":
        """These costs with the values that are given; None keeps a value."""
        given = {"prior_spoof": prior_spoof, "miss": miss, "false_alarm": false_alarm}
        return replace(self, **{name: v for name, v in given.items() if v is not None})

    def to_dict(self) -> dict:
        """The costs as files and the functions of `utils.metrics` name them."""
        return {"prior_spoof": self.prior_spoof, "cost_miss": self.miss,
                "cost_fa": self.false_alarm}

    @classmethod
    def from_dict(cls, stored: dict) -> "Costs":
        """The costs in a stored decision; what it does not name is ASVspoof 5's."""
        return cls(stored.get("prior_spoof", PRIOR_SPOOF), stored.get("cost_miss", COST_MISS),
                   stored.get("cost_fa", COST_FA))


@dataclass(frozen=True)
class Calibration:
    """A line from raw scores to log-likelihood ratios (natural log), and how it was fitted."""
    scale: float
    offset: float
    method: str = METHOD
    prior_spoof: float | None = None    # the effective one
    subset: str = "dev"
    trials: int | None = None
    cllr_before: float | None = None    # bits
    cllr_after: float | None = None     # bits

    @classmethod
    def fit(cls, scores: np.ndarray, is_bonafide: np.ndarray, prior_spoof: float = PRIOR_SPOOF,
            subset: str = "dev") -> "Calibration":
        """Fit by logistic regression, with the classes weighted to `prior_spoof`.

        Raises `InputError` where a class is missing, all scores are equal, or higher scores are
        not more bona fide.
        """
        scores, is_bonafide = checked(scores), as_bonafide(is_bonafide)
        n_bonafide = int(is_bonafide.sum())
        n_spoof = int((~is_bonafide).sum())
        if not (n_bonafide and n_spoof):
            raise InputError(f"{subset} has {n_bonafide} bona fide and {n_spoof} spoof trials, "
                             f"and calibration needs both kinds: enlarge {subset}")
        if scores.min() == scores.max():
            raise InputError(f"on {subset}, every score is the same: "
                             "neither calibration nor threshold follows from that")
        scale, offset = fit_line(scores, is_bonafide, prior_spoof)
        if not scale > 0:
            raise InputError(f"on {subset}, higher scores are not more bona fide: "
                             "neither calibration nor threshold follows from that")
        line = cls(scale, offset, prior_spoof=prior_spoof, subset=subset, trials=scores.size)
        llrs = line.apply(scores)
        return replace(line, cllr_before=cllr(scores[is_bonafide], scores[~is_bonafide]),
                       cllr_after=cllr(llrs[is_bonafide], llrs[~is_bonafide]))

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios of raw scores."""
        return self.scale * raw + self.offset

    def undo(self, llrs: np.ndarray) -> np.ndarray:
        """Raw scores of log-likelihood ratios."""
        return (llrs - self.offset) / self.scale

    def to_dict(self) -> dict:
        """The calibration as a checkpoint stores it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict | None) -> "Calibration | None":
        """The calibration that `to_dict` gave; None for None."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: stored[name] for name in names if name in stored}) if stored else None


@dataclass(frozen=True)
class Decision:
    """The line on the scale of reported scores; `band` is (low, high) around `threshold`."""
    threshold: float
    band: tuple[float, float] | None = None
    costs: Costs = Costs()
    origin: str = ""
    band_origin: str | None = None
    bands: dict[str, tuple[float, float]] = field(default_factory=dict)    # by condition

    @classmethod
    def bayes(cls, costs: Costs, where: str) -> "Decision":
        """The Bayes threshold without a band; `where` ends the sentence on its origin."""
        return cls(costs.threshold, None, costs, f"the Bayes threshold for {costs}, {where}")

    @classmethod
    def fit(cls, llrs: np.ndarray, is_bonafide: np.ndarray, costs: Costs = Costs(),
            chose_epoch: bool = True, sources: Sequence[str] | None = None) -> "Decision":
        """The Bayes threshold with the band that dev's calibrated scores give.

        `sources` names each trial's: with enough of them, the band is one for new sources.
        """
        decision = cls.bayes(costs, "on log-likelihood ratios calibrated on "
                                    f"{llrs.size:,} dev trials")
        band = band_over_sources(llrs, is_bonafide, sources)
        return replace(decision.widened(band), band_origin=_band_words(band, chose_epoch))

    def at(self, costs: Costs) -> "Decision":
        """The decision at other costs; itself at its own.

        The band says where dev's scores overlap, so it stays; a new threshold may widen it.
        """
        if costs == self.costs:
            return self
        asked = Decision.bayes(costs, "as asked for").widened(self.band)
        return replace(asked, bands=self.bands)

    def widened(self, band: tuple[float, float] | None) -> "Decision":
        """This decision with `band`, widened to MIN_HALF_WIDTH on both sides of the threshold."""
        if band is None:
            return self
        low = min(band[0], self.threshold - MIN_HALF_WIDTH)
        high = max(band[1], self.threshold + MIN_HALF_WIDTH)
        return replace(self, band=(float(low), float(high)))

    def under(self, conditions: Iterable[str]) -> "Decision":
        """This decision with its band widened by those of `conditions`."""
        if self.band is None:
            return self
        lows, highs = zip(self.band, *(self.bands[name] for name in conditions))
        return replace(self, band=(min(lows), max(highs)))

    def outcome(self, score: float) -> str:
        """BONAFIDE, UNCERTAIN or SPOOF: on which side of the line a score lies.

        Always UNCERTAIN without a band: dev was too small to say where the model errs.
        """
        if self.band is None or self.band[0] <= score <= self.band[1]:
            return UNCERTAIN
        return BONAFIDE if score >= self.threshold else SPOOF

    def to_dict(self) -> dict:
        """The decision as a checkpoint stores it."""
        return {"threshold": self.threshold, "band": list(self.band) if self.band else None,
                "band_origin": self.band_origin,
                "bands": {name: list(band) for name, band in self.bands.items()},
                **self.costs.to_dict(), "origin": self.origin}

    @classmethod
    def from_dict(cls, stored: dict | None) -> "Decision | None":
        """The decision that `to_dict` gave; None for None."""
        if not stored:
            return None
        band = tuple(stored["band"]) if stored.get("band") else None
        return cls(stored["threshold"], band, Costs.from_dict(stored), stored["origin"],
                   stored.get("band_origin"),
                   {name: tuple(band) for name, band in stored.get("bands", {}).items()})


def decision_of(metadata: dict, prior_spoof: float | None = None, miss: float | None = None,
                false_alarm: float | None = None) -> Decision | None:
    """A model's decision, at the costs that are given: the one rule for inference and evaluation.

    What is not given is as stored in `metadata`, else as in ASVspoof 5. None where the model
    stores no decision and no costs are given. Raises `InputError` for an uncalibrated model at
    other costs than its own.
    """
    stored = Decision.from_dict(metadata.get("decision"))
    costs = (stored.costs if stored else Costs()).changed(prior_spoof, miss, false_alarm)
    if (prior_spoof, miss, false_alarm) == (None, None, None) or stored and costs == stored.costs:
        return stored
    if not metadata.get("calibration"):
        raise InputError("this model's scores are not calibrated, so no prior or cost can set a "
                         "threshold: leave out --prior and --cost_..., or train a model with "
                         "enough dev trials of both classes")
    return stored.at(costs) if stored else Decision.bayes(costs, "as asked for")


def fit_on_dev(scores: np.ndarray, keys: Sequence, costs: Costs = Costs(),
               chose_epoch: bool = True, sources: Sequence[str] | None = None) -> dict:
    """A checkpoint's entries "calibration", "decision", "score_range", "reason" from raw scores.

    `chose_epoch`: dev also chose the epoch, and the sentence on the band says so. `sources`: of
    the trials, for the band. Where dev cannot calibrate, calibration and decision are None and
    "reason" says why.
    """
    scores, is_bonafide = checked(scores), as_bonafide(keys)
    try:
        calibration = Calibration.fit(scores, is_bonafide, costs.effective_prior)
    except InputError as error:
        return {"calibration": None, "decision": None, "score_range": _range(scores),
                "reason": str(error)}
    llrs = calibration.apply(scores)
    decision = Decision.fit(llrs, is_bonafide, costs, chose_epoch, sources)
    return {"calibration": calibration.to_dict(), "decision": decision.to_dict(),
            "score_range": _range(llrs), "reason": None}


def _range(scores: np.ndarray) -> list[float] | None:
    return [float(scores.min()), float(scores.max())] if scores.size else None


def _band_words(band: tuple[float, float] | None, chose_epoch: bool) -> str:
    """One sentence on where a band comes from, or why there is none."""
    real, spoof = BAND_TARGETS["bonafide"], BAND_TARGETS["spoof"]
    if band is None:
        return f"no band of uncertainty: dev needs at least {MIN_TRIALS} trials of each class"
    use = "chose the epoch and fitted" if chose_epoch else "fitted"
    return (f"on dev, at most {spoof:.0%} of spoof utterances score above the band and at most "
            f"{real:.0%} of bona fide ones below it; the same dev {use} the calibration, "
            "so new utterances do somewhat worse, and other attacks and channels may do much worse")
