"""Starting from weights, freezing, balance by source, teachers, early stopping, several seeds, more
data."""
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import CONFIGS, build_model
from tests.helpers.tiny_stores import tiny_stores, train
from utils import import_weights
from utils.metrics.metrics import eer
from utils.store.reader import Store
from utils.trials.labels import Labels
from utils.common.errors import InputError
from utils.detector.checkpoint import load_checkpoint, save_checkpoint
from utils.detector.engines import PRETRAINED, load_engine
from utils.detector.scoring import score_store, waveform
from utils.detector.verdict import dev_eer
from utils.signals.front import front_stage
from utils.training.orders import BalancedOrder, make_order
from utils.training.data import CropDataset
from utils.training.architectures import recipe_for
from utils.training.learners.teacher import Teacher, distillation_loss
from utils.training.learners.freezing import freeze, renew_statistics
from utils.training.setup.weights import start_from


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_stores(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def parent(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of six epochs left its files."""
    out = tmp_path_factory.mktemp("parent")
    train(data, out, "--epochs", 6, "--run_name", "p", "--averaging", "none", "--augment", "none")
    return out / "checkpoints" / "p"


def weights(path: Path) -> dict:
    return load_checkpoint(path)["state_dict"]


def test_a_run_starts_from_the_weights_given_and_keeps_what_is_frozen(data, parent, tmp_path):
    train(data, tmp_path, "--epochs", 1, "--run_name", "c", "--init_from", parent / "best.pt",
        "--freeze", "1", "--averaging", "none")
    child = load_checkpoint(tmp_path / "checkpoints/c/last.pt")
    before = weights(parent / "best.pt")
    after = None
    after = child["state_dict"]
    frozen = [name for name in before if name.startswith(("bin_norm.", "stem.", "blocks.0."))]
    # statistics and counters too
    assert len(frozen) > 15
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["blocks.1.conv1.weight"], after["blocks.1.conv1.weight"])
    # one short epoch away, not drawn anew
    assert torch.dist(before["blocks.1.conv1.weight"], after["blocks.1.conv1.weight"]) < 0.5
    start, before = child["trained_on"]["start"], load_checkpoint(parent / "best.pt")
    assert "run p" in start["origin"] and start["data"] == before["trained_on"]["data"]
    assert start["epochs"] == len(before["history"]) > 1
    assert child["args"]["init_from"].startswith("best.pt (SHA-256 ")


def test_a_frozen_run_resumes_exactly(data, parent, tmp_path):
    options = ("--init_from", parent / "best.pt", "--freeze", "stem,bin_norm,norm", "--balance",
        "source", "--teacher", parent / "best.pt")
    train(data, tmp_path, "--epochs", 2, "--run_name", "whole", *options)
    for epochs in (1, 2):
        train(data, tmp_path, "--epochs", epochs, "--run_name", "halves", "--resume", *options)
    whole, halves = (weights(tmp_path / "checkpoints" / name / "last.pt") for name in ("whole",
        "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_published_weights_are_a_start(shared, tmp_path):
    import_weights.main(["--weights", str(shared / "reference/aasist/ASVspoof5-baseline.pth"),
        "--architecture", "aasist",
                         "--output", str(tmp_path / "b.pt")])
    model = build_model(CONFIGS["aasist"])
    origin = start_from(model, CONFIGS["aasist"], tmp_path / "b.pt")
    assert "ASVspoof 5 baseline" in origin["origin"]
    resting = freeze(model, "aasist", "2")
    learning = {name.split(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
    assert learning == {"first_bn", "encoder"} and len(resting) == 4
    assert {name[:9] for name, p in model.named_parameters() if p.requires_grad and name.startswith(
        "encoder")} == {
        f"encoder.{n}" for n in (2, 3, 4, 5)}
    with pytest.raises(InputError, match="holds a network of architecture aasist, not aasist-l"):
        start_from(build_model(CONFIGS["aasist-l"]), CONFIGS["aasist-l"], tmp_path / "b.pt")


@pytest.mark.parametrize("parts, message", [("encoder.9", "no such part"), (
    "stem,blocks,projection,attention,out_layer,bin_norm", "nothing")])
def test_parts_that_cannot_be_frozen_are_named(parts, message):
    with pytest.raises(InputError, match=message):
        freeze(build_model(CONFIGS["small"]), "small", parts)


def test_no_gradient_is_computed_for_frozen_blocks():
    model = build_model(CONFIGS["small"])
    for module in freeze(model.train(), "small", "1"):
        module.eval()
    seen = []
    model.blocks[0].register_forward_hook(
        lambda module, inputs, output: seen.append(output.requires_grad))
    model(torch.randn(2, 16000))[1].sum().backward()
    assert seen == [False]
    assert model.blocks[1].conv1.weight.grad is not None
    assert model.blocks[0].conv1.weight.grad is None


def test_renewed_statistics_are_those_of_PyTorch_and_leave_frozen_ones_alone():
    from torch.optim.swa_utils import update_bn
    torch.manual_seed(0)
    config = CONFIGS["small"] | {"dropout": 0.0, "mask_bins": 0, "mask_frames": 0}
    ours, theirs = build_model(config), build_model(config)
    theirs.load_state_dict(ours.state_dict())
    batches = [torch.randn(4, 16000) for _ in range(2)]
    update_bn(batches, theirs)
    renew_statistics(ours, [], batches)
    assert all(
        torch.equal(a, b) for a, b in zip(ours.state_dict().values(),
                                          theirs.state_dict().values(), strict=True))
    before = ours.stem[1].running_mean.clone()
    renew_statistics(ours, [ours.stem], [batch + 0.1 for batch in batches])
    assert torch.equal(before, ours.stem[1].running_mean)
    assert not torch.equal(ours.bin_norm.running_mean, theirs.bin_norm.running_mean)


def test_sampling_by_source_gives_shares_like_the_power_of_its_size():
    keys = ["bonafide"] * 100 + ["spoof"] * 110
    sources = ["x"] * 64 + ["y"] * 36 + ["big"] * 100 + ["small"] * 9 + ["one"]
    drawn = {}
    for power in (0.0, 0.5, 1.0):
        order = BalancedOrder(keys, sources, batch_size=10, seed=1, power=power)
        batches = [batch for epoch in range(30) for batch in order.epoch(epoch)]
        assert all(
            Counter(keys[i] for i in batch) == {"bonafide": 5, "spoof": 5} for batch in batches)
        counts = Counter(sources[i] for batch in batches for i in batch)
        drawn[power] = [counts[name] / sum(counts.values()) * 2 for name in ("x", "big", "small",
            "one")]
        assert order.epoch(3) == BalancedOrder(keys, sources, 10, 1, power).epoch(3)
    assert np.allclose(drawn[0.0], [1 / 2, 1 / 3, 1 / 3, 1 / 3], atol=0.02)
    assert np.allclose(drawn[0.5], [8 / 14, 10 / 14, 3 / 14, 1 / 14], atol=0.02)
    assert np.allclose(drawn[1.0], [0.64, 100 / 110, 9 / 110, 1 / 110], atol=0.02)


def test_each_way_to_balance(data):
    """What an epoch draws of each group, on average: two attacks and two sources, crossed, in
    uneven numbers."""
    rows = Store(data / "processed/train").rows
    sizes = {("bonafide", "-", "x"): 12, ("bonafide", "-", "y"): 4,
             ("spoof", "A", "x"): 16, ("spoof", "A", "y"): 4, ("spoof", "B", "x"): 4, ("spoof", "B",
                 "y"): 4}
    groups = [group for group, size in sizes.items() for _ in range(size)]
    uneven = [
        replace(rows[0], labels=Labels(key=key, attack=attack, source=source))
        for key, attack, source in groups
    ]
    # three batches of 12 out of 44
    expected = {"none": [36 / 44 * size for size in sizes.values()],
                # two batches, each class in proportion
                "class": [9, 3, 48 / 7, 12 / 7, 12 / 7, 12 / 7],
                "attack": [9, 3, 4.8, 1.2, 3, 3], "source": [6, 6, 4.8, 3, 1.2, 3]}
    for balance, drawn in expected.items():
        order = make_order(
            uneven, recipe_for("small", "default", balance=balance, batch_size=12,
                               source_power=0.0), 1)
        counts = Counter(
            groups[i] for epoch in range(500) for batch in order.epoch(epoch) for i in batch)
        assert np.allclose([counts[group] / 500 for group in sizes], drawn, atol=0.15), balance
    nowhere = [replace(row, labels=replace(row.labels, source="-")) for row in rows]
    with pytest.raises(InputError, match="names no sources"):
        make_order(nowhere, recipe_for("small", "default", balance="source"), 1)


def test_a_student_follows_its_teacher_even_against_the_labels(data, parent, tmp_path):
    """From the same start, one student learns the labels, another the scores of a teacher that has
    them the wrong way round."""
    teacher = load_checkpoint(parent / "best.pt") | {"calibration": None, "decision": None}
    teacher["state_dict"] |= {name: teacher["state_dict"][name].flip(0) for name in (
        "out_layer.weight", "out_layer.bias")}
    save_checkpoint(tmp_path / "teacher.pt", teacher)
    store, agreement = Store(data / "processed/train"), {}
    expected = score_store(load_engine(tmp_path / "teacher.pt"), store, progress=False)
    for name, weight in (("labels", 0), ("teacher", 1)):
        train(data, tmp_path, "--epochs", 20, "--run_name", name, "--teacher", tmp_path /
              "teacher.pt", "--distil_weight", weight, "--augment", "none", "--seed", 3,
              "--averaging", "none", "--balance", "class", "--crop_seconds", 1.25)
        engine = load_engine(tmp_path / "checkpoints" / name / "last.pt")
        engine.metadata["calibration"] = None
        agreement[name] = np.corrcoef(score_store(engine, store, progress=False), expected)[0, 1]
    print(agreement)
    assert agreement["teacher"] > agreement["labels"] + 0.2


def test_a_ridge_regression_follows_its_teacher_even_against_the_labels(data, tmp_path):
    """The teacher is the first fit, which knows the labels, the wrong way round."""
    def fitted(name: str, *options: object) -> np.ndarray:
        train(data, tmp_path, "--architecture", "shallow", "--encoder", PRETRAINED, "--run_name",
              name, "--augment", "none", "--crop_seconds", 1.25, *options)
        engine = load_engine(tmp_path / "checkpoints" / name / "best.onnx")
        engine.metadata["calibration"] = None
        return score_store(engine, Store(data / "processed/train"), progress=False)
    labels = fitted("labels")
    teacher = load_checkpoint(tmp_path / "checkpoints/labels/best.pt")
    teacher["state_dict"] |= {name: 9 * teacher["state_dict"][name].flip(0) for name in (
        "out_layer.weight", "out_layer.bias")}
    save_checkpoint(tmp_path / "teacher.pt", teacher | {"calibration": None, "decision": None})
    for weight, low, high in ((0, 0.99, 1.01), (1, -1.01, -0.9)):
        found = fitted(f"taught {weight}", "--teacher", tmp_path / "teacher.pt",
                       "--distil_weight", weight, "--views", 2)
        assert low < np.corrcoef(found, labels)[0, 1] < high


def listen(teacher: Teacher) -> tuple[list[int], Callable]:
    """A list that grows by the size of each batch that the teacher scores from now on, and what
    gave its logits before."""
    heard = []
    logits = teacher.engine.logits
    teacher.engine.logits = lambda waves: heard.append(len(waves)) or logits(waves)
    return heard, logits


def test_a_teacher_hears_the_same_crop_and_a_fixed_crop_once(data, parent):
    """Utterances of 20,000 samples. Crops that start anywhere are not kept: nobody asks for them
    again."""
    store = Store(data / "processed/train")
    for samples, calls, kept in ((16000, [2, 2, 1], 0), (20000, [2], 2), (24000, [2], 2)):
        teacher = Teacher(parent / "best.pt", CropDataset(store, samples, 1))
        heard, _ = listen(teacher)
        first, again, other = (teacher.scores(items)
                               for items in ([(0, 3), (0, 4)], [(0, 4), (0, 3)], [(1, 3), (1, 3)]))
        assert torch.allclose(first, again.flip(0), atol=1e-4) and other[0] == other[1]
        assert heard == calls and len(teacher.known) == kept
    teacher = Teacher(parent / "best.pt", CropDataset(store, 20000, 1))
    first, logits = teacher.scores([(0, 3), (0, 4)]), teacher.engine.logits
    wave = CropDataset(store, 20000, 1)[0, 3][0].numpy()
    whole = np.resize(wave, 64600)
    line = teacher.engine.metadata["calibration"] or {"scale": 1.0, "offset": 0.0}
    raw = np.diff(logits(whole[None])[0])[0]
    assert float(first[0]) == pytest.approx(line["scale"] * raw + line["offset"], abs=1e-4)


def test_the_teacher_of_a_ridge_hears_each_utterance_once_even_over_runs(data, parent, tmp_path):
    """It hears the middle of utterances of 20,000 samples."""
    store = Store(data / "processed/train")
    line = load_engine(parent / "best.pt").metadata["calibration"] or {"scale": 1.0, "offset": 0.0}
    for samples in (16000, 24000):
        teacher = Teacher(parent / "best.pt", CropDataset(store, samples, 1), once=True,
                          folder=tmp_path)
        calls, logits = listen(teacher)
        found = teacher.scores([(0, 3), (0, 4), (1, 3)])
        assert teacher.scores([(5, 4)])[0] == found[1] and found[0] == found[2]
        assert calls == [2]
        start, count = max(0, 20000 - samples) // 2, min(samples, 20000)
        middle = np.resize(store.read(3, start, count), samples)
        wave = np.resize(front_stage(waveform(middle)), 64600)
        raw = np.diff(logits(wave[None])[0])[0]
        assert float(found[0]) == pytest.approx(line["scale"] * raw + line["offset"], abs=1e-4)
        del teacher.scored      # closes the file: the next run finds the scores
        later = Teacher(parent / "best.pt", CropDataset(store, samples, 1), once=True,
                        folder=tmp_path)
        calls, _ = listen(later)
        assert torch.equal(later.scores([(7, 3), (7, 4)]), found[:2]) and not calls
        del later.scored


def test_the_distillation_loss_is_least_at_the_teachers_scores():
    scores = torch.tensor([2.0, -1.0])
    there = torch.stack([torch.zeros(2), scores], dim=1)
    assert distillation_loss(there, scores, 2.0) == pytest.approx(0, abs=1e-6)
    assert distillation_loss(there + torch.tensor([[0.0, 0.5]]), scores, 2.0) > 0.01


def test_early_stopping_and_smoothing(data, tmp_path, capsys):
    train(data, tmp_path, "--epochs", 30, "--early_stop", 1, "--run_name", "e", "--label_smoothing",
          0.2)
    history = load_checkpoint(tmp_path / "checkpoints/e/last.pt")["history"]
    lowest = min(row["dev_eer"] for row in history)
    assert "stopped early: 1 epochs" in capsys.readouterr().out and len(history) < 30
    assert [row["dev_eer"] for row in history].index(lowest) == len(history) - 2
    train(data, tmp_path, "--epochs", 30, "--early_stop", 1, "--run_name", "e", "--label_smoothing",
          0.2, "--resume")
    assert len(load_checkpoint(tmp_path / "checkpoints/e/last.pt")["history"]) == len(history)


def test_several_seeds_give_mean_and_spread(data, tmp_path, capsys):
    train(data, tmp_path, "--epochs", 1, "--run_name", "s", "--seeds", "4,5", "--test")
    told = json.loads((tmp_path / "results/s/seeds.json").read_text())
    assert [row["seed"] for row in told["runs"]] == [4, 5]
    for row in told["runs"]:
        metrics = json.loads((tmp_path / "results" / row["run"] / "metrics.json").read_text())
        assert row["eval_eer"] == metrics["eer"]
    values = [row["eval_eer"] for row in told["runs"]]
    assert told["summary"]["eval_eer"]["mean"] == pytest.approx(np.mean(values))
    assert told["summary"]["eval_eer"]["std"] == pytest.approx(np.std(values, ddof=1))
    assert "over 2 seeds" in capsys.readouterr().out
    with pytest.raises(InputError, match="the run s-seed5 exists"):
        train(data, tmp_path, "--epochs", 1, "--run_name", "s", "--seeds", "6,5")
    assert not (tmp_path / "checkpoints/s-seed6").exists()     # told before anything is trained


def test_a_run_goes_on_with_more_data_where_that_is_asked_for(tmp_path):
    data = tiny_stores(tmp_path / "data")
    train(data, tmp_path, "--epochs", 1, "--run_name", "m")
    first = load_checkpoint(tmp_path / "checkpoints/m/last.pt")
    tiny_stores(data, {"train": 32, "dev": 16, "eval": 12})
    with pytest.raises(InputError, match="add --more_data"):
        train(data, tmp_path, "--epochs", 2, "--run_name", "m", "--resume")
    train(data, tmp_path, "--epochs", 2, "--run_name", "m", "--resume", "--more_data")
    # its data are these now
    train(data, tmp_path, "--epochs", 3, "--run_name", "m", "--resume")
    last, best = (load_checkpoint(tmp_path / "checkpoints/m" / name) for name in ("last.pt",
        "best.pt"))
    assert len(last["history"]) == 3 and last["history"][0] == first["history"][0]
    assert last["trained_on"]["utterances"] == 32
    # The earlier best was judged anew on the dev set of today, and calibrated on it.
    dev = Store(data / "processed/dev")
    assert best["trained_on"]["data"]["dev"]["utterances"] == len(dev) == 16
    genuine = np.array([row.labels.is_bonafide for row in dev.rows])
    scores = score_store(load_engine(tmp_path / "checkpoints/m/best.onnx"), dev)
    assert dev_eer(best) == pytest.approx(eer(scores[genuine], scores[~genuine])[0])


@pytest.mark.parametrize("options", [("--seeds", "1,1"), ("--seeds", "1,2", "--seed", "1"), (
    "--more_data",), ("--distil_weight", "2"),
                                     ("--label_smoothing", "-1")])
def test_impossible_options_are_usage_errors(tmp_path, options):
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, tmp_path, *options)
    assert ended.value.code == 2


def test_no_run_goes_on_where_dev_or_eval_hold_what_it_was_trained_on(tmp_path):
    data = tiny_stores(tmp_path / "data")
    train(data, tmp_path, "--epochs", 1, "--run_name", "m")
    begun = shutil.copytree(tmp_path / "checkpoints/m", tmp_path / "checkpoints/n")

    def more(name: str, **names: str) -> None:      # a split that was drawn anew
        tiny_stores(data, {"train": 32, "dev": 16, "eval": 12})
        for subset, other in names.items():
            index = data / "processed" / subset / "index.tsv"
            index.write_text(index.read_text().replace(f"\n{subset}", f"\n{other}"))
        train(data, tmp_path, "--epochs", 2, "--run_name", name, "--resume", "--more_data")
    with pytest.raises(InputError, match="dev holds 16 utterances .* in train before"):
        more("m", dev="train", train="new")
    with pytest.raises(InputError, match="eval holds 12 utterances .* in train before"):
        more("m", eval="train", train="new")
    with pytest.raises(InputError, match="eval holds 12 utterances .* in dev before"):
        more("m", eval="dev", dev="new")
    more("m", train="dev")      # what dev held may train, and a namesake of dev is another one
    assert load_checkpoint(tmp_path / "checkpoints/m/last.pt")["training"]["met"]["train"][
        "utterances"].shape == (24 + 32,)
    state = torch.load(begun / "last.pt", weights_only=True)
    del state["training"]["met"]
    torch.save(state, begun / "last.pt")
    with pytest.raises(InputError, match="of an earlier version"):
        more("n")


def test_attacks_of_earlier_data_stay_known(tmp_path):
    data = tiny_stores(tmp_path / "data")
    train(data, tmp_path, "--epochs", 1, "--run_name", "m")
    tiny_stores(data, {"train": 2, "dev": 12, "eval": 12})      # one attack of four
    train(data, tmp_path, "--epochs", 2, "--run_name", "m", "--resume", "--more_data",
          "--batch_size", 8)
    known = load_checkpoint(tmp_path / "checkpoints/m/last.pt")["trained_on"]["attacks"]
    assert known == ["A0", "A1", "A2", "A3"]


@pytest.mark.parametrize("origin, told", [("split of all", True), ("official", False)])
def test_a_start_of_another_split_of_the_corpus_is_told(tmp_path, capsys, origin, told):
    data = tiny_stores(tmp_path / "data")
    train(data, tmp_path, "--epochs", 1, "--run_name", "m")
    tiny_stores(data, {"train": 32, "dev": 16, "eval": 12})
    subsets = {"train": {"sha256": "train 32"}} | {
        name: {"sha256": f"{name} {count}", "origin": origin}
        for name, count in (("dev", 16), ("eval", 12))}
    (data / "protocols").mkdir()
    (data / "protocols/corpus.json").write_text(json.dumps({"subsets": subsets}))
    train(data, tmp_path, "--epochs", 1, "--run_name", "n", "--test",
          "--init_from", tmp_path / "checkpoints/m/best.pt")
    assert capsys.readouterr().out.count("trained on another split") == 2 * told
