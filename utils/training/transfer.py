"""Where a run's weights start from (--init_from), and what of its network it leaves alone (--freeze)."""
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from utils.common.errors import InputError
from utils.common.files import file_sha256
from utils.detector.checkpoint import load_checkpoint

NORMS = "norm"    # of --freeze: the statistics of every batch norm stay, its weights may learn
# What --freeze N means: what stands before the first block, and the list that the blocks are in.
_BLOCKS = {"aasist": (("bands", "first_bn"), "encoder"), "aasist-l": (("bands", "first_bn"), "encoder"),
           "small": (("spectrogram", "bin_norm", "stem"), "blocks")}


def file_id(path: Path | None) -> str | None:
    """What a run notes of a file that it was given: name and SHA-256; None for none. `InputError` where it cannot be read."""
    if path is None:
        return None
    try:
        return f"{path.name} (SHA-256 {file_sha256(path)})"
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name another file") from error


def start_from(model: nn.Module, config: dict, path: Path) -> dict:
    """Give `model` the weights of the checkpoint at `path`; returns what it says of its origin.

    A hybrid takes its AASIST from there, whether it is one or has one. `InputError` where that is no checkpoint, or of
    another architecture or configuration.
    """
    if path.suffix == ".onnx":
        raise InputError(f"{path} is an exported model, which cannot be trained: name the checkpoint beside it (.pt)")
    checkpoint = load_checkpoint(path)
    if config["architecture"] == "hybrid":
        model, config, checkpoint = model.aasist, _aasist_in(config), _its_aasist(checkpoint)
    if checkpoint["config"]["architecture"] != config["architecture"]:
        raise InputError(f"{path} holds a network of architecture {checkpoint['config']['architecture']}, not {config['architecture']}: name a "
                         "checkpoint of the same, or ask for its --architecture")
    if checkpoint["config"] != config:
        differing = [f"{name} {checkpoint['config'].get(name)} instead of {config.get(name)}"
                     for name in sorted(config.keys() | checkpoint["config"].keys())
                     if checkpoint["config"].get(name) != config.get(name)]
        raise InputError(f"{path} holds another network than the one to be trained ({'; '.join(differing)}): name a checkpoint of "
                         "the same, or ask for its --architecture")
    model.load_state_dict(checkpoint["state_dict"])
    return {"origin": checkpoint.get("origin"), "trained_on": (checkpoint.get("trained_on") or {}).get("description")}


def _aasist_in(config: dict) -> dict:
    return {"architecture": "aasist"} | config["aasist"]


def _its_aasist(checkpoint: dict) -> dict:
    """The checkpoint of the AASIST in that of a hybrid; any other as it is."""
    if checkpoint["config"]["architecture"] != "hybrid":
        return checkpoint
    weights = {name.removeprefix("aasist."): value for name, value in checkpoint["state_dict"].items() if name.startswith("aasist.")}
    return checkpoint | {"config": _aasist_in(checkpoint["config"]), "state_dict": weights}


def freeze(model: nn.Module, architecture: str, parts: str) -> list[nn.Module]:
    """Freeze `parts` of `model` (names of modules or weights, a number of blocks, "norm"; between commas).

    Their weights no longer ask for gradients, so that no backward pass is made for what lies before the first learning
    layer. Returns the modules that stay in evaluation mode, whose batch-norm statistics (and dropout) thus rest too.
    `InputError` for a name that the network does not have.
    """
    names, modules, resting = _names(architecture, parts), dict(model.named_modules()), []
    for name in names:
        if name == NORMS:
            resting += [module for module in model.modules() if isinstance(module, _BatchNorm)]
            continue
        frozen = [p for known, p in model.named_parameters() if (known + ".").startswith(name + ".")]
        if not frozen and name not in modules:
            raise InputError(f"--freeze {name}: the network {architecture} has no such part, only "
                             f"{', '.join(dict(model.named_children()))} and what is in them")
        for parameter in frozen:
            parameter.requires_grad_(False)
        resting += [modules[name]] if name in modules else []
    if not any(p.requires_grad for p in model.parameters()):
        raise InputError(f"--freeze {parts} leaves nothing of {architecture} to be trained: name fewer parts")
    return resting


def _names(architecture: str, parts: str) -> list[str]:
    found = []
    for part in filter(None, (part.strip() for part in parts.split(","))):
        if not part.isdecimal():
            found.append(part)
        elif architecture in _BLOCKS:
            before, blocks = _BLOCKS[architecture]
            found += [*before, *(f"{blocks}.{number}" for number in range(int(part)))]
        else:
            raise InputError(f"--freeze {part}: blocks are counted in {', '.join(_BLOCKS)} only; name the parts of {architecture}")
    return found


@torch.no_grad()
def renew_statistics(model: nn.Module, resting: list[nn.Module], waves: Iterable[Tensor],
                     randomness: Callable[[], AbstractContextManager] = nullcontext) -> None:
    """Renew the batch-norm statistics of `model`, except in `resting`, by a pass over batches of waves (B, n_samples).

    They become the plain mean over batches, as by torch.optim.swa_utils.update_bn. The pass is one of training, so dropout
    and masks are drawn, each batch's inside `randomness()`: of several processes, what one would draw for the whole batch.
    """
    still = {id(inner) for module in resting for inner in module.modules()}
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and id(module) not in still]
    momenta = [module.momentum for module in norms]
    model.train()
    for module in resting:
        module.eval()
    for module in norms:
        module.reset_running_stats()
        module.momentum = None
    for batch in waves:
        with randomness():
            model(batch)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
