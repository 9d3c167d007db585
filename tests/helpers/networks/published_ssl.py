"""Files as published, with random values: the true names and shapes, of any width and depth."""
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor

KERNELS = (10, 3, 3, 3, 3, 2, 2)
CODES = 640     # of the quantiser, in two groups
SMALL = {"width": 64, "blocks": 2, "dense": 96, "channels": 16, "final": 16}
BASE = {"width": 768, "blocks": 12, "dense": 3072, "channels": 512, "final": 256,
        "per_layer": False}
LARGE = {"width": 1024, "blocks": 24, "dense": 4096, "channels": 512, "final": 768}     # 300M
XLSR_1B = {"width": 1280, "blocks": 48, "dense": 5120, "channels": 512, "final": 1024}
XLSR_2B = {"width": 1920, "blocks": 48, "dense": 7680, "channels": 512, "final": 1024}
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _batch_norm(name: str, width: int) -> Shapes:
    yield from _norm(name, width)
    yield f"{name}.running_mean", (width,)
    yield f"{name}.running_var", (width,)
    yield f"{name}.num_batches_tracked", ()


def _convolution(name: str, outputs: int, inputs: int, *kernel: int) -> Shapes:
    yield f"{name}.weight", (outputs, inputs, *kernel)
    yield f"{name}.bias", (outputs,)


def encoder_shapes(width: int, blocks: int, dense: int, channels: int, final: int,
                   per_layer: bool = True) -> Shapes:
    """fairseq's wav2vec 2.0 after pre-training; `per_layer`: as XLS-R, else as the base model.

    `final`: the width that only pre-training uses.
    """
    yield "mask_emb", (width,)
    inputs = 1
    for k, kernel in enumerate(KERNELS):
        name = f"feature_extractor.conv_layers.{k}"
        yield f"{name}.0.weight", (channels, inputs, kernel)
        if per_layer:
            yield f"{name}.0.bias", (channels,)
            yield from _norm(f"{name}.2.1", channels)
        elif k == 0:
            yield from _norm(f"{name}.2", channels)
        inputs = channels
    yield from _linear("post_extract_proj", channels, width)
    yield "quantizer.vars", (1, CODES, final // 2)
    yield from _linear("quantizer.weight_proj", channels, CODES)
    yield from _linear("project_q", final, final)
    yield from _linear("final_proj", width, final)
    yield "encoder.pos_conv.0.bias", (width,)
    yield "encoder.pos_conv.0.weight_g", (1, 1, 128)
    yield "encoder.pos_conv.0.weight_v", (width, width // 16, 128)
    for k in range(blocks):
        name = f"encoder.layers.{k}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from _linear(f"{name}.self_attn.{part}", width, width)
        yield from _norm(f"{name}.self_attn_layer_norm", width)
        yield from _linear(f"{name}.fc1", width, dense)
        yield from _linear(f"{name}.fc2", dense, width)
        yield from _norm(f"{name}.final_layer_norm", width)
    yield from _norm("encoder.layer_norm", width)
    yield from _norm("layer_norm", channels)


def _graph_shapes(width: int) -> Shapes:
    yield from _linear("LL", width, 128)
    yield from _batch_norm("first_bn", 1)
    yield from _batch_norm("first_bn1", 64)
    inputs = 1
    for k, outputs in enumerate((32, 32, 64, 64, 64, 64)):
        name = f"encoder.{k}.0"
        if k:
            yield from _batch_norm(f"{name}.bn1", inputs)
        yield from _convolution(f"{name}.conv1", outputs, inputs, 2, 3)
        yield from _batch_norm(f"{name}.bn2", outputs)
        yield from _convolution(f"{name}.conv2", outputs, outputs, 2, 3)
        if inputs != outputs:
            yield from _convolution(f"{name}.conv_downsample", outputs, inputs, 1, 3)
        inputs = outputs
    yield from _convolution("attention.0", 128, 64, 1, 1)
    yield from _batch_norm("attention.2", 128)
    yield from _convolution("attention.3", 64, 128, 1, 1)
    yield from (("pos_S", (1, 42, 64)), ("master1", (1, 1, 64)), ("master2", (1, 1, 64)))
    for name in ("GAT_layer_S", "GAT_layer_T"):
        for part in ("att_proj", "proj_with_att", "proj_without_att"):
            yield from _linear(f"{name}.{part}", 64, 64)
        yield f"{name}.att_weight", (64, 1)
        yield from _batch_norm(f"{name}.bn", 64)
    for name, size in (("ST11", 64), ("ST12", 32), ("ST21", 64), ("ST22", 32)):
        name = f"HtrgGAT_layer_{name}"
        for part in ("proj_type1", "proj_type2"):
            yield from _linear(f"{name}.{part}", size, size)
        for part in ("att_proj", "att_projM", "proj_with_att", "proj_without_att",
                     "proj_with_attM", "proj_without_attM"):
            yield from _linear(f"{name}.{part}", size, 32)
        for part in ("11", "22", "12", "M"):
            yield f"{name}.att_weight{part}", (32, 1)
        yield from _batch_norm(f"{name}.bn", 32)
    for name, size in (("pool_S", 64), ("pool_T", 64), ("pool_hS1", 32), ("pool_hT1", 32),
                       ("pool_hS2", 32), ("pool_hT2", 32)):
        yield from _linear(f"{name}.proj", size, 1)
    yield from _linear("out_layer", 160, 2)


def detector_shapes(family: str, size: dict) -> Shapes:
    """Every weight of a published detector, as its file names it."""
    prefix = "m_ssl.model." if family == "antideepfake" else "ssl_model.model."
    yield from ((prefix + name, shape) for name, shape in encoder_shapes(**size))
    if family == "antideepfake":
        yield from _linear("proj_fc", size["width"], 2)
    elif family == "xlsr-aasist":
        yield from _graph_shapes(size["width"])
    else:
        yield from _batch_norm("first_bn", 1)
        yield from _linear("fc0", size["width"], 1)
        yield from _linear("fc1", 67 * (size["width"] // 3), 1024)
        yield from _linear("fc3", 1024, 2)


def random_weights(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Values that keep a signal's size through the network, each by its name and `seed` alone."""
    return {name: _random(name, shape, torch.Generator().manual_seed(seed + crc32(name.encode())))
            for name, shape in shapes}


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith(("running_var", "weight_g")):
        return torch.rand(shape, generator=generator) + 0.5
    values = torch.randn(shape, generator=generator)
    if len(shape) > 1:
        return values / values[0].numel() ** 0.5
    return 1 + 0.1 * values if name.endswith("weight") else 0.1 * values


def safetensors_header(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> bytes:
    """The begin of a .safetensors file of float32 tensors, which follow in the order of names."""
    entries, at = {}, 0
    for name, shape in sorted(shapes):
        end = at + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_safetensors(path: Path, weights: dict[str, Tensor]) -> None:
    """The format as its documentation describes it."""
    header = safetensors_header((name, tuple(value.shape)) for name, value in weights.items())
    path.write_bytes(header + b"".join(weights[name].contiguous().numpy().tobytes()
                                       for name in sorted(weights)))
