"""A process that decodes uploads: a file that hangs or crashes a decoder ends it alone.

It holds no model. The windows that it cuts go through a pipe to the one model in memory.
"""
import base64
import io
import signal
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection

import numpy as np

from utils.audio.decode import AudioStream
from utils.audio.info import AudioInfo
from utils.common.errors import InputError
from utils.detector.detector import Detector
from utils.inference.picture import DYNAMIC_RANGE_DB, PIECES, Sketch, of_voice
from utils.signals import SAMPLE_RATE

TOLD_SECONDS = 0.25     # between two messages of progress
MOST_PASSES = 16        # times the longest recording: what its tracks and channels may last in all
OUTLINE = 2048          # points of a waveform that the page draws, at most
LINES = 128             # of a spectrogram


class Stopped(Exception):
    """The person who sent the recording has cancelled it."""


class PipedEngine:
    """The model at the other end of a pipe, as an `Engine`."""
    batch_size = 1

    def __init__(self, pipe: Connection, metadata: dict) -> None:
        self.pipe = pipe
        self.metadata = metadata

    def logits(self, waves: np.ndarray) -> np.ndarray:
        """See `Engine.logits`. Raises `Stopped` if the recording was cancelled."""
        self.pipe.send(("windows", waves))
        answer = self.pipe.recv()
        if answer is None:
            raise Stopped
        if isinstance(answer, InputError):
            raise answer
        return answer


def decode_uploads(pipe: Connection, metadata: dict, decision, provenance: dict,
                   longest: float) -> None:
    """Judge the files that come through `pipe` as (path, name), until it closes.

    Answers are ("windows", waves), which expects logits or None; ("progress", (seconds, of));
    ("record", (record, sketch)); ("stopped", None). `longest`: seconds of a recording.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C ends the server, which ends this
    detector = Detector(PipedEngine(pipe, metadata), decision, provenance=provenance)
    while True:
        try:
            path, name = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(("record", _judge(detector, pipe, path, name, longest)))
        except Stopped:
            pipe.send(("stopped", None))


def _judge(detector: Detector, pipe: Connection, path: str, name: str,
           longest: float) -> tuple[dict, dict | None]:
    """The record of one upload, which calls it `name`, and its sketch."""
    sketches = []
    watch = Watch(name, longest, pipe)

    def tap(stream: AudioStream) -> Iterator[np.ndarray]:
        sketches.append(Sketch())
        return watch.passed(sketches[-1].tap(stream), stream.info)

    try:
        raw = io.FileIO(path)
    except FileNotFoundError:       # it was cancelled before this process had started
        raise Stopped from None
    raw.name = name
    with io.BufferedReader(raw) as file:
        record = detector.judge(file, tap, lambda stream: watch.passed(stream, stream.info))
    return record, None if record["error"] else drawn(of_voice(sketches, record))


class Watch:
    """Tells how far an upload is, and refuses what is too long."""

    def __init__(self, name: str, longest: float, pipe: Connection) -> None:
        """`longest`: seconds of the recording."""
        self._name = name
        self._longest = longest
        self._pipe = pipe
        self._told = time.monotonic()
        self._total = 0.0       # seconds decoded, of all tracks and channels

    def passed(self, blocks: Iterable[np.ndarray], info: AudioInfo) -> Iterator[np.ndarray]:
        """Pass blocks on, (n,) or (n, channels). Raises `InputError` if they last too long."""
        seconds = 0.0
        for block in blocks:
            yield block
            seconds += len(block) / SAMPLE_RATE
            self._total += len(block) / SAMPLE_RATE
            self._check("lasts", seconds, self._longest)
            self._check("has tracks and channels that last", self._total,
                        MOST_PASSES * self._longest)
            if time.monotonic() - self._told > TOLD_SECONDS:
                self._pipe.send(("progress", (seconds, info.expected_seconds)))
                self._told = time.monotonic()

    def _check(self, what: str, seconds: float, most: float) -> None:
        if seconds > most:
            raise InputError(f"{self._name} {what} more than {most / 60:g} minutes: "
                             "cut it into parts, or judge it on the command line")


def drawn(sketch: Sketch) -> dict:
    """A sketch for the page: "low" and "high" int16 (n,), "spectrum" uint8 (columns, LINES).

    All in base64; 255 is the loudest, 0 is DYNAMIC_RANGE_DB below. "seconds" is the length, "end"
    where the last column ends.
    """
    count = sketch.columns * PIECES
    joined = np.arange(0, count, -(-count // OUTLINE) or 1)
    low, high = np.zeros((2, 0), np.float32)
    if count:
        low = np.minimum.reduceat(sketch.low[:count], joined)
        high = np.maximum.reduceat(sketch.high[:count], joined)
    low, high = (edge.clip(-32768, 32767).astype(np.int16) for edge in (low, high))
    power = sketch.spectrogram_db()[:, 1:].reshape(sketch.columns, LINES, -1).max(axis=2)
    shade = np.clip(255 * (1 + power / DYNAMIC_RANGE_DB), 0, 255).astype(np.uint8)
    return {"seconds": sketch.samples / SAMPLE_RATE, "end": sketch.end, "columns": sketch.columns,
            "lines": LINES, "low": _text(low), "high": _text(high), "spectrum": _text(shade)}


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()
