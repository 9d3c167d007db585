"""Entries of a finished model's metadata, changed without a change of its weights."""
import json
from pathlib import Path

import onnx

from utils.common.files import atomic_write
from utils.detector.checkpoint import load_checkpoint, metadata, metadata_json, save_checkpoint
from utils.detector.model_files import METADATA_KEY


def change_entries(path: Path, entries: dict) -> None:
    """Give the checkpoint or exported model at `path` these entries; its weights stay."""
    if path.suffix != ".onnx":
        save_checkpoint(path, load_checkpoint(path) | entries)
        return
    model = onnx.load(str(path), load_external_data=False)
    stored = next(entry for entry in model.metadata_props if entry.key == METADATA_KEY)
    stored.value = metadata_json(json.loads(stored.value) | metadata(entries))
    with atomic_write(path, "wb") as file:
        file.write(model.SerializeToString())
