"""Statistics of a large frozen network, kept on disk: a stopped or repeated fit continues."""
import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from models.ssl import OnStatistics
from utils.common.errors import InputError
from utils.common.files import disk_errors
from utils.common.locks import claim
from utils.detector.engines import Engine
from utils.training.run import Run

DIGEST = 16     # bytes that identify a wave


def kept_in(run: Run) -> Path | None:
    """The folder for what all runs share, beside them; None for several processes."""
    return run.folder.parent / ".statistics" if run.processes.size == 1 else None


class Kept:
    """An engine's `last_hidden`, computed once for each wave that it ever meets.

    The file holds a record for each: the start of the wave's SHA-256, then its statistics as
    float32. A record that a kill cut off is written again. While this object lives, no other may
    use the file: all runs with one encoder share it.
    """

    def __init__(self, make_engine: Callable[[], Engine], path: Path, width: int):
        """`make_engine` is called for the first wave that is new. `width`: of the statistics.

        Raises `InputError` while another run uses the file.
        """
        self.make_engine = make_engine
        self.path = path
        self.record = np.dtype([("wave", f"V{DIGEST}"), ("values", "<f4", width)])
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(path, "a+b")
            if not claim(self.file.fileno()):
                raise InputError(f"another run is fitting with the statistics in {path}: "
                                 "wait until it ends, or stop it")
            count = self.file.seek(0, 2) // self.record.itemsize
            self.file.truncate(count * self.record.itemsize)
        known = np.memmap(path, self.record, "r", shape=count)["wave"] if count else ()
        self.places = {bytes(wave): place for place, wave in enumerate(known)}

    @cached_property
    def engine(self) -> Engine:
        """The engine, made when it is needed."""
        return self.make_engine()

    def last_hidden(self, waves: np.ndarray) -> np.ndarray:
        """As the engine's: waves float32 (B, n_samples) to float32 (B, H)."""
        keys = [hashlib.sha256(wave.tobytes()).digest()[:DIGEST] for wave in waves]
        new = [number for number, key in enumerate(keys) if key not in self.places]
        if new:
            self._keep([keys[number] for number in new], self.engine.last_hidden(waves[new]))
        return np.stack([self._read(self.places[key]) for key in keys])

    def _keep(self, keys: list[bytes], values: np.ndarray) -> None:
        records = np.empty(len(keys), self.record)
        records["wave"] = np.frombuffer(b"".join(keys), f"V{DIGEST}")
        records["values"] = values
        with disk_errors(self.path):
            start = self.file.seek(0, 2) // self.record.itemsize
            self.file.write(records.tobytes())
            self.file.flush()
        self.places |= {key: start + number for number, key in enumerate(keys)}

    def _read(self, place: int) -> np.ndarray:
        self.file.seek(place * self.record.itemsize)
        return np.frombuffer(self.file.read(self.record.itemsize), self.record)["values"][0]


class OnKept:
    """An engine: the last layer of `model` over statistics that are kept."""

    batch_size = 1

    def __init__(self, kept: Kept, model: OnStatistics, metadata: dict):
        self.kept = kept
        self.metadata = metadata
        layer = model.out_layer
        self.mean, self.scale, self.weight, self.bias = (
            value.detach().cpu().double().numpy()
            for value in (model.mean, model.scale, layer.weight, layer.bias))

    def logits(self, waves: np.ndarray) -> np.ndarray:
        found = (self.kept.last_hidden(waves) - self.mean) * self.scale
        return found @ self.weight.T + self.bias
