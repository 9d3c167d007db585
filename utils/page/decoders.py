"""The processes that decode: a few that work side by side, each replaced when a file breaks it."""
import contextlib
import multiprocessing
import os
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from utils.common.errors import InputError
from utils.detector import record
from utils.detector.detector import Detector
from utils.page.decoder import decode_uploads
from utils.page.model import SharedModel

PROCESSES = 2
SILENT_SECONDS = 120.0      # without a sign of life, a decoder hangs
STOP_SECONDS = 1.0          # to obey a cancel
GLANCE = 0.1                # s between two looks at whether it was cancelled


class NoAnswer(Exception):
    """The process did not answer in time."""


@dataclass
class Job:
    """One uploaded file on its way; its file is deleted when it is done."""
    path: str
    name: str
    seconds: float = 0.0                # heard so far
    expected: float | None = None       # s, as the file says
    stop: threading.Event = field(default_factory=threading.Event)


class Decoder:
    """One process; after one that ended, the next file starts another."""

    def __init__(self, detector: Detector, model: SharedModel, longest: float,
                 patience: float) -> None:
        self.detector = detector
        self.model = model
        self.longest = longest
        self.patience = patience
        self.start()

    def start(self) -> None:
        """Start the process."""
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        settings = (self.detector.metadata, self.detector.decision, self.detector.provenance,
                    self.longest)
        self.process = context.Process(target=decode_uploads, args=(other, *settings), daemon=True)
        self.process.start()
        other.close()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def judge(self, job: Job) -> tuple[dict, dict | None] | None:
        """Record and sketch of an upload; None if it was cancelled."""
        if not self.process.is_alive():
            self.end()
            self.start()
        try:
            self.pipe.send((job.path, job.name))
            return self._attend(job)
        except (EOFError, OSError):
            self.end()
            return self._broken(job, "its decoder crashed on it")
        except NoAnswer:
            self.end()
            return None if job.stop.is_set() else self._broken(
                job, f"its decoder gave no answer for {self.patience:g} s")
        except Exception:       # the model's own: it must not leave a decoder that waits
            self.end()
            raise

    def _attend(self, job: Job) -> tuple[dict, dict | None] | None:
        """Score the windows that come, until the record does."""
        heard_from = time.monotonic()
        stopped_at = None
        while True:
            if job.stop.is_set():
                stopped_at = stopped_at or time.monotonic()
            if self.pipe.poll(GLANCE):
                kind, content = self.pipe.recv()
                if kind == "windows":
                    self.pipe.send(None if stopped_at else self._scored(content))
                elif kind == "progress":
                    job.seconds, job.expected = content
                else:
                    return content
                heard_from = time.monotonic()
            now = time.monotonic()
            if now - heard_from > self.patience or stopped_at and now - stopped_at > STOP_SECONDS:
                raise NoAnswer

    def _scored(self, waves: np.ndarray) -> np.ndarray | InputError:
        try:
            return self.model.logits(waves)
        except InputError as error:     # about the recording: it belongs into its record
            return error

    def _broken(self, job: Job, reason: str) -> tuple[dict, None]:
        head = self.detector.head(job.name)
        return record.failed(head, f"{head['file']} cannot be decoded: {reason}"), None


class Decoders:
    """PROCESSES decoders and the line of jobs before them."""

    def __init__(self, detector: Detector, model: SharedModel, longest: float,
                 patience: float = SILENT_SECONDS) -> None:
        """`longest`: seconds of a recording. `patience`: seconds to wait for a sign of life."""
        self.all = [Decoder(detector, model, longest, patience) for _ in range(PROCESSES)]
        self._idle: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        for decoder in self.all:
            self._idle.put(decoder)
        self._threads = ThreadPoolExecutor(PROCESSES, "decoder")

    def submit(self, job: Job) -> Future:
        """Judge `job` when its turn comes: as `Decoder.judge`."""
        return self._threads.submit(self._run, job)

    def _run(self, job: Job) -> tuple[dict, dict | None] | None:
        decoder = self._idle.get()
        try:
            return None if job.stop.is_set() else decoder.judge(job)
        finally:
            self._idle.put(decoder)
            with contextlib.suppress(OSError):
                os.unlink(job.path)

    def close(self) -> None:
        """End all processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for decoder in self.all:
            decoder.end()
