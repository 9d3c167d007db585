"""From a checkpoint to an ONNX file that scores without PyTorch, checked against the checkpoint after writing."""
import copy
import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from models.aasist import AASIST
from models.hybrid import Hybrid
from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.export.aasist import OPSET, aasist_onnx, hybrid_onnx
from utils.detector.checkpoint import load_checkpoint, metadata_json
from utils.detector.engines import Engine
from utils.detector.model_files import METADATA_KEY
from utils.detector.onnx_engine import OnnxEngine
from utils.detector.torch_engine import TorchEngine

TOLERANCE = 1e-4  # largest difference of a logit between the file and the model ...
ROUNDING = 20     # ... or so many times what float32 itself costs: a hardly trained network can be that ill-conditioned


def export_onnx(checkpoint_path: Path, onnx_path: Path) -> float:
    """Write the model of `checkpoint_path` to `onnx_path` and return the largest difference of their logits.

    The file maps `waves` (batch, n_samples) to `last_hidden` and `logits`, and carries the checkpoint's metadata.
    Nothing is left behind where the two disagree by more than `TOLERANCE` (`InputError`).
    """
    checkpoint_path, onnx_path = Path(checkpoint_path), Path(onnx_path)
    checkpoint = load_checkpoint(checkpoint_path)
    engine = TorchEngine.from_checkpoint(checkpoint)
    beside = onnx_path.with_name(f".{onnx_path.stem}.unchecked.onnx")
    try:
        _write(engine.model, checkpoint, beside)
        difference, allowed = _difference(engine, OnnxEngine.from_file(beside), checkpoint["n_samples"])
        if not difference <= allowed:
            raise InputError(f"the export of {checkpoint_path} differs from it by {difference:.1e} in a logit, more than "
                             f"{allowed:.0e}: use the .pt file, and please report this")
        beside.replace(onnx_path)
    finally:
        beside.unlink(missing_ok=True)
    return difference


def _write(model: nn.Module, checkpoint: dict, path: Path) -> None:
    with warnings.catch_warnings():
        # PyTorch's exporter warns that it is the older of two (the newer needs another package), and about shapes that
        # are fixed in the file on purpose: it scores windows of one length.
        warnings.simplefilter("ignore")
        exported = _build(model, checkpoint["n_samples"])
    exported.metadata_props.add(key=METADATA_KEY, value=metadata_json(checkpoint))
    with atomic_write(path, "wb") as file:
        file.write(exported.SerializeToString())


def exported_engine(model: nn.Module, metadata: dict) -> OnnxEngine:
    """An engine for a live network as it is now, in evaluation mode, run by ONNX Runtime: several times faster on a CPU."""
    still = copy.deepcopy(model).cpu().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = _build(still, metadata["n_samples"]).SerializeToString()
    return OnnxEngine(content, metadata, torch.get_num_threads())


def quickest_engine(model: nn.Module, metadata: dict) -> Engine:
    """An engine for a live network as it is now: on a CPU, AASIST and the hybrid exported; any other, and on a GPU, the network itself.

    `metadata`: the engine's; windows are of its "n_samples".
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    if isinstance(model, (AASIST, Hybrid)) and on_cpu:
        return exported_engine(model, metadata)
    return TorchEngine(model, metadata)


def _build(model: nn.Module, n_samples: int) -> onnx.ModelProto:
    build = aasist_onnx if isinstance(model, AASIST) else hybrid_onnx if isinstance(model, Hybrid) else _as_it_is
    return build(model, n_samples)


def _as_it_is(model: nn.Module, n_samples: int) -> onnx.ModelProto:
    """Any network as PyTorch's exporter writes it."""
    file = io.BytesIO()
    torch.onnx.export(model, (torch.zeros(1, n_samples),), file, dynamo=False, opset_version=OPSET,
                      input_names=["waves"], output_names=["last_hidden", "logits"],
                      dynamic_axes={name: {0: "batch"} for name in ("waves", "last_hidden", "logits")})
    return onnx.load_from_string(file.getvalue())


def _difference(engine: TorchEngine, exported: OnnxEngine, n_samples: int) -> tuple[float, float]:
    """The largest difference of a logit over noise, once quiet and once clipped, and what is allowed."""
    levels = np.array([[0.01], [1.0]])
    waves = np.random.default_rng(0).standard_normal((len(levels), n_samples)) * levels
    waves = waves.clip(-1, 1).astype(np.float32)
    logits = engine.logits(waves)
    difference = float(np.abs(logits - exported.logits(waves)).max())
    if difference <= TOLERANCE:
        return difference, TOLERANCE
    with torch.inference_mode():
        exact = copy.deepcopy(engine.model).double()(torch.from_numpy(waves).double())[1].numpy()
    return difference, max(TOLERANCE, ROUNDING * float(np.abs(logits - exact).max()))
