"""From scores to log-likelihood ratios, a threshold and a band of uncertainty: from dev, stored in the checkpoint."""
from collections.abc import Sequence

import numpy as np

from utils.common.errors import InputError
from utils.metrics.det import as_bonafide
from utils.metrics.metrics import COST_FA, COST_MISS, PRIOR_SPOOF, bayes_threshold, checked, cllr

METHOD = ("prior-weighted logistic regression; soft targets (n + 1) / (n + 2) keep it finite where the classes do not "
          "overlap; prior_spoof is the effective prior, costs included")
BAND_TARGET = 0.05                 # share of either class that may fall on the wrong side of the band
MIN_HALF_WIDTH = float(np.log(2))  # evidence within a factor of two of the threshold decides nothing
NEWTON_STEPS, TOLERANCE = 100, 1e-12


def effective_prior(prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS, cost_fa: float = COST_FA) -> float:
    """The prior that with equal costs asks for the same threshold: 0.345 for ASVspoof 5 (Brümmer & du Preez 2006)."""
    spoof, bonafide = prior_spoof * cost_fa, (1 - prior_spoof) * cost_miss
    return spoof / (spoof + bonafide)


def check_costs(prior_spoof: float, cost_miss: float, cost_fa: float) -> None:
    """`InputError` unless the prior lies between 0 and 1 and both costs are positive numbers."""
    if not 0 < prior_spoof < 1:
        raise InputError(f"the prior of spoof is {prior_spoof}: give a probability between 0 and 1, both excluded")
    if not (0 < cost_miss < np.inf and 0 < cost_fa < np.inf):
        raise InputError(f"the costs are {cost_miss} and {cost_fa}: give positive numbers")


def _loss(parameters: np.ndarray, x: np.ndarray, target: np.ndarray, weight: np.ndarray,
          prior: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Weighted cross-entropy (nats), its gradient (2,) and Hessian (2, 2) for LLR = parameters[0] x + parameters[1]."""
    z = parameters[0] * x + parameters[1] + prior
    loss = weight @ (np.logaddexp(0, z) - target * z)
    p = 0.5 * (1 + np.tanh(z / 2))        # the logistic function, without overflow
    residual, curvature = weight * (p - target), weight * p * (1 - p)
    cross = curvature @ x
    gradient = np.array([residual @ x, residual.sum()])
    return float(loss), gradient, np.array([[curvature @ x ** 2, cross], [cross, curvature.sum()]])


def _newton(x: np.ndarray, target: np.ndarray, weight: np.ndarray, prior: float) -> np.ndarray:
    """The minimum of the convex `_loss`, by Newton steps halved until they descend."""
    parameters = np.array([1.0, 0.0])
    loss, gradient, hessian = _loss(parameters, x, target, weight, prior)
    for _ in range(NEWTON_STEPS):
        step = np.linalg.solve(hessian + 1e-12 * np.trace(hessian) * np.eye(2), gradient)
        if gradient @ step < TOLERANCE:
            break
        size = 1.0
        while (new := _loss(parameters - size * step, x, target, weight, prior))[0] > loss and size > 1e-10:
            size /= 2
        parameters, (loss, gradient, hessian) = parameters - size * step, new
    return parameters


def fit_calibration(scores: np.ndarray, is_bonafide: np.ndarray, prior_spoof: float = PRIOR_SPOOF, subset: str = "dev") -> dict:
    """Fit LLR = scale * score + offset (natural log) by logistic regression with the classes weighted to `prior_spoof`.

    Each class of n trials has the soft target (n + 1) / (n + 2) (Platt 1999): that is the regularisation. It vanishes
    with n, and where the classes do not overlap it bounds LLRs at about what n trials can support. Returns what a
    checkpoint stores, Cllr (bits) before and after included. Raises `InputError` where a class is absent, all scores are
    equal, or higher scores are not more bona fide: a line through those would turn the model's word round.
    """
    scores, is_bonafide = checked(scores), as_bonafide(is_bonafide)
    n_bonafide, n_spoof = int(is_bonafide.sum()), int((~is_bonafide).sum())
    if not (n_bonafide and n_spoof):
        raise InputError(f"on {subset} there are {n_bonafide} bona fide and {n_spoof} spoof trials, and calibration needs "
                         f"both kinds: enlarge {subset}")
    centre, spread = float(scores.mean()), float(scores.std())
    if scores.min() == scores.max():
        raise InputError(f"on {subset}, every score is the same: neither calibration nor threshold follows from that")
    target = np.where(is_bonafide, (n_bonafide + 1) / (n_bonafide + 2), 1 / (n_spoof + 2))
    weight = np.where(is_bonafide, (1 - prior_spoof) / n_bonafide, prior_spoof / n_spoof)
    slope, shift = _newton((scores - centre) / spread, target, weight, float(np.log((1 - prior_spoof) / prior_spoof)))
    scale, offset = float(slope / spread), float(shift - slope * centre / spread)
    if not scale > 0:
        raise InputError(f"on {subset}, higher scores are not more bona fide: neither calibration nor threshold follows "
                         "from that")
    llrs = scale * scores + offset
    return {"scale": scale, "offset": offset, "method": METHOD, "prior_spoof": prior_spoof, "subset": subset,
            "trials": scores.size, "cllr_before": cllr(scores[is_bonafide], scores[~is_bonafide]),
            "cllr_after": cllr(llrs[is_bonafide], llrs[~is_bonafide])}


def uncertainty_band(llrs: np.ndarray, is_bonafide: np.ndarray, threshold: float, target: float = BAND_TARGET,
                     min_half_width: float = MIN_HALF_WIDTH) -> list[float] | None:
    """The scores [low, high] about `threshold` that decide nothing; None where dev is too small to say.

    `high` is the lowest score that a new spoof utterance like those of dev reaches with a chance of at most `target`, and
    `low` its mirror for bona fide: with k of n dev trials beyond, that chance is (k + 1) / (n + 1) (split conformal
    prediction, Vovk et al. 2005), so 5 % takes 19 trials of each class. Never narrower than `min_half_width` each side.
    That takes scores of a model that dev did not choose: where the same dev chose the epoch and fitted the calibration,
    new utterances do somewhat worse. It promises nothing for attacks, voices or channels unlike those of dev.
    """
    llrs, is_bonafide = checked(llrs), as_bonafide(is_bonafide)
    bonafide, spoof = np.sort(llrs[is_bonafide]), np.sort(llrs[~is_bonafide])[::-1]
    beyond = [int(np.floor(target * (group.size + 1) + 1e-9)) - 1 for group in (bonafide, spoof)]
    if min(beyond) < 0:
        return None
    low, high = bonafide[beyond[0]], np.nextafter(spoof[beyond[1]], np.inf)
    return [float(min(low, threshold - min_half_width)), float(max(high, threshold + min_half_width))]


def describe_band(band: list[float] | None, target: float = BAND_TARGET, chose: bool = True) -> str:
    """One sentence on where a band comes from, or why there is none; `chose`: dev chose the epoch too."""
    if band is None:
        return f"no band of uncertainty: dev needs at least {int(np.ceil(1 / target)) - 1} trials of each class"
    return (f"on dev, about {target:.0%} of spoof utterances score above the band and about {target:.0%} of bona fide "
            f"ones below it; the same dev {'chose the epoch and ' if chose else ''}fitted the calibration, so new utterances do somewhat "
            "worse, and other attacks and channels may do much worse")


def decide(dev_scores: np.ndarray, dev_keys: Sequence, prior_spoof: float = PRIOR_SPOOF, cost_miss: float = COST_MISS,
           cost_fa: float = COST_FA, chose: bool = True) -> dict:
    """What dev says about raw scores: {"calibration", "decision", "score_range", "reason"} as a checkpoint stores them.

    `chose`: the model is one of several epochs, and dev chose which; the band's sentence tells of that.
    Where dev cannot calibrate (a class is absent, all scores are equal, or higher is not more bona fide), no threshold on
    it means anything either: "calibration" and "decision" are None, and "reason" says why, for every verdict to tell.
    """
    check_costs(prior_spoof, cost_miss, cost_fa)
    scores, is_bonafide = checked(dev_scores), as_bonafide(dev_keys)
    try:
        calibration = fit_calibration(scores, is_bonafide, effective_prior(prior_spoof, cost_miss, cost_fa))
    except InputError as error:
        score_range = [float(scores.min()), float(scores.max())] if scores.size else None
        return {"calibration": None, "decision": None, "score_range": score_range, "reason": str(error)}
    llrs, threshold = calibration["scale"] * scores + calibration["offset"], bayes_threshold(prior_spoof, cost_miss, cost_fa)
    band = uncertainty_band(llrs, is_bonafide, threshold)
    origin = (f"the Bayes threshold for {price_words(prior_spoof, cost_miss, cost_fa)}, on log-likelihood ratios calibrated on "
              f"{scores.size:,} dev trials")
    decision = {"threshold": float(threshold), "band": band, "band_origin": describe_band(band, chose=chose),
                "prior_spoof": prior_spoof, "cost_miss": cost_miss, "cost_fa": cost_fa, "origin": origin}
    return {"calibration": calibration, "decision": decision, "score_range": [float(llrs.min()), float(llrs.max())],
            "reason": None}


def price_words(prior_spoof: float, cost_miss: float, cost_fa: float) -> str:
    """Prior and costs in a phrase."""
    return f"P(spoof) = {prior_spoof:g}, a miss costing {cost_miss:g} and a false alarm {cost_fa:g}"


def decision_at(metadata: dict, prior_spoof: float | None = None, cost_miss: float | None = None,
                cost_fa: float | None = None) -> dict | None:
    """The decision of a model at the prior and costs named: {"threshold", "band", "origin", "prior_spoof", "cost_miss",
    "cost_fa"}, the one rule for inference and evaluation.

    What is not named is as stored in the checkpoint, else as in ASVspoof 5. The stored decision holds where nothing else
    is named (None where there is none), else the Bayes threshold. The stored band stays, for it says where dev's scores
    overlap; a new threshold widens it where needed. Raises `InputError` for an uncalibrated model at other costs.
    """
    stored = metadata.get("decision") or {}
    default = {"prior_spoof": PRIOR_SPOOF, "cost_miss": COST_MISS, "cost_fa": COST_FA}
    given = {"prior_spoof": prior_spoof, "cost_miss": cost_miss, "cost_fa": cost_fa}
    price = {name: stored.get(name, default[name]) if value is None else value for name, value in given.items()}
    check_costs(**price)
    if all(value is None or stored and value == stored.get(name) for name, value in given.items()):
        return {"band": None, **price, **stored} if stored else None
    if not metadata.get("calibration"):
        raise InputError("this model's scores are not calibrated, so no prior or cost can set a threshold: leave out --prior "
                         "and --cost_..., or train a model with enough dev trials of both classes")
    threshold, band = float(bayes_threshold(**price)), stored.get("band")
    if band:
        band = [min(band[0], threshold - MIN_HALF_WIDTH), max(band[1], threshold + MIN_HALF_WIDTH)]
    return {"threshold": threshold, "band": band, "origin": f"the Bayes threshold for {price_words(**price)}, as asked for",
            **price}
