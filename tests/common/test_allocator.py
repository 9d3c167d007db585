"""Freed memory stays in the process, but for large blocks where memory is short."""
import platform
import subprocess
import sys

import pytest

from utils.common.files import ROOT

ONE_BLOCK = """
import sys
from pathlib import Path
from utils.common.allocator import keep_freed_memory
assert keep_freed_memory(int(sys.argv[1]))
import numpy as np
block = np.ones(int(sys.argv[2]), np.uint8)
del block
print(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
"""


def resident(available: int, size: int) -> float:
    """MB that a process holds after a block of `size` bytes was freed."""
    done = subprocess.run([sys.executable, "-c", ONE_BLOCK, str(available), str(size)], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    return int(done.stdout) / 1000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_a_large_block_is_kept_only_where_there_is_room():
    size = 300 * 10 ** 6
    assert resident(20 * 10 ** 9, size) > 300
    assert resident(4 * 10 ** 9, size) < 200
    assert resident(4 * 10 ** 9, size // 10) > resident(4 * 10 ** 9, 10) + 25
