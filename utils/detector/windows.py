"""Windows of the training length over a recording of any length, in constant memory."""
from collections.abc import Iterable, Iterator

import numpy as np


def tile(samples: np.ndarray, length: int) -> np.ndarray:
    """The first `length` samples; a shorter recording is repeated until it fills them, as published."""
    if not len(samples):
        raise ValueError("no samples to repeat")
    return np.resize(samples, length) if len(samples) < length else samples[:length]


def cut(blocks: Iterable[np.ndarray], length: int) -> Iterator[tuple[int, np.ndarray]]:
    """(start, samples) of every window of a recording that arrives in blocks (n,) of any size.

    Windows are `length` samples long and start every `length // 2`; where they do not reach the end, one more lies
    right-aligned on it. A recording shorter than a window gives one that is shorter, an empty one none. Holds one and a
    half windows whatever the recording's length; each window is the caller's own copy.
    """
    hop = length // 2
    held, base, filled = np.empty(length + hop, np.int16), 0, 0  # held[0] is the recording's sample number `base`
    due = length                                                  # how many samples must be held for the next window
    for block in blocks:
        while len(block):
            taken = min(len(block), len(held) - filled)
            held[filled:filled + taken] = block[:taken]
            block, filled = block[taken:], filled + taken
            if filled >= due == length:
                yield base, held[:length].copy()
                due = length + hop
            if filled >= due > length:
                held[:length] = held[hop:].copy()
                base, filled = base + hop, length
                yield base, held[:length].copy()
    if 0 < filled < length:
        yield 0, held[:filled].copy()
    elif filled > length:
        yield base + filled - length, held[filled - length:filled].copy()
