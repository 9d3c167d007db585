"""Which device computes."""
import torch

from utils.common.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device asked for; "auto" takes CUDA, then Apple's MPS, then the CPU. `InputError` where it is not there."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if has[kind])
    if not has[name]:
        raise InputError(f"this machine has no usable {name} device: use --device cpu")
    return torch.device(name)
