"""Published detectors on self-supervised encoders: from the authors' file to a verdict.

The files are random, of a small size; the formulae are written out in tests/helpers.
"""
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.audio.example_speech import crops, example_files
from tests.helpers.networks.plain_ssl import plain_detector, plain_encoder
from models.ssl import speech_encoder
from tests.helpers.networks.published_ssl import (BASE, LARGE, SMALL, XLSR_1B, XLSR_2B,
                                                  detector_shapes, encoder_shapes, random_weights,
                                                  safetensors_header, write_safetensors)
from tests.helpers.networks.scoring_models import write_store
from tests.helpers.steps import step
from tests.helpers.tiny_stores import tiny_stores
from utils.common.errors import InputError
from utils.detector.checkpoint import load_checkpoint
from utils.detector.engines import load_engine
from utils.detector.scoring import published_score, tile
from utils.encoders.detectors import read_published
from utils.encoders.files import read_encoder
from utils.encoders.names import encoder_settings, torchaudio_names
from utils.encoders.tensors import read_safetensors
from utils.export.calibrating import change_entries
from utils.export.ssl import write_ssl
from utils.report.results import evaluate_stored

FAMILIES = ("xlsr-aasist", "antideepfake", "xlsr-sls")


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    """Two windows of speech, float32 (2, 64600)."""
    waves = [tile(crops(key, 1)[0], 64600) for key in ("bonafide", "spoof")]
    return torch.from_numpy(np.stack(waves).astype(np.float32) / 32768)


def imported(family: str, folder: Path, weights: dict | None = None, name: str = "m.pth") -> Path:
    """The checkpoint that the import step makes of a published file."""
    torch.save(weights or random_weights(detector_shapes(family, SMALL)), folder / name)
    done = step("utils/import_weights.py", "--weights", folder / name, "--architecture", family,
                "--output", folder / "m.pt")
    assert done.returncode == 0, done.stderr
    return folder / "m.pt"


@pytest.mark.parametrize("size, released", [(BASE, 380_210_632), (LARGE, 1_269_622_944)])
def test_the_names_and_shapes_fill_a_released_file_to_the_byte(size, released):
    """AntiDeepfake's model.safetensors: wav2vec small; wav2vec large and MMS 300M, of one size."""
    shapes = list(detector_shapes("antideepfake", size))
    values = 4 * sum(math.prod(shape) for _, shape in shapes)
    assert len(safetensors_header(shapes)) + values == released


@pytest.mark.parametrize("size", [BASE, LARGE, XLSR_1B, XLSR_2B])
def test_the_names_and_shapes_of_every_released_encoder_convert(size):
    with torch.device("meta"):
        weights = {name: torch.empty(shape) for name, shape in encoder_shapes(**size)}
        converted = torchaudio_names(weights, Path("m.pt"))
        network = speech_encoder(**encoder_settings(converted, Path("m.pt"))).state_dict()
    assert ({name: value.shape for name, value in network.items()}
            == {name: value.shape for name, value in converted.items()})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_detector_gives_the_published_logits(family, speech, tmp_path):
    weights = random_weights(detector_shapes(family, SMALL))
    with torch.no_grad():
        expected = plain_detector(family, weights, speech).numpy()
    logits = load_engine(imported(family, tmp_path, weights), threads=1).logits(speech.numpy())
    assert np.abs(logits - expected).max() <= 1e-5
    assert step("utils/export_model.py", "--model", tmp_path / "m.pt").returncode == 0
    logits = load_engine(tmp_path / "m.onnx", threads=1).logits(speech.numpy())
    assert np.abs(logits - expected).max() <= 2e-5


def test_files_of_every_way_of_saving_are_read_alike(speech, tmp_path):
    """Several GPUs write "module."; SpeechBrain and safetensors hold AntiDeepfake's."""
    plain = load_checkpoint(imported("xlsr-aasist", tmp_path))["state_dict"]
    weights = {f"module.{name}": value
               for name, value in random_weights(detector_shapes("xlsr-aasist", SMALL)).items()}
    wrapped = load_checkpoint(imported("xlsr-aasist", tmp_path, weights))["state_dict"]
    assert all(torch.equal(value, wrapped[name]) for name, value in plain.items())
    weights = random_weights(detector_shapes("antideepfake", SMALL))
    plain = load_checkpoint(imported("antideepfake", tmp_path, weights))["state_dict"]
    write_safetensors(tmp_path / "model.safetensors", weights)
    done = step("utils/import_weights.py", "--weights", tmp_path / "model.safetensors",
                "--architecture", "antideepfake", "--output", tmp_path / "s.pt")
    assert done.returncode == 0, done.stderr
    safe = load_checkpoint(tmp_path / "s.pt")["state_dict"]
    assert all(torch.equal(value, safe[name]) for name, value in plain.items())


def test_antideepfake_hears_the_whole_recording_in_its_published_protocol(speech, tmp_path):
    """With and without PyTorch; normalised over all of it; its evaluation compares probabilities.
    """
    weights = random_weights(detector_shapes("antideepfake", SMALL))
    engines = [load_engine(imported("antideepfake", tmp_path, weights), threads=1)]
    step("utils/export_model.py", "--model", tmp_path / "m.pt")
    engines.append(load_engine(tmp_path / "m.onnx", threads=1))
    samples = (speech.flatten()[:100_000].numpy() * 32768).astype(np.int16)
    wave = torch.from_numpy(samples.astype(np.float32) / 32768)[None]
    with torch.no_grad():
        spoof, bonafide = plain_detector("antideepfake", weights, wave)[0].tolist()
    for engine in engines:
        assert published_score(engine, [samples]) == pytest.approx(bonafide - spoof, abs=1e-5)
    longest = np.zeros(16000 * 120, np.int16)
    with pytest.raises(InputError, match="longer than 120 s"):
        published_score(engines[0], [longest, longest[:1]])
    # An evaluation refuses before it scores, and names the first.
    store = write_store(tmp_path / "dev", [samples, np.append(longest, longest[:1]), longest])
    with pytest.raises(InputError, match="and 1 in .*dev are longer than 120 s, the first is U1"):
        evaluate_stored(engines[0], tmp_path / "m.pt", store, tmp_path / "r", batch_size=1,
                        published_protocol=True)


@pytest.mark.parametrize("change, said", [
    ({"ssl_model.model.encoder.layers.0.adapter.weight": torch.zeros(2)}, "layers.0.adapter"),
    ({"extra.weight": torch.zeros(2)}, "'extra.weight', which XLS-R"),
    ({"out_layer.weight": torch.zeros(3, 160)}, "out_layer.weight is (3, 160)"),
    ({"LL.bias": None}, "missing LL.bias"),
    ({"ssl_model.model.encoder.layers.1.fc1.weight": None}, "layers.1.feed_forward"),
    ({"ssl_model.model.post_extract_proj.bias": None}, "lacks the weight")])
def test_a_name_or_shape_that_is_not_published_is_refused(change, said, tmp_path):
    weights = random_weights(detector_shapes("xlsr-aasist", SMALL)) | change
    torch.save({name: value for name, value in weights.items() if value is not None},
               tmp_path / "m.pth")
    done = step("utils/import_weights.py", "--weights", tmp_path / "m.pth", "--architecture",
                "xlsr-aasist", "--output", tmp_path / "m.pt")
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "m.pt").exists()


@pytest.mark.parametrize("header", ['"text"', "3", "true", "[]", '{"a": 3}', "{"])
def test_a_header_that_is_no_table_of_tensors_is_refused(header, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(64))
    with pytest.raises(InputError, match="no whole .safetensors file"):
        read_safetensors(path)


@pytest.mark.parametrize("shapes, said", [
    (detector_shapes("antideepfake", SMALL), "choose --architecture antideepfake"),
    (encoder_shapes(**SMALL), "--architecture ssl --encoder"),
    ([("a.weight", (2, 2))], "choose another --architecture or another file")])
def test_a_file_of_another_kind_is_refused_and_the_way_is_told(shapes, said, tmp_path):
    torch.save(random_weights(shapes), tmp_path / "m.pth")
    with pytest.raises(InputError, match="their names begin with ssl_model.model.; .*") as refused:
        read_published(tmp_path / "m.pth", "xlsr-aasist")
    assert said in str(refused.value)


@pytest.mark.parametrize("family, other", [("xlsr-aasist", "xlsr-sls"),
                                           ("xlsr-sls", "xlsr-aasist")])
def test_a_detector_on_the_same_encoder_is_told_its_architecture(family, other, tmp_path):
    torch.save(random_weights(detector_shapes(family, SMALL)), tmp_path / "m.pth")
    with pytest.raises(InputError, match=f"of another detector: choose --architecture {family}"):
        read_published(tmp_path / "m.pth", other)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_published_file_in_place_of_a_checkpoint_is_told_its_architecture(family, tmp_path):
    torch.save(random_weights(detector_shapes(family, SMALL)), tmp_path / "m.pth")
    with pytest.raises(InputError, match=f"--architecture {family} --output"):
        load_checkpoint(tmp_path / "m.pth")
    with pytest.raises(InputError, match="is a detector, and no encoder alone: import it with"):
        read_encoder(tmp_path / "m.pth")
    done = step("utils/import_weights.py", "--weights", tmp_path / "m.pth", "--architecture",
                "aasist", "--output", tmp_path / "m.pt")
    assert done.returncode == 1 and f"choose --architecture {family}" in done.stderr


def test_an_encoder_in_place_of_a_checkpoint_is_told_its_use(tmp_path):
    torch.save({"model": random_weights(encoder_shapes(**SMALL)), "cfg": {}},
               tmp_path / "xlsr2_300m.pt")
    with pytest.raises(InputError, match="holds a speech encoder, and no detector: train one on"):
        load_checkpoint(tmp_path / "xlsr2_300m.pt")


def test_from_a_published_file_to_a_calibrated_verdict_in_8_bits(tmp_path):
    """Before calibration a score alone; after it, the same command gives a verdict."""
    model, data = tmp_path / "m.onnx", tiny_stores(tmp_path / "data", {"dev": 44})
    imported("xlsr-sls", tmp_path)
    export = ("utils/export_model.py", "--model", tmp_path / "m.pt", "--int8")
    calibrate = ("utils/calibrate_model.py", "--model", model, "--data_dir", data)
    done = step(*export)
    assert done.returncode == 0 and "differ from the checkpoint's by up to" in done.stdout
    before = verdict(model)
    assert before["verdict"] == "cannot judge" and before["score"] is not None
    assert before["reasons"][0].startswith("score, not calibrated")
    done = step(*calibrate)
    if "higher scores are not more bona fide" in done.stderr:   # the weights are random
        turn(tmp_path / "m.pt")
        step(*export)
        before = verdict(model)
        done = step(*calibrate)
    assert done.returncode == 0 and "on 44 dev utterances of tiny: EER" in done.stdout
    after = verdict(model)
    assert after["verdict"] in ("likely bona fide", "uncertain", "likely spoof")
    line = load_engine(model).metadata["calibration"]
    expected = line["scale"] * before["score"] + line["offset"]
    assert after["score"] == pytest.approx(expected, abs=1e-4)
    # The scores in 8 bits are others: a calibration of the checkpoint does not hold for them.
    kept = ("calibration", "decision", "score_range", "reason")
    change_entries(tmp_path / "m.pt", {name: load_engine(model).metadata[name] for name in kept})
    assert load_engine(tmp_path / "m.pt").metadata["decision"]
    assert "are not calibrated" in step(*export).stdout
    carried = load_engine(model).metadata
    assert [carried[name] for name in kept[:3]] == [None] * 3
    assert "utils/calibrate_model.py" in carried["reason"]


def test_weights_in_a_second_file_are_those_of_the_export(tmp_path, monkeypatch):
    """As many bytes of another export, or one changed bit, would give other scores unsaid."""
    monkeypatch.setitem(write_ssl.__kwdefaults__, "largest", 10_000)
    imported("xlsr-sls", tmp_path)
    assert step("utils/export_model.py", "--model", tmp_path / "m.pt").returncode == 0
    model, beside = tmp_path / "m.onnx", tmp_path / "m.onnx.data"
    assert hashlib.sha256(beside.read_bytes()).hexdigest().encode() in model.read_bytes()
    load_engine(model, threads=1)
    changed = bytearray(beside.read_bytes())
    changed[-1] ^= 1
    beside.write_bytes(changed)
    with pytest.raises(InputError, match="m.onnx.data was not exported with m.onnx"):
        load_engine(model, threads=1)


def verdict(model: Path) -> dict:
    """What the inference step says of a recording."""
    done = step("utils/simplified_inference.py", "--model", model, "--input_file",
                example_files("bonafide")[0], "--json", "--threads", 1)
    return json.loads(done.stdout)


def turn(checkpoint: Path) -> None:
    """Exchange the two classes of a random detector."""
    content = torch.load(checkpoint, weights_only=True)
    for part in ("fc3.weight", "fc3.bias"):
        content["state_dict"][part] = content["state_dict"][part].flip(0)
    torch.save(content, checkpoint)


def test_an_untouched_model_is_left_where_dev_cannot_calibrate(tmp_path):
    checkpoint = imported("xlsr-sls", tmp_path)
    before = checkpoint.read_bytes()
    data = tiny_stores(tmp_path / "data", {"dev": 4})
    store = data / "processed/dev/index.tsv"
    store.write_text(store.read_text().replace("\tspoof\t", "\tbonafide\t"))
    done = step("utils/calibrate_model.py", "--model", checkpoint, "--data_dir", data)
    assert done.returncode == 1 and "stays as it was" in done.stderr
    assert checkpoint.read_bytes() == before


def test_the_base_model_of_wav2vec_converts_too(speech):
    """Its extractor has one norm, its blocks norm after adding, its convolutions no bias."""
    weights = random_weights(encoder_shapes(**SMALL, per_layer=False))
    converted = torchaudio_names(weights, Path("wav2vec_small.pt"))
    tuned = {f"w2v_encoder.w2v_model.{name}": value for name, value in weights.items()}
    tuned["w2v_encoder.proj.weight"] = torch.zeros(32, 64)      # of speech recognition
    assert torchaudio_names(tuned, Path("wav2vec_small_960h.pt")).keys() == converted.keys()
    settings = encoder_settings(converted, Path("wav2vec_small.pt"))
    assert settings["extractor_mode"] == "group_norm" and not settings["encoder_layer_norm_first"]
    encoder = speech_encoder(**settings).eval()
    encoder.load_state_dict(converted)
    with torch.no_grad():
        expected, layers = plain_encoder(weights, speech, 16, per_layer=False)
        assert torch.allclose(encoder(speech)[0], expected, atol=1e-5)
        found = encoder.extract_features(speech)[0]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, layers))
