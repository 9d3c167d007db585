"""DET and ROC curves with operating points, as PNG."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from utils.metrics.metrics import Det, eer_of
from utils.report.plots import GREY, SPOOF, UNSEEN, new_figure, save

STYLES = {"all attacks": ("#222222", "-"), "seen attacks": (SPOOF, "-"),
          "unseen attacks": (UNSEEN, "--")}
TICKS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99)
LOWEST = 0.0008        # rate where the DET axes begin
FLOOR = 1e-5           # rates are kept this far from 0 and 1
DOT = {"marker": "o", "markersize": 7, "markeredgecolor": "white", "zorder": 5, "clip_on": False}
MAX_POINTS = 4000      # drawn per curve; more cannot be seen


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

    The dot on each curve is its operating point, at the edge where it lies outside.
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
