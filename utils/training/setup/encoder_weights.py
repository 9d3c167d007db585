"""Reads the weights of a Whisper encoder's first blocks from an ONNX file.

Every weight of the file is a float16 initialiser, named like the encoder's parameter with `.f16`
behind. Linear weights are transposed (`_t.f16`). The positional table may be longer than the
model's. An exported network with such an encoder holds them too: not transposed, with a prefix.
"""
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError

from models.encoder import SpeechEncoder
from utils.common.errors import InputError

SUFFIX = ".f16"
TRANSPOSED = "_t"
PREFIX = "model.encoder."    # in an exported network
POSITIONS = "positional_embedding"


def load_encoder_weights(encoder: SpeechEncoder, path: Path) -> None:
    """Give `encoder` the weights in the ONNX file at `path`, exactly: float16 values in float32.

    Raises `InputError` where the file cannot be read or holds other weights.
    """
    found, wanted = _read(Path(path)), encoder.state_dict()
    if POSITIONS in found:
        found[POSITIONS] = found[POSITIONS][:len(wanted[POSITIONS])]
    unlike = sorted(name for name in wanted.keys() | found.keys()
                    if name not in found or name not in wanted
                    or found[name].shape != wanted[name].shape)
    if unlike:
        raise InputError(f"{path} does not hold this encoder's weights ({unlike[0]} is missing, "
                         "new or of another shape): give the ONNX file with the first two blocks "
                         "of Whisper base")
    broken = sorted(name for name, value in found.items() if not torch.isfinite(value).all())
    if broken:
        raise InputError(f"{path} holds values that are not finite in {broken[0]}: "
                         "fetch the file anew")
    encoder.load_state_dict(found, strict=True)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f"{path} is missing: give the ONNX file with the first two blocks of "
                         "Whisper base, or models/pretrained/detector.onnx, which holds them")
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
        halves = [item for item in graph.initializer if item.name.endswith(SUFFIX)]
        own = [item for item in halves if item.name.startswith(PREFIX)] or halves
        arrays = {item.name.removeprefix(PREFIX)[:-len(SUFFIX)]: onnx.numpy_helper.to_array(item)
                  for item in own}
    except (OSError, DecodeError, ValueError) as error:
        raise InputError(f"cannot read encoder weights from {path}: {error}. "
                         "Give a whole ONNX file") from error
    weights = {}
    for name, array in arrays.items():
        turned = array.T if name.endswith(TRANSPOSED) else array
        weight = torch.tensor(turned.astype(np.float32)).contiguous()
        weights[name.removesuffix(TRANSPOSED)] = weight
    return weights
