"""The engine that runs an exported model through ONNX Runtime, without PyTorch."""
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from utils.common.errors import InputError, out_of_memory
from utils.detector.checkpoint import MAX_BYTES, check_metadata
from utils.common.numbers import finite

METADATA_KEY = "detector"
_REFUSALS = (ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf,
             ort_errors.NotImplemented, ort_errors.RuntimeException)


class OnnxEngine:
    """See `utils.detector.engines.Engine`."""

    def __init__(self, path: Path, threads: int | None = None):
        self.session = _session(_read(path), path, threads)
        self.metadata = _metadata(self.session, path)
        if ([i.name for i in self.session.get_inputs()] != ["waves"]
                or "logits" not in [o.name for o in self.session.get_outputs()]):
            raise InputError(f"{path} does not map waves to logits: export it again with utils/export_model.py")

    @classmethod
    def from_bytes(cls, content: bytes, metadata: dict, threads: int | None = None) -> "OnnxEngine":
        """An engine for a network just exported, without a file."""
        engine = cls.__new__(cls)
        engine.session, engine.metadata = _session(content, "the network", threads), metadata
        return engine

    def logits(self, waves: np.ndarray) -> np.ndarray:
        waves, logits = finite(waves, "samples"), np.empty((len(waves), 2))
        for i in range(len(waves)):  # one by one: a batch gains nothing here and takes its size times the memory
            logits[i:i + 1] = self.session.run(["logits"], {"waves": waves[i:i + 1]})[0]
        return finite(logits, "logits")

    def last_hidden(self, waves: np.ndarray) -> np.ndarray:
        """What the logits are read from: waves float32 (B, n_samples), B >= 1, to float32 (B, H)."""
        waves = finite(waves, "samples")
        rows = [self.session.run(["last_hidden"], {"waves": waves[i:i + 1]})[0] for i in range(len(waves))]
        return finite(np.concatenate(rows), "statistics")


def _session(content: bytes, name: Path | str, threads: int | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # a plan of all activations costs 140 MB from the second window on and gains no time
    options.intra_op_num_threads = threads or 0
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _REFUSALS as error:
        if out_of_memory(error):
            raise
        raise InputError(f"{name} is not a usable ONNX model: export it again with utils/export_model.py") from error


def _read(path: Path) -> bytes:
    """The file's bytes; refused where it is no single self-contained file, so that no other file is ever read."""
    if not path.is_file():
        raise InputError(f"{path} is missing: name a model that utils/export_model.py wrote")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is far larger than any model here: refused")
    content = path.read_bytes()
    try:
        external = has_external_data(content)
    except ValueError as error:
        raise InputError(f"{path} is not an ONNX model: export one with utils/export_model.py") from error
    if external:
        raise InputError(f"{path} keeps its weights in another file, which is not allowed: "
                         "export it again with utils/export_model.py")
    return content


def has_external_data(content: bytes) -> bool:
    """Whether an ONNX file may name other files: any part but its metadata spells the key that does so.

    Raises ValueError where `content` is no protobuf message.
    """
    return any(b"location" in field for number, field in _fields(content) if number != 14)  # 14: metadata_props


def _fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(field number, bytes) of the fields of a protobuf message that hold bytes; ValueError where it is none."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        if tag & 7 == 0:
            _, at = _varint(content, at)
            continue
        if tag & 7 != 2:
            raise ValueError("a kind of field that no ONNX file has")
        size, at = _varint(content, at)
        if size > len(content) - at:
            raise ValueError("a field longer than the file")
        yield tag >> 3, content[at:at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at == len(content) or shift > 63:
            raise ValueError("a number that does not end")
        byte = content[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _metadata(session: onnxruntime.InferenceSession, path: Path) -> dict:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise InputError(f"{path} has no description of the detector in it: export it with utils/export_model.py")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} has a damaged description of the detector: export it again") from error
    check_metadata(content, path)
    return content
