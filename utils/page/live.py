"""A verdict that follows while somebody speaks: after each second, on all that was said so far."""
import queue
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from utils.audio.info import AudioInfo
from utils.detector.detector import Detector
from utils.inference.picture import Sketch
from utils.signals import SAMPLE_RATE
from utils.signals.resampling import FULL_SCALE, Resampler

NAME = "microphone"     # what a record calls the file


class Abandoned(Exception):
    """Nobody waits for the verdict any more."""


class Backlog:
    """What was said and waits to be scored: one thread puts it in, another one iterates."""

    def __init__(self, rate: int) -> None:
        """`rate` in Hz."""
        self.abandoned = False
        self._rate = rate
        self._blocks: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        self._given = 0         # samples
        self._taken = 0

    @property
    def seconds(self) -> float:
        """How much of it waits."""
        return (self._given - self._taken) / self._rate

    def put(self, block: np.ndarray) -> None:
        """Add samples (n,). They come out in blocks of at most a second."""
        for at in range(0, len(block), self._rate):
            piece = block[at:at + self._rate]
            self._given += len(piece)
            self._blocks.put(piece)

    def end(self) -> None:
        """Nothing more will come."""
        self._blocks.put(None)

    def abandon(self) -> None:
        """Nobody needs what waits: who iterates gets `Abandoned` at once."""
        self.abandoned = True
        self.end()

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            block = self._blocks.get()
            if self.abandoned:
                raise Abandoned
            if block is None:
                return
            self._taken += len(block)
            yield block


class LiveRecording:
    """A recording that arrives while it is spoken. Its last verdict is that of such a file.

    A second costs one window: the one that became complete, or else one of the seconds up to now.
    """

    def __init__(self, detector: Detector, rate: int, show: Callable[[dict], None],
                 is_behind: Callable[[], bool] = lambda: False) -> None:
        """`rate` in Hz; `show` gets the record so far, about once a second.

        While the scoring `is_behind` what was said, it gets none.
        """
        self.info = AudioInfo(sample_rate=rate, channels=1, tracks=1, format="microphone",
                              subtype="pcm_s16le", lossless=True)
        self.sketch = Sketch()
        self._listener = detector.listen(NAME, self.info)
        self._show = show
        self._is_behind = is_behind

    def judge(self, blocks: Iterable[np.ndarray]) -> dict:
        """The record of int16 blocks (n,) at `rate`, at their end."""
        untold = 0              # samples since the last update
        complete = False        # a window became complete in them
        for block in self._resampled(blocks):
            self.sketch.add(block)
            complete |= bool(self._listener.feed(block))
            untold += len(block)
            if untold >= SAMPLE_RATE and not self._is_behind():
                self._show(self._listener.verdict(to_now=not complete))
                untold = 0
                complete = False
        return self._listener.verdict()

    def _resampled(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        resampler = Resampler(self.info.sample_rate)
        for block in blocks:
            if len(block):
                self.info.measure(self.info.sample_rate, block[:, None])
                yield FULL_SCALE * resampler.push(block / np.float32(FULL_SCALE))
        yield FULL_SCALE * resampler.finish()
