"""Keeps freed memory in the process: on a CPU, asking the kernel for it takes most of a step."""
import ctypes
import platform

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Make glibc serve large blocks from its heap and never give the heap back.

    Returns whether that worked: it does on Linux with glibc only. By default every block above
    32 MB is mapped again, so each activation of each step costs a page fault per 4 kB. The price is
    a third more memory, until the process ends. Call it before the first large allocation.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2 ** 31 - 1), (_M_TOP_PAD, 64 * 2 ** 20))
    return all(mallopt(name, value) == 1 for name, value in settings)
