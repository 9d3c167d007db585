"""One interface over every way to run a model, and which model runs where none is named."""
import importlib.util
import zipfile
from pathlib import Path
from typing import Protocol

import numpy as np

from utils.common.errors import InputError
from utils.common.files import PRETRAINED_DIR
from utils.detector.model_files import can_judge

PRETRAINED = PRETRAINED_DIR / "detector.onnx"
STUDENT = PRETRAINED_DIR / "student.onnx"     # small: it learnt the scores of the other


class Engine(Protocol):
    """A model ready to score.

    `metadata` is the checkpoint without its weights. `batch_size` is how many windows at once
    serve it best.
    """

    metadata: dict
    batch_size: int

    def logits(self, waves: np.ndarray) -> np.ndarray:
        """Logits, float64 (B, 2), spoof and bona fide, of float32 waves (B, n_samples) in [-1, 1].

        Raises `InputError` where samples or logits are not finite.
        """


def load_engine(path: Path, device: str = "cpu", threads: int | None = None) -> Engine:
    """An engine for the model at `path`: .pt through PyTorch, .onnx through ONNX Runtime.

    `device`: as for `choose_device`; an exported model runs on the CPU only. `threads`: CPU cores;
    by default all, of an exported model at most 4. PyTorch sets them for the whole process.
    Raises `InputError`.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"the model {path} is a folder: name a file in it, such as best.onnx")
    if not path.is_file():
        raise InputError(f"the model {path} is missing: check the path")
    if path.suffix == ".onnx":
        if device not in ("auto", "cpu"):
            raise InputError(f"{path} is an exported model, which scores on the CPU: "
                             f"name the .pt checkpoint to use {device}")
        # Each engine is imported where it runs: the other one's library may be missing.
        from utils.detector.engines.onnx_engine import OnnxEngine
        return OnnxEngine.from_file(path, threads)
    if importlib.util.find_spec("torch") is None:
        raise InputError(f"{path} needs PyTorch, which is not installed: name an exported model "
                         "(.onnx), or install the packages of requirements.txt"
                         if zipfile.is_zipfile(path) else
                         f"{path} is no model: name an exported model (.onnx)")
    from utils.detector.checkpoint import load_checkpoint
    from utils.detector.engines.torch_engine import TorchEngine
    return TorchEngine.from_checkpoint(load_checkpoint(path), device, threads)


def trained_models(checkpoint_dir: Path) -> list[Path]:
    """The model of each run below `checkpoint_dir`, the newest run first.

    A run's model is best.onnx, or best.pt where that is newer.
    """
    found = []
    for run in sorted(Path(checkpoint_dir).glob("*/")):
        files = {path: path.stat().st_mtime for name in ("best.pt", "best.onnx")
                 if (path := run / name).is_file()}
        if files:
            found.append((next(iter(files.values())), max(reversed(files), key=files.get)))
    return [path for _, path in sorted(found, key=lambda entry: entry[0], reverse=True)]


def newest_model(checkpoint_dir: Path) -> Path | None:
    """The model of the newest run below `checkpoint_dir` that can judge, else the newest, or None.
    """
    models = trained_models(checkpoint_dir)
    return next((path for path in models if can_judge(path)), models[0] if models else None)


def default_model(checkpoint_dir: Path) -> Path:
    """The model that runs where none is named: the newest that can judge, else the pretrained one.

    A model that cannot judge is used only where no other exists. Raises `InputError` for none.
    """
    newest = newest_model(checkpoint_dir)
    if PRETRAINED.is_file() and (newest is None or not can_judge(newest)):
        return PRETRAINED
    if newest is None:
        raise InputError(f"{checkpoint_dir} holds no trained model: run ./run.sh (Windows: "
                         "run.bat) to train one, run python notebooks/aasist_training.py on "
                         "prepared data, or name a model with --model")
    return newest


def passed_over(checkpoint_dir: Path) -> Path | None:
    """The newest run's model, where `default_model` leaves it out since it cannot judge."""
    newest = next(iter(trained_models(checkpoint_dir)), None)
    return newest if newest not in (None, default_model(checkpoint_dir)) else None
