"""The hybrid of AASIST and a speech encoder: its statistics, its closed-form fit, its export, and the model in the box."""
import contextlib
import csv
import io
import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from models import CONFIGS
from models.hybrid import Hybrid, band_statistics
from tests.tiny_stores import tiny_stores
from utils.audio.decode import load_audio
from utils.errors import InputError
from utils.evaluation.metrics import eer
from utils.files import PRETRAINED_DIR
from utils.scoring.checkpoint import load_checkpoint
from utils.scoring.engine import PRETRAINED, default_model, engine_from_model, load_engine
from utils.scoring.export import exported_engine
from utils.scoring.recording import score_blocks
from utils.training.processes import Alone
from utils.training.ridge import fit, row_weights

SMALL = {"aasist": {"channels": [4, 4, 4, 4], "gat_dims": [8, 4], "pool_ratios": [0.5, 0.7, 0.5]}, "n_blocks": 0, "max_frames": 30}
N = 6400
ALONE = Alone(torch.device("cpu"))
Row = namedtuple("Row", "key source attack")


@pytest.fixture
def hybrid() -> Hybrid:
    torch.manual_seed(3)
    return Hybrid(**SMALL).eval()


def waves(count: int) -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy((rng.standard_normal((count, N)) * rng.uniform(0.01, 0.3, (count, 1))).astype(np.float32))


def test_band_statistics_are_means_and_deviations_over_bands_of_those_over_time():
    features = torch.randn(2, 3, 23, 7)
    mean, deviation = features.mean(3), features.std(3, correction=0)
    expected = [mean.mean(2), deviation.mean(2), mean.std(2, correction=0), deviation.std(2, correction=0)]
    assert torch.allclose(band_statistics(features), torch.cat(expected, 1), atol=1e-5)


def test_the_exported_hybrid_has_its_statistics_and_logits(hybrid):
    x = waves(3)
    engine = exported_engine(hybrid, {"n_samples": N})
    with torch.inference_mode():
        hidden, logits = hybrid(x)
    assert np.abs(engine.last_hidden(x.numpy()) - hidden.double().numpy()).max() < 1e-4 * hidden.abs().max()
    assert np.abs(engine.logits(x.numpy()) - logits.double().numpy()).max() < 1e-5
    live = engine_from_model(hybrid, {"n_samples": N}).last_hidden(x.numpy())     # by which a GPU computes them
    assert live.dtype == np.float32 and np.abs(live - hidden.numpy()).max() < 1e-5 * hidden.abs().max()


def test_the_fit_is_the_weighted_ridge_regression_on_standardised_statistics(hybrid):
    x, labels = waves(12), torch.tensor([0, 1] * 6)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, 12)
    weights /= weights.sum()
    batches = [(x[k:k + 5], labels[k:k + 5]) for k in range(0, 12, 5)]
    loss = fit(hybrid, batches, [weights[k:k + 5] for k in range(0, 12, 5)], 0.01, ALONE)
    with torch.inference_mode():
        z, logits = (part.double().numpy() for part in hybrid(x))
    target = 2.0 * labels.numpy() - 1
    centred = np.sqrt(weights)[:, None] * (z - weights @ z)
    slope = centred.T @ np.linalg.solve(centred @ centred.T + 0.01 * np.eye(12), np.sqrt(weights) * (target - weights @ target))
    score = (z - weights @ z) @ slope + weights @ target
    assert np.abs(weights @ z).max() < 1e-4
    assert np.abs(logits[:, 1] - logits[:, 0] - score).max() < 1e-3    # float32 statistics
    assert loss == pytest.approx(weights @ (score - target) ** 2, abs=1e-4)


def test_a_penalty_too_small_for_so_few_utterances_is_told(hybrid):
    with pytest.raises(InputError, match="give a larger --ridge"):
        fit(hybrid, [(waves(4), torch.tensor([0, 1, 0, 1]))], [np.full(4, 0.25)], 1e-300, ALONE)


def test_each_class_has_half_the_weight_and_large_sources_less_than_their_number():
    rows = [Row("bonafide", "a", "-")] * 16 + [Row("bonafide", "b", "-")] + [Row("spoof", "a", "x")] * 4 + [Row("spoof", "a", "y")] * 4
    weights = row_weights(rows, 0.5)
    assert weights[:17].sum() == pytest.approx(0.5) and weights[17:].sum() == pytest.approx(0.5)
    assert weights[:16].sum() / weights[16] == pytest.approx(4) and weights[17:21].sum() == pytest.approx(weights[21:].sum())


def test_a_hybrid_is_fitted_tested_and_exported_by_the_training_script(shared, tmp_path):
    from notebooks.aasist_training import main
    from utils.import_weights import main as import_weights
    aasist = tmp_path / "aasist.pt"
    assert import_weights(["--weights", str(shared / "reference/aasist/ASVspoof5-baseline.pth"), "--architecture", "aasist",
                           "--output", str(aasist)]) == 0
    tiny_stores(tmp_path / "data", shared, {"train": 12, "dev": 8, "eval": 8})
    encoder = shared / "reference/encoders/whisper-base/whisper_base_encoder_l2_f16.onnx"
    given = {"--architecture": "hybrid", "--init_from": aasist, "--encoder": encoder, "--run_name": "h", "--data_dir": tmp_path / "data",
             "--checkpoint_dir": tmp_path / "c", "--results_dir": tmp_path / "r"}
    assert main([*(str(word) for pair in given.items() for word in pair), "--test"]) == 0
    checkpoint = load_checkpoint(tmp_path / "c/h/best.pt")
    assert checkpoint["config"] == CONFIGS["hybrid"] and (tmp_path / "r/h/metrics.json").is_file()
    assert (tmp_path / "c/h/best.onnx").stat().st_size < 18e6
    _check_box(tmp_path, checkpoint)
    _check_bench(tmp_path)
    again = given | {"--init_from": tmp_path / "again.pt", "--encoder": tmp_path / "box/detector.onnx", "--run_name": "again", "--ridge": 0.5}
    assert main([str(word) for pair in again.items() for word in pair]) == 0     # from the box alone, without any other weights
    refitted = load_checkpoint(tmp_path / "c/again/best.pt")
    assert refitted["args"]["ridge"] == 0.5 and checkpoint["args"]["ridge"] == 0.004
    refitted = refitted["state_dict"]
    assert refitted["out_layer.weight"].abs().sum() < checkpoint["state_dict"]["out_layer.weight"].abs().sum()    # a larger penalty
    assert all(torch.equal(value, refitted[name]) for name, value in checkpoint["state_dict"].items() if name.startswith(("aasist.", "encoder.")))


def _check_bench(tmp_path: Path) -> None:
    """The bench of ablations fits what the script fits: its first row has the script's EERs; folds leave each source out once."""
    from tests.benchmarks.bench_generalisation import open_bench
    metrics = json.loads((tmp_path / "r/h/metrics.json").read_text())
    trials = tmp_path / "trials.tsv"
    trials.write_text("utterance\tcategory\n" + "".join(f"eval{number}\ttts\n" for number in range(8)))
    bench = open_bench(tmp_path / "c/h/best.pt", tmp_path / "data", trials, tmp_path / "cache", [metrics["model"]["trained_on"]["seed"]])
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        bench.row("the recipe")
        bench.folds()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.getvalue().splitlines() if line]
    assert rows[0][:3] == ["the recipe", "12", f"{100 * metrics['eer']:.1f}"]
    assert [row[1:4] for row in rows[-4:-1]] == [["1", "2", "2"]] * 3 and rows[-1][:4] == ["all folds together", "3", "6", "6"]


def _check_box(tmp_path: Path, checkpoint: dict) -> None:
    """Packing a model and unpacking it gives the same weights, bit for bit."""
    from utils.pretrained import main
    box = tmp_path / "box"
    assert main(["pack", "--model", str(tmp_path / "c/h/best.pt"), "--box", str(box), "--description", "a test"]) == 0
    assert main(["unpack", "--box", str(box), "--output", str(tmp_path / "again.pt")]) == 0
    again = load_checkpoint(tmp_path / "again.pt")
    assert all(torch.equal(value, again["state_dict"][name]) for name, value in checkpoint["state_dict"].items())
    assert {key: value for key, value in again.items() if key != "state_dict"}.keys() >= {"calibration", "decision", "trained_on"}


def test_the_box_holds_a_calibrated_hybrid_of_less_than_20_mb_and_the_way_back_to_it(tmp_path):
    from utils.pretrained import main
    assert sum(path.stat().st_size for path in PRETRAINED_DIR.iterdir()) < 20e6
    engine = load_engine(PRETRAINED)
    assert engine.metadata["calibration"] and engine.metadata["decision"]
    assert main(["unpack", "--output", str(tmp_path / "box.pt")]) == 0
    x = np.random.default_rng(0).standard_normal((1, engine.metadata["n_samples"])).astype(np.float32) * 0.05
    assert np.abs(load_engine(tmp_path / "box.pt").logits(x) - engine.logits(x)).max() < 1e-4


def test_the_box_tells_real_speech_from_fakes_of_sources_that_it_never_heard(shared):
    """Twelve clips of each class, the first by name of those it was not trained on; over all 761 its EER is 12.9 %."""
    with open(shared / "audio/train-pool/trials.tsv", encoding="utf-8", newline="") as file:
        rows = sorted((row for row in csv.DictReader(file, delimiter="\t") if row["open"] == "0"), key=lambda row: row["utterance"])
    engine = load_engine(PRETRAINED)
    bonafide, spoof = (np.array([score_blocks(engine, [load_audio(shared / f"audio/train-pool/{row['utterance']}.flac")]).score
                                 for row in [row for row in rows if row["key"] == key][:12]]) for key in ("bonafide", "spoof"))
    assert eer(bonafide, spoof)[0] < 0.25
    assert (bonafide < engine.metadata["decision"]["threshold"]).sum() <= 1


def test_without_a_trained_model_the_one_in_the_box_answers(tmp_path):
    assert default_model(tmp_path) == PRETRAINED
