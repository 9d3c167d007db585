"""The steps of compression on files, each with a note of what it did."""
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from models import build_model
from utils.common.errors import InputError
from utils.common.files import atomic_folder, file_sha256
from utils.common.provenance import environment
from utils.common.text import counted
from utils.detector.checkpoint import load_checkpoint, save_checkpoint
from utils.detector.decision import UNCALIBRATED
from utils.detector.engines import load_engine
from utils.detector.engines.onnx_engine import OnnxEngine
from utils.detector.engines.torch_engine import TorchEngine
from utils.detector.model_files import data_file
from utils.detector.scoring import BONAFIDE, heard, model_wave
from utils.export import int8
from utils.export.aasist import halved
from utils.export.calibrating import calibrated, change_entries
from utils.export.comparison import compare_scores, scores_of
from utils.export.export import export_onnx
from utils.export.pruning import inner_norms, pruned
from utils.store.reader import StorePart
from utils.trials.draws import draw_nested

JUDGING = 32        # windows by which channels are judged
CALIBRATION = 32    # windows that give the ranges of activations
TRIED = 8           # windows on which each layer is tried alone
LIMIT = 0.05        # largest mean change of the score by one layer, in deviations of the score
ENTRY = "compression"   # of a checkpoint: what was done


def drawn(store: Any, count: int, seed: int) -> StorePart:
    """`count` utterances, or all, both classes in their shares."""
    return StorePart(store, draw_nested([row.labels.key for row in store.rows], count, seed))


def drawn_evenly(store: Any, count: int, seed: int) -> StorePart:
    """`count` utterances, half of each class as in training, each attack in its share."""
    found = []
    for genuine in (True, False):
        members = [number for number, row in enumerate(store.rows)
                   if row.labels.is_bonafide == genuine]
        attacks = [store.rows[number].labels.attack for number in members]
        found += [members[place] for place in draw_nested(attacks, count // 2, seed)]
    return StorePart(store, found)


def windows(engine: Any, part: StorePart) -> np.ndarray:
    """The middle window of each utterance as the model hears it: float32 (n, samples)."""
    length = int(engine.metadata["n_samples"])
    waves = []
    for number, row in enumerate(part.rows):
        start = max(0, (row.n_samples - length) // 2)
        blocks = heard(engine, [part.read(number, start, length)])
        waves.append(model_wave(engine, np.concatenate(list(blocks))))
    return np.stack(waves)


def prune(source: Path, target: Path, share: float, store: Any, seed: int) -> dict:
    """Write the checkpoint `source` without a share of its inner channels; returns the note."""
    checkpoint = load_checkpoint(source)
    checkpoint.pop("training", None)
    engine = TorchEngine.from_checkpoint(checkpoint)
    part = drawn_evenly(store, JUDGING, seed)
    labels = torch.tensor([int(row.labels.is_bonafide) for row in part.rows])

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(len(part)):
            one = StorePart(part, [number])
            yield torch.from_numpy(windows(engine, one)), labels[number:number + 1]

    smaller = pruned(checkpoint, share, batches())
    widths, left = ({name: norm.num_features for name, norm in inner_norms(model).items()}
                    for model in (engine.model, build_model(smaller["config"])))
    note = {"step": "pruned", "share": share, "windows": len(part), "seed": seed,
            "criterion": "first-order Taylor expansion at batch norm (Molchanov et al., 2019)",
            "channels": {name: [widths[name], left[name]] for name in widths},
            "weights": [_count(found) for found in (checkpoint, smaller)]}
    origin = f"pruned from: {checkpoint.get('origin')}"
    save_checkpoint(target, smaller | UNCALIBRATED | {"calibrated_on": None, "origin": origin})
    return note


def _count(checkpoint: dict) -> int:
    return sum(weight.numel() for weight in build_model(checkpoint["config"]).parameters())


def as_exported(model: Path, folder: Path) -> Path:
    """`model` itself if it is exported, else its export in `folder`, made once."""
    if model.suffix == ".onnx":
        return model
    target = folder / f"exported-{file_sha256(model)[:12]}.onnx"
    if not target.exists():
        export_onnx(model, target)
    return target


def quantise(source: Path, target: Path, store: Any, seed: int) -> dict:
    """Write the model `source` (.pt or .onnx) with 8 bits to `target`; returns the note."""
    if source.suffix != ".onnx" and "read" in load_checkpoint(source)["config"]:
        export_onnx(source, target, int8=True)
        return {"step": "quantised", "in 8 bits": "linear layers of the transformer, by window"}
    exported = as_exported(source, target.parent)
    engine = load_engine(exported, threads=1)
    if data_file(exported).exists():
        raise InputError(f"{exported} keeps its weights in another file: "
                         "name the checkpoint (.pt) that it was made from")
    model = int8.plain(onnx.load(str(exported)))
    layers = int8.layers(model)
    if not layers or int8.has_8_bits(model):
        raise InputError(f"{source} holds no layer to quantise, or is in 8 bits already: "
                         "leave out --quantise")
    part = drawn(store, CALIBRATION, seed)
    waves = windows(engine, part)
    ranges = int8.measured_ranges(model, waves)
    tried = waves[drawn(part, TRIED, seed).indices]
    effects = _effects(model, [[name] for name in layers], ranges, tried)
    chosen = [name for name, effect in zip(layers, effects) if effect <= LIMIT]
    if not chosen:
        raise InputError(f"every layer of {source} changes the score too much in 8 bits: "
                         "leave out --quantise")
    _save(int8.in_8_bits(model, chosen, ranges), target)
    told = [{"layer": text, "effect": effect, "in 8 bits": name in chosen}
            for (name, text), effect in zip(layers.items(), effects)]
    return {"step": "quantised", "windows": len(waves), "seed": seed, "limit": LIMIT,
            "layers": told, "effect": _effects(model, [chosen], ranges, tried)[0]}


def _effects(model: onnx.ModelProto, sets: Iterable[Iterable[str]], ranges: int8.Ranges,
             waves: np.ndarray) -> list[float]:
    """The mean change of the score if only these layers have 8 bits, in deviations of the score."""
    exact = _scores(model, waves)
    spread = max(float(exact.std()), 1e-9)
    return [round(float(np.abs(_scores(int8.in_8_bits(model, names, ranges), waves)
                               - exact).mean()) / spread, 4) for names in sets]


def _scores(model: onnx.ModelProto, waves: np.ndarray) -> np.ndarray:
    engine = OnnxEngine(model.SerializeToString(), {}, threads=1)
    logits = engine.logits(waves)
    return logits[:, BONAFIDE] - logits[:, 1 - BONAFIDE]


def _save(model: onnx.ModelProto, path: Path) -> None:
    """Write a model, with float16 for the weights that it holds exactly."""
    casts, weights = halved(model.graph.initializer)
    int8.replace_nodes(model.graph, [*casts, *model.graph.node])
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def compare(models: Sequence[Path], store: Any, most: int | None,
            seed: int) -> tuple[dict, tuple[StorePart, np.ndarray]]:
    """The original and the compressed exported model on `most` utterances of a store, or on all.

    Also these utterances, and the raw scores (N,) of the compressed model. Raises `InputError`
    where they are of one class.
    """
    part = drawn(store, most or len(store), seed)
    if len({row.labels.key for row in part.rows}) < 2:
        raise InputError(f"a comparison needs both classes, and {store.path} gives "
                         f"{counted(len(part), 'utterance')} of one: raise --max_samples, or "
                         "preprocess more of it")
    original, changed = (scores_of(load_engine(path), part) for path in models)
    return compare_scores(part, original, changed), (part, changed)


def finish(model: Path, original: Path, output: Path, steps: list[dict], compared: dict,
           dev: tuple[StorePart, np.ndarray]) -> str:
    """Calibrate `model`, note all of it inside, and move it to `output`; returns a sentence.

    What lay there goes, the file of its weights too.
    """
    engine = load_engine(model)
    entries = calibrated(engine, *dev)
    before = (engine.metadata.get(ENTRY) or load_engine(original).metadata.get(ENTRY) or {})
    del engine      # Windows moves no file that is still mapped
    entries[ENTRY] = {"original": original.name, "original_sha256": file_sha256(original),
                      "steps": [*before.get("steps", []), *steps], "compared": compared,
                      "environment": environment()}
    change_entries(model, entries)
    names = [output.name] if output.suffix != ".onnx" else [data_file(output).name, output.name]
    with atomic_folder(output.parent, names) as folder:
        for file in (model.with_name(name) for name in names):
            if file.exists():
                os.replace(file, folder / file.name)
    if entries["calibration"] is None:
        return f"wrote {output}, whose scores are not calibrated: {entries['reason']}"
    return f"wrote {output}, calibrated on {len(dev[0]):,} dev utterances"


def told(steps: list[dict]) -> list[str]:
    """What each step did, a line each."""
    said = {"pruned": _told_pruned, "quantised": _told_quantised,
            "recovered": lambda note: f"recovered: epochs {note['epochs']}"}
    return [said[note["step"]](note) for note in steps]


def _told_pruned(note: dict) -> str:
    before, after = map(sum, zip(*note["channels"].values()))
    return (f"pruned: {after} of {before} channels inside of residual blocks are left, "
            f"{note['weights'][1]:,} of {note['weights'][0]:,} weights")


def _told_quantised(note: dict) -> str:
    layers = note.get("layers", [])
    if not layers:
        return f"quantised: {note['in 8 bits']}"
    left = [f"{layer['layer']} ({layer['effect']:.2f})" for layer in layers
            if not layer["in 8 bits"]]
    why = (f"; left in float, because alone it moves the score by more than {LIMIT:g} of its "
           f"spread: {', '.join(left)}") if left else ""
    return (f"quantised: {len(layers) - len(left)} of {len(layers)} layers, which together move "
            f"the score by {note['effect']:.2f} of its spread{why}")
