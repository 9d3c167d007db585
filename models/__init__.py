"""The networks: `build_model(config)` makes one; each module defines its `CONFIGS`."""
from importlib import import_module
from pkgutil import iter_modules

import torch
from torch import Tensor, nn

CONFIGS: dict[str, dict] = {}                 # by name, "architecture" included
NETWORKS: dict[str, type[nn.Module]] = {}     # by the same names

for _found in iter_modules(__path__):
    _module = import_module(f"{__name__}.{_found.name}")
    for _name, _settings in getattr(_module, "CONFIGS", {}).items():
        CONFIGS[_name] = {"architecture": _name} | _settings
        NETWORKS[_name] = _module.NETWORK


def build_model(config: dict) -> nn.Module:
    """The network of `config`, with fresh weights.

    Every network maps waveforms (B, T), float32 in [-1, 1] at 16 kHz, to last_hidden (B, H) and
    logits (B, 2). Their order is spoof, bona fide. Raises `ValueError` for an unknown architecture
    or setting.
    """
    architecture = config.get("architecture")
    settings = {key: value for key, value in config.items() if key != "architecture"}
    if architecture not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise ValueError(f"unknown architecture {architecture!r}: choose one of {known}")
    try:
        return NETWORKS[architecture](**settings)
    except TypeError as error:
        raise ValueError(f"wrong settings of {architecture!r}: {error}") from error


def with_weights(config: dict, weights: dict[str, Tensor]) -> nn.Module:
    """The network of `config` with the tensors of `weights`, a whole state dict, as its own.

    No fresh weights are drawn where the network has no constants beside its state dict.
    """
    with torch.device("meta"):
        model = build_model(config)
    if not {name for name, _ in model.named_buffers()} <= weights.keys():
        model = build_model(config)
    model.load_state_dict(weights, assign=True)
    return model
