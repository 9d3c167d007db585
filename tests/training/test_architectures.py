"""Every architecture is trained, resumed, scored and exported by the same script; options that do
not fit are refused."""
import shutil
from pathlib import Path

import pytest
import torch

from models import CONFIGS, build_model
from notebooks.aasist_training import build_parser
from tests.helpers.steps import step
from utils.common.errors import InputError
from utils.detector.checkpoint import load_checkpoint
from utils.training.architectures import ARCHITECTURES
from utils.training.setup.opening import LEARNERS, SHORTEST_CROP, check_crop
from utils.training.setup.options import misuse

HYBRID = ("--architecture", "hybrid", "--encoder", "e.onnx", "--init_from", "a.pt")


@pytest.fixture(scope="module")
def encoder_file(shared) -> Path:
    return shared / "reference" / "encoders" / "whisper-base" / "whisper_base_encoder_l2_f16.onnx"


def train(data: Path, out: Path, *options: object):
    """A short training; everything it writes goes below `out`."""
    return step("notebooks/aasist_training.py", "--batch_size", 4, "--max_samples", 16,
                "--data_dir", data, "--checkpoint_dir", out / "c", "--results_dir", out / "r",
                *options)


def test_every_architecture_has_a_configuration_and_a_learner():
    assert ARCHITECTURES.keys() == CONFIGS.keys()
    assert {network.learner for network in ARCHITECTURES.values()} == LEARNERS.keys()


def test_a_frozen_encoder_is_trained_and_tested_by_the_script(
        data_dir, encoder_file, tmp_path):
    done = train(data_dir, tmp_path, "--architecture", "encoder", "--encoder", encoder_file,
        "--epochs", 1, "--test")
    assert done.returncode == 0, done.stderr
    checkpoint = load_checkpoint(tmp_path / "c/encoder-1/best.pt")
    weights = checkpoint["state_dict"]
    assert all(
        torch.equal(value,
                    value.half().float()) for name, value in weights.items()
        if name.startswith("encoder."))
    assert str(encoder_file) not in str(checkpoint["args"])
    assert (tmp_path / "r/encoder-1/metrics.json").is_file()
    state = torch.load(tmp_path / "c/encoder-1/last.pt",
                       weights_only=True)["training"]["optimizer"]["state"]
    assert sum(value["exp_avg"].numel() for value in state.values()) == 2 * 4608 + 2
    assert (tmp_path / "c/encoder-1/best.onnx").is_file()
    assert checkpoint["args"]["encoder"].startswith(f"{encoder_file.name} (SHA-256 ")
    other = shutil.copy(encoder_file, tmp_path / "other.onnx")
    done = train(data_dir, tmp_path, "--architecture", "encoder", "--encoder", other, "--epochs", 2,
        "--resume")
    assert done.returncode == 1
    assert "was trained with encoder = " in done.stderr
    assert "Traceback" not in done.stderr
    done = train(data_dir, tmp_path, "--architecture", "encoder", "--encoder", encoder_file,
        "--crop_seconds", 4.1)
    assert done.returncode == 1
    assert "--crop_seconds 4.1 is too long for encoder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_crops_that_a_network_cannot_take_are_refused(architecture):
    config = CONFIGS[architecture]
    model = build_model(config).eval()
    for seconds in (SHORTEST_CROP, 4.0499):
        check_crop(architecture, config, seconds)
        with torch.no_grad():
            assert model(torch.randn(1, round(seconds * 16000)))[1].isfinite().all()
    with pytest.raises(InputError, match="too short"):
        check_crop(architecture, config, 0.19)
    if architecture in ("encoder", "hybrid"):
        with pytest.raises(InputError, match=f"too long for {architecture}: give at most 4.0499"):
            check_crop(architecture, config, 4.05)
    else:
        check_crop(architecture, config, 30)


def test_an_lcnn_on_mel_bands_is_trained_and_goes_on_with_mel_bands_only(
        data_dir, tmp_path):
    done = train(data_dir, tmp_path, "--architecture", "lcnn", "--front_end", "logmel", "--epochs",
                 1)
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "c/lcnn-1/best.pt")["config"]["front_end"] == "logmel"
    other = train(data_dir, tmp_path, "--architecture", "lcnn", "--epochs", 2, "--resume")
    assert other.returncode == 1
    assert "front_end = logmel" in other.stderr
    assert "Traceback" not in other.stderr


def test_mixtures_are_fitted_and_go_on_after_a_stop_as_if_never_stopped(
        data_dir, tmp_path):
    for name, epochs in (("whole", 2), ("parts", 1), ("parts", 2)):
        done = train(data_dir, tmp_path, "--architecture", "lfcc-gmm", "--epochs", epochs,
            "--resume", "--run_name", name)
        assert done.returncode == 0, done.stderr
    whole, parts = (
        load_checkpoint(tmp_path / "c" / name / "last.pt") for name in ("whole", "parts"))
    assert whole["config"]["components"] < 512 and (tmp_path / "c/whole/best.onnx").is_file()
    assert all(
        torch.equal(value, parts["state_dict"][name])
        for name, value in whole["state_dict"].items())


@pytest.mark.parametrize("options, said", [
    (["--architecture", "encoder"], "needs --encoder FILE"),
    (["--architecture", "hybrid", "--encoder", "e.onnx"], "needs --init_from FILE"),
    (["--small_model", "--encoder", "e.onnx"],
     "--encoder has no meaning for small, which learns by gradients: leave it out, or choose "
     "--architecture encoder or hybrid"),
    (["--architecture", "aasist", "--front_end", "lfcc"],
     "or choose --architecture small or lcnn"),
    (["--architecture", "lcnn", "--components", "8"], "or choose --architecture lfcc-gmm"),
    (["--architecture", "lcnn", "--front_end", "cqcc"],
     "'cqcc' is neither lfcc nor logmel nor FILE.py:CLASS"),
    (["--small_model", "--front_end", "mine.py"], "nor FILE.py:CLASS"),
    (["--architecture", "lfcc-gmm", "--learning_rate", "1"],
     "--learning_rate has no meaning for lfcc-gmm, which learns by expectation-maximisation"),
    (["--architecture", "lfcc-gmm", "--recipe", "published"],
     "--recipe published needs gradients, and lfcc-gmm learns by expectation-maximisation"),
    (["--architecture", "lfcc-gmm", "--label_smoothing", "0.1"],
     "error: --label_smoothing has no meaning for lfcc-gmm"),
    (["--architecture", "lfcc-gmm", "--averaging", "none"], "error: --averaging has no meaning"),
    (["--architecture", "lfcc-gmm", "--init_from", "a.pt"], "error: --init_from has no meaning"),
    ([*HYBRID, "--freeze", "2"],
     "error: --freeze has no meaning for hybrid, which learns by ridge regression"),
    ([*HYBRID, "--freeze", "2", "--averaging", "none"],
     "--averaging and --freeze have no meaning for hybrid, which learns by ridge regression: leave "
     "them out"),
    ([*HYBRID, "--distil_weight", "0.5"], "--distil_weight needs a teacher"),
    ([*HYBRID, "--label_smoothing", "0.1"], "which learns by ridge regression"),
    ([*HYBRID, "--averaging", "moving"], "which learns by ridge regression"),
    ([*HYBRID, "--balance", "source"], "error: --balance has no meaning for hybrid"),
    (["--small_model", "--distil_weight", "0.5"],
     "--distil_weight needs a teacher: add --teacher FILE, or leave it out"),
    (["--small_model", "--distil_temperature", "3"], "--distil_temperature needs a teacher"),
    (["--small_model", "--source_power", "0.5"], "--source_power needs --balance source"),
    (["--small_model", "--level_penalty", "10"], "or choose --architecture hybrid"),
    (["--small_model", "--balance", "attack", "--source_power", "0.5"],
     "--source_power needs --balance source"),
    (["--small_model", "--ridge", "0.01"], "or choose --architecture hybrid"),
    (["--small_model", "--architecture", "lcnn"], "two networks")])
def test_options_that_do_not_go_together_are_usage_errors(options, said, capsys):
    from notebooks.aasist_training import main
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize("options", [
    [*HYBRID, "--source_power", "0.5", "--ridge", "0.001", "--level_penalty", "10",
     "--channel_penalty", "0"], ["--small_model", "--balance", "source",
        "--source_power", "0.5"],
    ["--small_model", "--teacher", "t.pt", "--distil_weight", "0.5"], ["--architecture", "lfcc-gmm",
        "--device", "auto"]])
def test_options_that_go_together_are_none(options):
    assert misuse(build_parser().parse_args(options)) is None


def test_mixtures_alone_need_one_process(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert misuse(build_parser().parse_args(HYBRID)) is None
    mixtures = build_parser().parse_args(["--architecture", "lfcc-gmm"])
    assert "in one process: start it without torchrun" in misuse(mixtures)
