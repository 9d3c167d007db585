"""One process that trains alone, or one of several under torchrun: the same few calls for both."""
import contextlib
import os

import numpy as np
import torch
from torch import Tensor, nn

from utils.common.devices import choose_device
from utils.common.errors import InputError
from utils.parallel.ranks import Ranks, launched


class Alone:
    """The only process: every share is the whole. `utils.parallel.distributed.Group` is its counterpart of many."""

    def __init__(self, device: torch.device):
        self.ranks, self.device = Ranks(), device

    def network(self, model: nn.Module) -> nn.Module:
        """The network to be trained: `model`, made to learn from the whole batch."""
        return model

    def portion(self, amount: Tensor | float) -> Tensor | float:
        """`amount` of this process over the mean amount of all: what its mean weighs in the mean of all."""
        return 1.0

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the processes."""
        return value

    def add_up(self, sums: np.ndarray | float) -> np.ndarray | float:
        """The float64 sum over the processes; an array may be overwritten by it."""
        return sums

    def randomness(self, rows: int) -> contextlib.AbstractContextManager:
        """While inside, random draws for a batch are those that one process would make for all `rows` of it."""
        return contextlib.nullcontext()

    def collect(self, scores: np.ndarray) -> np.ndarray:
        """Every process' float64 scores, in the order of the processes."""
        return scores

    def wait(self) -> None:
        """Until every process is here."""

    def close(self) -> None:
        """Leave the job."""


def join(device: str):
    """This process' `Alone`, or `utils.parallel.distributed.Group` where a launcher started it; only number 0 prints then."""
    if not launched():
        return Alone(choose_device(device))
    from utils.parallel.distributed import Group, available
    if not available():
        raise InputError("this build of PyTorch cannot train in several processes: start without torchrun")
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(chosen)
    return Group(chosen)
