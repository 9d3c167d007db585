"""Where a run's weights start (--init_from, --encoder), and which parts never learn (--freeze)."""
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from utils.common.errors import InputError
from utils.common.files import file_sha256
from utils.detector.checkpoint import load_checkpoint
from utils.training.architectures import ARCHITECTURES
from utils.training.encoder_weights import load_encoder_weights

NORMS = "norm"    # of --freeze: all batch-norm statistics stay, the weights of the norms may learn


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


def freeze(model: nn.Module, architecture: str, parts: str) -> list[nn.Module]:
    """Freeze `parts` of `model`: names of modules or weights, a number of blocks, "norm".

    Commas separate parts. Frozen weights ask for no gradients, so no backward pass is made for
    what lies before the first learning layer. Returns the modules that stay in evaluation mode:
    their batch-norm statistics and dropout rest too. Raises `InputError` for an unknown name.
    """
    modules = dict(model.named_modules())
    resting = []
    for name in _names(architecture, parts):
        if name == NORMS:
            resting += [module for module in model.modules() if isinstance(module, _BatchNorm)]
            continue
        frozen = [parameter for known, parameter in model.named_parameters()
                  if (known + ".").startswith(name + ".")]
        if not frozen and name not in modules:
            raise InputError(f"--freeze {name}: the network {architecture} has no such part. It "
                             f"has {', '.join(dict(model.named_children()))} and their parts")
        for parameter in frozen:
            parameter.requires_grad_(False)
        resting += [modules[name]] if name in modules else []
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(f"--freeze {parts} leaves nothing of {architecture} to be trained: "
                         "name fewer parts")
    return resting


def _names(architecture: str, parts: str) -> list[str]:
    network = ARCHITECTURES[architecture]
    names = []
    for part in filter(None, (part.strip() for part in parts.split(","))):
        if not part.isdecimal():
            names.append(part)
        elif network.blocks:
            names += network.before_blocks
            names += [f"{network.blocks}.{number}" for number in range(int(part))]
        else:
            counted = [name for name, other in ARCHITECTURES.items() if other.blocks]
            raise InputError(f"--freeze {part}: blocks are counted in {', '.join(counted)} only. "
                             f"Name the parts of {architecture}")
    return names


@torch.no_grad()
def renew_statistics(model: nn.Module, resting: list[nn.Module], waves: Iterable[Tensor],
                     whole_batch: Callable[[], AbstractContextManager] = nullcontext) -> None:
    """Renew the batch-norm statistics of `model`, except in `resting`, over (B, n_samples) waves.

    They become the plain mean over batches, as by torch.optim.swa_utils.update_bn. The pass is one
    of training, so dropout and masks are drawn, each batch's inside `whole_batch()`.
    """
    still = {id(inner) for module in resting for inner in module.modules()}
    norms = [module for module in model.modules()
             if isinstance(module, _BatchNorm) and id(module) not in still]
    momenta = [module.momentum for module in norms]
    model.train()
    for module in resting:
        module.eval()
    for module in norms:
        module.reset_running_stats()
        module.momentum = None
    for batch in waves:
        with whole_batch():
            model(batch)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
