"""Where a run's weights start: the files of --init_from and --encoder."""
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import nn

from models.encoder import CONFIGS, SpeechEncoder
from models.shallow import Shallow
from models.ssl import SpeechFrames
from utils.common.errors import InputError
from utils.common.files import file_sha256
from utils.detector.checkpoint import load_checkpoint
from utils.encoders.files import is_name, weights_file
from utils.export.aasist import HALF, TURNED
from utils.export.pruning import INNER
from utils.training.architectures import ARCHITECTURES
from utils.training.setup.speech_encoder import give_speech_encoder

# An ONNX file with the first blocks of a Whisper encoder: every weight is a float16 initialiser,
# named like the encoder's parameter, with the suffix HALF. Before that stands TURNED if a matrix is
# stored turned. The positional table may be longer than the model's. An exported network with such
# an encoder holds them too, with a prefix.
PREFIX = "model.encoder."    # in an exported network
POSITIONS = "positional_embedding"


def file_id(path: Path | None) -> str | None:
    """What a run notes of a given file: name and SHA-256; None for none, a known encoder's name.

    Of a folder, it is the file of weights that counts. Raises `InputError` if it cannot be read.
    """
    if path is None:
        return None
    if is_name(path):
        return str(path)
    try:
        return f"{path.name} (SHA-256 {file_sha256(weights_file(path) or path)})"
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name another file") from error


def give_weights(model: nn.Module, config: dict, encoder: Path | None,
                 start: Path | None) -> dict | None:
    """Fill a fresh network from the files of --encoder and --init_from; freeze its given parts.

    Returns what the checkpoint `start` says about its origin. Raises `InputError` for a bad file.
    """
    if encoder is not None and isinstance(model, SpeechFrames):
        give_speech_encoder(model, config, encoder)
    elif encoder is not None and isinstance(model, Shallow):
        whole = SpeechEncoder(CONFIGS["encoder"]["n_blocks"], CONFIGS["encoder"]["max_frames"])
        load_encoder_weights(whole, encoder)
        model.start_from(whole)
    elif encoder is not None:
        load_encoder_weights(model.encoder, encoder)
    for part in ARCHITECTURES[config["architecture"]].given:
        getattr(model, part).requires_grad_(False)
    return start_from(model, config, start) if start else None


def start_from(model: nn.Module, config: dict, path: Path) -> dict:
    """Give `model` the weights of the checkpoint at `path`; returns what it says about its origin.

    If only a part of the network starts from a checkpoint, the file may hold that part alone, or
    a network with that part. Raises `InputError` for a file that is no checkpoint, and for another
    architecture or configuration.
    """
    if path.suffix == ".onnx":
        raise InputError(f"{path} is an exported model, which cannot be trained: name the "
                         "checkpoint beside it (.pt)")
    checkpoint = load_checkpoint(path)
    weights, found = checkpoint["state_dict"], checkpoint["config"]
    part = ARCHITECTURES[config["architecture"]].starts
    if part is not None:
        model, config = getattr(model, part), _config_of(part, config)
        if part in found:
            weights = {name.removeprefix(f"{part}."): value for name, value in weights.items()
                       if name.startswith(f"{part}.")}
            found = _config_of(part, found)
    _check_same(found, config, path)
    model.load_state_dict(weights)
    trained = checkpoint.get("trained_on") or {}
    return {"origin": checkpoint.get("origin"), "trained_on": trained.get("description"),
            "epochs": len(checkpoint.get("history") or []), "data": trained.get("data"),
            "start": trained.get("start")}


def with_widths(config: dict, path: Path) -> dict:
    """`config` with the inner widths of the network at `path`, which may be a pruned one."""
    if path.suffix == ".onnx":
        return config       # `start_from` says why it is refused
    found = load_checkpoint(path)["config"]
    part = ARCHITECTURES[config["architecture"]].starts
    widths = {INNER: (found.get(part) or found).get(INNER)}
    if widths[INNER] is None:
        return config
    return config | (widths if part is None else {part: config[part] | widths})


def _config_of(part: str, config: dict) -> dict:
    return {"architecture": part} | config[part]


def _check_same(found: dict, wanted: dict, path: Path) -> None:
    if found["architecture"] != wanted["architecture"]:
        raise InputError(f"{path} holds a network of architecture {found['architecture']}, not "
                         f"{wanted['architecture']}: name another checkpoint, or choose its "
                         "--architecture")
    differing = [f"{name} {found.get(name)} instead of {wanted.get(name)}"
                 for name in sorted(found.keys() | wanted.keys())
                 if found.get(name) != wanted.get(name)]
    if differing:
        raise InputError(f"{path} holds a network with other settings ({'; '.join(differing)}): "
                         "name another checkpoint, or choose its --architecture")


def load_encoder_weights(encoder: SpeechEncoder, path: Path) -> None:
    """Give `encoder` the weights in the ONNX file at `path`, exactly: float16 values in float32.

    Raises `InputError` if the file cannot be read or holds other weights.
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
                         "fetch the file again")
    encoder.load_state_dict(found, strict=True)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f"{path} is missing: give the ONNX file with the first two blocks of "
                         "Whisper base, or models/pretrained/detector.onnx, which holds them")
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
        halves = [item for item in graph.initializer if item.name.endswith(HALF)]
        own = [item for item in halves if item.name.startswith(PREFIX)] or halves
        arrays = {item.name.removeprefix(PREFIX)[:-len(HALF)]: onnx.numpy_helper.to_array(item)
                  for item in own}
    except (OSError, DecodeError, ValueError) as error:
        raise InputError(f"cannot read encoder weights from {path}: {error}. "
                         "Give a whole ONNX file") from error
    weights = {}
    for name, array in arrays.items():
        turned = array.T if name.endswith(TURNED) else array
        weight = torch.tensor(turned.astype(np.float32)).contiguous()
        weights[name.removesuffix(TURNED)] = weight
    return weights
