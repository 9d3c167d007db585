"""Promises of training: the same seed gives the same model, resumed or not; what is saved is enough
to score."""
import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from models import CONFIGS, build_model
from tests.helpers import tiny_stores
from tests.helpers.steps import step
from tests.trials.test_tables import listed
from utils import prepare_dataset, preprocess_data
from utils.store.reader import Store
from utils.common.errors import InputError
from utils.metrics.metrics import eer
from utils.detector.checkpoint import load_checkpoint
from utils.detector.engines import load_engine
from utils.detector.scoring import score_store
from utils.detector.verdict import dev_eer
from utils.training.best_model import distrust
from utils.training.orders import BalancedOrder, ShuffledOrder
from utils.training.data import CropDataset
from utils.trials.draws import draw_nested
from utils.training.learners.optimisation import learning_rate
from utils.training.architectures import recipe_for

ROOT = Path(__file__).resolve().parents[2]
TRAINING = "notebooks/aasist_training.py"


def arguments(data_dir: Path, out: Path, *options: object) -> list[object]:
    """A short training of the small model on real speech; everything it writes goes below `out`."""
    return ["--small_model", "--batch_size", 8, "--data_dir", data_dir, "--checkpoint_dir",
            out / "checkpoints", "--results_dir", out / "results", *options]


def train(data_dir: Path, out: Path, *options: object) -> subprocess.CompletedProcess:
    """Such a training in this process."""
    return step(TRAINING, *arguments(data_dir, out, *options))


@pytest.fixture(scope="module")
def four_epochs(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of four epochs with --test left its files."""
    out = tmp_path_factory.mktemp("four")
    done = train(data_dir, out, "--epochs", 4, "--test", "--run_name", "whole")
    assert done.returncode == 0, done.stderr
    return out


def same_weights(one: dict, two: dict) -> bool:
    """Whether two state dicts are equal to the last bit."""
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("recipe", ["default", "published"])
def test_two_and_two_epochs_equal_four_to_the_last_bit(data_dir, four_epochs, tmp_path, recipe):
    options = ["--recipe", recipe, "--resume", "--run_name"]
    if recipe == "published":
        options = ["--crop_seconds", 1, "--max_samples", 24, *options]
    runs = [(tmp_path, "halves", 2),
            (tmp_path, "halves", 4)] + [(tmp_path, "whole", 4)] * (recipe == "published")
    for out, name, epochs in runs:
        done = train(data_dir, out, "--epochs", epochs, *options, name)
        assert done.returncode == 0, done.stderr
        begun = (out, name, epochs) == (tmp_path, "halves", 4)
        assert ("holds no run to resume: a new one begins" in done.stdout) == (not begun)
    whole_out = four_epochs if recipe == "default" else tmp_path
    whole, halves = (out / "checkpoints" / name for out, name in ((whole_out, "whole"), (tmp_path,
        "halves")))
    for part in ("model", "average"):
        assert same_weights(*(torch.load(run / "last.pt", weights_only=True)["training"][part]
                              for run in (whole, halves)))
    for name in ("best.pt", "last.pt"):
        assert same_weights(*(load_checkpoint(run / name)["state_dict"] for run in (whole, halves)))


def folders(data: Path, clips: dict, train: int) -> None:
    """Listed folders as train, dev and eval; attacks X and Y in train, Y and Z in eval."""
    parts = (("train", train, "XY"), ("dev", 8, "X"), ("eval", 8, "YZ"))
    for place, (part, count, attacks) in enumerate(parts):
        shutil.rmtree(data / "raw" / part, ignore_errors=True)
        own = {key: files[8 * place:8 * place + 8] for key, files in clips.items()}
        listed(
            data / "raw" / part / "pool", own,
            [(f"{part}{n}", *(("spoof", attacks[n // 2 % len(attacks)]), ("bonafide", "-"))[n % 2])
             for n in range(count)], "utterance key attack")
    assert prepare_dataset.main(["--data_dir", str(data)]) == 0


def test_attacks_stand_apart_by_training_where_folders_were_prepared_together(clips, tmp_path):
    data, options = tmp_path / "data", ("--batch_size", 4, "--run_name", "f", "--test")
    folders(data, clips, 8)
    assert preprocess_data.main(["--data_dir", str(data), "--workers", "1"]) == 0
    tiny_stores.train(data, tmp_path, "--epochs", 1, *options)

    def told(metrics: Path) -> tuple:
        found = json.loads(metrics.read_text())
        return tuple(found.get(part, {}).get("attacks") for part in ("seen", "unseen"))
    assert told(tmp_path / "results/f/metrics.json") == (["Y"], ["Z"])
    folders(data, clips, 12)
    assert preprocess_data.main(["--data_dir",
                                 str(data), "--workers", "1", "--subset", "train"]) == 0
    with pytest.raises(InputError, match="preprocess the eval subset of the same corpus"):
        tiny_stores.train(data, tmp_path, "--epochs", 1, *options, "--resume", "--more_data")
    assert preprocess_data.main(["--data_dir", str(data), "--workers", "1"]) == 0
    tiny_stores.train(data, tmp_path, "--epochs", 2, *options, "--resume", "--more_data")
    assert told(tmp_path / "results/f/metrics.json") == (["Y"], ["Z"])


def test_what_is_told_of_an_average_that_was_kept_is_of_the_average(tmp_path, capsys):
    data = tiny_stores.tiny_stores(tmp_path / "data")
    tiny_stores.train(data, tmp_path, "--recipe", "published", "--batch_size", 100, "--epochs", 1,
        "--learning_rate", 1e-6,
                      "--run_name", "a", "--seeds", 4)
    run, dev = tmp_path / "checkpoints/a-seed4", Store(data / "processed/dev")
    genuine = np.array([row.labels.is_bonafide for row in dev.rows])
    kept, best_epoch = (eer(scores[genuine], scores[~genuine])[0] for scores in (
        score_store(load_engine(run / name), dev) for name in ("best.pt", "best_epoch.pt")))
    assert kept < best_epoch      # or else this test shows nothing
    assert load_checkpoint(run / "best.pt")["origin"].endswith("the average of 1 epoch, dev EER "
                                                               f"{kept:.2%}")
    assert dev_eer(load_checkpoint(run / "best.pt")) == pytest.approx(kept)
    assert f"kept the average of 1 epoch, dev EER {kept:.2%}: " in capsys.readouterr().out
    told = json.loads((tmp_path / "results/a/seeds.json").read_text())
    assert told["runs"][0]["dev_eer"] == told["summary"]["dev_eer"]["mean"] == pytest.approx(kept)


def test_dev_is_said_to_have_chosen_the_epoch_only_where_there_were_several(tmp_path):
    data = tiny_stores.tiny_stores(tmp_path / "data", {"train": 40, "dev": 40})
    for epochs, chose in ((1, False), (2, True)):
        tiny_stores.train(data, tmp_path, "--architecture", "lfcc-gmm", "--components", 2,
            "--epochs", epochs, "--run_name", str(epochs))
        said = load_checkpoint(
            tmp_path / f"checkpoints/{epochs}/best.pt")["decision"]["band_origin"]
        assert "fitted the calibration" in said and ("chose the epoch" in said) == chose


def test_last_checkpoint_can_score_too(four_epochs):
    last = load_checkpoint(four_epochs / "checkpoints/whole/last.pt")
    assert len(last["history"]) == 4 and last["decision"] is not None


def test_reading_ahead_in_workers_changes_nothing(data_dir, four_epochs, tmp_path):
    command = [sys.executable, ROOT / TRAINING,
               *arguments(data_dir, tmp_path, "--epochs", 1, "--num_workers", 2,
                          "--run_name", "workers")]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
    first = list(csv.DictReader(open(four_epochs / "results/whole/history.csv")))[0]
    again = list(csv.DictReader(open(tmp_path / "results/workers/history.csv")))[0]
    assert (first["train_loss"], first["dev_eer"]) == (again["train_loss"], again["dev_eer"])


def test_checkpoint_holds_everything_needed_to_score(four_epochs):
    checkpoint = load_checkpoint(four_epochs / "checkpoints/whole/best.pt")
    assert checkpoint["label_order"] == ["spoof", "bonafide"]
    assert checkpoint["config"] == CONFIGS["small"]
    assert checkpoint["decision"]["origin"] and np.isfinite(checkpoint["decision"]["threshold"])
    assert checkpoint["trained_on"]["utterances"] > 0 and checkpoint["trained_on"]["attacks"]
    assert checkpoint["args"]["seed"] == 1 and checkpoint["environment"]["packages"]["torch"]


def test_test_leaves_figures_pictures_and_report(four_epochs):
    results = four_epochs / "results/whole"
    metrics = json.loads((results / "metrics.json").read_text())
    assert 0 <= metrics["eer"] <= 1
    assert metrics["eer_interval"][0] <= metrics["eer"] <= metrics["eer_interval"][1]
    assert {"min_dcf", "act_dcf", "cllr", "seen", "unseen"} <= metrics.keys()
    for name in ("scores.tsv", "keys.tsv", "det.png", "roc.png", "history.csv", "history.png",
        "report.html"):
        assert (results / name).stat().st_size > 0, name


def test_inference_gives_an_eval_utterance_the_score_of_the_evaluation(
        data_dir, four_epochs, tmp_path):
    import soundfile
    store = Store(data_dir / "processed/eval")
    lines = (four_epochs / "results/whole/scores.tsv").read_text().splitlines()[1:]
    evaluated = dict(line.split("\t") for line in lines)
    calibration = load_checkpoint(four_epochs / "checkpoints/whole/best.pt")["calibration"]
    tolerance = 1e-5 * max(1, calibration["scale"])     # the raw scores' own
    for index in (0, len(store) - 1):
        soundfile.write(tmp_path / "one.wav", store.read(index), 16000, subtype="PCM_16")
        for model in ("best.onnx", "best.pt"):
            done = step("utils/simplified_inference.py", "--input_file", tmp_path / "one.wav",
                "--force_cpu", "--json",
                        "--model", four_epochs / "checkpoints/whole" / model)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["score"] == pytest.approx(
                float(evaluated[store.rows[index].utterance]), abs=tolerance)


def test_a_run_is_never_overwritten_and_never_resumed_with_other_settings(data_dir, four_epochs):
    again = train(data_dir, four_epochs, "--epochs", 4, "--run_name", "whole")
    assert again.returncode == 1 and "--resume" in again.stderr
    other = train(data_dir, four_epochs, "--epochs", 5, "--run_name", "whole", "--resume", "--seed",
                  2)
    assert other.returncode == 1 and "seed = 1" in other.stderr and "Traceback" not in other.stderr


def test_a_run_is_not_resumed_on_other_data(data_dir, four_epochs):
    done = train(data_dir, four_epochs, "--epochs", 5, "--run_name", "whole", "--resume",
        "--max_samples", 20)
    assert done.returncode == 1 and "max_samples" in done.stderr
    other = four_epochs / "other"
    shutil.copytree(data_dir, other)
    assert step("utils/preprocess_data.py", "--data_dir", other, "--subset", "train", "--limit",
                20).returncode == 0
    done = train(other, four_epochs, "--epochs", 5, "--run_name", "whole", "--resume")
    assert done.returncode == 1 and "other data" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [("--seed", -1), ("--learning_rate", 0), ("--learning_rate",
    "nan"), ("--num_workers", -1),
                                     ("--epochs", 0), ("--batch_size", "x"), ("--architecture",
                                         "aasist")])
def test_impossible_settings_are_usage_errors(tmp_path, options):
    done = train(tmp_path, tmp_path, *options)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_loss_that_is_no_number_stops_and_names_the_batch(data_dir, tmp_path):
    done = train(data_dir, tmp_path, "--epochs", 2, "--learning_rate", 1e30)
    assert done.returncode == 1 and "batch" in done.stderr and "--learning_rate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("dev", [36, 38])
def test_a_dev_set_too_small_for_any_verdict_is_told_before_training(dev, tmp_path, capsys):
    data = tiny_stores.tiny_stores(tmp_path / "data", {"train": 24, "dev": dev})
    tiny_stores.train(data, tmp_path, "--epochs", 1)
    told = "dev has 18 utterances of one class: every verdict will be uncertain"
    assert (told in capsys.readouterr().out) == (dev == 36)


@pytest.mark.parametrize("dev", [36, 38])
def test_a_dev_set_cut_too_small_for_any_verdict_names_the_option(dev, tmp_path, capsys):
    data = tiny_stores.tiny_stores(tmp_path / "data", {"train": 24, "dev": dev})
    tiny_stores.train(data, tmp_path, "--epochs", 1, "--max_samples", 24)
    told = "needs 19 of each; --max_samples left the others out"
    assert (told in capsys.readouterr().out) == (dev == 38)


def test_missing_store_is_one_sentence(tmp_path):
    done = train(tmp_path / "nothing", tmp_path)
    assert done.returncode == 1
    assert "preprocess_data.py" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("recipe", ["default", "published"])
def test_aasist_trains_with_either_recipe(data_dir, tmp_path, recipe):
    done = step("notebooks/aasist_training.py", "--architecture", "aasist-l", "--recipe", recipe,
        "--epochs", 1, "--batch_size", 2,
                "--max_samples", 4, "--data_dir", data_dir, "--checkpoint_dir", tmp_path / "c",
                    "--results_dir", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "c/aasist-l-1/best.pt")["architecture"] == "aasist-l"


def test_balanced_batches_hold_both_classes_equally_and_all_attacks_evenly():
    keys, attacks = ["bonafide"] * 10 + ["spoof"] * 90, ["-"] * 10 + ["A01"] * 80 + ["A02"] * 10
    order = BalancedOrder(keys, attacks, batch_size=4, seed=1)
    batches = order.epoch(0)
    assert all(Counter(keys[i] for i in batch) == {"bonafide": 2, "spoof": 2} for batch in batches)
    assert Counter(attacks[i] for batch in batches for i in batch) == {"-": 10, "A01": 5, "A02": 5}
    assert order.epoch(0) == batches and order.epoch(1) != batches


def test_shuffled_order_takes_each_utterance_once_and_drops_the_rest():
    batches = ShuffledOrder(10, batch_size=4, seed=1).epoch(0)
    assert [len(batch) for batch in batches] == [4, 4]
    assert len({i for batch in batches for i in batch}) == 8


def test_max_samples_keeps_the_share_of_each_key_and_attack():
    groups = [("bonafide", "-")] * 100 + [("spoof", "A01")] * 300 + [("spoof", "A02")] * 100
    chosen = Counter(groups[i] for i in draw_nested(groups, 50, seed=3))
    assert chosen == {("bonafide", "-"): 10, ("spoof", "A01"): 30, ("spoof", "A02"): 10}


def test_max_samples_loses_no_attack():
    groups = [("bonafide", "-")] * 10 + [("spoof", "A01")] * 1000 + [("spoof", "A02")]
    assert {groups[i] for i in draw_nested(groups, 3, seed=3)} == set(groups)


def test_many_attacks_of_one_utterance_leave_the_real_speech_its_share():
    groups = ["bonafide"] * 300 + [f"attack {i}" for i in range(600)]
    drawn = Counter(groups[i] for i in draw_nested(groups, 300, seed=3))
    assert sum(drawn.values()) == 300 and 85 < drawn["bonafide"] < 115


def test_crops_depend_on_seed_and_epoch_only(data_dir):
    store = Store(data_dir / "processed/train")
    one, two = (CropDataset(store, 16000, seed=5) for _ in range(2))
    assert torch.equal(one[0, 3][0], two[0, 3][0]) and one[0, 3][0].shape == (16000,)
    assert any(not torch.equal(one[0, i][0], one[1, i][0]) for i in range(len(store)))


def test_published_schedule_falls_from_its_first_to_its_last_rate():
    recipe = recipe_for("aasist", "published")
    assert recipe["seed"] == 1234 and learning_rate(recipe, 0, 1057) == pytest.approx(1e-4)
    assert learning_rate(recipe, 100 * 1057, 1057) == pytest.approx(5e-6)


def test_small_model_is_small():
    model = build_model(CONFIGS["small"])
    assert sum(p.numel() for p in model.parameters()) <= 100_000
    assert model(torch.zeros(2, 64600))[1].shape == (2, 2)


@pytest.mark.parametrize("decision, dev_eer, why", [
    (None, 0.1, "on dev, every score is the same"), ({}, 0.5, "as often as chance"),
    ({}, 0.49, None)])
def test_a_model_that_learnt_nothing_is_said_to_be_unable_to_judge(decision, dev_eer, why):
    said = distrust({"decision": decision, "reason": "on dev, every score is the same"}, dev_eer)
    assert said is None if why is None else why in said
