"""The choice of the device that computes."""
from typing import TYPE_CHECKING

from utils.common.errors import InputError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> "torch.device":
    """The device with this name; "auto" prefers CUDA, then Apple's MPS, then the CPU.

    "cuda:1" names the second graphics processor. Raises `InputError` for an unknown device, or
    if this machine lacks the device.
    """
    import torch        # not at the top: a verdict without PyTorch imports this module
    usable = {"cpu": True, "cuda": torch.cuda.is_available(),
              "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if usable[kind])
    kind = name.split(":")[0]
    if kind not in usable:
        raise InputError(f"unknown device {name!r}: use {', '.join(DEVICES)}")
    if not usable[kind]:
        raise InputError(f"this machine has no usable {kind} device: use --device cpu")
    return torch.device(name)
