"""Decoding many files in order, some of them ahead of time in threads (the decoders work outside
Python's lock).
"""
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from utils.audio.decode import open_audio
from utils.audio.sources import AudioSource

AHEAD = 4          # files decoded in advance per worker
# bytes: a file from here on is never held whole, but streamed when its turn comes
LARGE = 4 << 20
Item = TypeVar("Item")


class Decoding:
    """One file, to be decoded when asked, or being decoded already."""

    def __init__(self, source: AudioSource, pool: ThreadPoolExecutor | None) -> None:
        self._source, self._rate = source, 0
        self._future: Future | None = pool.submit(self._whole) if pool else None

    def rate(self) -> int:
        """Hz of the source; known once `blocks` is exhausted."""
        return self._rate

    def blocks(self) -> Iterator[np.ndarray]:
        """int16 blocks, 16 kHz mono; raises `AudioError` as `open_audio` does."""
        yield from self._future.result() if self._future else self._stream()

    def _stream(self) -> Iterator[np.ndarray]:
        with open_audio(self._source, whole=True) as stream:
            yield from stream
            self._rate = stream.info.sample_rate

    def _whole(self) -> list[np.ndarray]:
        return list(self._stream())


def decode_in_order(items: Iterable[tuple[Item, AudioSource, int]],
                    workers: int) -> Iterator[tuple[Item, Decoding]]:
    """`items` are (anything, source, bytes); yields (the same thing, its decoding) in the same
    order.

    With `workers` 0 nothing is read ahead, and memory is that of one block.
    """
    if workers == 0:
        yield from ((item, Decoding(source, None)) for item, source, _ in items)
        return
    waiting: deque[tuple[Item, Decoding]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item, source, size in items:
            waiting.append((item, Decoding(source, pool if size < LARGE else None)))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
