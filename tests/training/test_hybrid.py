"""The hybrid of AASIST and a speech encoder: its statistics, its closed-form fit, its export, and
the pretrained model."""
import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models import CONFIGS
from models.hybrid import Hybrid, band_statistics
from tests.benchmarks.accuracy.bench_levels import CHANGES, measure
from tests.helpers.audio.example_speech import example_files
from tests.helpers.tiny_stores import tiny_stores
from utils.audio.decode import load_audio
from utils.common.errors import InputError
from utils.metrics.metrics import eer
from utils.common.files import PRETRAINED_DIR
from utils.detector.checkpoint import load_checkpoint
from utils.detector.detector import Detector
from utils.detector.engines import PRETRAINED, default_model, load_engine
from utils.export.export import quickest_engine
from utils.detector.scoring import score_blocks
from utils.detector.engines.torch_engine import TorchEngine
from utils.parallel.join import Alone
from utils.training.batches import Batch
from utils.training.learners.ridge import fit, row_weights
from utils.trials.labels import Labels

SMALL = {"aasist": {"channels": [4, 4, 4, 4], "gat_dims": [8, 4], "pool_ratios": [0.5, 0.7, 0.5]},
    "n_blocks": 0, "max_frames": 30, "earlier_blocks": [1, 4]}
N = 6400
ALONE = Alone(torch.device("cpu"))


def Row(key: str, source: str, attack: str) -> SimpleNamespace:
    return SimpleNamespace(labels=Labels(key=key, source=source, attack=attack))


@pytest.fixture
def hybrid() -> Hybrid:
    torch.manual_seed(3)
    return Hybrid(**SMALL).eval()


def waves(count: int) -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy((rng.standard_normal(
        (count, N)) * rng.uniform(0.01, 0.3, (count, 1))).astype(np.float32))


def test_band_statistics_are_means_and_deviations_over_bands_of_those_over_time():
    features = torch.randn(2, 3, 23, 7)
    mean, deviation = features.mean(3), features.std(3, correction=0)
    expected = [
        mean.mean(2),
        deviation.mean(2),
        mean.std(2, correction=0),
        deviation.std(2, correction=0)
    ]
    assert torch.allclose(band_statistics(features), torch.cat(expected, 1), atol=1e-5)


def test_the_exported_hybrid_has_its_statistics_and_logits(hybrid):
    x = waves(3)
    engine = quickest_engine(hybrid, {"n_samples": N})
    with torch.inference_mode():
        hidden, logits = hybrid(x)
    assert np.abs(engine.last_hidden(x.numpy())
                  - hidden.double().numpy()).max() < 1e-4 * hidden.abs().max()
    assert np.abs(engine.logits(x.numpy()) - logits.double().numpy()).max() < 1e-5
    # by which a GPU computes them
    live = TorchEngine(hybrid, {"n_samples": N}).last_hidden(x.numpy())
    assert live.dtype == np.float32
    assert np.abs(live - hidden.numpy()).max() < 1e-5 * hidden.abs().max()


def test_the_fit_is_the_weighted_ridge_regression_on_standardised_statistics(hybrid):
    x, labels = waves(12), torch.tensor([0, 1] * 6)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, 12)
    weights /= weights.sum()
    batches = [Batch(x[k:k + 5], labels[k:k + 5], [(0, i) for i in range(k, min(k + 5, 12))])
               for k in range(0, 12, 5)]
    loss = fit(hybrid, batches, weights, 0.01, ALONE)
    with torch.inference_mode():
        z, logits = (part.double().numpy() for part in hybrid(x))
    target = 2.0 * labels.numpy() - 1
    centred = np.sqrt(weights)[:, None] * (z - weights @ z)
    slope = centred.T @ np.linalg.solve(centred @ centred.T + 0.01 * np.eye(12),
                                        np.sqrt(weights) * (target - weights @ target))
    score = (z - weights @ z) @ slope + weights @ target
    assert np.abs(weights @ z).max() < 1e-4
    assert np.abs(logits[:, 1] - logits[:, 0] - score).max() < 1e-3    # float32 statistics
    assert loss == pytest.approx(weights @ (score - target) ** 2, abs=1e-4)


@pytest.mark.parametrize("penalties", [(3.0,), (3.0, 0.5)])
def test_what_a_change_does_to_the_score_is_penalised_in_closed_form(hybrid, penalties):
    x, labels = waves(8), torch.tensor([0, 1] * 4)
    weights = np.full(8, 1 / 8)
    copies = [x * 0.3, x.flip(1)][:len(penalties)]
    batches = [Batch(x[k:k + 4], labels[k:k + 4], [(0, i) for i in range(k, k + 4)],
                     tuple(copy[k:k + 4] for copy in copies)) for k in (0, 4)]
    fit(hybrid, [Batch(x, labels, [(0, i) for i in range(8)])], weights, 0.01, ALONE)
    free = moved(hybrid, x, copies)
    loss = fit(hybrid, batches, weights, 0.01, ALONE, penalties)
    with torch.inference_mode():
        z, _ = (part.double().numpy() for part in hybrid(x))
        changed = [hybrid(copy)[0].double().numpy() - z for copy in copies]
    target = 2.0 * labels.numpy() - 1
    rows = np.concatenate([z - z.mean(0), *(penalty ** 0.5 * by
                                            for penalty, by in zip(penalties, changed))]) / 8 ** 0.5
    goal = np.concatenate([target, *(np.zeros(8) for _ in penalties)]) / 8 ** 0.5
    slope = rows.T @ np.linalg.solve(rows @ rows.T + 0.01 * np.eye(len(rows)), goal)
    found = hybrid.out_layer.weight.detach().double().numpy()
    assert np.abs(found[1] - found[0] - slope).max() < 5e-3 * np.abs(slope).max()   # float32
    assert loss == pytest.approx(np.square(rows @ slope - goal).sum(), abs=1e-4)
    assert all(after < before / 2 for before, after in zip(free, moved(hybrid, x, copies)))


def moved(model, x, copies) -> list[float]:
    """Mean squared change of the score from `x` to each of its copies."""
    with torch.inference_mode():
        scores, *others = (model(wave)[1].diff(dim=1) for wave in (x, *copies))
    return [float((other - scores).square().mean()) for other in others]


def test_a_penalty_too_small_for_so_few_utterances_is_told(hybrid):
    with pytest.raises(InputError, match="give a larger --ridge"):
        fit(hybrid, [Batch(waves(4), torch.tensor([0, 1, 0, 1]), [(0, i) for i in range(4)])],
            np.full(4, 0.25), 1e-300, ALONE)


def test_each_class_has_half_the_weight_and_large_sources_less_than_their_number():
    rows = [Row("bonafide", "a", "-")] * 16 + [Row(
        "bonafide", "b", "-")] + [Row("spoof", "a", "x")] * 4 + [Row("spoof", "a", "y")] * 4
    weights = row_weights(rows, 0.5)
    assert weights[:17].sum() == pytest.approx(0.5) and weights[17:].sum() == pytest.approx(0.5)
    assert weights[:16].sum() / weights[16] == pytest.approx(4)
    assert weights[17:21].sum() == pytest.approx(weights[21:].sum())


def test_a_hybrid_is_fitted_tested_and_exported_by_the_training_script(shared, tmp_path):
    from notebooks.aasist_training import main
    from utils.import_weights import main as import_weights
    aasist = tmp_path / "aasist.pt"
    assert import_weights(["--weights", str(shared / "reference/aasist/ASVspoof5-baseline.pth"),
        "--architecture", "aasist",
                           "--output", str(aasist)]) == 0
    tiny_stores(tmp_path / "data", {"train": 12, "dev": 8, "eval": 8})
    encoder = shared / "reference/encoders/whisper-base/whisper_base_encoder_l2_f16.onnx"
    given = {"--architecture": "hybrid", "--init_from": aasist, "--encoder": encoder, "--run_name":
        "h", "--data_dir": tmp_path / "data",
             "--checkpoint_dir": tmp_path / "c", "--results_dir": tmp_path / "r"}
    assert main([*(str(word) for pair in given.items() for word in pair), "--test"]) == 0
    checkpoint = load_checkpoint(tmp_path / "c/h/best.pt")
    assert checkpoint["config"] == CONFIGS["hybrid"] and (tmp_path / "r/h/metrics.json").is_file()
    assert (tmp_path / "c/h/best.onnx").stat().st_size < 18e6
    _check_box(tmp_path, checkpoint)
    _check_bench(tmp_path)
    again = given | {"--init_from": tmp_path / "again.pt", "--encoder": tmp_path /
        "box/detector.onnx", "--run_name": "again", "--ridge": 0.5}
    # from the box alone, without any other weights
    assert main([str(word) for pair in again.items() for word in pair]) == 0
    refitted = load_checkpoint(tmp_path / "c/again/best.pt")
    assert refitted["args"]["ridge"] == 0.5 and checkpoint["args"]["ridge"] == 0.004
    refitted = refitted["state_dict"]
    # a larger penalty
    assert refitted["out_layer.weight"].abs().sum(
    ) < checkpoint["state_dict"]["out_layer.weight"].abs().sum()
    assert all(
        torch.equal(value, refitted[name]) for name, value in checkpoint["state_dict"].items()
        if name.startswith(("aasist.", "encoder.")))


def _check_bench(tmp_path: Path) -> None:
    """The bench of ablations fits what the script fits: its first row has the script's EERs; folds
    leave each source out once."""
    from tests.benchmarks.accuracy.bench_generalisation import open_bench
    from tests.benchmarks.accuracy.folds import folds_of_both, folds_of_train
    metrics = json.loads((tmp_path / "r/h/metrics.json").read_text())
    trials = tmp_path / "trials.tsv"
    trials.write_text("utterance\tcategory\n"
                      + "".join(f"eval{number}\ttts\n" for number in range(8)))
    seed = metrics["model"]["trained_on"]["seed"]
    bench = open_bench(SimpleNamespace(model=tmp_path / "c/h/best.pt", data_dir=tmp_path / "data",
                                       trials=trials, cache=tmp_path / "cache", seeds=[seed]))
    recipe = bench.row("the recipe")
    assert recipe["utterances"] == "12"
    assert recipe["eval"] == f"{100 * metrics['eer']:.1f}"
    assert bench.row("the pool alone", bench.pool["train"])["utterances"] == "not in these stores"
    alone = bench.row("without augmentation", bench.pool["train"], augmentation="none")
    assert alone["utterances"] == "12"
    *folds, together = folds_of_train(bench)
    assert [counts(row) for row in folds] == [["1", "2", "2"]] * 3
    assert counts(together) == ["3", "6", "6"]
    both = folds_of_both(bench)
    assert len(both) == 2
    # the same folds, of the same three sources
    assert both[0]["openly licensed sources"] == together["EER"]
    _check_statistics(bench, tmp_path / "cache", seed)


def _check_statistics(bench, cache: Path, seed: int) -> None:
    """Crops are those of the checkpoint's augmentation or the one asked for; those in the folder
    are of the same stores."""
    from utils.training.data import CropDataset
    assert bench.augmentation == "speed"
    statistics, store = bench.statistics, bench.statistics.stores["train"]
    for augmentation, found in (("speed", bench.crops["train", seed]), ("none", statistics.crops(
        "train", seed, range(12), "none"))):
        wave = CropDataset(store, 64600, seed, augmentation)[0, 7][0].numpy()
        assert np.array_equal(found[7], statistics.engine.last_hidden(wave[None])[0])
    assert np.array_equal(statistics.crops("train", seed, [7, 9, 10], "none"), found[[7, 9, 10]])
    with pytest.raises(InputError, match="another folder"):
        statistics.crops("train", seed, [7, 9, 11], "none")
    store.info["settings"]["limit"] = 12
    with pytest.raises(InputError, match="another folder"):
        statistics.crops("train", seed, range(12), "none")
    store.info["settings"]["limit"] = None
    (cache / f"crops-train-12-none-seed{seed}.npz").rename(cache /
        f"crops-train-12-speed-seed{seed}.npz")
    with pytest.raises(InputError, match="another augmentation"):
        statistics.crops("train", seed, range(12), "speed")


def counts(fold: dict[str, str]) -> list[str]:
    """How many sources, bona fide and spoofed utterances a row of folds is about."""
    return [fold[name] for name in ("sources", "bona fide", "spoof")]


class ReadOut(torch.nn.Module):
    """What a bench fits of a hybrid, 16 statistics wide."""
    standardise = Hybrid.standardise

    def __init__(self):
        super().__init__()
        self.widths, self.out_layer = [4, 8, 4], torch.nn.Linear(16, 2)
        self.register_buffer("mean", torch.zeros(16))
        self.register_buffer("scale", torch.ones(16))


class Telling:
    """Statistics that tell a clip's class by one value for each source: of no use for sources that
    a fit did not see."""

    def __init__(self, stores: dict, width: int):
        rng = np.random.default_rng(0)
        names = sorted({row.labels.source for store in stores.values() for row in store.rows})
        self.found = {
            subset: (rng.standard_normal((len(store.rows), width)) * 0.01).astype(np.float32)
            for subset, store in stores.items()
        }
        for subset, store in stores.items():
            for found, row in zip(self.found[subset], store.rows):
                found[:len(names)] = 0
                found[names.index(row.labels.source)] = 1 if row.labels.is_bonafide else -1

    def crops(self, subset: str, seed: int, which, augmentation: str) -> np.ndarray:
        return self.found[subset][np.asarray(which, int)]

    def windows(self, subset: str, which) -> tuple[np.ndarray, np.ndarray]:
        return self.crops(subset, 0, which, ""), np.asarray(which, int)


def bench_of(sources: dict[str, list[str]], keys: tuple[str, ...] = ("bonafide", "spoof")):
    """A bench of ten utterances for each source of a subset, train, dev or eval, their keys in
    turn; two seeds."""
    from tests.benchmarks.accuracy.fits import Bench
    stores = {
        subset: SimpleNamespace(rows=[
            SimpleNamespace(labels=Labels(key=keys[n % len(keys)], source=source),
                            utterance=f"{source}-{n}") for source in names for n in range(10)
        ])
        for subset, names in sources.items()
    }
    recipe = {"source_power": 0.75, "ridge": 0.01, "augmentation": "none"}
    categories = {row.utterance: "tts" for row in stores["eval"].rows}
    return Bench(ReadOut(), recipe, stores, Telling(stores, 16), categories, [1, 2])


def test_folds_leave_whole_sources_of_train_and_dev_out_but_never_copies_and_the_default_corpus():
    from tests.benchmarks.accuracy.fits import percent
    from tests.benchmarks.accuracy.folds import dealt, folds_of_both, folds_of_train, left_out
    bench = bench_of({"train": ["a", "b", "c", "d", "copies", "default-corpus"], "dev": ["a", "e",
        "f"], "eval": ["g"]})
    folds = dealt(bench, ["train", "dev"])
    numbers = sorted(set(folds["train"][:40]) | set(folds["dev"]))
    assert set(numbers) <= {1, 2, 3, 4, 5} and len(numbers) > 2 and set(folds["train"][40:]) == {0}
    assert all(
        len(set(fold[at:at + 10])) == 1 for fold in folds.values()
        for at in range(0, len(fold), 10))
    assert folds["train"][0] == folds["dev"][0]       # a source of both
    fitted = []
    fit, bench.fit = bench.fit, lambda parts: fitted.append(parts) or fit(parts)
    left_out(bench, folds, ["train", "dev"], 1)
    assert len(fitted) == len(numbers)
    for number, parts in zip(numbers, fitted):
        for subset, which, found in parts:
            assert which.tolist() == np.flatnonzero(folds[subset] != number).tolist()
            assert len(found) == len(which)
    train = folds_of_train(bench)
    both = folds_of_both(bench)
    cells = [row["EER"] for row in train]
    cells += [row[name] for row in both
              for name in ("openly licensed sources", "other sources", "both")]
    # clips of unseen sources are not told apart
    assert min(map(float, cells)) > 10
    assert len(both) == 2
    fit([("train", np.arange(60), bench.crops["train", 1])])
    # while those that a fit saw are
    assert percent(bench.scores("train"), bench.bonafide["train"], folds["train"] > 0) == 0


@pytest.mark.parametrize("sources, keys", [
    ({"train": ["a", "b", "copies"], "dev": ["c"], "eval": ["d"]}, ("bonafide",)),
    ({"train": ["a"], "dev": ["c"], "eval": ["d"]}, ("bonafide", "spoof")),
    ({"train": ["copies"], "dev": [], "eval": ["d"]}, ("bonafide", "spoof")), ({"train": ["a"],
        "dev": ["a"], "eval": ["d"]}, ("bonafide", "spoof"))])
def test_a_class_or_source_that_is_missing_is_told_in_the_tables_of_the_bench(sources, keys):
    from tests.benchmarks.accuracy.bench_generalisation import front_ends, parts_of_the_data
    from tests.benchmarks.accuracy.folds import folds_of_both
    bench = bench_of(sources, keys)
    recipe = front_ends(bench)[0]
    assert recipe["utterances"] == ("not in these stores" if len(keys) < 2 else
                                    f"{10 * len(sources['train'])}")
    if "a" not in sources["train"] or len(keys) < 2:
        assert folds_of_both(bench)[-1]["both"] == "nan"
        assert [row["utterances"] for row in parts_of_the_data(bench)
                if row["training"] == "the pool alone, --augment full"] == ["not in these stores"]


def _check_box(tmp_path: Path, checkpoint: dict) -> None:
    """Packing a model and unpacking it gives the same weights, bit for bit."""
    from utils.pack_detector import main
    box = tmp_path / "box"
    assert main(["pack", "--model", str(tmp_path / "c/h/best.pt"), "--box", str(box),
        "--description", "a test"]) == 0
    assert main(["unpack", "--box", str(box), "--output", str(tmp_path / "again.pt")]) == 0
    again = load_checkpoint(tmp_path / "again.pt")
    assert all(torch.equal(value, again["state_dict"][name]) for name, value in checkpoint[
        "state_dict"].items())
    assert {key: value for key, value in again.items() if key != "state_dict"}.keys() >= {
        "calibration", "decision", "trained_on"}


def test_the_box_holds_a_calibrated_hybrid_and_a_student_of_less_than_25_mb(tmp_path):
    from utils.pack_detector import main
    assert sum(path.stat().st_size for path in PRETRAINED_DIR.iterdir()) < 25e6
    engine = load_engine(PRETRAINED)
    assert engine.metadata["calibration"] and engine.metadata["decision"]
    assert main(["unpack", "--output", str(tmp_path / "box.pt")]) == 0
    x = np.random.default_rng(0).standard_normal(
        (1, engine.metadata["n_samples"])).astype(np.float32) * 0.05
    assert np.abs(load_engine(tmp_path / "box.pt").logits(x) - engine.logits(x)).max() < 1e-4


def test_the_box_tells_real_speech_from_fakes_of_sources_that_it_never_heard(shared):
    """24 clips of each class, the first by name of the dev sources; over all, its EER is 21 %."""
    with open(shared / "audio/train-pool/trials.tsv", encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file, delimiter="\t"))
    dev = [row for row in listed if row["split"] == "dev"]
    rows = sorted(dev, key=lambda row: row["utterance"])
    engine = load_engine(PRETRAINED)
    bonafide, spoof = (np.array([
        score_blocks(engine,
                     [load_audio(shared / f"audio/train-pool/{row['utterance']}.flac")]).score
        for row in [row for row in rows if row["key"] == key][:24]
    ]) for key in ("bonafide", "spoof"))
    assert eer(bonafide, spoof)[0] < 0.3
    low, high = engine.metadata["decision"]["band"]
    assert (bonafide < low).sum() <= 1 and (spoof > high).sum() <= 4


@pytest.mark.parametrize("change", ["gain -12 dB", "offset 0.2", "hum, 50 Hz, 0.03",
                                    "drift, 4 Hz, 0.05"])
def test_neither_gain_nor_offset_nor_hum_moves_the_verdicts_of_the_box(change):
    clips = {key: example_files(key) for key in ("bonafide", "spoof")}
    row = measure(Detector.load(PRETRAINED, threads=1), clips, {change: CHANGES[change]})[0]
    assert float(row["mean change of the score"]) <= 0.1
    assert row["other verdict"] == row["likely spoof to likely bona fide or back"] == "0"


def test_without_a_trained_model_the_one_in_the_box_answers(tmp_path):
    assert default_model(tmp_path) == PRETRAINED
