"""Where a run's weights start: --init_from and --encoder."""
from pathlib import Path

from torch import nn

from utils.common.errors import InputError
from utils.common.files import file_sha256
from utils.detector.checkpoint import load_checkpoint
from utils.training.architectures import ARCHITECTURES
from utils.training.setup.encoder_weights import load_encoder_weights


def file_id(path: Path | None) -> str | None:
    """What a run notes of a given file: name and SHA-256; None for none.

    Raises `InputError` where it cannot be read.
    """
    if path is None:
        return None
    try:
        return f"{path.name} (SHA-256 {file_sha256(path)})"
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name another file") from error


def give_weights(model: nn.Module, config: dict, encoder: Path | None,
                 start: Path | None) -> dict | None:
    """Fill a fresh network from the files of --encoder and --init_from; freeze its given parts.

    Returns what the checkpoint `start` says of its origin. Raises `InputError` for a bad file.
    """
    if encoder is not None:
        load_encoder_weights(model.encoder, encoder)
    for part in ARCHITECTURES[config["architecture"]].given:
        getattr(model, part).requires_grad_(False)
    return start_from(model, config, start) if start else None


def start_from(model: nn.Module, config: dict, path: Path) -> dict:
    """Give `model` the weights of the checkpoint at `path`; returns what it says of its origin.

    Where only a part of the network starts from a checkpoint, this may be one of the part, or of
    a network that has the part. Raises `InputError` for no checkpoint, or another architecture or
    configuration.
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
    description = (checkpoint.get("trained_on") or {}).get("description")
    return {"origin": checkpoint.get("origin"), "trained_on": description}


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
