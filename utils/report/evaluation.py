"""All figures of scored trials, and the record that pictures, report and model card are made of."""
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from utils.common.errors import InputError
from utils.common.provenance import environment
from utils.detector.decision import Calibration, Costs, Decision, decision_of
from utils.export.calibrating import met_before
from utils.metrics.intervals import REPLICATES
from utils.metrics.metrics import (ASVSPOOF5_ASV, AsvRates, act_dcf, as_bonafide, checked,
                                   cllr)
from utils.metrics.summary import summarise
from utils.store.reader import Store, StorePart, StoredTrial
from utils.trials.releases import ProtocolLine

LLR = "log-likelihood ratio"    # these three: what a score is
RAW = "raw CM score"
OTHER_SYSTEM = "score of another system, taken as a log-likelihood ratio"
CONVENTION = "CM score: higher = bona fide; rates are fractions; Cllr in bits"
ANY_FOLDERS = "folders"     # any corpus of folders, in earlier versions
BY_NAME = ("Attacks count as seen or unseen by their names in the folders' lists alone: a known "
           "attack under another name counts as unseen.")

Rows = Sequence[StoredTrial | ProtocolLine]


@dataclass(frozen=True)
class Evaluation:
    """Scored trials and their figures."""
    rows: Rows
    scores: np.ndarray          # (n,) float64, higher = bona fide, in the order of `rows`
    metrics: dict               # as `evaluate` returns them
    metadata: dict              # of the checkpoint; empty for scores of another system
    store: Store | StorePart | None = None      # over the same rows, for spectrograms
    history: Sequence[dict] = field(default_factory=list)   # of training, a dict per epoch
    name: str = "evaluation"    # of the run, for titles

    @property
    def is_bonafide(self) -> np.ndarray:
        """(n,) bool."""
        return np.array([row.labels.is_bonafide for row in self.rows])


def evaluate(rows: Rows, scores: np.ndarray, metadata: dict | None = None, *,
             subset: str = "eval", prior_spoof: float | None = None,
             cost_miss: float | None = None, cost_fa: float | None = None,
             seen_attacks: Sequence[str] | None = None, store: Store | StorePart | None = None,
             replicates: int = REPLICATES, seed: int = 0, asv: AsvRates = ASVSPOOF5_ASV,
             arguments: dict | None = None) -> dict:
    """The content of metrics.json: `summarise`, and what scores, threshold and model are.

    rows: stored trials or lines of a key file, in the order of `scores`.
    scores: as reported (higher = bona fide), calibrated where the model is.
    metadata: the checkpoint's; None for scores of another system.
    prior_spoof, cost_miss, cost_fa: by default the model's, else ASVspoof 5's.
    seen_attacks: by default the model's, if `store` holds the corpus that it was trained on.
    replicates, seed: of the bootstrap.
    asv: error rates of speaker verification, for the t-DCF.
    arguments: what the user asked for; they go into the result unchanged.
    Raises `InputError` for costs or scores that cannot be used.
    """
    metadata = metadata or {}
    scores = checked(scores)
    if len(scores) != len(rows):
        raise InputError(f"{len(scores)} scores do not fit {len(rows)} trials: "
                         "score the subset again")
    decision = evaluation_decision(metadata, prior_spoof, cost_miss, cost_fa)
    costs = decision.costs.to_dict()
    keys = [row.labels.key for row in rows]
    columns = {f"{name}s": [getattr(row.labels, name) for row in rows]
               for name in ("attack", "speaker", "codec", "gender")}
    corpus = (store.info.get("corpus") or {}).get("name") if store is not None else None
    known, note = known_attacks(metadata, corpus, seen_attacks)
    result = summarise(scores, keys, **columns, **known, threshold=decision.threshold, **costs,
                       asv=asv, replicates=replicates, seed=seed)
    result["operating_point"] |= _decision_on(scores, decision)
    if fitted := metadata.get("calibration"):
        result["calibration"] = _calibration_on(scores, as_bonafide(keys), fitted, costs)
    return result | {"score": score_kind(metadata), "convention": CONVENTION, "subset": subset,
                     "corpus": corpus, "attacks_note": note, "hint": inverted(result),
                     "met_before": met_before(metadata, store) if store is not None else None,
                     "asv": {"official": asv == ASVSPOOF5_ASV, **asdict(asv)},
                     "model": _described(metadata), "arguments": arguments,
                     "environment": environment()}


def evaluation_decision(metadata: dict, prior_spoof: float | None = None,
                        cost_miss: float | None = None,
                        cost_fa: float | None = None) -> Decision:
    """The model's decision at these costs, by `decision_of`, as in inference.

    Scores of another system, or of a model without a decision, get the Bayes threshold. Raises
    `InputError` for an uncalibrated model at other costs.
    """
    decision = decision_of(metadata, prior_spoof, cost_miss, cost_fa) if metadata else None
    if decision is not None:
        return decision
    where = "taking scores as log-likelihood ratios"
    if metadata:
        where += ", which this model's raw scores are not"
    return Decision.bayes(Costs().changed(prior_spoof, cost_miss, cost_fa), where)


def score_kind(metadata: dict) -> str:
    """What the scores of a model are; without metadata, those of another system."""
    if not metadata:
        return OTHER_SYSTEM
    return LLR if metadata.get("calibration") else RAW


def known_attacks(metadata: dict, corpus: str | None,
                  seen_attacks: Sequence[str] | None) -> tuple[dict, str | None]:
    """The attacks that the model knows, as arguments of `summarise`, and a sentence of caution.

    Names of attacks can be compared within one corpus only: "A07" of another corpus is another
    attack. The name of a corpus of folders holds a sum of its train list ("folders 0f3a..."). The
    bare name "folders", of earlier versions, matches no corpus.
    """
    if seen_attacks is not None:
        return {"seen_attacks": seen_attacks}, None
    trained = metadata.get("trained_on") or {}
    if trained.get("attacks") is None:
        return {}, None
    if corpus not in (None, ANY_FOLDERS) and corpus == trained.get("corpus"):
        known = {"seen_attacks": trained["attacks"],
                 "dev_attacks": trained.get("dev_attacks") or ()}
        return known, BY_NAME if corpus.startswith(ANY_FOLDERS) else None
    here = _called(corpus) or "a corpus without a name"
    there = _called(trained.get("corpus")) or "the training data, a corpus without a name"
    return {}, ("Seen and unseen attacks are not listed separately: attack names "
                f"of {here} cannot be compared with those of {there}.")


def _called(corpus: str | None) -> str | None:
    return "folders prepared by an earlier version" if corpus == ANY_FOLDERS else corpus


def inverted(result: dict) -> str | None:
    """A warning if the scores separate the classes in the wrong direction.

    The whole interval of the EER must be above 50 %; without intervals, the EER itself.
    """
    if result["eer"] is None or result.get("eer_interval", [result["eer"]])[0] <= 0.5:
        return None
    return (f"The EER of {result['eer']:.1%} is above 50 %: perhaps these scores are inverted "
            "(higher must mean bona fide), or the keys belong to other scores.")


def _decision_on(scores: np.ndarray, decision: Decision) -> dict:
    """Where the decision comes from, its band, and the share of `scores` in the band."""
    found = {"origin": decision.origin, "band": list(decision.band) if decision.band else None}
    if decision.band:
        low, high = decision.band
        found["in_band"] = float(np.mean((scores >= low) & (scores <= high)))
    return found


def _calibration_on(scores: np.ndarray, is_bonafide: np.ndarray, fitted: dict,
                    costs: dict) -> dict:
    """Costs of raw and calibrated scores on these trials, and the calibration fitted on dev."""
    raw = Calibration.from_dict(fitted).undo(scores)
    before, after = ((values[is_bonafide], values[~is_bonafide]) for values in (raw, scores))
    values = {"cllr_before": cllr(*before), "cllr_after": cllr(*after),
              "act_dcf_before": act_dcf(*before, **costs),
              "act_dcf_after": act_dcf(*after, **costs)}
    return {**{name: None if np.isnan(value) else value for name, value in values.items()},
            "fitted": fitted}


def _described(metadata: dict) -> dict | None:
    names = ("architecture", "trained_on", "origin")
    return {name: metadata.get(name) for name in names} if metadata else None
