"""Curves as PNG: DET and ROC with operating points, and how well scores are calibrated."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes

from utils.metrics.metrics import Det, dcf, eer_of
from utils.report.plots import BONAFIDE, GREY, SPOOF, UNSEEN, new_figure, save

STYLES = {"all attacks": ("#222222", "-"), "seen attacks": (SPOOF, "-"),
          "unseen attacks": (UNSEEN, "--")}
TICKS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99)
LOWEST = 0.0008        # rate where the DET axes begin
FLOOR = 1e-5           # rates are kept this far from 0 and 1
DOT = {"marker": "o", "markersize": 7, "markeredgecolor": "white", "zorder": 5, "clip_on": False}
MAX_POINTS = 4000      # drawn per curve; more cannot be seen
MAX_BINS = 15          # of the calibration picture
TRIALS_PER_BIN = 40
LOG_ODDS = 6.0         # the cost is drawn from minus to plus this
HIGHEST_COST = 2.0     # shown


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve to draw: its rates at the operating point, and the area under its ROC."""
    name: str
    det: Det
    miss: float
    false_alarm: float
    area: float

    @property
    def style(self) -> dict:
        """Colour and line for matplotlib."""
        colour, line = STYLES.get(self.name, (GREY, "-"))
        return {"color": colour, "linestyle": line, "linewidth": 1.8}

    @property
    def eer(self) -> float:
        """Equal error rate, a fraction."""
        return eer_of(self.det)[0]


def thinned(det: Det) -> tuple[np.ndarray, np.ndarray]:
    """(false alarm, miss) at no more than `MAX_POINTS` points of a curve, both ends included."""
    keep = np.unique(np.linspace(0, det.miss.size - 1, MAX_POINTS).round().astype(int))
    return det.false_alarm[keep], det.miss[keep]


def _probit(rates: np.ndarray) -> np.ndarray:
    """Normal deviates of rates, kept `FLOOR` away from 0 and 1, from a fine table."""
    tail = np.geomspace(FLOOR, 0.05, 2000)
    table = np.concatenate([tail, np.linspace(0.05, 0.95, 2000)[1:-1], 1 - tail[::-1]])
    deviates = np.array([NormalDist().inv_cdf(rate) for rate in table])
    return np.interp(np.clip(rates, FLOOR, 1 - FLOOR), table, deviates)


def plot_det(path: Path, curves: Sequence[Curve]) -> None:
    """Miss against false alarm rate on normal-deviate axes (Martin et al. 1997).

    The dot on each curve is its operating point. One outside the axes is drawn at their edge.
    """
    figure, (ax,) = new_figure(5.6, 5.2)
    rates = [max(1.3 * c.miss, 1.3 * c.false_alarm, 2.5 * c.eer) for c in curves]
    highest = min(0.99, max(0.5, *rates))
    limits = NormalDist().inv_cdf(LOWEST), NormalDist().inv_cdf(highest) + 0.05
    for curve in curves:
        false_alarm, miss = thinned(curve.det)
        ax.plot(_probit(false_alarm), _probit(miss), label=f"{curve.name}: EER {curve.eer:.2%}",
                **curve.style)
        point = _probit(np.array([curve.false_alarm, curve.miss]))
        ax.plot(*np.clip(point, *limits), color=curve.style["color"], **DOT)
    ticks = [tick for tick in TICKS if tick <= highest]
    places = [NormalDist().inv_cdf(tick) for tick in ticks]
    ax.plot(limits, limits, color=GREY, linewidth=0.8, linestyle=":", label="equal error rates")
    ax.set(xlim=limits, ylim=limits, xticks=places, yticks=places, aspect="equal",
           xlabel="false alarm rate: spoof accepted (%)",
           ylabel="miss rate: bona fide rejected (%)", title="DET curve (dot: operating point)")
    for set_labels in (ax.set_xticklabels, ax.set_yticklabels):
        set_labels([f"{100 * tick:g}" for tick in ticks], fontsize=8)
    ax.legend(loc="upper right", fontsize=8.5)
    save(figure, path)


def plot_roc(path: Path, curves: Sequence[Curve]) -> None:
    """Bona fide accepted against spoof accepted; the dot is the operating point."""
    figure, (ax,) = new_figure(5.6, 5.2)
    for curve in curves:
        false_alarm, miss = thinned(curve.det)
        ax.plot(false_alarm, 1 - miss, label=f"{curve.name}: AUC {curve.area:.4f}", **curve.style)
        ax.plot(curve.false_alarm, 1 - curve.miss, color=curve.style["color"], **DOT)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="chance")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="spoof accepted (false alarm rate)",
           ylabel="bona fide accepted (1 - miss rate)", title="ROC curve (dot: operating point)")
    ax.legend(loc="lower right", fontsize=8.5)
    save(figure, path)


def plot_calibration(path: Path, bonafide: np.ndarray, spoof: np.ndarray, det: Det,
                     threshold: float, score_name: str) -> None:
    """Left: the stated against the measured evidence. Right: actual against lowest cost."""
    figure, axes = new_figure(10.4, 4.4, columns=2)
    _plot_reliability(axes[0], bonafide, spoof, score_name)
    _plot_costs(axes[1], bonafide, spoof, det, threshold)
    save(figure, path)


def _plot_reliability(ax: Axes, bonafide: np.ndarray, spoof: np.ndarray, score_name: str) -> None:
    """Measured log-likelihood ratio of bins of equal size against their mean score."""
    stated, measured, spread = _reliability(bonafide, spoof)
    ax.errorbar(stated, measured, yerr=spread, fmt="o", color=BONAFIDE, markersize=5, linewidth=1,
                capsize=2.5, label="bins of trials")
    if not stated.size:
        ax.text(0.5, 0.5, "no bin holds trials of both classes", transform=ax.transAxes,
                ha="center", va="bottom", fontsize=9)
    reach = [min([*stated, *measured, -1.0]), max([*stated, *measured, 1.0])]
    ax.plot(reach, reach, color=GREY, linewidth=0.9, linestyle=":", label="perfect calibration")
    ax.set(xlabel=f"stated: mean {score_name} of the bin",
           ylabel="measured: log ratio of the classes' shares",
           title="Stated and measured evidence")
    ax.legend(fontsize=8.5)


def _reliability(bonafide: np.ndarray,
                 spoof: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(bins,) mean score, log ratio of the classes' shares and 95 % range of that ratio.

    Only for bins with trials of both classes.
    """
    both = np.concatenate([bonafide, spoof])
    n_bins = min(MAX_BINS, 2 + both.size // TRIALS_PER_BIN)
    edges = np.unique(np.quantile(both, np.linspace(0, 1, n_bins + 1)))
    n_bonafide, n_spoof = (np.histogram(group, edges)[0] for group in (bonafide, spoof))
    total = np.maximum(np.histogram(both, edges)[0], 1)
    stated = np.histogram(both, edges, weights=both)[0] / total
    usable = (n_bonafide > 0) & (n_spoof > 0)
    n_bonafide = n_bonafide[usable]
    n_spoof = n_spoof[usable]
    measured = np.log(n_bonafide / bonafide.size) - np.log(n_spoof / spoof.size)
    return stated[usable], measured, 1.96 * np.sqrt(1 / n_bonafide + 1 / n_spoof)


def _plot_costs(ax: Axes, bonafide: np.ndarray, spoof: np.ndarray, det: Det,
                operating: float) -> None:
    """Normalised cost at the Bayes threshold, and the lowest possible, by effective prior.

    The applied probability of error of Brümmer & du Preez 2006.
    """
    log_odds = np.linspace(min(-LOG_ODDS, operating - 1), max(LOG_ODDS, operating + 1), 121)
    miss = np.searchsorted(np.sort(bonafide), log_odds, side="left") / bonafide.size
    false_alarm = 1 - np.searchsorted(np.sort(spoof), log_odds, side="left") / spoof.size
    priors = 1 / (1 + np.exp(-log_odds))
    actual = np.array([dcf(m, f, p, 1, 1) for m, f, p in zip(miss, false_alarm, priors)])
    alarm_curve, miss_curve = thinned(det)
    lowest = np.array([dcf(miss_curve, alarm_curve, p, 1, 1).min() for p in priors])
    ax.plot(log_odds, np.minimum(actual, HIGHEST_COST), color=SPOOF, linewidth=1.8, label="actual")
    ax.plot(log_odds, lowest, color=BONAFIDE, linewidth=1.8, linestyle="--",
            label="lowest possible")
    ax.axvline(operating, color="black", linewidth=1.2, linestyle=":",
               label="costs and prior of this evaluation")
    ax.set(xlabel="log odds of spoof, costs included", ylabel="normalised cost",
           ylim=(0, min(HIGHEST_COST, max(1.05, actual.max() * 1.05))),
           title="Cost at other priors")
    ax.legend(fontsize=8.5)
