"""From overlapping windows to one line in time: which stretches lie on which side of the line."""
from dataclasses import dataclass

import numpy as np

from utils.detector.decision import BONAFIDE, SPOOF, UNCERTAIN, Decision
from utils.detector.scoring import Window

NO_SPEECH = "no speech"
MAX_NAMED = 5  # stretches in a warning


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a recording, in seconds, with one outcome.

    `score` is its mean, None where there is no speech.
    """
    start: float
    end: float
    outcome: str
    score: float | None


def segments(windows: list[Window]) -> tuple[np.ndarray, np.ndarray]:
    """Edges (n + 1,) in seconds of the pieces between window borders, and their scores (n,).

    A piece's score is the mean over its speech windows, NaN where it has none. Most pieces are
    half a window long: the finest that the overlap can resolve.
    """
    starts = np.array([window.start for window in windows])
    ends = np.array([window.end for window in windows])
    scores = np.array([window.score for window in windows])
    speech = np.array([window.speech for window in windows], dtype=float)
    # np.unique takes 15 ms to import what it needs
    edges = np.array(sorted({*starts.tolist(), *ends.tolist()}))
    first, last = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    sums, counts = np.zeros(len(edges)), np.zeros(len(edges))
    for total, values in ((sums, scores * speech), (counts, speech)):
        np.add.at(total, first, values)
        np.subtract.at(total, last, values)
    sums, counts = np.cumsum(sums)[:-1], np.round(np.cumsum(counts)[:-1])
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return edges, means


def stretches(windows: list[Window], decision: Decision | None) -> list[Stretch]:
    """Neighbouring pieces of one outcome joined, in order.

    Empty without a decision or without windows.
    """
    if decision is None or not windows:
        return []
    edges, scores = segments(windows)
    outcomes = [NO_SPEECH if np.isnan(score) else decision.outcome(score) for score in scores]
    changes = [k for k in range(1, len(outcomes)) if outcomes[k] != outcomes[k - 1]]
    borders = [0, *changes, len(outcomes)]
    found = []
    for a, b in zip(borders, borders[1:]):
        mean = float(np.average(scores[a:b], weights=np.diff(edges[a:b + 1])))
        found.append(Stretch(float(edges[a]), float(edges[b]), outcomes[a],
                             None if outcomes[a] == NO_SPEECH else mean))
    return found


def spoofed_parts(verdict: str, found: list[Stretch]) -> list[str]:
    """A warning where stretches are likely spoof and the whole recording is not."""
    spoofed = [stretch for stretch in found if stretch.outcome == SPOOF]
    if verdict not in (BONAFIDE, UNCERTAIN) or not spoofed:
        return []
    times = ", ".join(f"{stretch.start:.1f} to {stretch.end:.1f} s"
                      for stretch in spoofed[:MAX_NAMED])
    left = len(spoofed) - MAX_NAMED
    more = f" and {left} more stretches" if left > 0 else ""
    return [f"parts of it are likely spoof though the whole is not: {times}{more}"]
