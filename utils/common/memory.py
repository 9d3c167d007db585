"""How much memory this process has taken."""
import sys
from pathlib import Path


def peak_mebibytes() -> float | None:
    """The largest resident memory of this process so far, in MiB; None where it is not known."""
    status = Path("/proc/self/status")
    if status.exists():     # on Linux ru_maxrss includes the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2 ** 10
    try:
        import resource
    except ImportError:     # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2 ** 20 if sys.platform == "darwin" else 2 ** 10)


def available_bytes() -> int:
    """What the kernel can give to programs without swapping; on Linux only."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
