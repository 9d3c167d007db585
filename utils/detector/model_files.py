"""What a model file says of itself, read in milliseconds, without its weights and its library."""
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METADATA_KEY = "detector"       # under it, an ONNX file holds the checkpoint's metadata as JSON
METADATA_FIELD = 14             # the number of metadata_props in ONNX's ModelProto
MAX_ENTRIES_BYTES = 2 ** 26     # of a checkpoint's entries without tensors; a real one takes 0.1 MB


def can_judge(path: Path) -> bool:
    """Whether the model at `path` holds a decision; False for a file that cannot be read."""
    try:
        content = (onnx_metadata(path.read_bytes()) if path.suffix == ".onnx"
                   else _checkpoint_entries(path))
    except Exception:       # a damaged file can make its readers raise nearly anything
        return False
    return isinstance(content, dict) and isinstance(content.get("decision"), dict)


class _Inert(dict):
    """Stands for any class or function that a pickle names; calling it does nothing."""

    def __init__(self, *_args: Any) -> None:
        super().__init__()


class _PlainUnpickler(pickle.Unpickler):
    """Reads a pickle's plain values and runs nothing: tensors and other objects become inert."""

    def find_class(self, _module: str, _name: str) -> type:
        return _Inert

    def persistent_load(self, _storage: Any) -> None:
        return None


def _checkpoint_entries(path: Path) -> Any:
    """The plain entries of a file that `torch.save` wrote."""
    with zipfile.ZipFile(path) as container:
        entries = next(member for member in container.infolist()
                       if member.filename.endswith("/data.pkl"))
        if entries.file_size > MAX_ENTRIES_BYTES:
            raise ValueError("too large for the entries of a checkpoint")
        return _PlainUnpickler(io.BytesIO(container.read(entries))).load()


def onnx_metadata(content: bytes) -> Any:
    """The checkpoint's metadata in an ONNX file's bytes, not yet checked; None where it has none.

    Raises ValueError where `content` is no protobuf message or the metadata are no JSON.
    """
    for number, entry in protobuf_fields(content):
        if number == METADATA_FIELD:
            pair = dict(protobuf_fields(entry))     # 1: key, 2: value
            if bytes(pair.get(1, b"")) == METADATA_KEY.encode():
                return json.loads(bytes(pair.get(2, b"")))
    return None


def has_external_data(content: bytes) -> bool:
    """Whether an ONNX file may name other files: "location" occurs outside its metadata.

    Raises ValueError where `content` is no protobuf message.
    """
    return any(b"location" in bytes(field) for number, field in protobuf_fields(content)
               if number != METADATA_FIELD)


def protobuf_fields(content: bytes) -> Iterator[tuple[int, memoryview]]:
    """(field number, bytes) of a protobuf message's fields that hold bytes.

    Raises ValueError where `content` is no protobuf message.
    """
    view = memoryview(content)
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        if tag & 7 == 0:
            _, at = _varint(view, at)
            continue
        if tag & 7 != 2:
            raise ValueError("a kind of field that no ONNX file has")
        size, at = _varint(view, at)
        if size > len(view) - at:
            raise ValueError("a field longer than the file")
        yield tag >> 3, view[at:at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    shift = 0
    while True:
        if at == len(content) or shift > 63:
            raise ValueError("a number that does not end")
        byte = content[at]
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            return value, at
