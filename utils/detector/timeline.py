"""From overlapping windows to one line in time: which stretches lie on which side of the threshold."""
from dataclasses import dataclass

import numpy as np

from utils.detector.scoring import Window
from utils.detector.verdict import BONAFIDE, SPOOF, UNCERTAIN, Decision, outcome

NO_SPEECH = "no speech"
MAX_NAMED = 5  # stretches in a warning


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a recording, in seconds, with one outcome; `score` is its mean, None where there is no speech."""
    start: float
    end: float
    outcome: str
    score: float | None


def segments(windows: list[Window]) -> tuple[np.ndarray, np.ndarray]:
    """Edges (n + 1,) in seconds of the pieces between window borders, each one's mean score (n,) over speech windows.

    NaN where no speech window covers a piece. Pieces are half a window long: the finest the overlap can tell.
    """
    starts, ends = (np.array([getattr(window, name) for window in windows]) for name in ("start", "end"))
    scores, speech = np.array([w.score for w in windows]), np.array([w.speech for w in windows], dtype=float)
    edges = np.array(sorted({*starts.tolist(), *ends.tolist()}))  # np.unique takes 15 ms to import what it needs
    first, last = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    sums, counts = (np.zeros(len(edges)) for _ in range(2))
    for total, values in ((sums, scores * speech), (counts, speech)):
        np.add.at(total, first, values)
        np.subtract.at(total, last, values)
    sums, counts = np.cumsum(sums)[:-1], np.round(np.cumsum(counts)[:-1])
    return edges, np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def stretches(windows: list[Window], decision: Decision | None) -> list[Stretch]:
    """Neighbouring pieces of one outcome joined, in order; empty without a decision or without windows."""
    if decision is None or not windows:
        return []
    edges, scores = segments(windows)
    outcomes = [NO_SPEECH if np.isnan(score) else outcome(score, decision) for score in scores]
    borders = [0, *(k for k in range(1, len(outcomes)) if outcomes[k] != outcomes[k - 1]), len(outcomes)]
    means = [float(np.average(scores[a:b], weights=np.diff(edges[a:b + 1]))) for a, b in zip(borders, borders[1:])]
    return [Stretch(float(edges[a]), float(edges[b]), outcomes[a], None if outcomes[a] == NO_SPEECH else mean)
            for a, b, mean in zip(borders, borders[1:], means)]


def spoofed_parts(verdict: str | None, found: list[Stretch]) -> list[str]:
    """A warning where stretches are likely spoof and the whole is not; none where it cannot be judged."""
    spoofed = [stretch for stretch in found if stretch.outcome == SPOOF]
    if verdict not in (BONAFIDE, UNCERTAIN) or not spoofed:
        return []
    times = ", ".join(f"{stretch.start:.1f} to {stretch.end:.1f} s" for stretch in spoofed[:MAX_NAMED])
    more = f" and {len(spoofed) - MAX_NAMED} more stretches" if len(spoofed) > MAX_NAMED else ""
    return [f"parts of it are likely spoof though the whole is not: {times}{more}"]
