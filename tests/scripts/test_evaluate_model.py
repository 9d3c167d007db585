"""evaluate_model.py end to end: a stored subset, any system's files, the report in a browser."""
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.audio.example_speech import write_clips
from utils import evaluate_model, preprocess_data
from utils.signals import N_SAMPLES, SAMPLE_RATE
from utils.store.reader import Store
from utils.trials.labels import Labels
from utils.trials.trial import Trial, trial_list_path, write_trials
from utils.common.errors import InputError
from utils.metrics import metrics
from utils.report.asv_scores import read_asv_rates
from utils.report.results import model_for
from utils.detector.decision import fit_on_dev
from utils.common.files import CHECKPOINT_DIR, ROOT, file_sha256, write_json
from utils.detector.engines import default_model, load_engine
from utils.detector.scoring import score_store

CHROMIUM = (shutil.which("chromium") or shutil.which("chromium-browser")
            or shutil.which("google-chrome"))
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                  "--no-first-run", "--disable-sync", "--disable-background-networking",
                  "--disable-component-update", "--hide-scrollbars"]
PER_KEY = 20     # enough for a band of uncertainty


def real_trials(folder: Path) -> list[Trial]:
    """Short utterances, real and synthetic, as many of each; two attacks."""
    attacks = {"bonafide": ["-"], "spoof": ["A01", "A02"]}
    files = write_clips(folder, PER_KEY)
    trials = []
    for n, path in enumerate([*files["bonafide"], *files["spoof"]]):
        key = path.name.split("-")[0]
        labels = Labels(speaker=f"S{n % 8}", gender="FM"[n % 2], key=key,
                        attack=attacks[key][n % len(attacks[key])])
        trials.append(Trial(path.stem, labels, str(path), 0, path.stat().st_size))
    return trials


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Stored real speech, and a small model with random weights that is calibrated on it."""
    import torch

    from models import CONFIGS, build_model
    from utils.detector.checkpoint import FORMAT, LABEL_ORDER, save_checkpoint
    home = tmp_path_factory.mktemp("a folder é")
    write_trials(trial_list_path(home / "data", "eval"), real_trials(home / "clips"))
    write_json(home / "data" / "protocols" / "corpus.json", {
        "name": "pool", "description": "a pool of <real> clips & more", "layout": "folders",
        "demo": True, "seed": 0, "containers": {}, "seen_attacks": ["A01"],
        "subsets": {"eval": {"partition": "eval", "origin": "official",
                             "sha256": file_sha256(trial_list_path(home / "data", "eval"))}}})
    assert preprocess_data.main(["--data_dir", str(home / "data"), "--subset", "eval",
                                 "--workers", "1"]) == 0
    torch.manual_seed(0)
    model = build_model(CONFIGS["small"]).eval()
    path = home / "checkpoints" / "run 1" / "best.pt"
    store = Store(home / "data" / "processed" / "eval")
    history = [{"epoch": n, "train_loss": 0.7 / n, "dev_loss": 0.8 / n, "dev_eer": 0.5 / n,
                "seconds": 1.0} for n in (1, 2, 3)]
    checkpoint = {"format": FORMAT, "architecture": "small", "config": CONFIGS["small"],
                  "state_dict": model.state_dict(), "label_order": LABEL_ORDER,
                  "n_samples": N_SAMPLES, "sample_rate": SAMPLE_RATE, "history": history,
                  "origin": "a test",
                  "trained_on": {"corpus": "pool", "description": "a pool of <real> clips & more",
                                 "demo": True, "utterances": 40, "seed": 0, "attacks": ["A01"]}}
    save_checkpoint(path, checkpoint)
    raw = score_store(load_engine(path), store, progress=False)
    if metrics.auc(*by_key(store, raw)) < 0.5:     # random weights may point either way
        raw = -raw
        last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        for weights in last.parameters():
            weights.data.neg_()
    fitted = fit_on_dev(raw, [row.labels.key for row in store.rows])
    save_checkpoint(path, checkpoint | {"state_dict": model.state_dict()} | fitted)
    return home


def by_key(store: Store, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    is_bonafide = np.array([row.labels.is_bonafide for row in store.rows])
    return scores[is_bonafide], scores[~is_bonafide]


@pytest.fixture(scope="module")
def evaluated(home) -> Path:
    """results/<run> after `evaluate_model.py --subset eval`, run from another folder."""
    command = [sys.executable, str(ROOT / "utils" / "evaluate_model.py"), "--subset", "eval",
               "--threads", "1", "--data_dir", home / "data", "--checkpoint_dir",
               home / "checkpoints", "--results_dir", home / "results", "--replicates", "100"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, encoding="utf-8",
                          check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr
    assert re.search(r"all attacks: EER \d+\.\d\d % \(.* to .*\)", done.stdout)
    assert "unseen attacks (A02)" in done.stdout
    return home / "results" / "run 1"


def test_a_subset_is_scored_and_everything_is_written(home, evaluated):
    result = json.loads((evaluated / "metrics.json").read_text(encoding="utf-8"))
    store = Store(home / "data" / "processed" / "eval")
    engine = load_engine(home / "checkpoints" / "run 1" / "best.pt")
    scores = score_store(engine, store, progress=False)
    assert result["eer"] == pytest.approx(metrics.eer(*by_key(store, scores))[0])
    assert result["cllr"] == pytest.approx(metrics.cllr(*by_key(store, scores)), abs=1e-5)
    assert result["seen"]["attacks"] == ["A01"] and result["unseen"]["attacks"] == ["A02"]
    assert result["interval"]["by"] == "8 speakers" and result["corpus"] == "pool"
    assert result["arguments"]["threads"] == 1 and result["arguments"]["replicates"] == 100
    for name in ("report.html", "MODEL_CARD.md"):
        assert "only 8 speakers" in (evaluated / name).read_text(encoding="utf-8")
    assert result["calibration"]["cllr_after"] < result["calibration"]["fitted"]["cllr_before"]
    assert result["score"] == "log-likelihood ratio"
    pictures = {f"{name}.png" for name in ("det", "roc", "histogram", "attacks", "calibration",
                                           "history", "worst")}
    assert {path.name for path in evaluated.iterdir()} == pictures | {
        "scores.tsv", "keys.tsv", "metrics.json", "report.html", "MODEL_CARD.md", ".lock"}


def test_the_written_score_and_key_files_give_the_same_figures(evaluated, capsys):
    files = ["--scores", str(evaluated / "scores.tsv"), "--keys", str(evaluated / "keys.tsv")]
    assert evaluate_model.main([*files, "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    written = json.loads((evaluated / "metrics.json").read_text(encoding="utf-8"))
    assert out["score"] == "score of another system, taken as a log-likelihood ratio"
    for name in ("eer", "min_dcf", "act_dcf", "cllr", "auc"):
        assert out[name] == written[name]
    assert (evaluated / "scores.tsv").read_bytes().startswith(b"filename\tcm-score\n")
    assert (evaluated / "keys.tsv").read_bytes().startswith(b"filename\tcm-label\n")


def quick(home: Path, output: str) -> list[str]:
    """Arguments to evaluate the model of `home` without intervals."""
    return ["--data_dir", str(home / "data"), "--model",
            str(home / "checkpoints" / "run 1" / "best.pt"), "--json", "--replicates", "0",
            "--threads", "1", "--output", str(home / output)]


def test_other_costs_move_the_threshold(home, capsys):
    assert evaluate_model.main([*quick(home, "costs"), "--prior", "0.5", "--cost_fa", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    low, high = result["operating_point"]["band"]
    assert result["operating_point"]["threshold"] == 0 and result["cost_miss"] == 1
    assert low <= -np.log(2) and high >= np.log(2)


def test_the_published_protocol_drops_the_calibration(home, capsys):
    at = [*quick(home, "published"), "--published_protocol"]
    assert evaluate_model.main(at) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["score"] == "raw CM score" and "calibration" not in result
    assert not (home / "published" / "calibration.png").exists()
    with pytest.raises(InputError, match="not calibrated"):
        evaluate_model.main([*at, "--prior", "0.5"])


class Links(HTMLParser):
    """Everything a page would load or link to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.images = 0

    def handle_starttag(self, tag, attrs):
        self.images += tag == "img"
        assert tag not in ("script", "link", "iframe", "object"), tag
        self.found += [value for name, value in attrs
                       if name in ("src", "href", "srcset", "data", "action")]
        assert tag != "img" or dict(attrs)["alt"]


def test_the_report_is_one_file_under_a_megabyte_that_loads_nothing(evaluated):
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert links.images == 7
    assert all(link.startswith("data:image/png;base64,") for link in links.found)
    text = re.sub(r'"data:image/png;base64,[^"]*"', "", page)   # whose letters may spell anything
    assert len(page) < 1_000_000
    assert all(loads not in text for loads in ("http", "url(", "@import"))
    assert "a pool of &lt;real&gt; clips &amp; more" in page and "<real>" not in page
    for title in ("Figures", "Model and data", "Operating point", "DET and ROC", "By group",
                  "Calibration", "Training", "Worst trials", "Environment", "Limits"):
        assert f"<h2>{title}</h2>" in page


def test_the_model_card_states_the_runs_own_figures(evaluated):
    card = (evaluated / "MODEL_CARD.md").read_text(encoding="utf-8")
    result = json.loads((evaluated / "metrics.json").read_text(encoding="utf-8"))
    assert f"| all attacks | {result['eer'] * 100:.2f} %" in card
    assert f"{result['unseen']['cllr']:.4f}" in card
    assert "small demonstration corpus" in card and "## Limits" in card and "n/a" not in card


@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install chromium to run this test")
def test_a_browser_shows_the_report_with_every_picture(evaluated, tmp_path):
    def browse(*arguments: str) -> str:
        command = [CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8",
                              timeout=120, check=True).stdout
    page = tmp_path / "page.html"
    check = ("<script>addEventListener('load', () => { const all = [...document.images]; "
             "document.title = 'shown ' + "
             "all.filter(i => i.naturalWidth > 300).length + ' of ' + all.length + ', overflow ' + "
             "(document.documentElement.scrollWidth > innerWidth); });</script></body>")
    report = (evaluated / "report.html").read_text(encoding="utf-8")
    page.write_text(report.replace("</body>", check), encoding="utf-8")
    shown = browse("--window-size=1100,900", "--dump-dom", page.as_uri())
    assert "<title>shown 7 of 7, overflow false</title>" in shown
    shot = tmp_path / "report.png"
    browse("--window-size=1100,1600", f"--screenshot={shot}", (evaluated / "report.html").as_uri())
    from PIL import Image
    with Image.open(shot) as image:
        grey = np.asarray(image.convert("L"))
    assert grey.shape == (1600, 1100)
    assert 0.02 < np.mean(grey < 128) < 0.5     # ink on white, neither blank nor black


@pytest.mark.parametrize("name", ["mixed_attacks", "all_equal", "tiny_1v1_wrong",
                                  "huge_scale_overflow_bad"])
def test_official_cases_print_their_figures_and_get_a_report(shared, tmp_path, capsys, name):
    folder = shared / "reference" / "metrics"
    case = json.loads((folder / "expected.json").read_text(encoding="utf-8"))[name]
    files = ["--scores", str(folder / "cases" / case["score_file"]),
             "--keys", str(folder / "cases" / case["key_file"])]
    assert evaluate_model.main([*files, "--json", "--replicates", "20",
                                "--output", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    got = [result[name] for name in ("eer", "min_dcf", "act_dcf")]
    assert got == pytest.approx([case[name] for name in ("eer", "minDCF", "actDCF")], abs=1e-9)
    assert (tmp_path / "report.html").is_file() and (tmp_path / "det.png").is_file()


def test_one_class_alone_gives_reasons_instead_of_figures(tmp_path, capsys):
    (tmp_path / "scores.txt").write_text("u1 1.5\nu2 2.5\n", encoding="utf-8")
    (tmp_path / "keys.txt").write_text("u1 bonafide\nu2 bonafide\n", encoding="utf-8")
    files = ["--scores", str(tmp_path / "scores.txt"), "--keys", str(tmp_path / "keys.txt"),
             "--output", str(tmp_path / "out")]
    assert evaluate_model.main([*files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "no spoof trials"
    assert evaluate_model.main(files) == 0
    assert "n/a (no spoof trials)" in capsys.readouterr().out
    assert "no spoof trials" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [
    ["--keys", "k"], ["--scores", "s", "--model", "m"], ["--subset", "test"],
    ["--replicates", "-1"], ["--seed", "-1"], ["--threads", "0"], ["--batch_size", "0"]])
def test_contradictory_arguments_are_a_usage_error(arguments):
    with pytest.raises(SystemExit, match="2"):
        evaluate_model.main(arguments)


def test_speaker_verification_scores_set_the_tandem_cost(tmp_path, capsys):
    rng = np.random.default_rng(0)
    kinds = {"target": 2.0, "nontarget": -2.0, "spoof": 1.0}
    asv = {kind: rng.normal(mean, 1, 50) for kind, mean in kinds.items()}
    lines = [f"{'A07' if kind == 'spoof' else 'bonafide'} {kind} {score!r}"
             for kind in asv for score in asv[kind].tolist()]
    (tmp_path / "asv.txt").write_text("\n".join(lines), encoding="utf-8")
    bonafide, spoof = rng.normal(1, 1, 30), rng.normal(-1, 1, 30)
    lines = [f"{key[0]}{n} {key} {score!r}"
             for key, scores in (("bonafide", bonafide), ("spoof", spoof))
             for n, score in enumerate(scores.tolist())]
    (tmp_path / "scores.txt").write_text("\n".join(lines), encoding="utf-8")
    files = ["--scores", str(tmp_path / "scores.txt"), "--asv_scores", str(tmp_path / "asv.txt")]
    assert evaluate_model.main([*files, "--replicates", "0", "--json"]) == 0
    result, rates = json.loads(capsys.readouterr().out), metrics.asv_error_rates(*asv.values())
    assert result["min_tdcf_2019"] == metrics.min_tdcf(
        metrics.det_curve(bonafide, spoof), rates, legacy=True)
    assert result["asv"]["spoof"] == rates.spoof and not result["asv"]["official"]
    (tmp_path / "asv.txt").write_text("a target 1\nb nontarget 0\n", encoding="utf-8")
    with pytest.raises(InputError, match="no spoof trials"):
        evaluate_model.main(files)


@pytest.mark.parametrize("line", ["LA_0009 LA_E_{n} alaw ita_tx A07 {key} notrim {phase}",
                                  "PA_0010 PA_E_{n} R3 M3 d4 r1 m1 s4 c4 {key} notrim {phase}"])
@pytest.mark.parametrize("folder", ["ASV/ASVTorch_Kaldi", "ASV"])
def test_speaker_verification_scores_of_2021_have_their_keys_beside_them(tmp_path, line, folder):
    rng = np.random.default_rng(1)
    keys = ["target", "nontarget", "spoof", "target", "nontarget", "spoof"] * 20
    values = [{"target": 2.0, "nontarget": -2.0, "spoof": 1.0}[key] + rng.normal() for key in keys]
    phases = ["eval" if number % 10 else "progress" for number in range(len(keys))]
    scores = tmp_path / folder / "score.txt"
    scores.parent.mkdir(parents=True)
    scores.write_text("".join(f"LA_0009-x LA_E_{n}-x {value!r}\n"
                              for n, value in enumerate(map(float, values))))
    table = tmp_path / "ASV" / "trial_metadata.txt"
    table.write_text("".join(line.format(n=n, key=key, phase=phase) + "\n"
                             for n, (key, phase) in enumerate(zip(keys, phases))))
    for phase in ("eval", "all"):
        wanted = [np.array([value for value, key, own in zip(values, keys, phases)
                            if key == kind and phase in (own, "all")])
                  for kind in ("target", "nontarget", "spoof")]
        assert read_asv_rates(scores, phase) == metrics.asv_error_rates(*wanted)
    table.write_text(table.read_text() + "x\n")
    with pytest.raises(InputError, match="has 120 lines, but .* has 121"):
        read_asv_rates(scores)
    table.unlink()
    with pytest.raises(InputError, match="no trial_metadata.txt lies beside it"):
        read_asv_rates(scores)


def test_without_a_model_it_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.detector.engines.PRETRAINED", tmp_path / "no box")
    with pytest.raises(InputError, match="run python notebooks/aasist_training.py"):
        default_model(tmp_path)


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_a_folder_without_runs_is_not_replaced_by_the_pretrained_model(tmp_path, folder):
    with pytest.raises(InputError, match="holds no trained run: name the folder"):
        evaluate_model.main(["--checkpoint_dir", str(tmp_path / folder)])


def test_the_usual_folder_may_be_named_from_where_one_stands(monkeypatch):
    monkeypatch.chdir(ROOT)
    named = model_for("cpu", CHECKPOINT_DIR.relative_to(ROOT))
    assert named.resolve() == model_for("cpu", CHECKPOINT_DIR)


@pytest.mark.parametrize("option", [["--prior", "2"], ["--cost_miss", "0"], ["--cost_fa", "-1"]])
def test_impossible_costs_are_wrong_usage(tmp_path, capsys, option):
    (tmp_path / "scores.txt").write_text("u1 spoof 1.5\nu2 bonafide 2.5\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        evaluate_model.main(["--scores", str(tmp_path / "scores.txt"), *option])
    assert f"{option[0]}: '{option[1]}' is not a number" in capsys.readouterr().err


def test_help_comes_without_heavy_imports():
    code = ("import sys; from utils.evaluate_model import build_parser; "
            "build_parser().format_help(); "
            "print([m for m in ('torch', 'matplotlib', 'numpy') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == "[]"
