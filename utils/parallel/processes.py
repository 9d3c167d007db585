"""This process' place among several that do one job; PyTorch is not needed.

A launcher such as torchrun gives each process its number in the environment. Every step uses the
same two methods: `share` gives this process' part of the work, `gather` joins the results.
"""
import os
from collections.abc import Callable
from time import monotonic, sleep

from utils.common.errors import InputError

POLL = 0.2          # seconds between two checks of the other processes
SAY_AFTER = 60      # seconds of waiting before a message


class Processes:
    """This process' number, from 0, among `size` processes. Number 0 leads: it merges and writes.

    Shares of a store are gathered by `utils.store.merge`, scores by `utils.parallel.by_files`,
    and scores and gradients by `utils.parallel.by_torch`.
    """

    def __init__(self, rank: int = 0, size: int = 1):
        self.rank = rank
        self.size = size

    @property
    def lead(self) -> bool:
        """Whether this process writes the common result."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process' part of `count` ordered things. Parts differ in size by one at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def __str__(self) -> str:
        return f"{self.rank + 1} of {self.size}"


def launched() -> bool:
    """Whether a launcher such as torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def place() -> tuple[int, int]:
    """This process' number and the number of processes, from RANK and WORLD_SIZE; else (0, 1).

    Raises `InputError` if the two contradict each other.
    """
    if not launched():
        return 0, 1
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except ValueError:
        rank, size = -1, 0
    if not 0 <= rank < size:
        raise InputError(f"RANK={os.environ['RANK']} is not a process of WORLD_SIZE="
                         f"{os.environ['WORLD_SIZE']}: unset both, or start with torchrun")
    return rank, size


def job_name() -> str:
    """A name that separates this job from earlier ones, equal in all its processes; "" if unknown.

    torchrun's own name is "none" without --standalone or --rdzv_id. Then the number of the
    parent process, which started all of them, separates two jobs.
    """
    names = [os.environ.get(name, "")
             for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID")]
    if names[0] and os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        names.append(str(os.getppid()))
    return " ".join(filter(None, names))


def wait_for(done: Callable[[], bool], what: str, progress: Callable[[], object] = lambda: None,
             patience: float = 600, every: float = POLL) -> None:
    """Return once `done()` is true; after a minute, print once what is missing.

    If another process fails, a launcher ends the wait. Without a launcher, this raises
    `InputError` once `progress()` has not changed for `patience` seconds.
    """
    started = changed = monotonic()
    before, said = progress(), False
    while not done():
        sleep(every)
        if (now := progress()) != before:
            before, changed = now, monotonic()
        if monotonic() - changed > patience:
            raise InputError(f"{what} did not arrive for {patience:,.0f} s: another process of "
                             "this job has failed or was stopped. Read its message, end all "
                             "processes and run this again")
        if not said and monotonic() - started > SAY_AFTER:
            print(f"waiting for {what}", flush=True)
            said = True
