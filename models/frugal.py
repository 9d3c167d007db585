"""Steps of AASIST's residual blocks that keep little for the backward pass, with equal gradients.

PyTorch keeps the input of each pooling and an int64 place for each maximum. Here a byte is kept.
Of a first block it keeps five activations over the whole time axis; here none of them is kept.
"""
import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

POOLED = 3      # columns
AT_ONCE = 16    # channels: the widest group in which convolutions of a CPU compute
# Klambauer et al. 2017, as in torch.nn.SELU
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def learns(block: nn.Module) -> bool:
    """Whether this pass is one of training, in which all weights of `block` learn."""
    return torch.is_grad_enabled() and all(weight.requires_grad for weight in block.parameters())


def pool_in_time(y: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H, W // 3), the maxima of three columns."""
    if torch.is_grad_enabled() and y.requires_grad:
        return _Pooling.apply(y)
    # Equal to max_pool2d(y, (1, 3)), but six times as fast without gradients (frozen
    # networks, scoring).
    return F.max_pool1d(y.flatten(1, 2), POOLED).unflatten(1, y.shape[1:3])


class _Pooling(Function):
    """`pool_in_time` that keeps the places of maxima as bytes, and not its input."""

    @staticmethod
    def forward(ctx, y: Tensor) -> Tensor:
        pooled, places = _pooled(y)
        ctx.save_for_backward(places)
        ctx.width = y.size(3)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _spread(gradient, *ctx.saved_tensors, ctx.width)


def _pooled(y: Tensor) -> tuple[Tensor, Tensor]:
    """The maxima of three columns, and which of the three they are, uint8, one item at a time."""
    pooled = y.new_empty(*y.shape[:3], y.size(3) // POOLED)
    places = torch.empty_like(pooled, dtype=torch.uint8)
    end = POOLED * pooled.size(3)
    for item, maxima, own in zip(y, pooled, places, strict=True):
        maxima.copy_(F.max_pool1d(item, POOLED))
        later = item[..., 0:end:POOLED] != maxima
        own.copy_(later).add_(later & (item[..., 1:end:POOLED] != maxima))
    return pooled, places


def _spread(gradient: Tensor, places: Tensor, width: int) -> Tensor:
    """The gradient (B, C, H, width) of what was pooled: that of each maximum at its place."""
    spread = gradient.new_zeros(*gradient.shape[:3], width)
    starts = POOLED * torch.arange(gradient.size(3), device=gradient.device)
    for item, own, one in zip(spread, places, gradient, strict=True):
        item.scatter_(2, own + starts, one)
    return spread


class Recomputed(Function):
    """A first block that keeps its input and the places of maxima; the rest is computed again.

    `Recomputed.apply(block, x, *block.parameters())`; all of them learn. Its one input channel
    makes the second computation cheap. Batch-norm statistics count each batch once.
    """

    @staticmethod
    def forward(ctx, block: nn.Module, x: Tensor, *weights: Tensor) -> Tensor:
        y = block.summed(x)
        pooled, places = _pooled(y)
        ctx.save_for_backward(x, places)
        ctx.block, ctx.width = block, y.size(3)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        block, (x, places) = ctx.block, ctx.saved_tensors

        def part(*of: slice) -> Tensor:
            return _spread(gradient[of], places[of], ctx.width)
        with _statistics_at_rest(block):
            inside = block.inside(x)
            later = _of_weights(block, inside, x, part)
            by_inside, by_short_cut = _of_inputs((block.conv2, block.conv_downsample), (inside, x),
                                                 part)
            _through_selu(by_inside, inside)
            del inside      # the next step needs its memory
            normed = block.conv1(x)
            by_norm, *scales = _of_norm(block.bn2, normed, by_inside)
        del normed, by_inside
        earlier = _of_layer(block.conv1, x, by_norm)
        by_conv1, = _of_inputs((block.conv1,), (x,), by_norm.__getitem__)
        return None, by_conv1 + by_short_cut, *earlier, *scales, *later


def _of_weights(block: nn.Module, inside: Tensor, x: Tensor,
                part: Callable[..., Tensor]) -> list[Tensor]:
    """Gradients of the last weights: of the second convolution and of the short cut.

    Some channels at a time, in the whole batch: the sums are those of autograd, to the last bit.
    """
    found = []
    for start in range(0, block.conv2.out_channels, AT_ONCE):
        gradient = part(slice(None), slice(start, start + AT_ONCE))
        found.append([gradients for layer, before in ((block.conv2, inside),
                                                      (block.conv_downsample, x))
                      for gradients in _of_layer(layer, before, gradient, start)])
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def _of_layer(layer: nn.Conv2d, x: Tensor, gradient: Tensor,
              start: int = 0) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias, from that of the output channels from `start` on."""
    weight = layer.weight[start:start + gradient.size(1)]
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, [len(weight)], layer.stride, layer.padding, layer.dilation, False,
        [0, 0], layer.groups, [False, True, True])[1:]


def _of_inputs(layers: tuple[nn.Conv2d, ...], inputs: tuple[Tensor, ...],
               part: Callable[[slice], Tensor]) -> tuple[Tensor, ...]:
    """Gradients of what layers read, one item at a time; `part` gives that of what they write."""
    found = tuple(map(torch.empty_like, inputs))
    for number in range(len(inputs[0])):
        one = slice(number, number + 1)
        gradient = part(one)
        for layer, whole in zip(layers, found, strict=True):
            whole[one] = conv2d_input(whole[one].shape, layer.weight, gradient,
                                      padding=layer.padding)
    return found


def _through_selu(gradient: Tensor, result: Tensor) -> None:
    """Turn the gradient of `result`, the output of SELU, into that of its input, in place."""
    torch.ops.aten.elu_backward.grad_input(gradient, SELU_ALPHA, SELU_SCALE, 1, True, result,
                                           grad_input=gradient)


def _of_norm(norm: nn.Module, y: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """Gradients of what a norm reads, and of its weights."""
    y.requires_grad_()
    with torch.enable_grad():
        end = get_gradient_edge(norm(y))        # its value is not kept
    return torch.autograd.grad(end, (y, *norm.parameters()), gradient)


@contextlib.contextmanager
def _statistics_at_rest(block: nn.Module) -> Iterator[None]:
    """Inside, the batch norm uses the batch's statistics, as in training, but counts it not."""
    block.bn2.track_running_stats = False
    try:
        yield
    finally:
        block.bn2.track_running_stats = True
