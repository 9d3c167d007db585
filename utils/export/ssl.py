"""A network on a self-supervised encoder as ONNX: weights one by one, linear layers in 8 bits.

PyTorch's exporter writes the graph without weights. They are added here, so that a network of
several gigabytes is in memory once.
"""
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.ssl import OnStatistics, SpeechFrames
from utils.common.files import file_sha256
from utils.detector.model_files import WEIGHTS_KEY, data_file
from utils.export.int8 import replace_nodes, whole_numbers, whole_product

OPSET = 17
IN_8_BITS = "encoder.encoder.transformer.layers."   # the linear layers of which --int8 quantises
LARGEST_INSIDE = 2 ** 29    # bytes of weights; ONNX Runtime copies those in the file twice
SMALL = 1024        # bytes; such a tensor stays in the file itself
ALIGNMENT = 4096    # bytes; ONNX Runtime maps tensors that begin on a page


@dataclass(frozen=True)
class Weight:
    """An initialiser, computed when it is written; `origin` is the parameter that it comes from."""
    name: str
    origin: str
    shape: tuple[int, ...]
    dtype: type
    values: Callable[[], np.ndarray]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


def write_ssl(model: SpeechFrames, n_samples: int, path: Path, *, int8: bool = False,
              metadata: tuple[str, str] | None = None, largest: int = LARGEST_INSIDE) -> None:
    """Write `model`, in eval mode, to `path`; more than `largest` bytes of weights beside it.

    It maps `waves` (batch, samples) to `last_hidden` and `logits`. `metadata`: key and text.
    `int8`: the linear layers of the transformer get weights of 8 bits, one scale per output, and
    activations of 8 bits, scaled anew for every window.
    """
    exported, weights = _exported(model, n_samples, int8)
    if metadata is not None:
        exported.metadata_props.add(key=metadata[0], value=metadata[1])
    if sum(weight.size for weight in weights) > largest:
        _write_beside(exported.graph, weights, data_file(path))
        exported.metadata_props.add(key=WEIGHTS_KEY, value=file_sha256(data_file(path)))
    else:
        exported.graph.initializer.extend(numpy_helper.from_array(weight.values(), weight.name)
                                          for weight in weights)
    path.write_bytes(exported.SerializeToString())


def _exported(model: SpeechFrames, n_samples: int,
              int8: bool) -> tuple[onnx.ModelProto, list[Weight]]:
    """The model without its weights, and these."""
    places = model.encoder.encoder.transformer.pos_conv_embed
    normed = places.conv
    places.conv = _plain(normed)    # the model stays as it is
    try:
        graph = _graph(model, n_samples)
        weights = _weights(graph, dict(model.named_parameters()) | dict(model.named_buffers()))
    finally:
        places.conv = normed
    if int8:
        weights = _quantise(graph, weights)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8), weights


def _plain(normed: nn.Conv1d) -> nn.Conv1d:
    """A convolution whose weight is computed once, from its norm and its direction."""
    plain = nn.Conv1d(normed.in_channels, normed.out_channels, normed.kernel_size,
                      padding=normed.padding, groups=normed.groups, device="meta")
    plain.weight = nn.Parameter(normed.weight.detach())
    plain.bias = normed.bias
    return plain


def _graph(model: SpeechFrames, n_samples: int) -> onnx.GraphProto:
    """The exporter's graph, whose weights are inputs with their own names."""
    axes = {"waves": {0: "batch"}, "last_hidden": {0: "batch"}, "logits": {0: "batch"}}
    if isinstance(model, OnStatistics):     # the other back-ends have windows of one length
        axes["waves"][1] = "samples"
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # about the exporter's age and fixed shapes
        torch.onnx.export(model, (torch.zeros(1, n_samples),), file, dynamo=False,
                          opset_version=OPSET, export_params=False, do_constant_folding=False,
                          input_names=["waves"], output_names=["last_hidden", "logits"],
                          dynamic_axes=axes)
    return onnx.load_from_string(file.getvalue()).graph


def _weights(graph: onnx.GraphProto, values: dict[str, torch.Tensor]) -> list[Weight]:
    """The weights of `graph`, no longer its inputs; matrices that it transposes are turned."""
    inputs = [entry.name for entry in graph.input if entry.name != "waves"]
    del graph.input[1:]
    source = {name: name for name in inputs}
    turned: dict[str, str] = {}
    kept = []
    for node in graph.node:
        name = source.get(node.input[0]) if node.input else None
        if name and node.op_type == "Identity":
            source[node.output[0]] = name
        elif name and node.op_type == "Transpose" and values[name].ndim == 2:
            turned[node.output[0]] = name
        else:
            node.input[:] = [source.get(entry, entry) for entry in node.input]
            kept.append(node)
    replace_nodes(graph, kept)
    used = {entry for node in kept for entry in node.input}
    plain = [_weight(name, name, values[name]) for name in inputs if name in used]
    return plain + [_weight(name, weight, values[weight].T) for name, weight in turned.items()]


def _weight(name: str, origin: str, value: torch.Tensor) -> Weight:
    array = value.detach().numpy()
    return Weight(name, origin, array.shape, array.dtype.type,
                  lambda: np.ascontiguousarray(array))


def _quantise(graph: onnx.GraphProto, weights: list[Weight]) -> list[Weight]:
    """Products with the matrices of `IN_8_BITS`, on whole numbers; the weights with theirs."""
    matrices = {weight.name: weight for weight in weights
                if weight.origin.startswith(IN_8_BITS) and len(weight.shape) == 2}
    rounded: dict[str, tuple[str, ...]] = {}
    nodes = []
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in matrices:
            nodes.append(node)
            continue
        x, matrix = node.input
        if x not in rounded:
            rounded[x] = f"{x}.q", f"{x}.scale", f"{x}.zero"
            nodes.append(helper.make_node("DynamicQuantizeLinear", [x], rounded[x]))
        nodes += whole_product(rounded[x], matrix, node.output[0])
    replace_nodes(graph, nodes)
    return [part for weight in weights
            for part in (_in_8_bits(weight) if weight.name in matrices else (weight,))]


def _in_8_bits(weight: Weight) -> tuple[Weight, Weight]:
    """The matrix in whole numbers, and the scale of each of its columns."""
    def rounded() -> np.ndarray:
        return whole_numbers(weight.values(), axis=1)[0]

    def scale() -> np.ndarray:
        return whole_numbers(weight.values(), axis=1)[1]

    return (Weight(f"{weight.name}.q", weight.origin, weight.shape, np.int8, rounded),
            Weight(f"{weight.name}.scale", weight.origin, weight.shape[1:], np.float32, scale))


def _write_beside(graph: onnx.GraphProto, weights: list[Weight], path: Path) -> None:
    """Add the weights to `graph`, the large ones as places in the file at `path`."""
    with open(path, "wb") as file:
        for weight in weights:
            values = weight.values()
            if weight.size <= SMALL:
                graph.initializer.append(numpy_helper.from_array(values, weight.name))
                continue
            file.write(bytes(-file.tell() % ALIGNMENT))
            tensor = graph.initializer.add(
                name=weight.name, dims=weight.shape, data_location=TensorProto.EXTERNAL,
                data_type=helper.np_dtype_to_tensor_dtype(values.dtype))
            place = {"location": path.name, "offset": file.tell(), "length": values.nbytes}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            file.write(values.data)
