"""The numerics of what dev fits: the line from scores to log-likelihood ratios, and the band."""
import numpy as np

from utils.common.text import counted

# share of each class that may fall on the band's wrong side: accusing real speech is worse
BAND_TARGETS = {"bonafide": 0.03, "spoof": 0.05}
MIN_TRIALS = 19         # of each class: 5 % of new ones lie beyond all of so few
DRAWS = 200             # of sources
SURE = 0.9              # share of the draws that keep a target, for each end of the band
MIN_SOURCES = 20        # with fewer, the band follows from the trials alone
NEWTON_STEPS = 100
TOLERANCE = 1e-12


def too_few_for_verdicts(*counts: int) -> str | None:
    """Why a dev set with so many of each class allows no certain verdict; None where it does."""
    if min(counts) >= MIN_TRIALS:
        return None
    return (f"dev has {counted(min(counts), 'utterance')} of one class: every verdict will be "
            f"uncertain, because a verdict needs {MIN_TRIALS} of each")


def fit_line(scores: np.ndarray, is_bonafide: np.ndarray,
             prior_spoof: float) -> tuple[float, float]:
    """Scale and offset of a logistic regression with the classes weighted to `prior_spoof`.

    A class of n trials has the soft target (n + 1) / (n + 2) (Platt 1999). This regularises: it
    vanishes with n, and it bounds the ratios where the classes do not overlap.
    """
    n_bonafide = int(is_bonafide.sum())
    n_spoof = int((~is_bonafide).sum())
    target = np.where(is_bonafide, (n_bonafide + 1) / (n_bonafide + 2), 1 / (n_spoof + 2))
    weight = np.where(is_bonafide, (1 - prior_spoof) / n_bonafide, prior_spoof / n_spoof)
    centre, spread = float(scores.mean()), float(scores.std())
    log_odds = float(np.log((1 - prior_spoof) / prior_spoof))
    slope, shift = _newton((scores - centre) / spread, target, weight, log_odds)
    return float(slope / spread), float(shift - slope * centre / spread)


def _newton(x: np.ndarray, target: np.ndarray, weight: np.ndarray, log_odds: float) -> np.ndarray:
    """The minimum of the convex `_loss`, by Newton steps that are halved until they descend."""
    parameters = np.array([1.0, 0.0])
    loss, gradient, hessian = _loss(parameters, x, target, weight, log_odds)
    for _ in range(NEWTON_STEPS):
        step = np.linalg.solve(hessian + 1e-12 * np.trace(hessian) * np.eye(2), gradient)
        if gradient @ step < TOLERANCE:
            break
        size = 1.0
        new = _loss(parameters - step, x, target, weight, log_odds)
        while new[0] > loss and size > 1e-10:
            size /= 2
            new = _loss(parameters - size * step, x, target, weight, log_odds)
        parameters = parameters - size * step
        loss, gradient, hessian = new
    return parameters


def _loss(parameters: np.ndarray, x: np.ndarray, target: np.ndarray, weight: np.ndarray,
          log_odds: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Weighted cross-entropy in nats for LLR = parameters[0] x + parameters[1].

    Returns the loss, its gradient (2,) and its Hessian (2, 2).
    """
    z = parameters[0] * x + parameters[1] + log_odds
    loss = weight @ (np.logaddexp(0, z) - target * z)
    p = 0.5 * (1 + np.tanh(z / 2))        # the logistic function, without overflow
    residual = weight * (p - target)
    curvature = weight * p * (1 - p)
    cross = curvature @ x
    gradient = np.array([residual @ x, residual.sum()])
    return float(loss), gradient, np.array([[curvature @ x ** 2, cross], [cross, curvature.sum()]])


def conformal_band(llrs: np.ndarray, is_bonafide: np.ndarray,
                   targets: dict[str, float] = BAND_TARGETS) -> tuple[float, float] | None:
    """The scores (low, high) between which both classes lie; None where dev is too small.

    A new spoof like those of dev scores above `high` with a chance of at most its target; `low` is
    the mirror for bona fide. With k of n dev trials beyond, the chance is (k + 1) / (n + 1) (split
    conformal prediction, Vovk et al. 2005), so 3 % takes 33 trials. From `MIN_TRIALS` on there is
    a band, which promises 5 % then. This holds for a model that dev did not choose. It promises
    nothing for attacks, voices or channels unlike dev's.
    """
    bonafide = np.sort(llrs[is_bonafide])
    spoof = np.sort(llrs[~is_bonafide])[::-1]
    if min(bonafide.size, spoof.size) < MIN_TRIALS:
        return None
    beyond = [max(0, int(np.floor(target * (group.size + 1) + 1e-9)) - 1)
              for target, group in zip(targets.values(), (bonafide, spoof))]
    return float(bonafide[beyond[0]]), float(np.nextafter(spoof[beyond[1]], np.inf))


def band_over_sources(llrs: np.ndarray, is_bonafide: np.ndarray,
                      sources: np.ndarray | None) -> tuple[float, float] | None:
    """As `conformal_band`, and for new sources: each end holds in `SURE` of the draws of sources.

    A source's trials resemble each other, so sources are drawn whole, with replacement (Efron &
    Tibshirani 1993). `sources` (N,) names each trial's. Fewer than `MIN_SOURCES`: the trials alone.
    """
    names, owner = np.unique(sources if sources is not None else [], return_inverse=True)
    if len(names) < MIN_SOURCES:
        return conformal_band(llrs, is_bonafide)
    members = [np.flatnonzero(owner == number) for number in range(len(names))]
    rng = np.random.default_rng(0)
    edges = []
    for _ in range(DRAWS):
        drawn = np.concatenate([members[k] for k in rng.integers(len(names), size=len(names))])
        edges.append(conformal_band(llrs[drawn], is_bonafide[drawn]))
    if None in edges:
        return None
    low, high = zip(*edges)
    return float(np.quantile(low, 1 - SURE)), float(np.quantile(high, SURE))
