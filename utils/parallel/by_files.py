"""Scores of one store from several processes, gathered through files, without PyTorch."""
from pathlib import Path
from time import monotonic

import numpy as np

from utils.common.files import atomic_write
from utils.parallel.processes import Processes, place, wait_for

PATIENCE = 600      # seconds: the least time that this process waits for the others


class FileProcesses(Processes):
    """This process among those that score one store; they exchange scores as files in `folder`.

    `job` names the data and the model. Files of another job are ignored.
    """

    def __init__(self, folder: Path, job: str):
        super().__init__(*place())
        self.folder = folder
        self.job = job
        self.started = monotonic()

    def gather(self, scores: np.ndarray) -> np.ndarray | None:
        """Float64 scores of all processes in their order; None unless this is process 0."""
        own = np.asarray(scores, dtype=float)
        if self.size == 1:
            return own
        paths = [self.folder / f".scores-{self.job}-{number + 1}-of-{self.size}.npy"
                 for number in range(self.size)]
        with atomic_write(paths[self.rank], "wb") as file:
            np.save(file, own)
        if not self.lead:
            return None
        patience = max(PATIENCE, 10 * (monotonic() - self.started))     # shares are equally large
        wait_for(lambda: all(path.is_file() for path in paths), "the scores of the other processes",
                 lambda: sum(path.is_file() for path in paths), patience)
        gathered = np.concatenate([np.load(path, allow_pickle=False) for path in paths])
        for path in paths:
            path.unlink()
        return gathered
