"""Keeps freed memory in the process: on a CPU, asking the kernel for it takes most of a step."""
import ctypes
import platform

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
LARGE = 2 ** 25     # bytes; glibc takes no higher threshold


def keep_freed_memory() -> bool:
    """Make glibc keep freed blocks of up to 32 MB, and give larger ones back at once.

    Returns whether that worked: it does on Linux with glibc only. Call it before the first large
    allocation. Larger blocks would leave gaps that nothing fits: AASIST, in batches of eight, then
    takes twice the memory.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_THRESHOLD, LARGE), (_M_TRIM_THRESHOLD, 2 ** 31 - 1),
                (_M_TOP_PAD, 64 * 2 ** 20))
    return all(mallopt(name, value) == 1 for name, value in settings)
