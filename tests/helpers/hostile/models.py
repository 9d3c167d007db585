"""Checkpoints and ONNX models that must not be used, or must not run what is hidden in them."""
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from models import CONFIGS
from tests.helpers.hostile.case import REFUSED, Case, Material
from utils.detector.checkpoint import FORMAT


class Payload:
    """Unpickled without protection, it writes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def _infer(stuff: Material, model: Path) -> list[str]:
    return ["simplified_inference", "--model", str(model), "--threads", "1", "--force_cpu",
            "--input_file", str(stuff.recording)]


def _file(name: str, content: Callable[[Material, Path], bytes]) -> Callable:
    """A model file of these bytes."""
    def make(stuff: Material, folder: Path) -> list[str]:
        (folder / name).write_bytes(content(stuff, folder))
        return _infer(stuff, folder / name)
    return make


def _checkpoint(change: Callable[[dict, Path], object], **how) -> Callable:
    """The sound checkpoint, changed, as torch saves it."""
    def make(stuff: Material, folder: Path) -> list[str]:
        content = torch.load(stuff.model.with_suffix(".pt"), weights_only=True)
        changed = change(content, folder)
        torch.save(content if changed is None else changed, folder / "best.pt", **how)
        return _infer(stuff, folder / "best.pt")
    return make


def _weight(value: float) -> Callable:
    def change(content: dict, folder: Path) -> None:
        name = next(name for name, tensor in content["state_dict"].items()
                    if tensor.is_floating_point())
        content["state_dict"][name].view(-1)[0] = value
    return _checkpoint(change)


def _bomb(stuff: Material, folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("archive/data.pkl", b"")
        with file.open("archive/data/0", "w", force_zip64=True) as member:
            for _ in range(33):
                member.write(bytes(32 << 20))
    return (folder / "bomb.zip").read_bytes()


def _checkpoints() -> list[Case]:
    whole = lambda stuff: stuff.model.with_suffix(".pt").read_bytes()    # noqa: E731
    entry = lambda **entries: _checkpoint(lambda content, folder: content | entries)    # noqa: E731

    def without_one(content: dict, folder: Path) -> None:
        content["state_dict"].pop(next(iter(content["state_dict"])))

    def without_config(content: dict, folder: Path) -> dict:
        return {key: value for key, value in content.items() if key != "config"}

    def with_code(content: dict, folder: Path) -> dict:
        return content | {"args": Payload(folder / "trace")}

    def code_for_weights(content: dict, folder: Path) -> dict:
        return content | {"state_dict": Payload(folder / "trace")}

    def one_more(content: dict, folder: Path) -> None:
        content["state_dict"].update(surprise=torch.zeros(1))

    def flipped(stuff: Material, folder: Path) -> bytes:
        sound = whole(stuff)
        return sound[:9000] + bytes([sound[9000] ^ 1]) + sound[9001:]
    found = [
        ("pickle with code", _checkpoint(with_code), "could run code"),
        ("bare pickle with code",
         _file("best.pt", lambda stuff, folder: pickle.dumps(Payload(folder / "trace"))),
         "not a checkpoint"),
        ("code in torch's old form", _checkpoint(with_code, _use_new_zipfile_serialization=False),
         "not a checkpoint"),
        ("code in place of the weights", _checkpoint(code_for_weights), "could run code"),
        ("unknown architecture", entry(config={"architecture": "rawnet"}), "no network known here"),
        ("weights of another architecture",
         entry(architecture="aasist-l", config=CONFIGS["aasist-l"]),
         "does not hold the weights of"),
        ("missing weights", _checkpoint(without_one), "missing"),
        ("missing entries", _checkpoint(without_config), "lacks config"),
        ("extra weights", _checkpoint(one_more), "unexpected surprise"),
        ("NaN weights", _weight(float("nan")), "not finite"),
        ("infinite weights", _weight(float("inf")), "not finite"),
        ("cut in the middle",
         _file("best.pt", lambda stuff, folder: whole(stuff)[:len(whole(stuff)) // 2]), "cut off"),
        ("without its last byte", _file("best.pt", lambda stuff, folder: whole(stuff)[:-1]),
         "cut off|damaged"),
        ("a flipped byte", _file("best.pt", flipped), "damaged"),
        ("of a newer version", entry(format=FORMAT + 1), "update this project"),
        ("bare published weights",
         _checkpoint(lambda content, folder: {"out_layer.weight": torch.zeros(2, 2)}),
         "import_weights.py"),
        ("labels the other way round", entry(label_order=["bonafide", "spoof"]), "label order"),
        ("of 8 kHz", entry(sample_rate=8000), "only 16000 Hz"),
        ("NaN in its calibration", entry(calibration={"scale": float("nan"), "offset": 0.0}),
         "finite scale"),
        ("text for its dev EER", entry(dev_eer="low"), "an EER on dev that is no number"),
        ("a dev EER in percent", entry(calibrated_on={"eer": 12.5}), "no number from 0 to 1"),
        ("a tensor", _checkpoint(lambda content, folder: torch.zeros(3)), "not a checkpoint"),
        ("empty", _file("best.pt", lambda stuff, folder: b""), "not a checkpoint"),
        ("audio called .pt",
         _file("best.pt", lambda stuff, folder: stuff.recording.read_bytes()), "not a checkpoint"),
        ("bomb", _file("best.pt", _bomb), "far beyond any model"),
        ("missing", lambda stuff, folder: _infer(stuff, folder / "nowhere.pt"), "is missing")]
    return [Case("checkpoint", name, make, REFUSED, words) for name, make, words in found]


def _onnx(change: Callable, name: str = "best.onnx") -> Callable:
    """The sound exported model, changed."""
    def make(stuff: Material, folder: Path) -> list[str]:
        import onnx
        model = onnx.load(stuff.model)
        change(model, folder)
        (folder / name).write_bytes(model.SerializeToString())
        return _infer(stuff, folder / name)
    return make


def _external(location: str) -> Callable:
    """Weights that lie in another file."""
    def change(model, folder: Path) -> None:
        from onnx import TensorProto
        tensor = max(model.graph.initializer, key=lambda found: len(found.raw_data))
        (folder / "weights.bin").write_bytes(tensor.raw_data)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        tensor.external_data.add(key="location", value=location)
    return change


def _description(text: str) -> Callable:
    def change(model, folder: Path) -> None:
        model.metadata_props[0].value = text
    return change


def _nan(model, folder: Path) -> None:
    import numpy as np
    for tensor in model.graph.initializer:
        if tensor.data_type == 1 and len(tensor.raw_data) >= 4:
            tensor.raw_data = np.full(len(tensor.raw_data) // 4, np.nan, "<f4").tobytes()


def _export(stuff: Material, folder: Path) -> list[str]:
    shutil.copy(stuff.model, folder / "best.onnx")
    return ["export_model", "--model", str(folder / "best.onnx")]


def _onnx_cases() -> list[Case]:
    whole = lambda stuff: stuff.model.read_bytes()    # noqa: E731
    found = [
        ("weights in a file outside its folder", _onnx(_external("../../../../etc/passwd")),
         "another file"),
        ("weights at an absolute path", _onnx(_external("/etc/passwd")), "another file"),
        ("weights in a file beside it", _onnx(_external("weights.bin")), "another file"),
        ("cut in the middle",
         _file("m.onnx", lambda stuff, folder: whole(stuff)[:len(whole(stuff)) // 2]),
         "not an ONNX model"),
        ("without its last byte", _file("m.onnx", lambda stuff, folder: whole(stuff)[:-1]), "ONNX"),
        ("empty", _file("m.onnx", lambda stuff, folder: b""), "ONNX"),
        ("text", _file("m.onnx", lambda stuff, folder: b"hello" * 99), "ONNX"),
        ("without a description",
         _onnx(lambda model, folder: model.ClearField("metadata_props")), "no description"),
        ("damaged description", _onnx(_description("{")), "damaged description"),
        ("of a newer version", _onnx(_description('{"format": 99}')), "newer"),
        ("NaN weights", _onnx(_nan), "not all finite"),
        ("checkpoint called .onnx",
         _file("m.onnx", lambda stuff, folder: stuff.model.with_suffix(".pt").read_bytes()),
         "ONNX"),
        ("model called .pt", _file("m.pt", lambda stuff, folder: whole(stuff)), "not a checkpoint"),
        ("exported once more", _export, "is already exported"),
        ("missing", lambda stuff, folder: _infer(stuff, folder / "nowhere.onnx"), "is missing")]
    return [Case("ONNX model", name, make, REFUSED, words) for name, make, words in found]


def cases() -> list[Case]:
    """The cases of this module."""
    return [*_checkpoints(), *_onnx_cases()]
