"""How well scores are calibrated, in two pictures side by side."""
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from utils.metrics.metrics import Det, dcf
from utils.report.curves import thinned
from utils.report.plots import BONAFIDE, GREY, SPOOF, new_figure, save

MAX_BINS = 15
TRIALS_PER_BIN = 40
LOG_ODDS = 6.0          # the cost is drawn from minus to plus this
HIGHEST_COST = 2.0      # shown


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
