"""Tensors in files that may hold no code: .safetensors, and what torch.save wrote."""
import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.common.errors import InputError
from utils.detector.checkpoint import AGAIN, read_pickle

# Older files of fairseq hold their arguments as a Namespace, a plain record. Those of HuBERT hold
# the list of their targets.
DICTIONARY = "fairseq.data.dictionary.Dictionary"
TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
LONGEST_HEADER = 100_000_000    # bytes; that of the largest encoder has 0.1 million


class Inert:
    """Stands for a class whose code is not here and is not run; holds what the file says of it."""


def read_tensors(path: Path) -> dict[str, Any]:
    """The content of a .safetensors file, or of what torch.save wrote: never code.

    Raises `InputError` for a file that is missing, damaged or holds code.
    """
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    with torch.serialization.safe_globals([argparse.Namespace, (Inert, DICTIONARY)]):
        content = read_pickle(path, older=True)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no table of weights: name another file")
    return content


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, mapped from the disk."""
    if not path.is_file():
        raise InputError(f"{path} is missing: check the path")
    try:
        return _mapped(path)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} is no whole .safetensors file ({error}): {AGAIN}") from error


def _mapped(path: Path) -> dict[str, Tensor]:
    """A header of JSON, its length before it in 8 bytes, then the tensors one after another."""
    content = np.memmap(path, np.uint8, "c")
    length = int.from_bytes(content[:8].tobytes(), "little")
    if length > min(LONGEST_HEADER, len(content) - 8):
        raise ValueError("its header is longer than the file")
    header = json.loads(content[8:8 + length].tobytes())
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    header.pop("__metadata__", None)
    start = 8 + length
    found = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= len(content) - start:
            raise ValueError(f"{name} lies outside the file")
        raw = torch.from_numpy(content[start + begin:start + end])
        found[name] = raw.view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return found
