"""Structured pruning: whole channels inside of residual blocks go, and a smaller network remains.

The channels between a block's two convolutions can go without touching any other block (Li et al.,
2017, section 3.4). Least important are those whose removal would change the loss least, by the
first-order Taylor expansion at their batch norm (Molchanov et al., 2019, section 3.3).
"""
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import build_model
from utils.common.errors import InputError

MULTIPLE = 8        # of the channels that are left: convolutions compute so many at once
INNER = "inner"     # in a network's configuration: channels inside of each residual block
PARTS = {"aasist": None, "aasist-l": None, "small": None, "hybrid": "aasist"}   # with the blocks


def pruned(checkpoint: dict, share: float, batches: Iterable[tuple[Tensor, Tensor]]) -> dict:
    """`checkpoint` without about `share` of the channels inside of each residual block.

    `batches`: waves (B, samples) and labels (B,), 1 for bona fide, by which channels are judged.
    Raises `InputError` for a network without such blocks, and where no channel would go.
    """
    architecture, config = checkpoint["architecture"], checkpoint["config"]
    if architecture not in PARTS:
        raise InputError(f"--prune is for {', '.join(PARTS)}, and this is {architecture}: "
                         "leave it out")
    model = build_model(config)
    model.load_state_dict(checkpoint["state_dict"])
    widths = {name: norm.num_features for name, norm in inner_norms(model).items()}
    left = {name: width_left(width, share) for name, width in widths.items()}
    if left == widths:
        raise InputError(f"--prune {share:g} removes no channel, because each block keeps a "
                         f"multiple of {MULTIPLE}: raise it, or leave it out")
    found = importance(model.eval(), batches)
    kept = {name: values.topk(left[name]).indices.sort().values for name, values in found.items()}
    return checkpoint | {"config": narrowed(config, PARTS[architecture], list(left.values())),
                         "state_dict": without_channels(model, kept)}


def inner_norms(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """The batch norm between the convolutions of each residual block, by the block's name."""
    return {name: block.inner_norm for name, block in model.named_modules()
            if hasattr(block, "inner_norm")}


def width_left(width: int, share: float) -> int:
    """The channels that a block of `width` keeps: the nearest multiple of `MULTIPLE`, at least one.

    Never more than there were.
    """
    return min(width, MULTIPLE * max(1, round(width * (1 - share) / MULTIPLE)))


def importance(model: nn.Module,
               batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """For each residual block, float64 (channels,): the mean squared change of the loss without it.

    The change is g_scale * scale + g_shift * shift of the channel's batch norm.
    """
    norms = inner_norms(model)
    parameters = [part for norm in norms.values() for part in (norm.weight, norm.bias)]
    total = [torch.zeros(norm.num_features, dtype=torch.float64) for norm in norms.values()]
    count = 0
    for waves, labels in batches:
        loss = F.cross_entropy(model(waves)[1], labels)
        found = [(gradient * part).detach().double() for gradient, part in
                 zip(torch.autograd.grad(loss, parameters), parameters)]
        for number in range(len(total)):
            total[number] += (found[2 * number] + found[2 * number + 1]).square()
        count += 1
    return {name: values / count for name, values in zip(norms, total)}


def narrowed(config: dict, part: str | None, widths: list[int]) -> dict:
    """`config`, or its `part`, with these channels inside of the residual blocks."""
    if part is None:
        return config | {INNER: widths}
    return config | {part: config[part] | {INNER: widths}}


def without_channels(model: nn.Module, kept: dict[str, Tensor]) -> dict:
    """The model's state dict if each residual block keeps only these inner channels (indices)."""
    state = dict(model.state_dict())
    for name, keep in kept.items():
        block = model.get_submodule(name)
        norm = next(child for child, layer in block.named_children() if layer is block.inner_norm)
        for layer in ("conv1", norm):
            for part, value in block.get_submodule(layer).state_dict().items():
                state[f"{name}.{layer}.{part}"] = value[keep].clone() if value.ndim else value
        state[f"{name}.conv2.weight"] = block.conv2.weight.detach()[:, keep].clone()
    return state
