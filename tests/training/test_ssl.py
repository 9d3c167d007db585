"""Training on a self-supervised encoder: closed form, graphs, its files, and what is kept."""
import argparse
import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from models import CONFIGS, build_model
from models.ssl import BASE
from tests.helpers.networks.plain_ssl import plain_encoder
from tests.helpers.networks.published_ssl import (SMALL, detector_shapes, encoder_shapes,
                                                  random_weights, write_safetensors)
from tests.helpers.tiny_stores import tiny_stores, train
from utils import import_weights
from utils.common.errors import InputError
from utils.detector.checkpoint import load_checkpoint
from utils.encoders.files import read_encoder
from utils.training.learners.freezing import freeze
from utils.training.learners.kept import Kept, OnKept
from utils.training.learners.ridge import statistics_engine


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_stores(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small XLS-R as fairseq saves it."""
    path = tmp_path_factory.mktemp("encoder") / "xlsr2_300m.pt"
    torch.save({"args": None, "cfg": {"model": {"encoder_attention_heads": 16,
                                                "layer_norm_first": True},
                                      "task": {"normalize": True}},
                "model": random_weights(encoder_shapes(**SMALL)), "extra_state": {"epoch": 1}},
               path)
    return path


def weights(path: Path) -> dict:
    return load_checkpoint(path)["state_dict"]


def test_a_linear_layer_is_fitted_tested_and_found_again(data, encoder, tmp_path):
    """Another penalty takes the statistics that the first run kept."""
    first = ("--architecture", "ssl", "--encoder", encoder, "--run_name", "a", "--test")
    train(data, tmp_path, *first)
    checkpoint = load_checkpoint(tmp_path / "checkpoints/a/best.pt")
    assert checkpoint["config"]["encoder"]["encoder_num_layers"] == 1       # half of two
    assert checkpoint["config"]["normalise"] is True
    assert (tmp_path / "results/a/metrics.json").is_file()
    best, last = (tmp_path / "checkpoints/a" / name for name in ("best.pt", "last.pt"))
    assert last.stat().st_size < 1.1 * best.stat().st_size      # the same weights once
    kept, = (tmp_path / "checkpoints/.statistics").iterdir()
    size = kept.stat().st_size
    assert size == (24 + 12) * (16 + 4 * 3 * SMALL["width"])     # of train and of dev
    with kept.open("r+b") as file:      # a kill cut the last record off
        file.truncate(size - 5)
    train(data, tmp_path, *first[:4], "--run_name", "b", "--ridge", 0.5)
    assert kept.stat().st_size == size
    one, other = (weights(tmp_path / f"checkpoints/{name}/best.pt") for name in "ab")
    assert torch.equal(one["mean"], other["mean"])
    last = tmp_path / "checkpoints/b/last.pt"
    earlier = torch.load(last, weights_only=True)
    for name in ("level_penalty", "channel_penalty"):       # recipes once had no such values
        assert earlier["args"].pop(name) == 0
    torch.save(earlier, last)
    train(data, tmp_path, *first[:4], "--run_name", "b", "--ridge", 0.5, "--resume")
    with pytest.raises(InputError, match="trained with level_penalty = 0.0, not 0.1"):
        train(data, tmp_path, *first[:4], "--run_name", "b", "--ridge", 0.5, "--resume",
              "--level_penalty", 0.1)
    assert one["out_layer.weight"].abs().sum() > other["out_layer.weight"].abs().sum()


def test_the_kept_statistics_are_the_engines_and_computed_once(tmp_path):
    class Counting:
        asked = 0

        def last_hidden(self, waves):
            self.asked += len(waves)
            return np.stack([waves.sum(1), waves.max(1)], axis=1)

    waves = np.random.default_rng(0).standard_normal((5, 50)).astype(np.float32)
    waves[4] = waves[0]
    engine = Counting()
    expected = engine.last_hidden(waves)
    for turn in range(2):
        kept = Kept(lambda: engine, tmp_path / "s.f32", 2)
        assert np.array_equal(kept.last_hidden(waves[:3]), expected[:3])
        assert np.array_equal(kept.last_hidden(waves), expected)
        assert engine.asked == 5 + 3 + 1, turn + 1
        with pytest.raises(InputError, match="another run is fitting with the statistics"):
            Kept(lambda: engine, tmp_path / "s.f32", 2)
        del kept


def test_the_scores_of_kept_statistics_are_those_of_the_network(encoder, tmp_path):
    """Also before the layer is fitted again: what is kept does not depend on it."""
    found = read_encoder(encoder)
    model = build_model(CONFIGS["ssl"] | {"encoder": found.settings, "normalise": True}).eval()
    rng = torch.Generator().manual_seed(0)
    model.standardise(torch.randn(len(model.mean), generator=rng),
                      torch.rand(len(model.mean), generator=rng))
    waves = torch.randn((3, 16000), generator=rng)
    for _ in range(2):
        torch.nn.init.normal_(model.out_layer.weight, generator=rng)
        with torch.no_grad():
            expected = model(waves)[1].numpy()
        kept = statistics_engine(model, 16000, tmp_path / "s.f32")
        assert np.abs(OnKept(kept, model, {}).logits(waves.numpy()) - expected).max() < 1e-5
        del kept


def test_graphs_learn_over_a_frozen_encoder_or_over_its_last_blocks(data, encoder, tmp_path):
    """By default the encoder rests, batch norms of the graphs and the layer weights learn."""
    options = ("--architecture", "ssl-aasist", "--encoder", encoder, "--epochs", 1)
    train(data, tmp_path, *options, "--run_name", "frozen", "--layers", "sum")
    frozen = weights(tmp_path / "checkpoints/frozen/best.pt")
    given = read_encoder(encoder).weights
    assert all(torch.equal(value, frozen[f"encoder.{name}"]) for name, value in given.items())
    assert frozen["layer_weights"].abs().max() > 0
    last = torch.load(tmp_path / "checkpoints/frozen/last.pt", weights_only=True)
    assert last["training"].keys() == {"model", "optimizer", "bar", "met"}     # no average, no copy
    train(data, tmp_path, *options[:-1], 2, "--run_name", "frozen", "--layers", "sum", "--resume")
    train(data, tmp_path, *options, "--run_name", "last", "--freeze", 1)
    last = weights(tmp_path / "checkpoints/last/best.pt")
    moved = {name.split(".")[3] for name, value in given.items()
             if name.startswith("encoder.transformer.layers.")
             and not torch.equal(value, last[f"encoder.{name}"])}
    assert moved == {"1"}
    assert (tmp_path / "checkpoints/last/best.onnx").is_file()


@pytest.mark.parametrize("norm_first", [True, False])
def test_frozen_blocks_are_frozen_with_all_before_them(norm_first):
    """Where blocks norm after adding, a norm lies before the first; else it is after the last."""
    small = {"convolutions": [[16, 10, 5], [16, 8, 64]], "encoder_embed_dim": 64,
             "encoder_num_heads": 4, "encoder_num_layers": 2, "encoder_ff_interm_features": 96,
             "encoder_layer_norm_first": norm_first}
    model = build_model(CONFIGS["ssl-aasist"] | {"encoder": BASE | small}).eval()
    freeze(model, "ssl-aasist", "1")
    learning = {name for name, weight in model.named_parameters()
                if weight.requires_grad and name.startswith("encoder.")}
    layers = "encoder.encoder.transformer."
    norm = {f"{layers}layer_norm.weight", f"{layers}layer_norm.bias"}
    assert learning - norm == {name for name, _ in model.named_parameters()
                               if name.startswith(f"{layers}layers.1.")}
    assert learning & norm == (norm if norm_first else set())


def test_a_published_detector_learns_on(data, tmp_path):
    """From its checkpoint alone; its preprocessing stays."""
    torch.save(random_weights(detector_shapes("xlsr-aasist", SMALL)), tmp_path / "LA_model.pth")
    assert import_weights.main(["--weights", str(tmp_path / "LA_model.pth"), "--architecture",
                                "xlsr-aasist", "--output", str(tmp_path / "la.pt")]) == 0
    train(data, tmp_path, "--architecture", "ssl-aasist", "--init_from", tmp_path / "la.pt",
          "--epochs", 1, "--run_name", "on")
    before, after = load_checkpoint(tmp_path / "la.pt"), load_checkpoint(
        tmp_path / "checkpoints/on/best.pt")
    assert after["config"] == before["config"] and after["config"]["normalise"] is False
    moved = {name for name, value in before["state_dict"].items()
             if not torch.equal(value, after["state_dict"][name])}
    assert "out_layer.weight" in moved and not any(name.startswith("encoder.") for name in moved)


def test_a_folder_of_hugging_face_is_the_same_encoder(encoder, tmp_path):
    """Its names and its configuration, without its library."""
    found = read_encoder(encoder)
    write_hugging_face(tmp_path, random_weights(encoder_shapes(**SMALL)))
    other = read_encoder(tmp_path)
    assert other.settings == found.settings and other.normalise == found.normalise
    assert all(torch.equal(value, other.weights[name]) for name, value in found.weights.items())
    assert other.weights.keys() == found.weights.keys()


RENAMED = ((r"^layer_norm\.", "feature_projection.layer_norm."),
           (r"^post_extract_proj", "feature_projection.projection"),
           (r"^(feature_extractor.*)\.0\.(weight|bias)$", r"\1.conv.\2"),
           (r"\.2\.1\.", ".layer_norm."), (r"\.pos_conv\.0\.", ".pos_conv_embed.conv."),
           (r"self_attn_layer_norm", "layer_norm"), (r"self_attn", "attention"),
           (r"fc1", "feed_forward.intermediate_dense"), (r"fc2", "feed_forward.output_dense"),
           (r"^mask_emb", "masked_spec_embed"))


def write_hugging_face(folder: Path, w: dict[str, torch.Tensor]) -> None:
    """config.json and model.safetensors with Hugging Face's names for fairseq's."""
    renamed = {}
    for name, value in w.items():
        for old, new in RENAMED:
            name = re.sub(old, new, name)
        own = name.split(".")[0] in ("feature_extractor", "feature_projection", "encoder")
        renamed[f"wav2vec2.{name}" if own else name] = value
    write_safetensors(folder / "model.safetensors", renamed)
    config = {"num_attention_heads": 16, "do_stable_layer_norm": True,
              "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text('{"do_normalize": true}')


def test_an_encoder_gives_the_frames_of_the_written_formulae(encoder):
    from models.ssl import speech_encoder
    found = read_encoder(encoder)
    network = speech_encoder(**found.settings).eval()
    network.load_state_dict(found.weights)
    waves = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, layers = plain_encoder(random_weights(encoder_shapes(**SMALL)), waves, 16)
        assert torch.allclose(network(waves)[0], expected, atol=1e-5)
        assert torch.allclose(network.extract_features(waves)[0][0], layers[0], atol=1e-5)


def test_older_files_of_fairseq_are_opened_without_its_code(encoder, tmp_path, monkeypatch):
    """Before zip files, with arguments as a Namespace; HuBERT's with a class of its own."""
    parts = types.ModuleType("fairseq.data.dictionary")
    parts.Dictionary = type("Dictionary", (), {"__module__": parts.__name__})
    for name, module in (("fairseq", parts), ("fairseq.data", parts), (parts.__name__, parts)):
        monkeypatch.setitem(sys.modules, name, module)
    words = parts.Dictionary()
    words.symbols = ["a", "b"]
    arguments = argparse.Namespace(encoder_attention_heads=8, layer_norm_first=True,
                                   normalize=False)
    torch.save({"args": arguments, "model": random_weights(encoder_shapes(**SMALL)),
                "task_state": {"dictionaries": [words]}}, tmp_path / "old.pt",
               _use_new_zipfile_serialization=False)
    monkeypatch.delitem(sys.modules, parts.__name__)
    found = read_encoder(tmp_path / "old.pt")
    assert found.settings["encoder_num_heads"] == 8 and found.normalise is False
    weights = read_encoder(encoder).weights
    assert all(torch.equal(value, found.weights[name]) for name, value in weights.items())


@pytest.mark.parametrize("name, said", [
    ("nowhere", "no file, no folder and no known name"), ("text", "is not a checkpoint"),
    ("empty", "holds neither model.safetensors nor"), ("whisper", "no wav2vec 2.0, HuBERT or")])
def test_what_is_no_encoder_is_refused_in_a_sentence(name, said, tmp_path):
    path = tmp_path / name
    if name == "text":
        path.write_text("hello")
    elif name == "empty":
        path.mkdir()
    elif name == "whisper":
        torch.save({"conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=said):
        read_encoder(path)


def test_more_layers_than_the_encoder_has_are_refused(data, encoder, tmp_path):
    with pytest.raises(InputError, match="--layers 3: the encoder .* has 2 blocks"):
        train(data, tmp_path, "--architecture", "ssl", "--encoder", encoder, "--layers", 3)
