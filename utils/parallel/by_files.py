"""Scores of a store from several processes, gathered through files: PyTorch is not needed."""
from pathlib import Path
from time import monotonic

import numpy as np

from utils.common.files import atomic_write
from utils.parallel.processes import Processes, place, wait_for

PATIENCE = 600      # seconds at least that another process may take longer than this one


class FileProcesses(Processes):
    """This process among those that score one store; their scores meet as files in `folder`.

    `job` names what is scored with which model: files of another job are not used.
    """

    def __init__(self, folder: Path, job: str):
        super().__init__(*place())
        self.folder = folder
        self.job = job
        self.started = monotonic()

    def gather(self, scores: np.ndarray) -> np.ndarray | None:
        """Every process' scores, float64, in the order of the processes; None but for number 0."""
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
