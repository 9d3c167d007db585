"""Layers in 8 bits: against a reference in float64, and in the models of this project."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.helpers.networks.aasist_weights import random_checkpoint
from utils.common.files import ROOT
from utils.detector.checkpoint import save_checkpoint
from utils.detector.engines.onnx_engine import OnnxEngine
from utils.export import aasist, int8
from utils.export.export import export_onnx

SHAPE = (1, 3, 8, 50)       # of the image in the small graph


def run(model: onnx.ModelProto, waves: np.ndarray, output: str = "logits") -> np.ndarray:
    return OnnxEngine(model.SerializeToString(), {}, 1).session.run([output], {"waves": waves})[0]


def one_convolution(relu: bool) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """A graph that convolves its input once, its weight and its bias."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((48, 3, 3, 3)).astype(np.float32)
    weight *= np.logspace(-1, 1, 48).astype(np.float32)[:, None, None, None]
    weight[5] = 0       # a dead channel, whose bias still counts
    weight[6] *= 1e-12
    bias = rng.standard_normal(48).astype(np.float32)
    constants = [numpy_helper.from_array(np.array(SHAPE), "shape"),
                 numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    nodes = [helper.make_node("Reshape", ["waves", "shape"], ["image"]),
             helper.make_node("Conv", ["image", "w", "b"], ["y" if relu else "logits"],
                              kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 2])]
    nodes += [helper.make_node("Relu", ["y"], ["logits"])] if relu else []
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "one", [value("waves", TensorProto.FLOAT, [1, 1200])],
                              [value("logits", TensorProto.FLOAT, None)], constants)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8), weight, bias


def convolved(image: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The convolution of `one_convolution` in float64."""
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, :, ::2]
    return np.einsum("bchwij,ocij->bohw", views, weight) + bias[:, None, None]


@pytest.mark.parametrize("relu", [True, False])
def test_a_convolution_computes_what_its_rounded_numbers_say(relu):
    model, weight, bias = one_convolution(relu)
    waves = np.random.default_rng(1).standard_normal((4, 1200)).astype(np.float32)
    names = int8.layers(model)
    ranges = int8.measured_ranges(model, waves)
    changed = int8.in_8_bits(model, names, ranges)
    assert [node.op_type for node in changed.graph.node] == [
        "Reshape", "QuantizeLinear", "QLinearConv", "DequantizeLinear"]
    low, high = ranges["image"].low, ranges["image"].high
    step = (high - low) / 255
    zero = round(-low / step)
    image = np.clip(np.rint(waves[:1].astype(float) / step) + zero, 0, 255).reshape(SHAPE) - zero
    scale = np.abs(weight).max((1, 2, 3), keepdims=True).astype(float) / int8.LARGEST
    scale[5:7] = 1
    rounded = np.rint(weight / scale) * scale
    lost = ((weight - rounded).sum((2, 3)) * ranges["image"].means).sum(1)
    expected = convolved(image * step, rounded, bias + lost)
    low, high = min(ranges["logits"].low, 0.0), ranges["logits"].high
    off = np.abs(run(changed, waves[:1]) - np.clip(expected, low, high))
    assert off.max() <= 1.01 * (high - low) / 255       # at most one step, at a tie
    assert np.median(off) <= 0.5 * (high - low) / 255


def test_a_range_leaves_out_the_rarest_values_alone():
    model, _, _ = one_convolution(relu=False)
    waves = np.random.default_rng(2).standard_normal((3, 1200)).astype(np.float32)
    waves[:, 5] = 1000
    found = int8.measured_ranges(model, waves)["image"]
    assert -5 < found.low < -2 and found.high > 100     # one of 1,200 values is above the tail
    assert np.allclose(found.means, waves.reshape(3, 3, -1).mean((0, 2)), atol=1e-5)


def test_the_chunks_of_aasist_get_8_bits_too(tmp_path, monkeypatch):
    monkeypatch.setattr(aasist, "CHUNK", 20)
    save_checkpoint(tmp_path / "m.pt", random_checkpoint("aasist-l", n_samples=8000))
    export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx")
    model = int8.plain(onnx.load(tmp_path / "m.onnx"))
    waves = np.random.default_rng(3).uniform(-0.1, 0.1, (2, 8000)).astype(np.float32)
    chunks = [name for name in int8.layers(model) if name.startswith("chunk")]
    assert len(chunks) == 3     # the first block's first convolution is too small
    changed = int8.in_8_bits(model, chunks, int8.measured_ranges(model, waves))
    body = int8.graphs(changed)[1][0]
    assert sum(node.op_type == "QLinearConv" for node in body.node) == 3
    off = features_off(model, changed, waves[:1])
    assert 0 < off < 0.05


def features_off(model: onnx.ModelProto, changed: onnx.ModelProto, waves: np.ndarray) -> float:
    """The relative error of the encoder's output; random graphs behind it would enlarge it."""
    for one in (model, changed):
        one.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, None))
    exact, rounded = (run(one, waves, "features") for one in (model, changed))
    return float(np.sqrt(np.square(rounded - exact).mean() / np.square(exact).mean()))


def test_aasist_in_8_bits_stays_near_float_and_without_them_is_unchanged(tmp_path):
    save_checkpoint(tmp_path / "m.pt", random_checkpoint("aasist-l", n_samples=8000))
    export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx")
    whole = onnx.load(tmp_path / "m.onnx")
    model = int8.plain(whole)
    waves = np.random.default_rng(3).uniform(-0.1, 0.1, (2, 8000)).astype(np.float32)
    assert np.abs(run(whole, waves) - run(model, waves)).max() <= 1e-5
    assert np.array_equal(run(model, waves), run(int8.in_8_bits(model, [], {}), waves))
    names = int8.layers(model)
    assert len(names) >= 10
    changed = int8.in_8_bits(model, names, int8.measured_ranges(model, waves))
    assert changed.ByteSize() < 0.7 * model.ByteSize()
    assert 0 < features_off(model, changed, waves[:1]) < 0.05


def test_the_transformer_of_the_pretrained_model_bears_8_bits():
    whole = onnx.load(ROOT / "models" / "pretrained" / "detector.onnx")
    model = int8.plain(whole)
    products = [name for name, text in int8.layers(model).items() if text.startswith("MatMul")]
    assert len(products) == 8       # four in each of two blocks
    assert [node.op_type for node in model.graph.node if node.domain] == ["Encoder"]
    waves = np.random.default_rng(4).uniform(-0.1, 0.1, (1, 64600)).astype(np.float32)
    exact, rounded = (run(one, waves) for one in (whole, int8.in_8_bits(model, products, {})))
    assert 0 < np.abs(exact - rounded).max() < 0.05
