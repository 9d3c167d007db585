"""What glibc does with freed memory: training keeps it, scoring gives it back."""
import ctypes
import platform

from utils.common.memory import available_bytes

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_GLIBC = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
ROOMY = 8 * 10 ** 9     # bytes available: a batch of eight of AASIST, all blocks kept, takes five
LARGE = 2 ** 25         # bytes; glibc takes no higher threshold


def keep_freed_memory(available: int | None = None) -> bool:
    """Make glibc keep freed blocks in its heap; where memory is short, only those below 32 MB.

    Returns whether that worked: it does on Linux with glibc only. By default every larger block is
    mapped again, so each activation of each step costs a page fault per 4 kB: most of a step. The
    price is gaps in the heap that nothing fits. Call it before the first large allocation.
    `available`: bytes that the machine can give; by default those of now.
    """
    available = available_bytes() if available is None else available
    large = (_M_MMAP_MAX, 0) if available >= ROOMY else (_M_MMAP_THRESHOLD, LARGE)
    return _set(large, (_M_TRIM_THRESHOLD, 2 ** 31 - 1), (_M_TOP_PAD, 64 * 2 ** 20))


def give_freed_memory_back() -> None:
    """Give the free pages of the heap back now; what loading a model copies is many of them."""
    if _GLIBC:
        ctypes.CDLL(None).malloc_trim(0)


def _set(*settings: tuple[int, int]) -> bool:
    if not _GLIBC:
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(name, value) == 1 for name, value in settings)
