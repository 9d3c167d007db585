"""One process that trains alone, or one of several under torchrun: the same calls for both."""
import contextlib
import os
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from utils.common.devices import choose_device
from utils.common.errors import InputError
from utils.parallel.processes import Processes, launched

if TYPE_CHECKING:
    from utils.parallel.by_torch import TorchProcesses


class Alone(Processes):
    """The only process: its share is the whole. `TorchProcesses` is its counterpart of several."""

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def gather(self, scores: np.ndarray) -> np.ndarray:
        """Every process' float64 scores, in the order of the processes, in each of them."""
        return scores

    def shared_network(self, model: nn.Module) -> nn.Module:
        """The network to call in training: `model`, made to learn from the whole batch."""
        return model

    def whole_batch(self, rows: int) -> contextlib.AbstractContextManager:
        """While inside, random draws are those of one process for all `rows` of a batch."""
        return contextlib.nullcontext()

    def weight(self, amount: Tensor | float) -> Tensor | float:
        """`amount` over its mean over the processes: what this process' mean weighs in all."""
        return 1.0

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the processes."""
        return value

    def add_up(self, sums: np.ndarray | float) -> np.ndarray | float:
        """The float64 sum over the processes; an array may be overwritten by it."""
        return sums

    def wait(self) -> None:
        """Until every process is here."""

    def close(self) -> None:
        """Leave the job."""


def join(device_name: str) -> "Alone | TorchProcesses":
    """This process alone, or its place in the job of a launcher; only number 0 prints then."""
    device = choose_device(device_name)
    if not launched():
        return Alone(device)
    if not torch.distributed.is_available():
        raise InputError("this build of PyTorch cannot train in several processes: "
                         "start without torchrun")
    # Not at the top: one process needs none of it.
    from utils.parallel.by_torch import TorchProcesses
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    return TorchProcesses(device)
