"""One interface over PyTorch and ONNX Runtime: the same numbers, the same care with files."""
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

from models import CONFIGS, build_model
from tests.helpers.networks.aasist_weights import random_checkpoint, random_input
from tests.conftest import ROOT
from tests.helpers.networks.scoring_models import write_small_model
from utils.common.errors import InputError
from utils.detector.checkpoint import save_checkpoint
from utils.detector.engines import load_engine, newest_model, onnx_engine, passed_over
from utils.export.export import export_onnx, quickest_engine
from utils.detector.model_files import outside_weights
from utils.detector.engines.torch_engine import TorchEngine
from utils.report.results import model_for

LENGTH = 8000


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints") / "one"
    save_checkpoint(folder / "best.pt", random_checkpoint("aasist-l", n_samples=LENGTH))
    export_onnx(folder / "best.pt", folder / "best.onnx")
    return folder


@pytest.fixture(params=["best.pt", "best.onnx"])
def engine(request, run_dir):
    return load_engine(run_dir / request.param, threads=1)


WAVES = random_input()[:, :LENGTH]


def test_both_engines_give_the_same_logits(run_dir):
    one, other = (load_engine(run_dir / name, threads=1).logits(WAVES)
                  for name in ("best.pt", "best.onnx"))
    assert np.abs(one - other).max() <= 1e-5


def test_logits_are_float64_one_row_per_wave(engine):
    logits = engine.logits(WAVES)
    assert logits.dtype == np.float64 and logits.shape == (2, 2)
    assert engine.logits(WAVES[:0]).shape == (0, 2)


def test_metadata_says_what_the_checkpoint_said(engine):
    assert engine.metadata["architecture"] == "aasist-l" and engine.metadata["n_samples"] == LENGTH
    assert engine.metadata["label_order"] == ["spoof", "bonafide"]


def test_nan_never_passes_for_a_score(engine):
    waves = WAVES.copy()
    waves[0, 100] = np.nan
    with pytest.raises(InputError, match="samples are not all finite"):
        engine.logits(waves)


def test_the_torch_engine_takes_any_length(run_dir):
    assert load_engine(run_dir / "best.pt").logits(random_input()[:, :2400]).shape == (2, 2)


def test_threads_score_windows_of_their_own_and_change_no_logit(run_dir):
    alone, together = (load_engine(run_dir / "best.onnx", threads=number) for number in (1, 3))
    waves = np.concatenate([WAVES, WAVES[::-1] / 2, WAVES / 4])
    assert (alone.batch_size, together.batch_size) == (1, 3)
    assert np.array_equal(together.logits(waves), alone.logits(waves))
    assert together.logits(waves[:0]).shape == (0, 2)


def test_the_threads_share_a_window_of_a_large_network(run_dir, monkeypatch):
    monkeypatch.setattr(onnx_engine, "LARGE", 1000)
    engine = load_engine(run_dir / "best.onnx", threads=3)
    assert engine.batch_size == 1
    assert engine.session.get_session_options().intra_op_num_threads == 3


@pytest.mark.parametrize("engine_of", [TorchEngine, quickest_engine])
def test_a_live_model_scores_in_eval_mode_and_goes_on_training(engine_of):
    torch.manual_seed(0)
    model = build_model(CONFIGS["aasist-l"]).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    engine = engine_of(model, {"n_samples": LENGTH})
    assert np.array_equal(engine.logits(WAVES), engine.logits(WAVES))
    assert model.training and model.encoder.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_quickest_engine_scores_as_the_network_itself_does():
    torch.manual_seed(0)
    for architecture in ("aasist", "small"):
        model = build_model(CONFIGS[architecture]).train()
        one, other = (engine_of(model, {"n_samples": LENGTH}).logits(WAVES)
                      for engine_of in (TorchEngine, quickest_engine))
        assert np.abs(one - other).max() <= 1e-5


def test_on_a_cpu_pytorch_holds_one_window_at_a_time():
    model, seen = build_model(CONFIGS["aasist-l"]), []
    model.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    TorchEngine(model, {"n_samples": LENGTH}).logits(WAVES)
    assert seen == [1, 1]      # a batch gains nothing there, and 16 windows of AASIST take 3 GB


def test_scoring_an_exported_model_imports_no_torch(run_dir):
    code = ("import sys; from utils.detector.engines import load_engine; import numpy as np\n"
            f"engine = load_engine({str(run_dir / 'best.onnx')!r}, threads=1)\n"
            f"engine.logits(np.zeros((1, {LENGTH}), np.float32))\n"
            "assert 'torch' not in sys.modules and 'onnx' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_an_exported_model_is_for_the_cpu(run_dir):
    with pytest.raises(InputError, match="scores on the CPU"):
        load_engine(run_dir / "best.onnx", device="cuda")


def test_a_device_that_is_not_there_is_named(run_dir):
    with pytest.raises(InputError, match="unknown device 'toaster'"):
        load_engine(run_dir / "best.pt", device="toaster")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="--device cpu"):
            load_engine(run_dir / "best.pt", device="cuda")


def refusal(tmp_path, content: bytes) -> str:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_engine(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"RIFF....WAVEfmt ", bytes(1000),
                                     b"\x0b" * 50])
def test_other_files_are_not_models(tmp_path, content):
    assert "ONNX" in refusal(tmp_path, content) or "model" in refusal(tmp_path, content)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_export_is_refused(tmp_path, run_dir, share):
    content = (run_dir / "best.onnx").read_bytes()
    refusal(tmp_path, content[:int(len(content) * share)])


def test_a_model_of_someone_else_is_refused(tmp_path, run_dir):
    model = onnx.load(run_dir / "best.onnx")
    del model.metadata_props[:]
    assert "no description of the detector" in refusal(tmp_path, model.SerializeToString())


@pytest.mark.parametrize("text, words", [
    ("{", "damaged description"), ("[]", "checkpoint format"), ('{"format": 99}', "newer")])
def test_a_description_that_is_off_is_refused(tmp_path, run_dir, text, words):
    model = onnx.load(run_dir / "best.onnx")
    model.metadata_props[0].value = text
    assert words in refusal(tmp_path, model.SerializeToString())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("small"))


def moved_out(folder, small, location: str = "model.onnx.data") -> bytes:
    """The small model with its weights in a file beside it, which it calls `location`."""
    onnx.save(onnx.load(small), str(folder / "model.onnx"), save_as_external_data=True,
              location="model.onnx.data", size_threshold=1024)
    content = (folder / "model.onnx").read_bytes()
    return content.replace(b"model.onnx.data", location.encode())


def test_weights_may_lie_in_one_file_beside_the_model(tmp_path, small):
    assert outside_weights(moved_out(tmp_path, small))
    waves = random_input()
    expected = load_engine(small, threads=1).logits(waves)
    assert np.array_equal(load_engine(tmp_path / "model.onnx", threads=1).logits(waves), expected)
    beside = tmp_path / "model.onnx.data"
    size = beside.stat().st_size
    with beside.open("r+b") as file:
        file.truncate(size - 1)
    with pytest.raises(InputError, match="model.onnx.data is cut off"):
        load_engine(tmp_path / "model.onnx")
    beside.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="which is missing beside it or a link"):
        load_engine(tmp_path / "model.onnx")
    beside.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="which is missing beside it or a link"):
        load_engine(tmp_path / "model.onnx")


@pytest.mark.parametrize("location", ["../model.onnx.d", "/etc/hosts/abcd", "other.onnx.data"])
def test_weights_anywhere_else_are_refused_unread(tmp_path, small, location):
    assert "another file" in refusal(tmp_path, moved_out(tmp_path, small, location))


def test_a_missing_model_is_named(tmp_path):
    for name in ("best.onnx", "best.pt"):
        with pytest.raises(InputError, match=f"{name} is missing"):
            load_engine(tmp_path / name)


def test_the_newest_run_is_found_and_its_export_preferred(tmp_path):
    assert newest_model(tmp_path / "nowhere") is None and newest_model(tmp_path) is None
    times = {"old/best.pt": 10, "old/best.onnx": 50, "new/best.pt": 20, "new/last.pt": 90}
    for name, time in times.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    assert newest_model(tmp_path) == tmp_path / "new" / "best.pt"
    (tmp_path / "new" / "best.onnx").touch()
    assert newest_model(tmp_path) == tmp_path / "new" / "best.onnx"
    # older than its checkpoint: of an earlier training
    os.utime(tmp_path / "new" / "best.onnx", (15, 15))
    assert newest_model(tmp_path) == tmp_path / "new" / "best.pt"


@pytest.mark.parametrize("name", ["best.pt", "best.onnx"])
def test_a_model_that_can_judge_nothing_is_no_default_beside_one_that_can(tmp_path, name):
    able = {"decision": {"threshold": 0.0, "band": None, "origin": "dev"}}
    for time, (run, entries) in enumerate((("able", able), ("bare", {"decision": None}))):
        checkpoint = random_checkpoint("aasist-l", n_samples=LENGTH, **entries)
        save_checkpoint(tmp_path / run / "best.pt", checkpoint)
        if name == "best.onnx":
            export_onnx(tmp_path / run / "best.pt", tmp_path / run / "best.onnx")
        for path in (tmp_path / run).iterdir():
            os.utime(path, (time, time))
    assert newest_model(tmp_path) == tmp_path / "able" / name
    assert passed_over(tmp_path) == tmp_path / "bare" / name
    assert model_for("cpu", tmp_path) == tmp_path / "bare" / name      # figures need no threshold
    (tmp_path / "able").rename(tmp_path.with_name(tmp_path.name + " away"))
    assert newest_model(tmp_path) == tmp_path / "bare" / name


def test_a_runs_folder_is_answered_with_the_file_to_name(run_dir):
    with pytest.raises(InputError, match="one is a folder: name a file in it, such as best.onnx"):
        load_engine(run_dir)


@pytest.mark.parametrize("name, said", [("best.pt", "needs PyTorch, which is not installed"),
                                        ("note.txt", "note.txt is no model: name an exported")])
def test_without_pytorch_a_checkpoint_and_another_file_differ(run_dir, name, said):
    (run_dir / "note.txt").write_text("a note")
    code = ("import importlib.util as u; real = u.find_spec; "
            "u.find_spec = lambda name, *more: None if name == 'torch' else real(name, *more); "
            "import sys; from utils.detector.engines import load_engine; load_engine(sys.argv[1])")
    done = subprocess.run([sys.executable, "-c", code, run_dir / name], cwd=ROOT,
                          capture_output=True, text=True)
    assert said in done.stderr
