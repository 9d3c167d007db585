"""How much a model errs on noisy recordings and over a telephone: a band for each, from dev.

The condition is laid on both classes of the dev set, seeded by each utterance.
"""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.common.generators import generator
from utils.detector.decision import Calibration
from utils.detector.engines import Engine
from utils.detector.fitting import band_over_sources
from utils.detector.scoring import score_store
from utils.detector.verdict import NARROW, NOISY
from utils.signals.codecs import available, coded, telephone
from utils.signals.levels import add_at_snr, within_full_scale
from utils.signals.rooms import coloured_noise
from utils.store.reader import StorePart

LAID_ON_DB = 10.0, 20.0     # of speech above the noise on dev
MOST = 600                  # utterances of dev to hear under each condition
FULL_SCALE = 32767


def bands_of(engine: Engine, store: Any, line: Calibration) -> dict[str, tuple[float, float]]:
    """The band of each condition, from the dev set `store` under it; none where dev is too small.

    `engine` gives raw scores, which `line` calibrates. At most `MOST` evenly chosen utterances are
    heard.
    """
    chosen = np.linspace(0, len(store) - 1, min(MOST, len(store))).astype(int)
    store = StorePart(store, chosen.tolist())
    labels = [row.labels for row in store.rows]
    genuine = np.array([label.is_bonafide for label in labels])
    sources = np.array([label.source for label in labels])
    found = {}
    for name, change in CHANGES.items():
        llrs = line.apply(score_store(engine, Changed(store, change), engine.batch_size))
        band = band_over_sources(llrs, genuine, sources)
        if band:
            found[name] = band
    return found


def _noisy(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White to brown noise."""
    noise = coloured_noise(len(wave), rng, rng.uniform(0, 2))
    return add_at_snr(wave, noise, rng.uniform(*LAID_ON_DB))


def _narrow(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A line of a landline, or of a mobile telephone."""
    if "amr" in available() and rng.integers(2):
        return coded(telephone(wave, coded=False), "amr", rng)
    return telephone(wave)


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
CHANGES: dict[str, Change] = {NOISY: _noisy, NARROW: _narrow}


class Changed:
    """A store whose utterances are changed when they are read; what is drawn follows from each."""

    def __init__(self, store: Any, change: Change) -> None:
        self.rows = store.rows
        self.path = store.path
        self._store = store
        self._change = change
        self._kept: tuple[int, np.ndarray] = -1, np.zeros(0)    # the last utterance, whole

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int, start: int = 0, count: int | None = None) -> np.ndarray:
        """`count` samples (n,) of an utterance from `start` on, in the unit of int16."""
        if self._kept[0] != index:
            wave = self._store.read(index, 0, self.rows[index].n_samples) / FULL_SCALE
            rng = generator(0, self.rows[index].utterance)
            changed = within_full_scale(self._change(wave, rng)) * FULL_SCALE
            self._kept = index, np.rint(changed).astype(np.int16)
        return self._kept[1][start:][:count]
