"""Checkpoints are checked before they are used, and never run code."""
import pickle
import zipfile

import pytest
import torch

from tests.helpers.networks.aasist_weights import random_checkpoint, random_state_dict
from utils.common.errors import InputError
from utils.detector.checkpoint import FORMAT, load_checkpoint, metadata, save_checkpoint

CODE_RAN = []


class Payload:
    """Unpickled without protection, it leaves a trace."""

    def __reduce__(self):
        return CODE_RAN.append, (1,)


def refusal(tmp_path, content) -> str:
    path = tmp_path / "model.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(InputError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "model.pt"
    save_checkpoint(path, random_checkpoint())
    return path.read_bytes()


def test_what_is_saved_is_loaded(tmp_path):
    checkpoint = random_checkpoint(history=[{"epoch": 1}])
    save_checkpoint(tmp_path / "a" / "best.pt", checkpoint)
    loaded = load_checkpoint(tmp_path / "a" / "best.pt")
    assert metadata(loaded) == metadata(checkpoint)
    assert all(torch.equal(loaded["state_dict"][name], value)
               for name, value in checkpoint["state_dict"].items())


def test_saving_leaves_no_half_written_file(tmp_path):
    with pytest.raises(ValueError, match="without state_dict"):
        bare = {key: v for key, v in random_checkpoint().items() if key != "state_dict"}
        save_checkpoint(tmp_path / "best.pt", bare)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_checkpoint(tmp_path / "best.pt", random_checkpoint(args=lambda: None))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.pt is missing"):
        load_checkpoint(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("content", [b"", b"RIFF and so on", b"\x80\x02}q\x00."])
def test_other_files_are_not_checkpoints(tmp_path, content):
    assert "not a checkpoint" in refusal(tmp_path, content)


@pytest.mark.parametrize("name, content, said", [
    ("m.pth", b"", "it is empty; copy or download it again"),
    ("m.pth", b"\n<!DOCTYPE html><html>", "it is a web page; download the file itself"),
    ("m.onnx", b"\x08\x08\x12\x07pytorch", "it is an exported model; name the .pt"),
    ("m.pth", b"RIFF and so on", "name a .pt file that training wrote, or weights")])
def test_what_is_no_checkpoint_is_told_by_what_it_is(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"is not a checkpoint: {said}"):
        load_checkpoint(tmp_path / name)


def test_a_folder_in_place_of_a_checkpoint_is_told(tmp_path):
    with pytest.raises(InputError, match="is a folder: name the file in it"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_called_cut_off(tmp_path, saved, share):
    assert "cut off" in refusal(tmp_path, saved[:int(len(saved) * share)])


def test_a_damaged_checkpoint_is_refused(tmp_path, saved):
    at = saved.index(b"data.pkl") + 300
    damaged = saved[:at] + bytes(2000) + saved[at + 2000:]
    assert "copy or download it again" in refusal(tmp_path, damaged)


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    assert "could run code" in refusal(tmp_path, random_checkpoint(args=Payload()))
    assert CODE_RAN == []


def test_code_in_a_bare_pickle_does_not_run(tmp_path):
    refusal(tmp_path, pickle.dumps(Payload()))
    assert CODE_RAN == []


def test_a_container_that_unpacks_beyond_reason_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.detector.checkpoint.MAX_BYTES", 1000)
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("archive/data.pkl", bytes(10_000))
    with pytest.raises(InputError, match="unpacks to"):
        load_checkpoint(path)


def test_bare_published_weights_are_sent_to_the_import_step(tmp_path):
    assert "import_weights.py" in refusal(tmp_path, random_state_dict("aasist-l"))


@pytest.mark.parametrize("content", [[1, 2], {"weights": 1}, torch.zeros(3)])
def test_a_torch_file_of_something_else_is_not_a_checkpoint(tmp_path, content):
    assert "not a checkpoint" in refusal(tmp_path, content)


def test_a_newer_format_asks_for_an_update(tmp_path):
    assert "update this project" in refusal(tmp_path, random_checkpoint(format=FORMAT + 1))


@pytest.mark.parametrize("config", [
    {"architecture": "rawnet"}, {}, {"architecture": "small", "n_fft": "many"}, 7,
    {"architecture": "aasist", "channels": [1], "gat_dims": [2, 3], "pool_ratios": [1]}])
def test_an_unknown_network_is_refused(tmp_path, config):
    assert "no network known here" in refusal(tmp_path, random_checkpoint(config=config))


def test_missing_and_extra_weights_are_named(tmp_path):
    state = random_state_dict("aasist-l")
    del state["pos_S"]
    state["surprise"] = torch.zeros(1)
    message = refusal(tmp_path, random_checkpoint(state_dict=state))
    assert "missing pos_S" in message and "unexpected surprise" in message


def test_weights_of_another_architecture_are_refused(tmp_path):
    checkpoint = random_checkpoint("aasist-l") | {"config": random_checkpoint("aasist")["config"]}
    assert "name another architecture" in refusal(tmp_path, checkpoint)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    state = random_state_dict("aasist-l")
    state["out_layer.weight"][0, 3] = value
    assert "not finite (out_layer.weight)" in refusal(tmp_path, random_checkpoint(state_dict=state))


def test_weights_of_another_type_are_refused(tmp_path):
    state = random_state_dict("aasist-l")
    state["out_layer.bias"] = state["out_layer.bias"].double()
    message = refusal(tmp_path, random_checkpoint(state_dict=state))
    assert "out_layer.bias is (2,) float64" in message


@pytest.mark.parametrize("changes, words", [
    ({"label_order": ["bonafide", "spoof"]}, "label order"), ({"sample_rate": 8000}, "16000 Hz"),
    ({"n_samples": 0}, "whole number of samples"), ({"format": "one"}, "which checkpoint format"),
    ({"calibration": {"scale": float("nan"), "offset": 0.0}}, "finite scale"),
    ({"calibration": {"scale": -1.0, "offset": 0.0}}, "scale above 0"),
    ({"calibration": [1]}, "finite scale"),
    ({"decision": {"threshold": float("inf"), "band": None, "origin": "dev"}}, "finite threshold"),
    ({"decision": {"threshold": 0.0, "band": [1.0], "origin": "dev"}}, "band of two"),
    ({"decision": {"threshold": 0.0, "band": [1.0, 0.0], "origin": "dev"}}, "ascending"),
    ({"decision": "yes"}, "decision"),
    ({"decision": {"threshold": 0.0, "band": None, "origin": "dev", "bands": [1]}}, "decision"),
    ({"decision": {"threshold": 0.0, "band": None, "origin": "dev", "cost_fa": "x"}}, "costs"),
    ({"trained_on": "much"}, "an entry trained_on"), ({"audio": [1]}, "an entry audio"),
    ({"audio": {"bandwidth_hz": 8000}}, "an entry bandwidth_hz"),
    ({"score_range": [1.0]}, "an entry score_range"),
    ({"state_dict": [1]}, "no table of weights")])
def test_entries_that_would_change_what_a_score_means_are_refused(tmp_path, changes, words):
    assert words in refusal(tmp_path, random_checkpoint(**changes))


def test_metadata_is_what_json_can_hold():
    plain = metadata(random_checkpoint(training={"state": torch.zeros(2)},
                                       args={"path": (1, 2), "loss": float("inf")}))
    assert plain["args"] == {"path": [1, 2], "loss": None}
    assert "training" not in plain and "state_dict" not in plain
