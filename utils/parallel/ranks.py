"""Which of several processes on one job this one is, as torchrun and the like tell in the environment; no PyTorch needed."""
import os
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

from utils.common.errors import InputError


@dataclass(frozen=True)
class Ranks:
    """This process' number, from 0, among so many. Number 0 leads: it merges and writes."""
    rank: int = 0
    size: int = 1

    @property
    def lead(self) -> bool:
        """Whether this process writes what all of them made."""
        return self.rank == 0

    def share(self, count: int, rank: int | None = None) -> slice:
        """The part of `count` things, in their order, that a process takes: as many as any other, to within one."""
        number = self.rank if rank is None else rank
        return slice(count * number // self.size, count * (number + 1) // self.size)

    def __str__(self) -> str:
        return f"{self.rank + 1} of {self.size}"


def launched() -> bool:
    """Whether a launcher such as torchrun started this process as one of a job, be it of one process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def ranks() -> Ranks:
    """The ranks of the launcher's environment (RANK, WORLD_SIZE); one process where there is none. `InputError` for nonsense."""
    if not launched():
        return Ranks()
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except ValueError:
        rank, size = -1, 0
    if not 0 <= rank < size:
        raise InputError(f"RANK={os.environ['RANK']} of WORLD_SIZE={os.environ['WORLD_SIZE']} is no process of a job: "
                         "unset both, or start with torchrun")
    return Ranks(rank, size)


def job() -> str:
    """What tells this job of several processes from an earlier one, the same in all of them; "" where no launcher says it.

    torchrun's own number is "none" unless --standalone or --rdzv_id is given; the process that started all of them helps there.
    """
    told = [os.environ.get(name, "") for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID")]
    if told[0] and os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        told.append(str(os.getppid()))
    return " ".join(filter(None, told))


def wait_for(there: Callable[[], bool], what: str, progress: Callable[[], object] = lambda: None, patience: float = 600,
             every: float = 0.2, say_after: float = 60) -> None:
    """Return once `there()`; says what is waited for, once, after a minute.

    A launcher ends the wait where another process failed. Without one, `InputError` once `progress()` has said the same for
    `patience` seconds.
    """
    started = changed = monotonic()
    before, said = progress(), False
    while not there():
        sleep(every)
        if (now := progress()) != before:
            before, changed = now, monotonic()
        if monotonic() - changed > patience:
            raise InputError(f"{what} did not come on for {patience:,.0f} s: another process of this job has failed or is stopped; see "
                             "what it says, end all of them and run this again")
        if not said and monotonic() - started > say_after:
            print(f"waiting for {what}", flush=True)
            said = True
