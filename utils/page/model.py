"""The one model in memory: every window of every recording is scored here, live ones first."""
import itertools
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from utils.detector.engines import Engine


class SharedModel:
    """A thread that scores windows for many; windows of the microphone overtake those of files."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._order = itertools.count()
        self._waiting: queue.PriorityQueue = queue.PriorityQueue()
        threading.Thread(target=self._work, name="model", daemon=True).start()

    def logits(self, waves: np.ndarray, live: bool = False) -> np.ndarray:
        """As `Engine.logits`; returns when their turn has come."""
        scored: Future = Future()
        self._waiting.put((not live, next(self._order), waves, scored))
        return scored.result()

    def _work(self) -> None:
        while True:
            _, _, waves, scored = self._waiting.get()
            try:
                scored.set_result(self.engine.logits(waves))
            except Exception as error:      # it is raised where the windows came from
                scored.set_exception(error)


@dataclass
class LiveEngine:
    """The shared model as an `Engine` for the microphone."""
    shared: SharedModel
    batch_size = 1

    @property
    def metadata(self) -> dict:
        """The model's metadata."""
        return self.shared.engine.metadata

    def logits(self, waves: np.ndarray) -> np.ndarray:
        """See `Engine.logits`."""
        return self.shared.logits(waves, live=True)
