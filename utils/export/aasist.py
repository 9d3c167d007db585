"""AASIST as an ONNX graph that is fast and small on a CPU and computes the same as the model.

Sinc bands and residual blocks are one operator, aasist.Encoder. Where
utils/detector/engines/native has it for the processor, it runs natively. Elsewhere, and in any
other program, the runtime takes the operator's definition, which the file holds as an ONNX function
of plain operators.

The definition differs in three ways from the output of PyTorch's exporter. bn2 is folded into
conv1. SELU is split into fast operations, and its constants are folded into the neighbouring
convolutions. The first two blocks hold nine tenths of all activations; they run over the time axis
in chunks. Only one chunk is in memory, and it fits into the processor's cache.
"""
import io
from collections import Counter
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
DOMAIN, OPERATOR = "aasist", "Encoder"
CHUNK = 28          # columns of the second block's output: 0.8 MB of activations
HALO = 2            # columns that a block needs on both sides of its input
HALVED_FROM = 512   # smallest number of values in a tensor that is stored in float16
HALF = ".f16"       # suffix of the names of tensors stored in float16
TURNED = "_t"       # suffix of the names of matrices stored turned


@dataclass
class Folded:
    """A residual block's weights in float64, with batch norm folded in."""

    conv1: np.ndarray
    bias1: np.ndarray
    conv2: np.ndarray
    bias2: np.ndarray
    downsample: np.ndarray | None

    def for_quick_selu(self) -> "Folded":
        """The shift folded into conv1, SELU's scale and constant into conv2: see `quick_selu`."""
        conv2 = self.conv2 * SCALE
        bias2 = self.bias2 - SELU_ZERO * conv2.sum((1, 2, 3))
        return Folded(self.conv1, self.bias1 + SHIFT, conv2, bias2, self.downsample)


def fold(block: ResidualBlock) -> Folded:
    """`block` with bn2 folded into conv1, the biases of conv2 and of the short cut added."""
    bn, downsample = block.bn2, block.conv_downsample
    scale = _double(bn.weight) / np.sqrt(_double(bn.running_var) + bn.eps)
    conv1 = _double(block.conv1.weight) * scale[:, None, None, None]
    bias1 = (_double(block.conv1.bias) - _double(bn.running_mean)) * scale + _double(bn.bias)
    conv2, bias2 = _double(block.conv2.weight), _double(block.conv2.bias)
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


def norm_of(model: AASIST) -> np.ndarray:
    """The factor and the offset of first_bn."""
    bn = model.first_bn
    scale = _double(bn.weight) / np.sqrt(_double(bn.running_var) + bn.eps)
    return np.concatenate([scale, _double(bn.bias) - _double(bn.running_mean) * scale])


def filter_bank(graph: Graph, waves: str, model: AASIST) -> str:
    """The sinc bands after pooling, normalisation and SELU: (B, 1, 23, columns)."""
    scale, offset = norm_of(model)
    filters = graph.constant(model.bands.filters.detach().numpy())
    channel = graph("Unsqueeze", waves, graph.whole_numbers(1))
    bands = graph("Conv", channel, filters, kernel_shape=[FILTER_LENGTH])
    image = graph("Unsqueeze", graph("Abs", bands), graph.whole_numbers(1))
    pooled = graph("MaxPool", image, kernel_shape=[3, 3], strides=[3, 3])
    scaled = graph("Mul", pooled, graph.constant(scale))
    return graph("Selu", graph("Add", scaled, graph.constant(offset)))


@dataclass
class Encoder:
    """Sinc bands and residual blocks for windows of `n_samples`, as a node and its definition."""

    model: AASIST
    n_samples: int

    def __post_init__(self) -> None:
        self.blocks = [fold(step[0]) for step in self.model.encoder]
        self.width = (self.n_samples - FILTER_LENGTH + 1) // 3
        self.weights = {"filters": self.model.bands.filters.detach().numpy(),
                        "norm": norm_of(self.model)}
        for number, block in enumerate(self.blocks):
            self.weights |= {f"block{number}.{name}": value for name, value in vars(block).items()}

    def shape(self, number: int) -> tuple[int, int, int]:
        """Of the output of a block, counted from 0: (channels, 23, columns)."""
        return len(self.blocks[number].conv2), N_FREQUENCIES, self.width // 3 ** (number + 1)

    def node(self, outputs: dict[int, str]) -> onnx.NodeProto:
        """The operator; `outputs` names the outputs of blocks, which include the last."""
        inputs = [name if value is not None else "" for name, value in self.weights.items()]
        names = [outputs.get(number, "") for number in range(1, len(self.blocks))]
        return helper.make_node(OPERATOR, ["waves", *inputs], names, "encoder", domain=DOMAIN)

    def initializers(self) -> list[onnx.TensorProto]:
        """The operator's weights, float32."""
        return [numpy_helper.from_array(value.astype(np.float32), name)
                for name, value in self.weights.items() if value is not None]

    def definition(self) -> onnx.FunctionProto:
        """The operator in plain ones. It holds its weights itself: a Loop needs constants."""
        graph = Graph("encoder")
        blocks = [block.for_quick_selu() for block in self.blocks]
        outputs = [Pair(blocks[:2], self.width)(graph, filter_bank(graph, "waves", self.model))]
        for block in blocks[2:]:
            outputs.append(whole_block(graph, outputs[-1], block))
        constants = [helper.make_node("Constant", [], [value.name], value=value)
                     for value in graph.constants]
        return helper.make_function(DOMAIN, OPERATOR, ["waves", *self.weights], outputs,
                                    constants + graph.nodes, [helper.make_opsetid("", OPSET)])


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
    graph = onnx.load_from_string(file.getvalue()).graph
    _turn(graph)
    return graph


def _turn(graph: onnx.GraphProto) -> None:
    """Store the matrices that are only read turned as the graph reads them.

    The runtime would turn them while it loads: each would lie in memory twice.
    """
    weights = {weight.name: weight for weight in graph.initializer}
    turns = {node.input[0]: node for node in graph.node
             if node.op_type == "Transpose" and node.input[0] in weights}
    reads = Counter(name for node in graph.node for name in node.input)
    for name, node in turns.items():
        if reads[name] > 1:
            continue
        values = numpy_helper.to_array(weights[name]).transpose(node.attribute[0].ints)
        weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name + TURNED))
        for other in graph.node:
            other.input[:] = [name + TURNED if read == node.output[0] else read
                              for read in other.input]
        graph.node.remove(node)


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
    encoder = Encoder(aasist_in(model), n_samples)
    read = {"features": len(encoder.blocks) - 1}
    read |= {f"block{number}": number for number in getattr(model, "earlier_blocks", [])}
    images = {name: torch.zeros(1, *encoder.shape(number)) for name, number in read.items()}
    features = images.pop("features")
    rest = _exported(_ReadOut(model).eval(),
                     {"features": features, "waves": torch.zeros(1, n_samples)} | images)
    waves = helper.make_tensor_value_info("waves", TensorProto.FLOAT, ["batch", n_samples])
    casts, weights = halved(rest.initializer)
    node = encoder.node({number: name for name, number in read.items()})
    shapes = [entry for entry in rest.input if entry.name != "waves"]
    whole = helper.make_graph([*casts, node, *rest.node], "aasist", [waves], list(rest.output),
                              [*encoder.initializers(), *weights], value_info=shapes)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    exported = helper.make_model(whole, opset_imports=opsets, ir_version=8,
                                 functions=[encoder.definition()])
    onnx.checker.check_model(exported)
    return exported
