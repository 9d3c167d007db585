"""Import and export: published weights in, an ONNX file out that scores the same."""
import json

import numpy as np
import onnx
import pytest
import torch

from models import CONFIGS, build_model
from tests.helpers.networks.aasist_weights import (PUBLISHED, figures, random_checkpoint,
                                                   random_input, random_state_dict)
from utils import export_model, import_weights
from utils.common.errors import InputError
from utils.export import aasist as aasist_onnx, export
from utils.detector.checkpoint import load_checkpoint, metadata, save_checkpoint
from utils.detector.engines import load_engine
from utils.signals.windows import tile


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """AASIST-L with the fixture's random weights, as best.pt and best.onnx."""
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder / "best.pt", random_checkpoint("aasist-l"))
    export.export_onnx(folder / "best.pt", folder / "best.onnx")
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_genuine_utterances_get_the_published_scores(name, shared, tmp_path):
    """From the published weights by import, export and ONNX Runtime; the first 64,600 samples."""
    soundfile = pytest.importorskip("soundfile")
    weights = shared / "reference" / "aasist" / f"{name}.pth"
    assert import_weights.main(["--weights", str(weights), "--architecture", PUBLISHED[name],
                                "--output", str(tmp_path / "model.pt")]) == 0
    assert export_model.main(["--model", str(tmp_path / "model.pt")]) == 0
    engine = load_engine(tmp_path / "model.onnx", threads=1)
    folder = shared / "reference" / "asvspoof"
    header, *rows = [line.split("\t") for line in (folder / "trials.tsv").read_text().splitlines()]
    assert len(rows) == 12
    for row in rows:
        wave = tile(soundfile.read(folder / "audio" / row[0], dtype="float32")[0], 64600)
        score = engine.logits(wave[None])[0, 1]
        assert abs(score - float(row[header.index(f"score_{name}")])) <= 1e-4, row[0]


def test_the_exported_model_gives_the_published_figures(exported):
    logits = load_engine(exported / "best.onnx", threads=1).logits(random_input())
    assert np.abs(logits - np.array(figures()["AASIST-L"]["logits_float32"])).max() <= 2e-5


@pytest.mark.parametrize("n_samples", [2315, 2400, 4502, 8000, 9573, 16000, 20001])
def test_every_window_length_exports_exactly_whatever_falls_off_the_pooling(n_samples, tmp_path,
                                                                            monkeypatch):
    monkeypatch.setattr(aasist_onnx, "CHUNK", 7)
    save_checkpoint(tmp_path / "m.pt", random_checkpoint("aasist-l", n_samples=n_samples))
    assert export.export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx") <= 2e-5


@pytest.mark.parametrize("edge", [0, 2, -1])
def test_the_first_and_the_last_samples_count(exported, edge):
    """A click at the recording's border moves the logits of both models alike."""
    waves = random_input()[:1].copy()
    waves[0, edge] = 1.0
    onnx_engine, torch_engine = (load_engine(exported / f"best.{kind}", threads=1)
                                 for kind in ("onnx", "pt"))
    assert np.abs(onnx_engine.logits(waves) - torch_engine.logits(waves)).max() <= 2e-5


def test_the_small_model_exports_too(tmp_path):
    torch.manual_seed(0)
    checkpoint = random_checkpoint("aasist-l") | {
        "architecture": "small", "config": CONFIGS["small"],
        "state_dict": build_model(CONFIGS["small"]).state_dict()}
    save_checkpoint(tmp_path / "m.pt", checkpoint)
    assert export.export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx") <= 1e-4


def test_the_file_carries_the_metadata_without_weights(exported):
    carried = load_engine(exported / "best.onnx").metadata
    assert carried == metadata(load_checkpoint(exported / "best.pt"))
    assert "state_dict" not in carried and carried["history"] == [{"epoch": 1, "loss": None}]


def test_the_file_is_one_batch_of_any_size_and_passes_the_onnx_checker(exported):
    model = onnx.load(exported / "best.onnx")
    onnx.checker.check_model(model, full_check=True)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in shape] == ["batch", 64600]
    import onnxruntime
    session = onnxruntime.InferenceSession(str(exported / "best.onnx"),
                                           providers=["CPUExecutionProvider"])
    hidden, logits = session.run(["last_hidden", "logits"], {"waves": random_input()})
    expected = np.array(figures()["AASIST-L"]["logits_float32"])
    assert hidden.shape == (2, 160) and np.abs(logits - expected).max() <= 2e-5


def test_an_export_that_differs_from_the_model_is_not_left_behind(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", 0)
    monkeypatch.setattr(export, "ROUNDING", 0)
    with pytest.raises(InputError, match="differs by"):
        export.export_onnx(exported / "best.pt", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_import_says_where_the_weights_come_from(tmp_path, shared):
    weights = shared / "reference" / "aasist" / "AASIST-L.pth"
    checkpoint = import_weights.published_checkpoint(weights, "aasist-l")
    assert "the published AASIST-L weights" in checkpoint["origin"]
    assert "814331d0" in checkpoint["origin"]
    assert checkpoint["label_order"] == ["spoof", "bonafide"]
    assert checkpoint["trained_on"]["corpus"] == "ASVspoof 2019 LA"
    json.dumps(metadata(checkpoint), allow_nan=False)


def test_weights_of_unknown_training_are_called_that(tmp_path):
    torch.save(random_state_dict("aasist-l"), tmp_path / "mine.pth")
    checkpoint = import_weights.published_checkpoint(tmp_path / "mine.pth", "aasist-l")
    assert checkpoint["trained_on"]["corpus"] == "unknown"
    assert checkpoint["origin"].startswith("other weights of aasist-l, imported from")


def test_import_refuses_the_wrong_architecture(tmp_path):
    torch.save(random_state_dict("aasist-l"), tmp_path / "mine.pth")
    refused = r"not hold the weights of aasist \(pos_S is \(1, 23, 24\)"
    with pytest.raises(InputError, match=refused):
        import_weights.published_checkpoint(tmp_path / "mine.pth", "aasist")


@pytest.mark.parametrize("script, arguments", [
    (import_weights, ["--weights", "w", "--architecture", "aasist", "--output", "o.bin"]),
    (export_model, ["--model", "m.pt", "--output", "m.bin"])])
def test_an_output_whose_suffix_no_step_would_know_is_refused(script, arguments):
    with pytest.raises(InputError, match="must end in"):
        script.main(arguments)


def test_no_matrix_is_turned_while_a_model_is_loaded(exported):
    """The runtime would hold it twice."""
    graph = onnx.load(exported / "best.onnx").graph
    given = {weight.name for weight in graph.initializer}
    given |= {node.output[0] for node in graph.node if node.op_type == "Cast"}
    turned = [node.name for node in graph.node
              if node.op_type == "Transpose" and node.input[0] in given]
    assert not turned and any(name.endswith("weight_t") for name in given)
