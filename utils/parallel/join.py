"""One process that trains alone, or one of several under torchrun, with the same methods."""
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
    """The only process: its share is everything. `TorchProcesses` is the same for several."""

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def gather(self, scores: np.ndarray) -> np.ndarray:
        """Float64 scores of all processes in their order; every process gets all of them."""
        return scores

    def shared_network(self, model: nn.Module) -> nn.Module:
        """The network to call in training: `model`, wrapped to learn from the whole batch."""
        return model

    def whole_batch(self, rows: int) -> contextlib.AbstractContextManager:
        """While inside, random draws are those of one process for all `rows` of a batch."""
        return contextlib.nullcontext()

    def weight(self, amount: Tensor | float) -> Tensor | float:
        """The weight of this process' mean in the overall mean: `amount` over its mean value."""
        return 1.0

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the processes."""
        return value

    def add_up(self, sums: np.ndarray | float) -> np.ndarray | float:
        """The float64 sum over the processes; this may overwrite an array."""
        return sums

    def wait(self) -> None:
        """Wait until every process has reached this call."""

    def close(self) -> None:
        """Leave the job."""


def join(device_name: str) -> "Alone | TorchProcesses":
    """This process alone, or its place in a launcher's job; then only process 0 prints."""
    device = choose_device(device_name)
    if not launched():
        return Alone(device)
    if not torch.distributed.is_available():
        raise InputError("this build of PyTorch cannot train in several processes: "
                         "start without torchrun")
    # Not at the top: a single process does not need it.
    from utils.parallel.by_torch import TorchProcesses
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    return TorchProcesses(device)
