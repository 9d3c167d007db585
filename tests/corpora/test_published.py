"""Published corpora from the folder they unpack to, up to the figures of a detector."""
import csv
import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.networks.scoring_models import write_small_checkpoint
from tests.helpers.steps import step
from tests.robustness.everyday.data_sets import published
from tests.robustness.everyday.making.case import Case, Seen
from tests.robustness.everyday.data_sets.data import Tree
from utils.trials.trial import SUBSETS, read_corpus

CASES = list(published.cases())
HOME = "ASVspoof2021_LA_eval/"
TO_THE_END = ("In-the-Wild", "Fake-or-Real", "WaveFake with LJSpeech", "MLAAD with M-AILABS",
              "ASVspoof2019 LA, in LA/LA/", "ASVspoof2019 PA, in PA/PA/",
              "ASVspoof2021 LA beside ASVspoof2019 LA", "DECRO, in DECRO-dataset/",
              "Codecfake with dev", "SpoofCeleb", "LibriSpeech and fake/", "VCTK and fake/")


def labels(data: Path, column: str) -> dict[str, set[str]]:
    """The values of a column of the trial lists, by key."""
    found = {"bonafide": set(), "spoof": set()}
    for subset in SUBSETS:
        with open(data / "protocols" / f"{subset}.tsv", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                found[row["key"]].add(row[column])
    return found


def prepared(tmp_path: Path, fill) -> Path:
    tree = Tree(tmp_path)
    fill(tree)
    done = step("utils/prepare_dataset.py", *tree.command)
    assert done.returncode == 0, done.stderr
    return tree.data


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_published_layout_is_recognised(case: Case, tmp_path):
    done = step(case.command, *case.make(tmp_path))
    seen = Seen(code=done.returncode, out=done.stdout, err=done.stderr, folder=tmp_path)
    assert [check.words for check in case.checks if not check.holds(seen)] == [], seen.said


@pytest.mark.parametrize("name", TO_THE_END)
def test_from_the_published_layout_to_a_detectors_figures(name, tmp_path):
    case = next(case for case in CASES if case.name == name)
    _, data = case.make(tmp_path)
    run = ("--data_dir", data, "--checkpoint_dir", tmp_path / "models", "--run_name", "x",
           "--results_dir", tmp_path / "results", "--device", "cpu")
    for script, *options in (
            ("utils/prepare_dataset.py", "--data_dir", data),
            ("utils/preprocess_data.py", "--data_dir", data, "--workers", 1),
            ("notebooks/aasist_training.py", *run, "--small_model", "--epochs", 2,
             "--batch_size", 8, "--augment", "none", "--crop_seconds", 1),
            ("utils/evaluate_model.py", "--data_dir", data, "--replicates", 0, "--json",
             "--model", tmp_path / "models" / "x" / "best.pt", "--output", tmp_path / "out")):
        done = step(script, *options)
        assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["eer"] <= 1


@pytest.mark.parametrize("kind, line", [
    ("LA", published.LA),
    ("DF", "LA_000{s} DF_E_{n} nocodec asvspoof {a} {k} notrim eval x - - - -"),
    ("PA", "PA_000{s} PA_E_{n} R3 M3 d4 r1 m1 s4 c4 {k} notrim eval")])
def test_a_set_of_2021_alone_is_evaluated_and_never_trained_on(kind, line, tmp_path):
    data = prepared(tmp_path, partial(published.asvspoof2021, part=kind, line=line,
                                      where=f"ASVspoof2021_{kind}_eval/"))
    subsets = read_corpus(data)["subsets"]
    assert {name: (one["bonafide"], one["spoof"]) for name, one in subsets.items()} == {
        "eval": (24, 24)}
    assert step("utils/preprocess_data.py", "--data_dir", data).returncode == 0
    done = step("utils/evaluate_model.py", "--data_dir", data, "--json", "--replicates", 0,
                "--model", write_small_checkpoint(tmp_path), "--output", tmp_path / "out")
    assert 0 <= json.loads(done.stdout)["eer"] <= 1
    done = step("notebooks/aasist_training.py", "--data_dir", data, "--small_model",
                "--checkpoint_dir", tmp_path / "models", "--results_dir", tmp_path / "results")
    assert done.returncode == 1 and "has only eval, no train" in done.stderr


def test_an_older_store_of_a_subset_that_is_gone_is_not_trained_on(tmp_path):
    tree = Tree(tmp_path)
    data = tree.data
    published.asvspoof2019(tree, "LA", "")
    step("utils/prepare_dataset.py", "--data_dir", data)
    step("utils/preprocess_data.py", "--data_dir", data)
    assert (data / "processed" / "train").is_dir()
    for folder in (data / "raw").glob("ASVspoof2019*"):
        folder.rename(tmp_path / folder.name)
    published.asvspoof2021(tree, "LA", published.LA, HOME)
    step("utils/prepare_dataset.py", "--data_dir", data)
    done = step("utils/preprocess_data.py", "--data_dir", data)
    assert "train" in done.stdout and not (data / "processed" / "train").exists()


@pytest.mark.parametrize("place", ["keys/CM", "LA-keys-full/keys/LA/CM", "ASVspoof2021_LA_eval"])
def test_the_key_of_2021_may_lie_anywhere_but_those_of_verification_are_others(place, tmp_path):
    tree = Tree(tmp_path)
    published.asvspoof2021(tree, "LA", published.LA, HOME)
    text = (tree.raw / "keys/LA/CM/trial_metadata.txt").read_text()
    shutil.rmtree(tree.raw / "keys")
    tree.put(f"{place}/trial_metadata.txt", text)
    tree.put("keys/LA/ASV/trial_metadata.txt", text.replace("bonafide notrim", "target notrim"))
    step("utils/prepare_dataset.py", *tree.command)
    assert read_corpus(tree.data)["subsets"]["eval"]["bonafide"] == 24


def test_only_the_phase_eval_of_2021_counts(tmp_path):
    tree = Tree(tmp_path)
    published.asvspoof2021(tree, "LA", published.LA, HOME)
    key = tree.raw / "keys/LA/CM/trial_metadata.txt"
    lines = key.read_text().splitlines()
    lines[:4] = [line.replace(" eval", " progress") for line in lines[:4]]
    key.write_text("\n".join(lines))
    done = step("utils/prepare_dataset.py", *tree.command)
    assert "4 trials of the phases progress and hidden are left out" in done.stdout
    assert read_corpus(tree.data)["subsets"]["eval"]["found"] == 44


@pytest.mark.parametrize("fill, attacks, speakers", [
    (published.wavefake, {"ljspeech_melgan", "ljspeech_hifiGAN", "ljspeech_waveglow"},
     {"LJSpeech"}),
    (published.mlaad, {f"tts_models_en_model{number}" for number in range(3)},
     {f"reader_{number}" for number in range(6)}),
    (partial(published.decro, where=""), {"hifigan"},
     {f"{language}{number}" for language in ("en", "ch") for number in range(4)}),
    (partial(published.codecfake, dev="dev"), {"C1"}, {f"p31{number}" for number in range(6)}),
    (published.spoofceleb, {"a06"}, {f"id10{number}" for number in range(6)})])
def test_attacks_and_speakers_are_those_of_the_corpus(fill, attacks, speakers, tmp_path):
    data = prepared(tmp_path, fill)
    assert labels(data, "attack") == {"bonafide": {"-"}, "spoof": attacks}
    assert labels(data, "speaker")["bonafide"] == speakers


def test_no_sentence_of_wavefake_is_in_two_subsets(tmp_path):
    data = prepared(tmp_path, published.wavefake)
    found = {}
    for subset in SUBSETS:
        with open(data / "protocols" / f"{subset}.tsv", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                found.setdefault(row["source"], set()).add(subset)
    assert len(found) == 24 and all(len(subsets) == 1 for subsets in found.values())
