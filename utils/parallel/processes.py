"""This process' place among several that do one job; PyTorch is not needed.

A launcher such as torchrun gives each process its number in the environment. Every step uses the
same two calls: `share` is this process' part of the work, `gather` puts the parts together.
"""
import os
from collections.abc import Callable
from time import monotonic, sleep

from utils.common.errors import InputError

POLL = 0.2          # seconds between two looks at what others did
SAY_AFTER = 60      # seconds of waiting after which a person is told


class Processes:
    """This process' number, from 0, among `size` processes. Number 0 leads: it merges and writes.

    With shares of a store `gather` is `utils.store.merge`; `utils.parallel.by_files` gathers
    scores, and `utils.parallel.by_torch` gathers scores and gradients.
    """

    def __init__(self, rank: int = 0, size: int = 1):
        self.rank = rank
        self.size = size

    @property
    def lead(self) -> bool:
        """Whether this process writes what all of them made."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process' part of `count` things, in their order. Parts differ by one at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def __str__(self) -> str:
        return f"{self.rank + 1} of {self.size}"


def launched() -> bool:
    """Whether a launcher such as torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def place() -> tuple[int, int]:
    """This process' number and how many there are, from RANK and WORLD_SIZE; (0, 1) without them.

    Raises `InputError` where the two make no sense.
    """
    if not launched():
        return 0, 1
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except ValueError:
        rank, size = -1, 0
    if not 0 <= rank < size:
        raise InputError(f"RANK={os.environ['RANK']} of WORLD_SIZE={os.environ['WORLD_SIZE']} is "
                         "no process of a job: unset both, or start with torchrun")
    return rank, size


def job_name() -> str:
    """What tells this job from an earlier one, the same in all its processes; "" where unknown.

    torchrun's own name is "none" without --standalone or --rdzv_id. The number of the process that
    started all of them then tells two jobs apart.
    """
    names = [os.environ.get(name, "")
             for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID")]
    if names[0] and os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        names.append(str(os.getppid()))
    return " ".join(filter(None, names))


def wait_for(done: Callable[[], bool], what: str, progress: Callable[[], object] = lambda: None,
             patience: float = 600, every: float = POLL) -> None:
    """Return once `done()`; after a minute, print once what is missing.

    A launcher ends the wait where another process failed. Without a launcher, `InputError` once
    `progress()` has not changed for `patience` seconds.
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
