"""Every command of the guide runs, on a corpus of a few clips and for a few steps."""
import shlex
import shutil
from pathlib import Path

import pytest

from tests.benchmarks.docs.run_guide import GUIDE, commands
from tests.helpers.steps import step

FEW = ("--max_samples", "8", "--batch_size", "4")
MADE = ("results/", "models/checkpoints/", "box.pt")    # by the commands themselves


@pytest.fixture(scope="module")
def folder(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all that the commands write, with a prepared corpus in it."""
    place = tmp_path_factory.mktemp("guide")
    shutil.copytree(data_dir, place / "data", symlinks=True)
    return place


def shortened(words: list[str], folder: Path, run_before: bool) -> list[str]:
    """A command that writes into `folder` and takes seconds."""
    words = [str(folder / word) if word.startswith(MADE) else word for word in words]
    if "--encoder" in words or words[0] != "notebooks/aasist_training.py":
        few = FEW[:2] if "--encoder" in words else ()
    else:
        few = (*FEW, "--epochs", "2" if run_before else "1")
    places = {"notebooks/aasist_training.py": ("data", "checkpoint", "results"),
              "utils/preprocess_data.py": ("data",)}.get(words[0], ())
    below = {"data": "data", "checkpoint": "models/checkpoints", "results": "results"}
    options = [part for place in places for part in (f"--{place}_dir", str(folder / below[place]))]
    return [*words, *few, *options]


def test_all_of_them_run_in_their_order(folder):
    seen = set()
    for command in commands(GUIDE.read_text(encoding="utf-8")):
        words = shlex.split(command)[1:]
        name = words[words.index("--run_name") + 1] if "--run_name" in words else None
        done = step(*shortened(words, folder, name in seen))
        seen.add(name)
        assert done.returncode == 0, (command, done.stderr)
    assert (folder / "models/checkpoints/grow/best.onnx").is_file()
    assert list((folder / "results/pictures").iterdir())
