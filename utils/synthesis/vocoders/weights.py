"""Safe reading of vocoder weights: NumPy archives, or PyTorch checkpoints of their authors."""
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
# keys under which published checkpoints hold the network
NESTED = ("generator", "model", "state_dict")


def digest(paths: list[Path]) -> str:
    """A sum that identifies files which belong together.

    It is the SHA-256 of one file, or of the SHA-256s of several in order.
    """
    sums = [file_sha256(path) for path in paths]
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def read_weights(path: Path) -> Weights:
    """Float32 tensors by name, with weight normalisation folded in.

    Raises `InputError` if the file is missing or holds no such tensors.
    """
    if not path.is_file():
        raise InputError(f"the weights {path} are missing: check the path given to --weights")
    named = _from_numpy(path) if path.suffix == ".npz" else _from_torch(path)
    return fold_weight_norm({name: value.float() for name, value in named.items()})


def _from_numpy(path: Path) -> Weights:
    import torch
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(archive[name]) for name in archive.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a readable .npz ({error}): download it again") from error


def _from_torch(path: Path) -> Weights:
    import pickle

    import torch
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} cannot be read as a PyTorch checkpoint of plain weights: "
                         "download it again, or convert it to .npz") from error
    while isinstance(content, dict) and (inner := [
            name for name in NESTED if isinstance(content.get(name), dict)
    ]):
        content = content[inner[0]]
    tensors = isinstance(content, dict) and all(
        isinstance(value, torch.Tensor) for value in content.values())
    if not tensors or not content:
        raise InputError(f"{path} holds no network: give the generator's checkpoint, with its "
                         "weights by name")
    return content


def fold_weight_norm(weights: Weights) -> Weights:
    """weight = g * v / |v|; the norm is over all but the first axis (Salimans & Kingma, 2016)."""
    folded = {name: value for name, value in weights.items()
              if not name.endswith((".weight_g", ".weight_v"))}
    for stem in (name[:-2] for name in weights if name.endswith(".weight_g")):
        if stem + "_v" not in weights:
            raise InputError(f"the weights hold {stem}_g without {stem}_v: the checkpoint is "
                             "damaged, download it again")
        direction = weights[stem + "_v"]
        norm = direction.norm(dim=tuple(range(1, direction.dim())), keepdim=True)
        folded[stem] = direction * (weights[stem + "_g"] / norm)
    return folded
