"""8-bit whole numbers in an exported model, beside floating point where those would harm.

Convolutions have fixed input and output ranges, measured on calibration windows (Jacob et al.,
2018), and one weight scale per output channel (Krishnamoorthi, 2018). Their bias makes up for what
rounding the weights changes at the mean input (Nagel et al., 2019). Matrix products scale their
input anew for every window.
"""
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.inliner import inline_local_functions, inline_selected_functions

from utils.detector.engines.onnx_engine import OnnxEngine
from utils.export.aasist import DOMAIN, OPERATOR

LARGEST = 63        # of a quantised weight: 7 bits, since 8 overflow on processors without VNNI
# Values of a weight; a smaller one gains nothing. The products of AASIST's graphs are such.
SMALLEST = {"Conv": 2 ** 10, "MatMul": 2 ** 16, "Gemm": 2 ** 16}
LEAST_SCALE = 1e-12
LARGEST_BIAS = 2 ** 30      # in whole numbers; the sums of int32 have as much again
TAIL = 0.01         # per cent of a tensor's values that its range cuts off on each side
COUNTED = 10 ** 6   # values of a tensor by which its range is measured


@dataclass(frozen=True)
class Range:
    """What calibration windows say of a tensor."""
    low: float
    high: float
    means: np.ndarray       # (channels,)


Ranges = dict[str, Range]   # by tensor


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` in plain operators, its functions written out.

    AASIST's encoder stays one operator where other layers can have 8 bits: in machine code it is
    faster than in 8 bits. Float32 weights stand for those that the model casts or turns first.
    """
    around = _without_casts(inline_selected_functions(model, [(DOMAIN, OPERATOR)], exclude=True))
    return around if layers(around) else _without_casts(inline_local_functions(model))


def _without_casts(copied: onnx.ModelProto) -> onnx.ModelProto:
    values = weights_of(copied.graph)
    kept, made = [], []
    for node in copied.graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])
            made.append(node.output[0])
        elif len(node.input) == 1 and node.input[0] in values and node.op_type in SIMPLE:
            values[node.output[0]] = SIMPLE[node.op_type](values[node.input[0]], node)
            made.append(node.output[0])
        else:
            kept.append(node)
    copied.graph.initializer.extend(numpy_helper.from_array(values[name], name) for name in made)
    replace_nodes(copied.graph, kept)
    drop_unused_weights(copied.graph)
    return copied


def _cast(values: np.ndarray, node: NodeProto) -> np.ndarray:
    return values.astype(helper.tensor_dtype_to_np_dtype(attributes(node)["to"]))


def _turned(values: np.ndarray, node: NodeProto) -> np.ndarray:
    return np.ascontiguousarray(values.transpose(attributes(node).get("perm")))


SIMPLE = {"Cast": _cast, "Transpose": _turned, "Identity": lambda values, node: values}


def drop_unused_weights(graph: onnx.GraphProto) -> None:
    """Remove the weights that no node reads."""
    used = {name for node in graph.node for name in _read(node)}
    used |= {entry.name for entry in graph.output}
    kept = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Give `graph` these nodes, which may be some of its own."""
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def weights_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """The values of the graph's weights, by name."""
    return {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}


def graphs(model: onnx.ModelProto) -> list[tuple[onnx.GraphProto, NodeProto | None]]:
    """The graph of `model`, and the body of each Loop in it beside that Loop's node."""
    bodies = [(entry.g, node) for node in model.graph.node if node.op_type == "Loop"
              for entry in node.attribute if entry.name == "body"]
    return [(model.graph, None), *bodies]


def layers(model: onnx.ModelProto) -> dict[str, str]:
    """The layers of a `plain` model that `in_8_bits` can change: by their output, a description."""
    found = {}
    for graph, _ in graphs(model):
        weights = weights_of(graph)
        inside = {name for node in graph.node for name in node.output}
        inside |= {entry.name for entry in graph.input}
        for node in graph.node:
            if _fits(node, weights) and node.input[0] in inside:
                shape = " x ".join(map(str, weights[node.input[1]].shape))
                found[node.output[0]] = f"{node.op_type} {node.output[0]} {shape}"
    return found


def has_8_bits(model: onnx.ModelProto) -> bool:
    """Whether a layer of `model` computes on whole numbers already."""
    return any(node.op_type in ("QLinearConv", "MatMulInteger")
               for graph, _ in graphs(model) for node in graph.node)


def _fits(node: NodeProto, weights: dict[str, np.ndarray]) -> bool:
    if node.op_type not in SMALLEST or node.input[1] not in weights:
        return False
    weight = weights[node.input[1]]
    if weight.size < SMALLEST[node.op_type] or weight.dtype != np.float32:
        return False
    settings = attributes(node)
    usual = settings.get("alpha", 1) == settings.get("beta", 1) == 1 and not settings.get("transA")
    return node.op_type == "Conv" or (weight.ndim == 2 and usual)


def attributes(node: NodeProto) -> dict:
    """The node's settings, by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def measured_ranges(model: onnx.ModelProto, windows: np.ndarray) -> Ranges:
    """The ranges of all tensors around the convolutions of `layers`, over windows (n, samples).

    Beyond an end lie `TAIL` per cent of a window's values, on average over windows.
    """
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    seen = _watch(watched, set(layers(model)))
    run = OnnxEngine(watched.SerializeToString(), {}, threads=1).session.run
    found: dict[str, list[Range]] = {name: [] for name, _ in seen.values()}
    for window in windows:
        for (name, axis), value in zip(seen.values(), run(list(seen), {"waves": window[None]})):
            found[name].append(_range(value, axis))
    return {name: Range(*(np.mean([getattr(one, part) for one in each], axis=0)
                          for part in ("low", "high", "means"))) for name, each in found.items()}


def _range(values: np.ndarray, axis: int) -> Range:
    counted = values.reshape(-1)[::max(1, values.size // COUNTED)]
    others = tuple(other for other in range(values.ndim) if other != values.ndim + axis)
    return Range(*np.percentile(counted, (TAIL, 100 - TAIL)), values.mean(axis=others))


def _watch(model: onnx.ModelProto, chosen: set[str]) -> dict[str, tuple[str, int]]:
    """Make the tensors around convolutions outputs: their names and channel axes, by the outputs'.

    Those in a Loop get the values of all turns.
    """
    outputs = {}
    for graph, loop in graphs(model):
        for name, axis in _around(graph, chosen).items():
            output = f"{name}.seen"
            outputs[output] = name, axis
            if loop is None:
                graph.node.append(helper.make_node("Identity", [name], [output]))
            else:
                graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
                loop.output.append(output)
            model.graph.output.append(
                helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    return outputs


def _around(graph: onnx.GraphProto, chosen: set[str]) -> dict[str, int]:
    """The inputs and outputs of the chosen convolutions of a graph, and their channel axis."""
    relus, weights = _relus(graph), weights_of(graph)
    return {name: 1 - weights[node.input[1]].ndim for node in graph.node
            if node.output[0] in chosen and node.op_type == "Conv"
            for name in (node.input[0], relus.get(node.output[0], node.output[0]))}


def _relus(graph: onnx.GraphProto) -> dict[str, str]:
    """The output of a rectifier by its input, where nothing else reads that."""
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return {name: found[0].output[0] for name, found in readers.items()
            if len(found) == 1 and found[0].op_type == "Relu"}


def in_8_bits(model: onnx.ModelProto, names: Iterable[str], ranges: Ranges) -> onnx.ModelProto:
    """A copy of the `plain` `model` with the layers `names` on whole numbers."""
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    for graph, _ in reversed(graphs(changed)):      # last the one whose nodes hold the others
        inside = {node.output[0] for node in graph.node} & set(names)
        writer = _Writer(graph, inside, ranges)
        replace_nodes(graph, list(writer.nodes()))
        graph.initializer.extend(writer.weights.values())
        drop_unused_weights(graph)
    return changed


def _read(node: NodeProto) -> Iterator[str]:
    """The names that a node reads, those inside of a Loop too."""
    yield from node.input
    for entry in node.attribute:
        for inner in entry.g.node:
            yield from _read(inner)


class _Writer:
    """The nodes of a graph, in order, with some layers replaced."""

    def __init__(self, graph: onnx.GraphProto, names: set[str], ranges: Ranges):
        self.graph = graph
        self.names = names
        self.ranges = ranges
        self.values = weights_of(graph)
        self.relus = _relus(graph)
        self.folded = {self.relus[name] for name in names if name in self.relus
                       and _producer(graph, name).op_type == "Conv"}
        # The names of tensors in whole numbers, of their scales and zeros: fixed, or by window.
        self.rounded: dict[str, tuple[str, str, str]] = {}
        self.by_window: dict[str, tuple[str, str, str]] = {}
        self.weights: dict[str, TensorProto] = {}

    def nodes(self) -> Iterator[NodeProto]:
        """The new nodes."""
        for node in self.graph.node:
            if node.output[0] in self.folded:
                continue
            if node.output[0] not in self.names:
                yield node
            elif node.op_type == "Conv":
                yield from self._convolution(node)
            else:
                yield from self._product(node)

    def _weight(self, name: str, values: np.ndarray) -> str:
        self.weights[name] = numpy_helper.from_array(values, name)
        return name

    def _matrix(self, name: str, axis: int,
                least: np.ndarray | float = LEAST_SCALE) -> tuple[str, str, np.ndarray]:
        """The names of a weight in 8 bits and of its scales along `axis`, and these."""
        whole, scale = whole_numbers(self.values[name], axis, least)
        return (self._weight(f"{name}.q", whole), self._weight(f"{name}.scale", scale), scale)

    def _fixed(self, tensor: str) -> tuple[str, str, str]:
        """The names of a tensor in whole numbers, of its scale and of its zero."""
        low, high = min(self.ranges[tensor].low, 0.0), max(self.ranges[tensor].high, 0.0)
        scale = np.float32(max(high - low, LEAST_SCALE) / 255)
        zero = np.uint8(np.clip(round(-low / scale), 0, 255))
        return (f"{tensor}.q", self._weight(f"{tensor}.scale", scale),
                self._weight(f"{tensor}.zero", zero))

    def _convolution(self, node: NodeProto) -> Iterator[NodeProto]:
        x, weight = node.input[:2]
        output = self.relus.get(node.output[0], node.output[0])
        if x not in self.rounded:
            self.rounded[x] = self._fixed(x)
            whole, scale, zero = self.rounded[x]
            yield helper.make_node("QuantizeLinear", [x, scale, zero], [whole])
        x_scale = numpy_helper.to_array(self.weights[self.rounded[x][1]])
        q, scale, scales = self._matrix(weight, 0, self._least_scales(node, x_scale))
        no_zero = self._weight(f"{weight}.zero", np.zeros(len(scales), np.int8))
        self.rounded[output] = self._fixed(output)
        whole, out_scale, out_zero = self.rounded[output]
        exact = np.rint(self._bias(node, scales) / (scales * x_scale))
        bias = self._weight(f"{weight}.bias", exact.astype(np.int32))
        inputs = [*self.rounded[x], q, scale, no_zero, out_scale, out_zero, bias]
        yield helper.make_node("QLinearConv", inputs, [whole], **attributes(node))
        yield helper.make_node("DequantizeLinear", [whole, out_scale, out_zero], [output])

    def _least_scales(self, node: NodeProto, x_scale: np.ndarray) -> np.ndarray | float:
        """The scales of weights (channels,) with which the bias just fits into whole numbers."""
        bias = self.values[node.input[2]].astype(np.float64) if len(node.input) > 2 else 0
        return np.maximum(np.abs(bias) / x_scale / LARGEST_BIAS, LEAST_SCALE)

    def _bias(self, node: NodeProto, scales: np.ndarray) -> np.ndarray:
        """The bias (channels,) with which the rounded weights give the same mean output."""
        x, weight, *bias = node.input
        exact = self.values[weight].astype(np.float64)
        shape = [-1] + [1] * (exact.ndim - 1)
        rounded = numpy_helper.to_array(self.weights[f"{weight}.q"]) * scales.reshape(shape)
        lost = (exact - rounded).sum(axis=tuple(range(2, exact.ndim)))      # (out, in)
        means = self.ranges[x].means if lost.shape[1] == len(self.ranges[x].means) else 0
        return (lost * means).sum(axis=1) + (self.values[bias[0]] if bias else 0)

    def _product(self, node: NodeProto) -> Iterator[NodeProto]:
        x, matrix, *bias = node.input
        if x not in self.by_window:
            self.by_window[x] = f"{x}.now.q", f"{x}.now.scale", f"{x}.now.zero"
            yield helper.make_node("DynamicQuantizeLinear", [x], self.by_window[x])
        if attributes(node).get("transB"):
            turned = f"{matrix}.turned"
            self.values[turned] = np.ascontiguousarray(self.values[matrix].T)
            matrix = turned
        self._matrix(matrix, 1)
        output = node.output[0]
        yield from whole_product(self.by_window[x], matrix, f"{output}.sum" if bias else output)
        if bias:
            yield helper.make_node("Add", [f"{output}.sum", bias[0]], [output])


def _producer(graph: onnx.GraphProto, name: str) -> NodeProto:
    return next(node for node in graph.node if name in node.output)


def whole_numbers(values: np.ndarray, axis: int,
                  least: np.ndarray | float = LEAST_SCALE) -> tuple[np.ndarray, np.ndarray]:
    """`values` as int8, and the float32 scale, `least` or more, of each part along `axis`."""
    others = tuple(i for i in range(values.ndim) if i != axis)
    largest = np.abs(values).max(axis=others)
    scale = np.maximum(largest / LARGEST, least).astype(np.float32)
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    return np.rint(values / scale.reshape(shape)).astype(np.int8), scale


def whole_product(x: tuple[str, ...], matrix: str, output: str) -> list[NodeProto]:
    """The nodes of a product with `matrix`; ONNX Runtime makes one of them.

    `x`: the names of the other factor in whole numbers, of its scale and of its zero.
    """
    whole, product, scale = (f"{output}.{part}" for part in ("whole", "product", "scale"))
    return [helper.make_node("MatMulInteger", [x[0], f"{matrix}.q", x[2]], [whole]),
            helper.make_node("Cast", [whole], [product], to=TensorProto.FLOAT),
            helper.make_node("Mul", [x[1], f"{matrix}.scale"], [scale]),
            helper.make_node("Mul", [product, scale], [output])]
