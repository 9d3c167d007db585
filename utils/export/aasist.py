"""AASIST as an ONNX graph that is fast and small on a CPU and computes the same as the model.

It differs in three ways from the output of PyTorch's exporter. bn2 is folded into conv1. SELU is
split into fast operations, and its constants are folded into the neighbouring convolutions. The
first two blocks hold nine tenths of all activations; they run over the time axis in chunks. Only
one chunk is in memory, and it fits into the processor's cache.
"""
import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from models.aasist import AASIST, FILTER_LENGTH, N_FREQUENCIES, ResidualBlock
from utils.export.graph import SCALE, SELU_ZERO, SHIFT, Graph

OPSET = 17          # ONNX Runtime reads it since 1.12
CHUNK = 28          # columns of the second block's output: 0.8 MB of activations
HALO = 2            # columns that a block needs on both sides of its input
HALVED_FROM = 512   # smallest number of values in a tensor that is stored in float16
HALF = ".f16"       # suffix of the names of tensors stored in float16


@dataclass
class Folded:
    """A residual block's weights in float64, with batch norm and SELU's constants folded in."""

    conv1: np.ndarray
    bias1: np.ndarray
    conv2: np.ndarray
    bias2: np.ndarray
    downsample: np.ndarray | None


def fold(block: ResidualBlock) -> Folded:
    """`block` with bn2 and the shift folded into conv1, SELU's scale and constant into conv2."""
    bn = block.bn2
    scale = _double(bn.weight) / np.sqrt(_double(bn.running_var) + bn.eps)
    conv1 = _double(block.conv1.weight) * scale[:, None, None, None]
    centred = _double(block.conv1.bias) - _double(bn.running_mean)
    bias1 = centred * scale + _double(bn.bias) + SHIFT
    conv2 = _double(block.conv2.weight) * SCALE
    bias2 = _double(block.conv2.bias) - SELU_ZERO * conv2.sum((1, 2, 3))
    downsample = block.conv_downsample
    if downsample is None:
        return Folded(conv1, bias1, conv2, bias2, None)
    return Folded(conv1, bias1, conv2, bias2 + _double(downsample.bias), _double(downsample.weight))


def _double(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def residual_block(graph: Graph, x: str, columns: int, block: Folded, starts: bool,
                   ends: bool) -> str:
    """The block over `columns` columns of its input; returns columns // 3 columns.

    `x` has HALO more columns on both sides. `starts` and `ends` say whether the recording starts
    or ends here. There the halo of `x` must be zero. The padding of conv2 is zero too, and not
    conv1's output over the halo.
    """
    h = graph.quick_selu(graph.convolve(x, block.conv1, block.bias1, pads=(1, 0)))
    if starts or ends:
        h = graph.columns(h, int(starts), columns + 2 - int(ends))
        h = graph.pad_columns(h, int(starts), int(ends), SELU_ZERO)
    y = graph.convolve(h, block.conv2, block.bias2)
    if block.downsample is None:
        y = graph("Add", y, graph.columns(x, HALO, columns + HALO))
    else:
        y = graph("Add", y, graph.convolve(graph.columns(x, 1, columns + 3), block.downsample))
    return graph("MaxPool", y, kernel_shape=[1, 3], strides=[1, 3])


def whole_block(graph: Graph, x: str, block: Folded) -> str:
    """The block over the whole recording, with padded convolutions."""
    h = graph.quick_selu(graph.convolve(x, block.conv1, block.bias1, pads=(1, 1)))
    y = graph.convolve(graph.pad_columns(h, 1, 1, SELU_ZERO), block.conv2, block.bias2)
    if block.downsample is not None:
        x = graph.convolve(x, block.downsample, pads=(0, 1))
    y = graph("Add", y, x)
    return graph("MaxPool", y, kernel_shape=[1, 3], strides=[1, 3])


def cut(graph: Graph, x: str, start: int, end: int, width: int) -> str:
    """Columns `start` to `end` of `x`, which has `width` columns; columns outside are zero."""
    inside = graph.columns(x, max(start, 0), min(end, width))
    return graph.pad_columns(inside, max(-start, 0), max(end - width, 0))


class Pair:
    """The first two blocks over an input of `width` columns, in chunks of the output."""

    def __init__(self, blocks: list[Folded], width: int):
        self.blocks = blocks
        self.width = width
        self.inner = width // 3     # columns of the first block's output
        self.outer = width // 9     # columns of the second block's output

    def sources(self, start: int, end: int) -> tuple[int, int]:
        """The first block's output columns behind the second's columns `start` to `end`."""
        return max(0, 3 * start - HALO), min(self.inner, 3 * end + HALO)

    def chunk(self, graph: Graph, x: str, start: int, end: int) -> str:
        """Columns `start` to `end` of the output; `x` holds their input columns and a halo."""
        low, high = self.sources(start, end)
        y = residual_block(graph, x, 3 * (high - low), self.blocks[0],
                           starts=low == 0, ends=3 * high == self.width)
        y = graph.pad_columns(y, low - (3 * start - HALO), 3 * end + HALO - high)
        return residual_block(graph, y, 3 * (end - start), self.blocks[1],
                              starts=start == 0, ends=3 * end == self.inner)

    def edge(self, graph: Graph, x: str, start: int, end: int) -> str:
        """A chunk at the start or the end of the recording, or the whole recording."""
        low, high = self.sources(start, end)
        part = cut(graph, x, 3 * low - HALO, 3 * high + HALO, self.width)
        return self.chunk(graph, part, start, end)

    def middle(self, graph: Graph, x: str, chunks: int) -> str:
        """All chunks except the first and the last, in one loop that joins its outputs."""
        body = Graph("chunk")
        low, high = self.sources(CHUNK, 2 * CHUNK)
        start, end = 3 * low - HALO, 3 * high + HALO
        step = body("Mul", "turn", body.whole_numbers(9 * CHUNK))
        part = body("Slice", x, body("Add", step, body.whole_numbers(start)),
                    body("Add", step, body.whole_numbers(end)), body.whole_numbers(3))
        shape = body.whole_numbers(-1, 1, N_FREQUENCIES, end - start)   # fixes the loop's width
        part = body("Reshape", part, shape)
        turns, condition = graph.constant(chunks - 2, np.int64), graph.constant(True, np.bool_)
        stacked = graph("Loop", turns, condition,
                        body=body.body(self.chunk(body, part, CHUNK, 2 * CHUNK)))
        joined = graph("Transpose", stacked, perm=[1, 2, 3, 0, 4])
        return graph("Reshape", joined, graph.whole_numbers(0, 0, 0, -1))

    def __call__(self, graph: Graph, x: str) -> str:
        chunks = self.outer // CHUNK
        if chunks < 3:
            return self.edge(graph, x, 0, self.outer)
        first = self.edge(graph, x, 0, CHUNK)
        last = self.edge(graph, x, (chunks - 1) * CHUNK, self.outer)
        return graph("Concat", first, self.middle(graph, x, chunks), last, axis=3)


def filter_bank(graph: Graph, waves: str, model: AASIST) -> str:
    """The sinc bands after pooling, normalisation and SELU: (B, 1, 23, columns)."""
    bn = model.first_bn
    scale = (bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()).item()
    offset = bn.bias.double().item() - bn.running_mean.double().item() * scale
    filters = graph.constant(model.bands.filters.detach().numpy())
    channel = graph("Unsqueeze", waves, graph.whole_numbers(1))
    bands = graph("Conv", channel, filters, kernel_shape=[FILTER_LENGTH])
    image = graph("Unsqueeze", graph("Abs", bands), graph.whole_numbers(1))
    pooled = graph("MaxPool", image, kernel_shape=[3, 3], strides=[3, 3])
    scaled = graph("Mul", pooled, graph.constant(scale))
    return graph("Selu", graph("Add", scaled, graph.constant(offset)))


def aasist_in(model: nn.Module) -> AASIST | None:
    """The AASIST whose residual encoder a network begins with: itself or its part; None for none.

    Such a network has `read_out(features, waves)`, which computes all the rest. If it also has
    `earlier_blocks`, this takes their outputs too.
    """
    part = getattr(model, "aasist", model)
    return part if isinstance(part, AASIST) else None


class _ReadOut(nn.Module):
    """All of a network but the residual encoder, for PyTorch's exporter.

    Of AASIST it takes less than 1 % of the time.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, waves: Tensor, *earlier: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.read_out(features, waves, *earlier)


def _exported(read_out: nn.Module, inputs: dict[str, Tensor]) -> onnx.GraphProto:
    """The output of PyTorch's exporter for `read_out`; weights keep their names."""
    file = io.BytesIO()
    outputs = ["last_hidden", "logits"]
    torch.onnx.export(read_out, tuple(inputs.values()), file, dynamo=False, opset_version=OPSET,
                      do_constant_folding=False, input_names=list(inputs), output_names=outputs,
                      dynamic_axes={name: {0: "batch"} for name in [*inputs, *outputs]})
    return onnx.load_from_string(file.getvalue()).graph


def halved(weights: Iterable[onnx.TensorProto]) -> tuple[list[onnx.NodeProto],
                                                         list[onnx.TensorProto]]:
    """The weights, and the nodes that cast float16 weights back.

    Large tensors are stored in float16 if that holds them exactly: half the file size.
    """
    casts, kept = [], []
    for weight in weights:
        exact = numpy_helper.to_array(weight)
        if not _fits_float16(exact):
            kept.append(weight)
            continue
        name = weight.name + HALF
        kept.append(numpy_helper.from_array(exact.astype(np.float16), name))
        casts.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
    return casts, kept


def _fits_float16(values: np.ndarray) -> bool:
    return (values.dtype == np.float32 and values.size >= HALVED_FROM
            and np.array_equal(values.astype(np.float16), values))


def aasist_onnx(model: nn.Module, n_samples: int) -> onnx.ModelProto:
    """A network with an `aasist_in` it, in eval mode, as ONNX.

    It maps `waves` (batch, n_samples) to `last_hidden` and `logits`.
    """
    aasist = aasist_in(model)
    graph = Graph("encoder")
    blocks = [fold(step[0]) for step in aasist.encoder]
    width = (n_samples - FILTER_LENGTH + 1) // 3
    x = Pair(blocks[:2], width)(graph, filter_bank(graph, "waves", aasist))
    outputs = [None, x]
    for block in blocks[2:]:
        outputs.append(whole_block(graph, outputs[-1], block))
    read = {"features": len(blocks) - 1}
    read |= {f"block{number}": number for number in getattr(model, "earlier_blocks", [])}
    for name, number in read.items():
        graph.nodes.append(helper.make_node("Identity", [outputs[number]], [name]))
    images = {name: torch.zeros(1, aasist.encoder[number][0].conv2.out_channels, N_FREQUENCIES,
                                width // 3 ** (number + 1)) for name, number in read.items()}
    features = images.pop("features")
    rest = _exported(_ReadOut(model).eval(),
                     {"features": features, "waves": torch.zeros(1, n_samples)} | images)
    waves = helper.make_tensor_value_info("waves", TensorProto.FLOAT, ["batch", n_samples])
    casts, weights = halved(rest.initializer)
    nodes = [*casts, *graph.nodes, *rest.node]
    whole = helper.make_graph(nodes, "aasist", [waves], list(rest.output),
                              [*graph.constants, *weights])
    opset = helper.make_opsetid("", OPSET)
    exported = helper.make_model(whole, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(exported)
    return exported
