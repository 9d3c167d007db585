"""A small helper to write ONNX graphs by hand, and what the graphs here share: convolutions, slices and a quick SELU."""
import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # of SELU (Klambauer et al., 2017)
SHIFT = math.log(ALPHA)
SELU_ZERO = ALPHA + SHIFT  # what `quick_selu` gives where SELU is 0


class Graph:
    """Nodes and constants in the order they were added; calling it adds a node and returns its output's name."""

    def __init__(self, prefix: str):
        self.prefix, self.nodes, self.constants = prefix, [], []

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

    def convolve(self, x: str, weight: np.ndarray, bias: np.ndarray | None = None, pads: tuple[int, int] = (0, 0)) -> str:
        """2-D convolution with stride 1; `pads`: zero rows above and below, zero columns left and right."""
        inputs = [x, self.constant(weight)] + ([] if bias is None else [self.constant(bias)])
        return self("Conv", *inputs, kernel_shape=weight.shape[2:], pads=[*pads, *pads])

    def columns(self, x: str, start: int, end: int) -> str:
        """Columns `start` to `end` of (B, C, H, W)."""
        return self("Slice", x, self.whole_numbers(start), self.whole_numbers(end), self.whole_numbers(3))

    def pad_columns(self, x: str, left: int, right: int, value: float = 0.0) -> str:
        """`x` with columns of `value` added; `x` itself where there are none to add."""
        if not left and not right:
            return x
        return self("Pad", x, self.whole_numbers(0, 0, 0, left, 0, 0, 0, right), self.constant(value))

    def quick_selu(self, z: str) -> str:
        """SELU(x) / SCALE + SELU_ZERO for z = x + SHIFT, in four vectorised passes.

        exp(min(z, SHIFT)) is ALPHA exp(min(x, 0)) and max(z, SHIFT) is max(x, 0) + SHIFT. ONNX Runtime's own Selu takes
        three times as long as these together. The shift, the scale and the constant belong into the neighbouring
        convolutions: see `Folded`.
        """
        limit = self.constant(SHIFT)
        return self("Add", self("Exp", self("Min", z, limit)), self("Max", z, limit))

    def body(self, output: str) -> object:
        """These nodes as the body of a Loop that runs a set number of times and stacks `output`."""
        value = helper.make_tensor_value_info
        going_on = self("Identity", "going_on")
        return helper.make_graph(
            self.nodes, self.prefix, [value("turn", TensorProto.INT64, []), value("going_on", TensorProto.BOOL, [])],
            [value(going_on, TensorProto.BOOL, []), value(output, TensorProto.FLOAT, None)], self.constants)
