"""A helper to write ONNX graphs by hand: convolutions, slices, padding, and a fast SELU."""
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ALPHA = 1.6732632423543772      # with SCALE, the constants of SELU (Klambauer et al., 2017)
SCALE = 1.0507009873554805
SHIFT = math.log(ALPHA)
SELU_ZERO = ALPHA + SHIFT       # the value of `quick_selu` at SELU = 0


class Graph:
    """Nodes and constants in order. A call adds a node and returns its output's name."""

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, **attributes) -> str:
        output = f"{self.prefix}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, values: object, kind: type = np.float32) -> str:
        """Add a constant and return its name."""
        name = f"{self.prefix}_c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def whole_numbers(self, *values: int) -> str:
        """Add a constant int64 vector and return its name."""
        return self.constant(values, np.int64)

    def convolve(self, x: str, weight: np.ndarray, bias: np.ndarray | None = None,
                 pads: tuple[int, int] = (0, 0)) -> str:
        """2-D convolution with stride 1.

        `pads`: zero rows above and below, zero columns left and right.
        """
        inputs = [x, self.constant(weight)]
        if bias is not None:
            inputs.append(self.constant(bias))
        return self("Conv", *inputs, kernel_shape=weight.shape[2:], pads=[*pads, *pads])

    def columns(self, x: str, start: int, end: int) -> str:
        """Columns `start` to `end` of (B, C, H, W)."""
        return self("Slice", x, self.whole_numbers(start), self.whole_numbers(end),
                    self.whole_numbers(3))

    def pad_columns(self, x: str, left: int, right: int, value: float = 0.0) -> str:
        """`x` with columns of `value` added; `x` itself if there are none to add."""
        if not left and not right:
            return x
        pads = self.whole_numbers(0, 0, 0, left, 0, 0, 0, right)
        return self("Pad", x, pads, self.constant(value))

    def quick_selu(self, z: str) -> str:
        """SELU(x) / SCALE + SELU_ZERO for z = x + SHIFT, in four vectorised passes.

        exp(min(z, SHIFT)) is ALPHA exp(min(x, 0)), and max(z, SHIFT) is max(x, 0) + SHIFT. ONNX
        Runtime's own Selu takes three times as long. The neighbouring convolutions contain the
        shift, the scale and the constant: see `Folded`.
        """
        limit = self.constant(SHIFT)
        return self("Add", self("Exp", self("Min", z, limit)), self("Max", z, limit))

    def body(self, output: str) -> onnx.GraphProto:
        """These nodes as the body of a Loop with a fixed number of turns; it stacks `output`."""
        value = helper.make_tensor_value_info
        going_on = self("Identity", "going_on")
        inputs = [value("turn", TensorProto.INT64, []), value("going_on", TensorProto.BOOL, [])]
        outputs = [value(going_on, TensorProto.BOOL, []), value(output, TensorProto.FLOAT, None)]
        return helper.make_graph(self.nodes, self.prefix, inputs, outputs, self.constants)
