"""What a model file says of itself, read in milliseconds, without its weights and its library."""
import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METADATA_KEY = "detector"       # under it, an ONNX file holds the checkpoint's metadata as JSON
WEIGHTS_KEY = "weights_sha256"  # and under this, the SHA-256 of the file with its weights, if any
# Numbers of fields: metadata_props and graph of ONNX's ModelProto, initializer of its GraphProto,
# external_data of its TensorProto.
METADATA_FIELD, GRAPH_FIELD, WEIGHT_FIELD, OUTSIDE_FIELD = 14, 7, 5, 13
MAX_BYTES = 2 ** 30             # of an ONNX file; the weights of a larger model lie beside it
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
    text = onnx_property(content, METADATA_KEY)
    return None if text is None else json.loads(text)


def onnx_property(content: bytes, key: str) -> bytes | None:
    """What an ONNX file's bytes hold under `key`; None where they lack it.

    Raises ValueError where `content` is no protobuf message.
    """
    for number, entry in protobuf_fields(content):
        if number == METADATA_FIELD:
            pair = dict(protobuf_fields(entry))     # 1: key, 2: value
            if bytes(pair.get(1, b"")) == key.encode():
                return bytes(pair.get(2, b""))
    return None


def data_file(path: Path) -> Path:
    """The only other file in which an ONNX file may keep weights."""
    return path.with_name(f"{path.name}.data")


def outside_weights(content: bytes) -> list[tuple[str, int, int]]:
    """(file, offset, length) of each weight that an ONNX file keeps in another file.

    Raises ValueError where `content` is no protobuf message, and where another part of it than a
    weight may name a file.
    """
    places = []
    for number, field in protobuf_fields(content):
        if number == GRAPH_FIELD:
            for kind, part in protobuf_fields(field):
                if kind == WEIGHT_FIELD:
                    places += _place(part)
                elif _names_a_file(part):
                    raise ValueError("a part that is no weight names another file")
        elif number != METADATA_FIELD and _names_a_file(field):
            raise ValueError("a part that is no weight names another file")
    return places


def _place(weight: memoryview) -> list[tuple[str, int, int]]:
    """Where one weight lies; nothing if it lies in the file itself."""
    pairs = [dict(protobuf_fields(part)) for number, part in protobuf_fields(weight)
             if number == OUTSIDE_FIELD]
    if not pairs:
        return []
    place = {bytes(pair.get(1, b"")): bytes(pair.get(2, b"")).decode() for pair in pairs}
    return [(place.get(b"location", ""), int(place.get(b"offset", 0)),
             int(place.get(b"length", -1)))]


def _names_a_file(field: memoryview) -> bool:
    return re.search(b"location", field) is not None


def protobuf_fields(content: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
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
