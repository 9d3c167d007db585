"""A front end of one's own: trained, exported, judged with; a bad one is told in a sentence."""
from pathlib import Path

import pytest

from models.front_ends import FRONT_ENDS
from tests.helpers.audio.example_speech import EXAMPLES
from tests.helpers.steps import step
from tests.helpers.tiny_stores import tiny_stores
from utils.common.errors import InputError
from utils.common.files import ROOT
from utils.detector import Detector
from utils.detector.checkpoint import load_checkpoint
from utils.training.setup.front_end import check_network, known_front_end

WORKED = ("cqt.py:CQT", "modulation.py:Modulation", "sinc.py:Sinc")
CLIP = EXAMPLES / "real_ljspeech_en.flac"
OWN = """import torch
class Features(torch.nn.Module):
    size = 20
    def forward(self, waves):
        return waves.unfold(1, 400, 160)[..., ::20].transpose(1, 2)
"""


@pytest.fixture(autouse=True)
def as_at_the_start():
    """What a test adds to the table of front ends is gone after it."""
    known = dict(FRONT_ENDS)
    yield
    FRONT_ENDS.clear()
    FRONT_ENDS.update(known)


def forget():
    """The table as another process has it: without front ends from files."""
    for name in list(FRONT_ENDS)[2:]:
        del FRONT_ENDS[name]


def written(folder: Path, text: str = OWN) -> str:
    """A file with this text, as --front_end takes it."""
    (folder / "mine.py").write_text(text, encoding="utf-8")
    return f"{folder / 'mine.py'}:Features"


def train(folder: Path, *options: object):
    """A short training; everything it writes goes below `folder`."""
    return step("notebooks/aasist_training.py", "--data_dir", folder / "data", "--checkpoint_dir",
                folder / "c", "--results_dir", folder / "r", "--batch_size", 8, "--crop_seconds", 1,
                "--max_samples", 16, "--run_name", "own", *options)


def test_a_front_end_in_a_file_is_trained_with_and_travels_in_the_exported_model(tmp_path):
    tiny_stores(tmp_path / "data")
    own = written(tmp_path)
    done = train(tmp_path, "--small_model", "--front_end", own, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    needed = load_checkpoint(tmp_path / "c/own/best.pt")["config"]["front_end"]
    assert needed.startswith("Features of mine.py (SHA-256 ")
    assert str(tmp_path) not in str(load_checkpoint(tmp_path / "c/own/best.pt")["args"])
    forget()
    exported = Detector.load(tmp_path / "c/own/best.onnx")
    assert exported.metadata["config"]["front_end"] == needed
    assert exported.judge(CLIP)["score"] is not None
    with pytest.raises(InputError, match=r"best.pt needs the front end 'Features of mine.py"):
        load_checkpoint(tmp_path / "c/own/best.pt")


def test_a_run_goes_on_with_the_same_file_only(tmp_path):
    tiny_stores(tmp_path / "data")
    own = written(tmp_path)
    begun = ("--small_model", "--resume")
    assert train(tmp_path, *begun, "--front_end", own, "--epochs", 1).returncode == 0
    forget()
    assert train(tmp_path, *begun, "--front_end", own, "--epochs", 2).returncode == 0
    for other in (("--front_end", written(tmp_path, OWN + "\n")), ("--front_end", "lfcc"), ()):
        done = train(tmp_path, *begun, *other, "--epochs", 3)
        assert done.returncode == 1
        assert "was trained with front_end = Features of mine.py" in done.stderr


@pytest.mark.parametrize("worked", WORKED)
@pytest.mark.parametrize("architecture", ["small", "lcnn"])
def test_the_worked_examples_serve_both_networks(worked, architecture):
    from models import CONFIGS
    name = known_front_end(str(ROOT / "notebooks/front_ends" / worked), 32000)
    check_network(CONFIGS[architecture] | {"front_end": name}, 32000)
    lines = (ROOT / "notebooks/front_ends" / worked.split(":")[0]).read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 34


BAD = {
    "size = 20": ("", "has no size"),
    "class Features": ("class Others", "name Others behind the colon"),
    "(torch.nn.Module)": ("", "no class Features that extends torch.nn.Module"),
    "import torch": ("import torch, no_such_package", "ModuleNotFoundError in line 1"),
    "def forward(": ("def forward((", "SyntaxError in line 4"),
    "    size": ("    def __init__(self, n): pass\n    size", "cannot be made without arguments"),
    "waves.unfold": ("waves.fold", "fails on 16000 samples (AttributeError in line 5"),
    ".transpose(1, 2)": ("", "returns the shape (2, 98, 20) for 2 waves"),
    "[..., ::20]": ("[..., ::20].log()", "not finite"),
    "return waves": ("return (waves / waves.std())", "other features beside another wave"),
    "return ": ("return 1 or ", "returns int"),
    "waves.unfold(1, 400, 160)[..., ::20]": (
        "torch.stft(waves, 38, 160, return_complex=True).abs().transpose(1, 2)",
        "cannot be exported to ONNX")}


@pytest.mark.parametrize("good", BAD)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, good):
    bad, said = BAD[good]
    with pytest.raises(InputError) as told:
        known_front_end(written(tmp_path, OWN.replace(good, bad, 1)), 16000)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_told_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"none.py cannot be read \(No such file"):
        known_front_end(f"{tmp_path / 'none.py'}:Features", 16000)


@pytest.mark.parametrize("old, new", [("20\n", "8\n"), ("160)", "4000)")])
def test_features_that_a_network_cannot_read_are_told(tmp_path, old, new):
    text = OWN.replace(old, new).replace("::20", "::50" if new == "8\n" else "::20")
    name = known_front_end(written(tmp_path, text), 16000)
    with pytest.raises(InputError, match="lcnn cannot read the features of Features of mine.py"):
        check_network({"architecture": "lcnn", "front_end": name, "width": 16, "dropout": 0.5},
                      16000)
