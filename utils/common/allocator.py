"""Keeps freed memory in the process: on a CPU, asking the kernel for it takes most of a step."""
import ctypes
import platform

from utils.common.memory import available_bytes

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
ROOMY = 8 * 10 ** 9     # bytes available: a batch of eight of AASIST, all blocks kept, takes five
LARGE = 2 ** 25         # bytes; glibc takes no higher threshold


def keep_freed_memory(available: int | None = None) -> bool:
    """Make glibc keep freed blocks in its heap; where memory is short, only those below 32 MB.

    Returns whether that worked: it does on Linux with glibc only. By default every larger block is
    mapped again, so each activation of each step costs a page fault per 4 kB. The price is gaps in
    the heap that nothing fits. Call it before the first large allocation.
    `available`: bytes that the machine can give; by default those of now.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    available = available_bytes() if available is None else available
    large = (_M_MMAP_MAX, 0) if available >= ROOMY else (_M_MMAP_THRESHOLD, LARGE)
    mallopt = ctypes.CDLL(None).mallopt
    settings = (large, (_M_TRIM_THRESHOLD, 2 ** 31 - 1), (_M_TOP_PAD, 64 * 2 ** 20))
    return all(mallopt(name, value) == 1 for name, value in settings)
