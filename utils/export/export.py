"""From a checkpoint to an ONNX file, which scores without PyTorch; it is checked after writing."""
import copy
import io
import math
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from models.ssl import SpeechFrames
from utils.common.errors import InputError
from utils.common.files import atomic_folder, atomic_write
from utils.detector.checkpoint import load_checkpoint, metadata_json
from utils.detector.decision import UNCALIBRATED
from utils.detector.engines import Engine
from utils.detector.model_files import METADATA_KEY, data_file
from utils.detector.engines.onnx_engine import OnnxEngine
from utils.detector.engines.torch_engine import TorchEngine
from utils.export.aasist import OPSET, aasist_in, aasist_onnx, halved
from utils.export.ssl import write_ssl

TOLERANCE = 1e-4  # largest allowed difference of a logit between the file and the model
ROUNDING = 20     # or so many times float32's rounding error, for ill-conditioned networks


def export_onnx(checkpoint_path: Path, onnx_path: Path, int8: bool = False) -> float:
    """Write the model of `checkpoint_path` to `onnx_path`; return the largest logit difference.

    The file maps `waves` (batch, n_samples) to `last_hidden` and `logits`, and carries the
    checkpoint's metadata. Weights of more than 512 MiB lie in a file beside it. `int8`: the linear
    layers of a self-supervised encoder get 8 bits, whose difference is only told; the checkpoint's
    calibration is not theirs and is left out. Raises `InputError` and leaves no file if logits
    differ too much from the checkpoint's otherwise.
    """
    checkpoint_path, onnx_path = Path(checkpoint_path), Path(onnx_path)
    checkpoint = load_checkpoint(checkpoint_path)
    engine = TorchEngine.from_checkpoint(checkpoint)
    del checkpoint["state_dict"]        # the engine has its own
    if int8 and not isinstance(engine.model, SpeechFrames):
        raise InputError(f"--int8 is for detectors on a self-supervised encoder, and "
                         f"{checkpoint_path} holds {checkpoint['architecture']}: leave it out")
    if int8:
        checkpoint |= UNCALIBRATED | {"calibrated_on": None}
    with atomic_folder(onnx_path.parent, [data_file(onnx_path).name, onnx_path.name]) as folder:
        beside = folder / onnx_path.name
        if isinstance(engine.model, SpeechFrames):
            write_ssl(engine.model, checkpoint["n_samples"], beside, int8=int8,
                      metadata=(METADATA_KEY, metadata_json(checkpoint)))
        else:
            _write(engine.model, checkpoint, beside)
        exported = OnnxEngine.from_file(beside)
        difference, allowed = _difference(engine, exported, checkpoint["n_samples"], int8)
        if not difference <= allowed:
            raise InputError(f"the export of {checkpoint_path} differs by {difference:.1e} in a "
                             f"logit, more than {allowed:.0e}: use the .pt file, "
                             "and please report this")
        del exported        # Windows moves no file that is still mapped
    return difference


def quickest_engine(model: nn.Module, metadata: dict) -> Engine:
    """An engine for a live network in its present state; its training mode stays.

    On a CPU, networks that are faster exported run so: AASIST's encoder several times, a
    self-supervised one twice. `metadata` are the engine's, with the "n_samples" of a window.
    """
    if next(model.parameters()).device.type != "cpu":
        return TorchEngine(model, metadata)
    training = model.training
    model.eval()
    try:
        if isinstance(model, SpeechFrames):
            return _mapped_engine(model, metadata)
        if aasist_in(model) is None:
            return TorchEngine(model, metadata)
        content = _build(copy.deepcopy(model), metadata["n_samples"]).SerializeToString()
    finally:
        model.train(training)
    return OnnxEngine(content, metadata, torch.get_num_threads())


def _mapped_engine(model: SpeechFrames, metadata: dict) -> OnnxEngine:
    """An engine whose weights are mapped from a file, which goes with it."""
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    path = Path(folder.name) / "network.onnx"
    write_ssl(model, metadata["n_samples"], path, largest=0)
    engine = OnnxEngine(path, metadata, torch.get_num_threads(), path)
    engine.folder = folder
    return engine


def _write(model: nn.Module, checkpoint: dict, path: Path) -> None:
    exported = _build(model, checkpoint["n_samples"])
    exported.metadata_props.add(key=METADATA_KEY, value=metadata_json(checkpoint))
    with atomic_write(path, "wb") as file:
        file.write(exported.SerializeToString())


def _build(model: nn.Module, n_samples: int) -> onnx.ModelProto:
    with warnings.catch_warnings():
        # PyTorch has two exporters. This one warns that it is older; the newer needs another
        # package. It also warns about fixed shapes, but windows do have a fixed length.
        warnings.simplefilter("ignore")
        build = _plain_onnx if aasist_in(model) is None else aasist_onnx
        return build(model, n_samples)


def _plain_onnx(model: nn.Module, n_samples: int) -> onnx.ModelProto:
    """Any network, by PyTorch's exporter."""
    file = io.BytesIO()
    names = ("waves", "last_hidden", "logits")
    torch.onnx.export(model, (torch.zeros(1, n_samples),), file, dynamo=False, opset_version=OPSET,
                      input_names=names[:1], output_names=names[1:],
                      dynamic_axes={name: {0: "batch"} for name in names})
    exported = onnx.load_from_string(file.getvalue())
    graph = exported.graph
    nodes, weights = [], list(graph.initializer)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            weights.append(node.attribute[0].t)
            weights[-1].name = node.output[0]
        else:
            nodes.append(node)
    casts, weights = halved(weights)
    graph.CopyFrom(onnx.helper.make_graph([*casts, *nodes], "network", graph.input, graph.output,
                                          weights))
    return exported


def _difference(engine: TorchEngine, exported: OnnxEngine, n_samples: int,
                int8: bool) -> tuple[float, float]:
    """The largest logit difference over quiet and clipped noise, and the allowed difference."""
    levels = np.array([[0.01], [1.0]])
    waves = np.random.default_rng(0).standard_normal((len(levels), n_samples)) * levels
    waves = waves.clip(-1, 1).astype(np.float32)
    logits = engine.logits(waves)
    difference = float(np.abs(logits - exported.logits(waves)).max())
    if difference <= TOLERANCE or int8:
        return difference, math.inf if int8 else TOLERANCE
    with torch.inference_mode():
        exact = copy.deepcopy(engine.model).double()(torch.from_numpy(waves).double())[1].numpy()
    return difference, max(TOLERANCE, ROUNDING * float(np.abs(logits - exact).max()))
