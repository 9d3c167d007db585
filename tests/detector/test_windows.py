"""Windows: where they lie, whatever the blocks, and in how much memory."""
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.signals.windows import cut, tile


def in_blocks(samples, size):
    return (samples[i:i + size] for i in range(0, len(samples), size))


def expected_starts(total, length):
    starts = list(range(0, total - length + 1, length // 2))
    return starts if starts[-1] + length == total else [*starts, total - length]


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2000), st.integers(2, 300), st.integers(1, 2500))
def test_windows_start_every_half_length_and_the_last_ends_with_the_recording(total, length, block):
    samples = np.arange(total, dtype=np.int16)
    windows = list(cut(in_blocks(samples, block), length))
    if total < length:
        assert [len(window) for _, window in windows] == [total] * bool(total)
    else:
        assert [start for start, _ in windows] == expected_starts(total, length)
    assert all(np.array_equal(window, samples[start:start + length]) for start, window in windows)


def test_blocks_may_be_empty():
    blocks = [np.zeros(0, np.int16), np.arange(5, dtype=np.int16), np.zeros(0, np.int16)]
    windows = [(start, window.tolist()) for start, window in cut(blocks, 4)]
    assert windows == [(0, [0, 1, 2, 3]), (1, [1, 2, 3, 4])]


def test_a_window_is_the_callers_own():
    first, second = (window for _, window in cut([np.arange(6, dtype=np.int16)], 4))
    first[:] = -1
    assert second.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("count", [1, 20000, 64599, 64600, 64601])
def test_tiling_repeats_as_the_published_evaluation_does(count):
    samples = np.arange(count).astype(np.int16)
    assert np.array_equal(tile(samples, 64600), np.tile(samples, 64600 // count + 1)[:64600])


def test_an_hour_is_cut_in_less_memory_than_ten_seconds_take():
    second = np.zeros(16000, np.int16)
    tracemalloc.start()
    count = sum(1 for _ in cut((second for _ in range(3600)), 64600))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(expected_starts(3600 * 16000, 64600)) and peak < 10 * second.nbytes * 2


def test_samples_that_are_not_whole_numbers_stay_so_behind_those_that_are():
    blocks = [np.arange(4, dtype=np.int16), np.array([4.5, 40000.0], np.float32)]
    assert [window.tolist() for _, window in cut(blocks, 4)] == [[0, 1, 2, 3], [2, 3, 4.5, 40000]]
