"""Compression from a trained model to a smaller one that judges, and what it refuses."""
import onnx
import pytest

from tests.helpers.steps import step
from tests.helpers.tiny_stores import tiny_stores, train
from utils import compress_model
from utils.common.files import ROOT
from utils.common.locks import work_folder
from utils.detector import Detector
from utils.detector.checkpoint import load_checkpoint, save_checkpoint
from utils.detector.engines import load_engine

SCRIPT = "utils/compress_model.py"
CLIP = ROOT / "data" / "examples" / "fake_kokoro_en.flac"
TRAINING = ("--", "--crop_seconds", 1, "--batch_size", 8, "--augment", "none")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_stores(tmp_path_factory.mktemp("tiny"), {"train": 24, "dev": 40, "eval": 12})


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    """The small model after enough epochs to know these voices."""
    out = tmp_path_factory.mktemp("trained")
    train(data, out, "--epochs", 12, "--run_name", "m", "--averaging", "none", "--augment", "none")
    return out / "checkpoints" / "m" / "best.pt"


def compress(data, model, output, *options):
    return step(SCRIPT, "--model", model, "--output", output, "--data_dir", data, *options)


@pytest.fixture(scope="module")
def chained(data, model, tmp_path_factory):
    """Pruned, recovered and quantised in one command: the file, and what was printed."""
    output = tmp_path_factory.mktemp("chain") / "small.onnx"
    output.with_name("small.onnx.data").write_bytes(b"the weights of an earlier model")
    output.with_name("small.work").mkdir()      # somebody's own folder
    done = compress(data, model, output, "--prune", 0.5, "--recover", 2, "--quantise", "--at_most",
                    100, *TRAINING)
    assert done.returncode == 0, done.stderr
    return output, done.stdout


def test_one_utterance_is_too_few_to_compare_models(data, model, tmp_path):
    done = compress(data, model, tmp_path / "m.onnx", "--prune", 0.5, "--max_samples", 1)
    assert done.returncode == 1 and "raise --max_samples" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "m.onnx").exists()


def test_the_chain_leaves_one_smaller_model_that_says_what_was_done(chained, model):
    output, printed = chained
    entry = load_engine(output).metadata["compression"]
    assert [note["step"] for note in entry["steps"]] == ["pruned", "recovered", "quantised"]
    assert entry["original"] == "best.pt" and len(entry["original_sha256"]) == 64
    assert {path.name for path in output.parent.iterdir()} == {"small.onnx", "small.work"}
    assert output.stat().st_size < model.with_name("best.onnx").stat().st_size
    for words in ("56 of 104 channels", "recovered: epochs 2", "EER on dev", "EER on eval",
                  "one window, CPU", "scores on dev change by", "which together move the score",
                  "EER on eval rises by", "over 5 speakers)", "of 88,147 weights",
                  "that the training named are removed"):
        assert words in printed


def test_the_compared_figures_are_of_both_models(chained, data, model):
    compared = load_engine(chained[0]).metadata["compression"]["compared"]
    assert compared["dev"]["utterances"] == 40 and compared["eval"]["utterances"] == 12
    for which, path in enumerate((model.with_name("best.onnx"), chained[0])):
        assert compared["megabytes"][which] == pytest.approx(path.stat().st_size / 1e6, rel=0.1)
        assert compared["cpu_ms"][which] > 0
        low, high = compared["dev"]["eer"][which]["interval"]
        assert low <= compared["dev"]["eer"][which]["value"] <= high
    assert 0 < compared["dev"]["change_mean"] <= compared["dev"]["change_max"]


def test_whole_numbers_judge_through_the_detector(chained):
    record = Detector.load(chained[0]).judge(CLIP)
    assert record["error"] is None and record["score"] is not None
    assert record["model"].endswith("; pruned, recovered, quantised")
    kinds = {node.op_type for node in onnx.load(chained[0]).graph.node}
    assert {"QLinearConv", "QuantizeLinear"} <= kinds


def test_a_pruned_checkpoint_is_compressed_trained_and_exported_further(data, model, tmp_path):
    done = compress(data, model, tmp_path / "p.pt", "--prune", 0.7, "--recover", 0, "--at_most",
                    100)
    assert done.returncode == 0, done.stderr
    pruned = load_checkpoint(tmp_path / "p.pt")
    assert pruned["config"]["inner"] == [8, 8, 16]
    train(data, tmp_path, "--epochs", 1, "--run_name", "on", "--init_from", tmp_path / "p.pt")
    on = tmp_path / "checkpoints" / "on"
    best = load_checkpoint(on / "best.pt")
    assert best["config"] == pruned["config"]
    assert "chose the epoch" in best["decision"]["band_origin"]     # its start's, on the same dev
    assert load_engine(on / "best.onnx").metadata["config"] == pruned["config"]
    done = compress(data, tmp_path / "p.pt", tmp_path / "q.onnx", "--quantise", "--at_most", 100)
    assert done.returncode == 0, done.stderr
    steps = load_engine(tmp_path / "q.onnx").metadata["compression"]["steps"]
    assert [note["step"] for note in steps] == ["pruned", "quantised"]
    again = compress(data, tmp_path / "q.onnx", tmp_path / "r.onnx", "--quantise")
    assert again.returncode == 1 and "in 8 bits already" in again.stderr


def test_a_model_that_errs_too_often_is_not_written_and_may_recover_otherwise(data, model,
                                                                              tmp_path):
    """Eight channels a block, hardly recovered: worse on these voices, which the model knew."""
    output = tmp_path / "p.pt"
    asked = ("--prune", 1, "--recover", 1)
    done = compress(data, model, output, *asked, *TRAINING, "--learning_rate", 1e-9)
    assert done.returncode == 1 and not output.exists()
    assert "is not written: its EER on dev would rise by more than 0.5 points" in done.stderr
    assert "EER on dev" in done.stdout      # the figures are told first
    assert "EER on eval" not in done.stdout
    assert "p.pt.work keeps the recovered weights for that" in done.stderr
    done = compress(data, model, output, *asked, "--at_most", 100, *TRAINING)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["p.pt"]


def test_a_refusal_without_a_training_leaves_nothing(data, model, tmp_path):
    done = compress(data, model, tmp_path / "p.pt", "--prune", 1, "--recover", 0, "--at_most", 0)
    assert done.returncode == 1 and "is not written" in done.stderr
    assert not list(tmp_path.iterdir())


def test_wrong_options_of_the_training_are_wrong_usage(data, model, tmp_path):
    done = compress(data, model, tmp_path / "p.pt", "--prune", 1, "--", "--distil_weight", 0.5)
    assert done.returncode == 2 and "repeat" not in done.stderr


def test_a_work_folder_is_made_here_and_has_one_user(data, model, tmp_path):
    output, folder = tmp_path / "p.pt", tmp_path / "p.pt.work"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    asked = ("--prune", 0.5, "--recover", 0)
    done = compress(data, model, output, *asked)
    assert done.returncode == 1 and "holds something else" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    with work_folder(tmp_path / "q.pt", "making it", keep=True):
        done = compress(data, model, tmp_path / "q.pt", *asked)
    assert done.returncode == 1 and "another run" in done.stderr


@pytest.mark.parametrize("options, way", [
    (("--quantise",), "keep the original"), (("--prune", 0.5), "prune less, let it recover longer"),
    (("--prune", 0.5, "--quantise"), "prune less, let it recover longer, leave out --quantise")])
def test_advice_fits_the_steps(options, way):
    args = compress_model.parse(["--model", "m.pt", "--output", "x.onnx", *map(str, options)])
    assert compress_model.advice(args) == way


def test_a_model_that_needs_more_data_than_there_are_keeps_what_exists(data, model, tmp_path):
    output = tmp_path / "q.onnx"
    output.write_bytes(b"mine")
    done = step(SCRIPT, "--model", model, "--output", output, "--data_dir", tmp_path, "--quantise")
    assert done.returncode == 1 and "is missing" in done.stderr
    assert output.read_bytes() == b"mine"


@pytest.mark.parametrize("options, words", [
    (("--quantise", "--output", "x.pt"), "must end in .onnx"),
    (("--prune", 0.5, "--output", "x.bin"), "must end in .onnx or .pt"),
    (("--prune", 0.5, "--model", "m.onnx", "--output", "x.pt"), "only a checkpoint can be pruned"),
    (("--quantise", "--model", "m.onnx", "--output", "m.onnx"), "is the model itself")])
def test_names_that_cannot_be_are_refused(data, model, options, words):
    done = step(SCRIPT, "--model", model, "--data_dir", data, *options)
    assert done.returncode == 1 and words in done.stderr


@pytest.mark.parametrize("options, words", [
    ((), "nothing to do"), (("--recover", 2, "--quantise"), "--recover needs --prune"),
    (("--prune", 0.5, "--batch_size", 8), "options of the training follow after --"),
    (("--quantise", "--", "--batch_size", 8), "is an option of the training"),
    (("--prune", 0.5, "--", "--run_name", "mine"), "--run_name after -- is set by this step"),
    (("--prune", 0.5, "--", "--epochs", 3), "--epochs after -- is set by this step"),
    (("--prune", 0.5, "--", "--data_dir", "data"), "--data_dir after -- is set by this step"),
    (("--prune", 0.5, "--", "--batch_size", "no"), "argument --batch_size"),
    (("--prune", 1.5), "a number from 0 to 1")])
def test_options_without_a_meaning_are_wrong_usage(options, words):
    done = step(SCRIPT, "--model", "m.pt", "--output", "x.onnx", *options)
    assert done.returncode == 2 and words in done.stderr


def test_a_network_without_residual_blocks_is_refused_and_nothing_is_written(data, model, tmp_path):
    from models import CONFIGS, build_model
    lcnn = load_checkpoint(model) | {"architecture": "lcnn", "config": CONFIGS["lcnn"],
                                     "state_dict": build_model(CONFIGS["lcnn"]).state_dict()}
    save_checkpoint(tmp_path / "l.pt", lcnn)
    done = compress(data, tmp_path / "l.pt", tmp_path / "x.pt", "--prune", 0.5)
    assert done.returncode == 1 and "--prune is for aasist" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["l.pt"]
