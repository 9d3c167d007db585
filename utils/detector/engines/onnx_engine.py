"""The engine that runs an exported model through ONNX Runtime, without PyTorch."""
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from utils.common.allocator import give_freed_memory_back
from utils.common.errors import InputError, out_of_memory
from utils.common.files import file_sha256
from utils.common.numbers import finite
from utils.detector.checkpoint import check_metadata
from utils.detector.engines import native
from utils.detector.model_files import (MAX_BYTES, WEIGHTS_KEY, data_file, onnx_metadata,
                                        onnx_property, outside_weights)

AGAIN = "export it again with utils/export_model.py"
LARGE = 100_000_000     # bytes of a network whose single window keeps all cores busy
MOST_THREADS = 4        # by default: each takes 13 MB for its window, 80 without machine code
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_REFUSALS = (ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph,
             ort_errors.InvalidProtobuf, ort_errors.NotImplemented, ort_errors.RuntimeException)


class OnnxEngine:
    """See `utils.detector.engines.Engine`.

    Each thread scores a window of its own; the threads share the windows of a LARGE network.
    """

    def __init__(self, content: bytes | Path, metadata: dict, threads: int | None = None,
                 name: Path | str = "the network"):
        """An engine for an ONNX file or its bytes; `name` stands in error messages."""
        threads = threads or min(os.cpu_count() or 1, MOST_THREADS)
        self.batch_size = 1 if _size(content, name) > LARGE else threads
        self.session = _session(content, name, threads if self.batch_size == 1 else 1)
        give_freed_memory_back()
        self.metadata = metadata
        self._name = name
        self._threads = ThreadPoolExecutor(self.batch_size, "window")

    @classmethod
    def from_file(cls, path: Path, threads: int | None = None) -> "OnnxEngine":
        """An engine for the model at `path`, checked; `InputError` says what is wrong with it."""
        before = path.stat() if path.is_file() else None
        content = _read(path)
        metadata = _metadata(content, path)
        del content     # the runtime reads the file again: bytes would cost their size in memory
        engine = cls(path, metadata, threads, path)
        if not os.path.samestat(before, path.stat()):
            raise InputError(f"{path} was replaced while it was read: repeat the command")
        inputs = [entry.name for entry in engine.session.get_inputs()]
        outputs = [entry.name for entry in engine.session.get_outputs()]
        if inputs != ["waves"] or "logits" not in outputs:
            raise InputError(f"{path} does not map waves to logits: {AGAIN}")
        return engine

    def logits(self, waves: np.ndarray) -> np.ndarray:
        rows = self._run(waves, "logits")
        return finite(np.concatenate([np.empty((0, 2)), *rows]), "logits")

    def last_hidden(self, waves: np.ndarray) -> np.ndarray:
        """The input of the last layer: waves float32 (B, n_samples), B >= 1, to float32 (B, H)."""
        return finite(np.concatenate(self._run(waves, "last_hidden")), "statistics")

    def _run(self, waves: np.ndarray, output: str) -> list[np.ndarray]:
        # One window a run: a batch in one gains nothing and takes its size times the memory.
        finite(waves, "samples")
        windows = [waves[i:i + 1] for i in range(len(waves))]
        if min(self.batch_size, len(waves)) == 1:
            return [self._score(window, output) for window in windows]
        return list(self._threads.map(self._score, windows, repeat(output)))

    def _score(self, window: np.ndarray, output: str) -> np.ndarray:
        try:
            return self.session.run([output], {"waves": window})[0]
        except _REFUSALS as error:      # weights that do not fit together are seen here
            if out_of_memory(error):
                raise
            raise InputError(f"{self._name} cannot be run: {AGAIN}") from error


def _size(content: bytes | Path, name: Path | str) -> int:
    """Bytes of a network, with those of the weights in a file beside it."""
    beside = data_file(name) if isinstance(name, Path) else None
    own = content.stat().st_size if isinstance(content, Path) else len(content)
    return own + (beside.stat().st_size if beside and beside.is_file() else 0)


def _session(content: bytes | Path, name: Path | str,
             threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # a memory plan takes 140 MB more and gains no time
    options.intra_op_num_threads = threads
    native.register(options)
    if isinstance(name, Path):      # where its weights may lie
        options.add_session_config_entry(WEIGHTS_FOLDER, str(name.resolve().parent))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _REFUSALS as error:
        if out_of_memory(error):
            raise
        raise InputError(f"{name} is not a usable ONNX model: {AGAIN}") from error


def _read(path: Path) -> bytes:
    """The file's bytes; refused where it may name a file but the one for its weights beside it."""
    if not path.is_file():
        raise InputError(f"{path} is missing: name a model that utils/export_model.py wrote")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is far larger than any model of this project: "
                         "name another model")
    content = path.read_bytes()
    if not content:     # to its parser a model without anything
        raise InputError(f"{path} is not an ONNX model (it is empty): "
                         "export one with utils/export_model.py")
    try:
        places = outside_weights(content)
    except ValueError as error:
        raise InputError(f"{path} is not an ONNX model ({error}): "
                         "export one with utils/export_model.py") from error
    if places:
        _check_weights(places, data_file(path))
        _check_sum(onnx_property(content, WEIGHTS_KEY), data_file(path))
    return content


def _check_weights(places: list[tuple[str, int, int]], beside: Path) -> None:
    """Refuse weights that lie elsewhere than in `beside`, a whole file and no link."""
    path = beside.with_suffix("")
    if other := next((name for name, _, _ in places if name != beside.name), None):
        raise InputError(f"{path} keeps its weights in another file ({other!r}), and only "
                         f"{beside.name} beside it is allowed: if you renamed the model, give it "
                         f"its name back; else {AGAIN}")
    if beside.is_symlink() or not beside.is_file():
        raise InputError(f"{path} keeps its weights in {beside.name}, which is missing beside it "
                         "or a link: copy both files together")
    size = beside.stat().st_size
    if any(not 0 <= offset <= offset + length <= size for _, offset, length in places):
        raise InputError(f"{beside} is cut off: copy it again, or {AGAIN}")


def _check_sum(expected: bytes | None, beside: Path) -> None:
    """Refuse the weights of another export; `expected` is None in files of earlier versions."""
    if expected is not None and file_sha256(beside).encode() != expected:
        raise InputError(f"{beside} was not exported with {beside.stem}, or is damaged: "
                         "copy both files together")


def _metadata(content: bytes, path: Path) -> dict:
    try:
        metadata = onnx_metadata(content)
    except ValueError as error:
        raise InputError(f"{path} has a damaged description of the detector: {AGAIN}") from error
    if metadata is None:
        raise InputError(f"{path} holds no description of the detector: {AGAIN}")
    check_metadata(metadata, path)
    return metadata
