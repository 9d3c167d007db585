"""Weights of vocoders, read safely: NumPy archives, or checkpoints of PyTorch as their authors
distribute them."""
import hashlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.common.errors import InputError
from utils.common.files import file_sha256

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]
# names below which published checkpoints keep the network
NESTED = ("generator", "model", "state_dict")


def digest(paths: list[Path]) -> str:
    """What tells files that belong together from others: the SHA-256 of one, of several that of
    their SHA-256s in order."""
    sums = [file_sha256(path) for path in paths]
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def read_weights(path: Path) -> Weights:
    """Float32 tensors by name, weight normalisation folded in; `InputError` where the file holds no
    such thing."""
    if not path.is_file():
        raise InputError(f"the weights {path} are not there: check the path given to --weights")
    named = _from_numpy(path) if path.suffix == ".npz" else _from_torch(path)
    return fold_weight_norm({name: value.float() for name, value in named.items()})


def _from_numpy(path: Path) -> Weights:
    import torch
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(archive[name]) for name in archive.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as weights ({error}): fetch it again") from error


def _from_torch(path: Path) -> Weights:
    import pickle

    import torch
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} cannot be read as a PyTorch checkpoint of plain weights: fetch "
                         "it again, or convert it to .npz") from error
    while isinstance(content, dict) and (inner := [
            name for name in NESTED if isinstance(content.get(name), dict)
    ]):
        content = content[inner[0]]
    tensors = isinstance(content, dict) and all(
        isinstance(value, torch.Tensor) for value in content.values())
    if not tensors or not content:
        raise InputError(f"{path} holds no network: give the generator's checkpoint (its weights "
                         "by name)")
    return content


def fold_weight_norm(weights: Weights) -> Weights:
    """weight = g * v / |v|, the norm over all but the first axis (Salimans and Kingma, 2016)."""
    folded = {name: value for name, value in weights.items() if not name.endswith((".weight_g",
        ".weight_v"))}
    for stem in (name[:-2] for name in weights if name.endswith(".weight_g")):
        if stem + "_v" not in weights:
            raise InputError(f"the weights hold {stem}_g without {stem}_v: the checkpoint is "
                             "damaged, fetch it again")
        direction = weights[stem + "_v"]
        norm = direction.norm(dim=tuple(range(1, direction.dim())), keepdim=True)
        folded[stem] = direction * (weights[stem + "_g"] / norm)
    return folded
