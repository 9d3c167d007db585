"""Several processes train one network on shares of each batch, as one process would do.

Imported only in a process that torchrun started. Loss, gradients, batch-norm statistics and random
draws equal those of one process, except for the order of additions.
"""
import contextlib
import gc
import os
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.nn  # a later import would bind its defaults to an old group
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from models.graph import GraphReadOut
from utils.parallel.processes import Processes, place

PATIENCE = timedelta(hours=2)   # for one process that exports and tests while the others wait


class TorchProcesses(Processes):
    """This process among those of its job, with the same methods as `utils.parallel.join.Alone`."""

    def __init__(self, device: torch.device):
        super().__init__(*place())
        self.device = device
        self.silence = contextlib.ExitStack()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        if not self.lead:
            nowhere = self.silence.enter_context(open(os.devnull, "w", encoding="utf-8"))
            self.silence.enter_context(contextlib.redirect_stdout(nowhere))

    def gather(self, scores: np.ndarray) -> np.ndarray:
        gathered: list = [None] * self.size
        dist.all_gather_object(gathered, scores)
        return np.concatenate(gathered)

    def shared_network(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if type(module) in _SYNCED:
                module.__class__ = _SYNCED[type(module)]
        # The residual blocks before graphs have published weights that never reach the output.
        return DistributedDataParallel(model, broadcast_buffers=False,
                                       find_unused_parameters=isinstance(model, GraphReadOut))

    def whole_batch(self, rows: int) -> "_WholeBatch":
        return _WholeBatch(rows, self.share(rows))

    def weight(self, amount: Tensor | float) -> Tensor:
        own = torch.as_tensor(amount, dtype=torch.float32, device=self.device)
        return own / self.mean(own)

    def mean(self, value: Tensor) -> Tensor:
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def add_up(self, sums: np.ndarray | float) -> np.ndarray:
        # On a CPU the tensor shares the array's memory, which may be large.
        total = torch.as_tensor(sums, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.cpu().numpy()

    def wait(self) -> None:
        dist.barrier()

    def close(self) -> None:
        self.silence.close()
        # A gloo thread that still runs when Python ends may abort the process. Threads end with
        # the last object that uses the group.
        dist.destroy_process_group()
        gc.collect()


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class _Synced(_BatchNorm):
    """Batch norm with the statistics of the whole batch (torch.nn.SyncBatchNorm needs a GPU)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        over = [d for d in range(x.dim()) if d != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        count = _Sum.apply(torch.tensor(float(x.numel() // x.size(1)), device=x.device))
        mean = _Sum.apply(x.sum(over)) / count
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(over)) / count
        if self.track_running_stats:
            self._remember(mean.detach(), (variance * count / (count - 1)).detach())
        scale = (variance + self.eps).rsqrt()
        if self.weight is None:
            return centred * scale.view(shape)
        return centred * (scale * self.weight).view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        factor = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, factor)
        self.running_var.lerp_(variance, factor)


class _Synced1d(_Synced, nn.BatchNorm1d):
    """For (N, C) and (N, C, L)."""


class _Synced2d(_Synced, nn.BatchNorm2d):
    """For (N, C, H, W)."""


_SYNCED = {nn.BatchNorm1d: _Synced1d, nn.BatchNorm2d: _Synced2d}


class _WholeBatch(TorchFunctionMode):
    """Makes torch.rand, torch.randint and dropout draw for a whole batch, and keeps this share.

    All processes have the same seed, so each row gets the draw of a single process. On a CPU
    they agree to the last bit.
    """

    def __init__(self, rows: int, own: slice):
        super().__init__()
        self.rows = rows
        self.own = own
        self.count = own.stop - own.start

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is F.dropout:
            return self._dropout(*args, **kwargs)
        if function in (torch.rand, torch.randint):
            whole = [self._whole(value) for value in args]
            if function is torch.rand and args and args[0] == self.count:     # one size each
                whole = [self.rows, *args[1:]]
            drawn = function(*whole, **kwargs)
            return drawn[self.own] if whole != list(args) else drawn
        return function(*args, **kwargs)

    def _whole(self, value):
        is_size = isinstance(value, (tuple, list)) and len(value) and value[0] == self.count
        return (self.rows, *value[1:]) if is_size else value

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True,
                 inplace: bool = False) -> Tensor:
        if not training or p == 0 or x.size(0) != self.count:
            return F.dropout(x, p, training, inplace)
        # The draws fill memory in its order: the mask must have the same memory layout as `x`.
        order = sorted(range(x.dim()), key=lambda d: (-x.stride(d), d))
        shape = [self.rows, *x.shape[1:]]
        mask = x.new_empty([shape[d] for d in order]).bernoulli_(1 - p).div_(1 - p)
        mask = mask.permute([order.index(d) for d in range(x.dim())])[self.own]
        return x.mul_(mask) if inplace else x * mask
