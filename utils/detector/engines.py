"""One interface over every way to run a model: `load_engine` chooses by the file's suffix."""
import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from utils.common.errors import InputError
from utils.common.files import PRETRAINED_DIR

if TYPE_CHECKING:
    from torch import nn


PRETRAINED = PRETRAINED_DIR / "detector.onnx"    # the model in the box


class Engine(Protocol):
    """A model ready to score.

    `metadata` is the checkpoint without its weights. `logits` takes float32 waveforms (B, n_samples) in [-1, 1] and
    returns float64 (B, 2), spoof and bona fide; it raises `InputError` where samples or logits are not finite.
    """

    metadata: dict

    def logits(self, waves: np.ndarray) -> np.ndarray: ...


def load_engine(path: Path, device: str = "cpu", threads: int | None = None) -> Engine:
    """An engine for the model at `path`: .pt through PyTorch, .onnx through ONNX Runtime (CPU only).

    `threads`: how many cores to use, all by default; for PyTorch it is the setting of the whole process.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        if device != "cpu":
            raise InputError(f"{path} is an exported model, which scores on the CPU: name the .pt checkpoint "
                             f"to use {device}")
        from utils.detector.onnx_engine import OnnxEngine
        return OnnxEngine(path, threads)
    from utils.detector.checkpoint import load_checkpoint
    checkpoint = load_checkpoint(path)
    from utils.detector.torch_engine import TorchEngine
    return TorchEngine.from_checkpoint(checkpoint, device, threads)


def engine_from_model(model: "nn.Module", metadata: dict) -> Engine:
    """An engine round a live network, for scoring while it is being trained; its training mode is kept."""
    from utils.detector.torch_engine import TorchEngine
    return TorchEngine(model, metadata)


def newest_model(checkpoint_dir: Path) -> Path | None:
    """The model of the newest run below `checkpoint_dir`, or None: best.onnx where it is not older than best.pt.

    A model without a decision (bare imported weights, or a run in which dev gave none) is chosen only where no other has
    one: it must not become the silent default that can judge nothing.
    """
    found = []
    for run in sorted(Path(checkpoint_dir).glob("*/")):
        files = {path: path.stat().st_mtime for name in ("best.pt", "best.onnx") if (path := run / name).is_file()}
        if files:
            found.append((next(iter(files.values())), max(reversed(files), key=files.get)))
    models = [path for _, path in sorted(found, key=lambda entry: entry[0], reverse=True)]
    return next((path for path in models if carries_decision(path)), models[0] if models else None)


def default_model(checkpoint_dir: Path) -> Path | None:
    """The model where none is named: the newest that can give verdicts, else the one in the box, else any; None for none."""
    newest = newest_model(checkpoint_dir)
    if PRETRAINED.is_file() and (newest is None or not carries_decision(newest)):
        return PRETRAINED
    return newest


def carries_decision(path: Path) -> bool:
    """Whether a model file holds a decision, told by its bytes, in milliseconds and without PyTorch.

    The entry and the dictionary that follows it lie uncompressed in both kinds of file: as JSON in an exported model, and
    in a checkpoint as the pickle that `torch.save` writes (key, its place in the memo, then "}" for a dictionary).
    """
    return re.search(rb'"decision": \{|decision(?:q.|r.{4})\}', path.read_bytes(), re.DOTALL) is not None
