"""The examples in data/examples: what their documents say of them is so, and a first verdict needs
nothing else."""
import csv
import json
import re
import subprocess
import sys

import pytest
import soundfile

from tests.conftest import ROOT
from tests.helpers.audio.example_speech import EXAMPLES, example_files
from utils.simplified_inference import main as infer
from utils.trials.tables import read_table

MODEL = ROOT / "models" / "pretrained" / "detector.onnx"
ROW = re.compile(r"\| (\w+) \| ([\d.]+) \| (bonafide|spoof) \| (-?[\d.]+) \| ([a-z ]+) \|")


def recorded() -> dict[str, tuple[str, ...]]:
    """Seconds, key, score and verdict of each clip, as ATTRIBUTION.md records them."""
    rows = ROW.findall((EXAMPLES / "ATTRIBUTION.md").read_text(encoding="utf-8"))
    return {name: tuple(rest) for name, *rest in rows}


def listed() -> list[dict[str, str]]:
    """The rows of trials.tsv."""
    with open(EXAMPLES / "trials.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> dict[str, dict]:
    """What the shipped model says of each clip, by the clip's name."""
    output = tmp_path_factory.mktemp("verdicts") / "verdicts.jsonl"
    files = [str(path) for key in ("bonafide", "spoof") for path in example_files(key)]
    assert infer(
        ["--input_file", *files, "--model",
         str(MODEL), "--force_cpu", "--output",
         str(output)]) == 0
    records = map(json.loads, output.read_text(encoding="utf-8").splitlines())
    return {
        re.split(r"[/\\]", record["file"])[-1].removesuffix(".flac"): record
        for record in records
    }


def test_the_list_the_attribution_and_the_folder_name_the_same_clips():
    names = [row["utterance"] for row in listed()]
    clips = {path.stem for path in EXAMPLES.glob("*.flac")}
    assert len(names) == len(set(names)) and set(names) == clips == recorded().keys()
    assert all(row["key"] == recorded()[row["utterance"]][1] for row in listed())
    text = (EXAMPLES / "ATTRIBUTION.md").read_text(encoding="utf-8")
    # its verdict, its source and licence
    assert all(text.count(f"| {name} |") == 2 for name in names)


def test_the_examples_are_few_small_and_of_the_stated_lengths():
    assert len(listed()) <= 12
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 1_500_000
    for row in listed():
        about = soundfile.info(EXAMPLES / f"{row['utterance']}.flac")
        assert (about.samplerate, about.channels, about.subtype) == (16000, 1, "PCM_16")
        assert about.duration == pytest.approx(float(row["seconds"]), abs=0.006)


def test_the_list_can_be_read_as_that_of_a_folder_of_trials():
    labels = [line.labels for line in read_table(EXAMPLES)]
    assert sorted(label.is_bonafide for label in labels) == [False] * 6 + [True] * 6
    assert len({label.attack for label in labels}) == 7
    assert len({label.speaker for label in labels}) == 10


@pytest.mark.parametrize("name", recorded())
def test_the_shipped_model_gives_the_recorded_verdict(verdicts, name):
    _, _, score, verdict = recorded()[name]
    assert verdicts[name]["verdict"] == verdict
    assert verdicts[name]["score"] == pytest.approx(float(score), abs=0.05)


def test_the_first_verdict_of_the_readme_is_what_the_command_prints():
    """Lines that the README shortens ("...") are left out."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    clip = re.search(r"simplified_inference\.py --input_file (data/examples/\w+\.flac)", readme)[1]
    shown = re.search(rf"```\n({re.escape(clip)}: .*?)\n```", readme, re.DOTALL)[1].splitlines()
    done = subprocess.run([sys.executable, "utils/simplified_inference.py", "--input_file", clip,
        "--model", str(MODEL),
                           "--force_cpu"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    missing = [line for line in shown if "..." not in line and line not in done.stdout.splitlines()]
    assert len(shown) >= 5 and not missing
