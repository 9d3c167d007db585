"""Which parts of a network do not learn by gradients (--freeze), and batch norms renewed."""
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.ssl import SpeechFrames
from utils.common.errors import InputError
from utils.training.architectures import ARCHITECTURES

NORMS = "norm"    # of --freeze: all batch-norm statistics stay, the weights of the norms may learn


def freeze(model: nn.Module, architecture: str, parts: str) -> list[nn.Module]:
    """Freeze `parts` of `model`: names of modules or weights, a number of blocks, "norm".

    Commas separate parts. Frozen weights ask for no gradients, so no backward pass is made for
    what lies before the first learning layer. Returns the modules that stay in evaluation mode:
    their batch-norm statistics and dropout rest too. Raises `InputError` for an unknown name.
    """
    modules = dict(model.named_modules())
    resting = []
    for name in _names(model, architecture, parts):
        if name == NORMS:
            resting += [module for module in model.modules() if isinstance(module, _BatchNorm)]
            continue
        frozen = [parameter for known, parameter in model.named_parameters()
                  if (known + ".").startswith(name + ".")]
        if not frozen and name not in modules:
            raise InputError(f"--freeze {name}: the network {architecture} has no such part. It "
                             f"has {', '.join(dict(model.named_children()))} and their parts")
        for parameter in frozen:
            parameter.requires_grad_(False)
        resting += [modules[name]] if name in modules else []
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(f"--freeze {parts} leaves nothing of {architecture} to be trained: "
                         "name fewer parts")
    return resting


def _names(model: nn.Module, architecture: str, parts: str) -> list[str]:
    network = ARCHITECTURES[architecture]
    names = []
    for part in filter(None, (part.strip() for part in parts.split(","))):
        if not part.isdecimal():
            names.append(part)
        elif network.blocks:
            names += network.before_blocks
            if isinstance(model, SpeechFrames) and model.norm_before_blocks:
                names.append(model.norm_before_blocks)
            names += [f"{network.blocks}.{number}" for number in range(int(part))]
        else:
            counted = [name for name, other in ARCHITECTURES.items() if other.blocks]
            raise InputError(f"--freeze {part}: blocks are counted in {', '.join(counted)} only. "
                             f"Name the parts of {architecture}")
    return names


@torch.no_grad()
def renew_statistics(model: nn.Module, resting: list[nn.Module], waves: Iterable[Tensor],
                     whole_batch: Callable[[], AbstractContextManager] = nullcontext) -> None:
    """Renew the batch-norm statistics of `model`, except in `resting`, over (B, n_samples) waves.

    They become the plain mean over batches, as by torch.optim.swa_utils.update_bn. The pass is one
    of training, so dropout and masks are drawn, each batch's inside `whole_batch()`.
    """
    still = {id(inner) for module in resting for inner in module.modules()}
    norms = [module for module in model.modules()
             if isinstance(module, _BatchNorm) and id(module) not in still]
    momenta = [module.momentum for module in norms]
    model.train()
    for module in resting:
        module.eval()
    for module in norms:
        module.reset_running_stats()
        module.momentum = None
    for batch in waves:
        with whole_batch():
            model(batch)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
