"""Test helper: the small network with seeded weights to score with, real speech, stores."""
import csv
from pathlib import Path

import numpy as np
import torch

from models import CONFIGS, build_model
from utils.store.reader import COLUMNS, Store
from utils.common.files import write_json
from utils.detector.checkpoint import save_checkpoint
from utils.export.export import export_onnx

CALIBRATION = {"scale": 2.0, "offset": -0.25, "method": "test", "prior_spoof": 0.345,
               "subset": "dev", "trials": 100}
DECISION = {"threshold": -0.64, "band": [-1.3, 0.1], "prior_spoof": 0.05, "cost_miss": 1,
            "cost_fa": 10, "origin": "the Bayes threshold of dev"}


def write_small_checkpoint(folder: Path, **entries) -> Path:
    """Write best.pt of the small network with seeded weights and `entries`; its path."""
    torch.manual_seed(7)
    checkpoint = {"format": 1, "architecture": "small", "config": CONFIGS["small"],
                  "state_dict": build_model(CONFIGS["small"]).state_dict(),
                  "label_order": ["spoof", "bonafide"], "n_samples": 64600, "sample_rate": 16000,
                  "calibration": CALIBRATION, "decision": DECISION,
                  "trained_on": {"corpus": "default", "demo": True, "utterances": 2000,
                                 "description": "the embedded default corpus"}}
    save_checkpoint(folder / "best.pt", checkpoint | entries)
    return folder / "best.pt"


def write_small_model(folder: Path, **entries) -> Path:
    """Write best.pt as `write_small_checkpoint` does, and best.onnx of it; the latter's path."""
    write_small_checkpoint(folder, **entries)
    export_onnx(folder / "best.pt", folder / "best.onnx")
    return folder / "best.onnx"


def genuine(shared: Path) -> list[dict]:
    """The twelve genuine ASVspoof utterances with keys, published scores and their "path"."""
    folder = shared / "reference" / "asvspoof"
    with open(folder / "trials.tsv", encoding="utf-8", newline="") as file:
        return [row | {"path": str(folder / "audio" / row["file"])}
                for row in csv.DictReader(file, delimiter="\t")]


def write_store(folder: Path, waves: list[np.ndarray]) -> Store:
    """A store that holds `waves`."""
    folder.mkdir(parents=True)
    starts = np.cumsum([0, *map(len, waves)])
    np.concatenate(waves).astype("<i2").tofile(folder / "shard-00000.i16")
    rows = [(f"U{i}", "-", "-", "-", "-", "bonafide", 0, start, len(wave), 16000)
            for i, (start, wave) in enumerate(zip(starts, waves))]
    lines = ["\t".join(map(str, row)) for row in (COLUMNS, *rows)]
    (folder / "index.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    write_json(folder / "store.json", {"format": 1, "subset": folder.name, "complete": True,
                                       "trial_list_sha256": "none",
                                       "counts": {"stored": len(waves)}})
    return Store(folder)
