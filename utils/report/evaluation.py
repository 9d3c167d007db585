"""Scored trials with the figures on them: what every picture, report and model card of an evaluation is made from."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LLR, RAW = "log-likelihood ratio", "raw CM score"
OTHER_SYSTEM = "score of another system, taken as a log-likelihood ratio"


@dataclass(frozen=True)
class Evaluation:
    """Scored trials and the figures on them: what pictures and report are made from."""
    rows: Sequence[Any]         # with .utterance and .labels
    scores: np.ndarray          # (n,) float64, higher = bona fide, in the order of `rows`
    metrics: dict
    metadata: dict              # of the checkpoint; empty where the scores came from elsewhere
    store: Any = None           # a utils.store.reader.Store over the same rows, for spectrograms
    history: Sequence[dict] = field(default_factory=list)
    name: str = "evaluation"    # of the run, for titles

    @property
    def is_bonafide(self) -> np.ndarray:
        return np.array([row.labels.is_bonafide for row in self.rows])

    @property
    def score_name(self) -> str:
        return self.metrics["score"]
