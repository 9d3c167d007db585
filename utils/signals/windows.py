"""A recording of any length as overlapping windows."""
from collections.abc import Iterable, Iterator

import numpy as np


def tile(samples: np.ndarray, length: int) -> np.ndarray:
    """The first `length` samples; a shorter recording is repeated, as in the published code."""
    if not len(samples):
        raise ValueError("no samples to repeat")
    return np.resize(samples, length) if len(samples) < length else samples[:length]


class Cutter:
    """Cuts a recording that arrives in blocks (n,) of any size into windows.

    Windows are `length` samples long and start every `length // 2`. Where they do not reach the
    end, one more window ends with the recording. A shorter recording gives one shorter window, an
    empty one none. Each window is a copy. Memory: one and a half windows, whatever the length.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._hop = length // 2
        self._held = np.empty(0)
        self._base = 0          # the place in the recording of _held[0]
        self._filled = 0
        self._due = length      # so many samples must be held for the next window

    def push(self, block: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(start, samples) of the windows that a block completes."""
        length, hop = self._length, self._hop
        if not len(self._held):
            self._held = np.empty(length + hop, block.dtype)
        held = self._held = self._held.astype(np.result_type(self._held, block), copy=False)
        while len(block):
            taken = min(len(block), len(held) - self._filled)
            held[self._filled:self._filled + taken] = block[:taken]
            block = block[taken:]
            self._filled += taken
            if self._filled >= self._due == length:
                self._due = length + hop
                yield self._base, held[:length].copy()
            if self._filled >= self._due > length:
                held[:length] = held[hop:].copy()
                self._base += hop
                self._filled = length
                yield self._base, held[:length].copy()

    def finish(self) -> Iterator[tuple[int, np.ndarray]]:
        """(start, samples) of the window that ends with the recording, if one is left."""
        start = max(0, self._filled - self._length)
        if self._filled != self._length and self._filled:
            yield self._base + start, self._held[start:self._filled].copy()


def cut(blocks: Iterable[np.ndarray], length: int) -> Iterator[tuple[int, np.ndarray]]:
    """(start, samples) of every window of a recording that arrives in blocks, as `Cutter` says."""
    cutter = Cutter(length)
    for block in blocks:
        yield from cutter.push(block)
    yield from cutter.finish()
