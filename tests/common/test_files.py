"""Files of a step arrive together or not at all, also where a process is killed."""
import subprocess
import sys
from pathlib import Path

from utils.common.files import ROOT, atomic_folder

KILLED = """
import os, sys
from pathlib import Path
from utils.common import files
files.os.replace = lambda *_: os._exit(9)       # killed just before it moves the first file
with files.atomic_folder(Path(sys.argv[1]), ["m.onnx.data", "m.onnx"]) as folder:
    (folder / "m.onnx").write_text("new")
"""


def test_a_file_that_was_written_alone_is_never_missing(tmp_path: Path):
    """A killed run leaves the old files; the next one replaces them and removes what it left."""
    for name in ("m.onnx.data", "m.onnx"):
        (tmp_path / name).write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, check=False)
    assert killed.returncode == 9
    assert (tmp_path / "m.onnx").read_text() == (tmp_path / "m.onnx.data").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3
    with atomic_folder(tmp_path, ["m.onnx.data", "m.onnx"]) as folder:
        (folder / "m.onnx").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "new"


def test_two_models_are_written_into_one_folder_at_once(tmp_path: Path):
    with atomic_folder(tmp_path, ["a.onnx.data", "a.onnx"]) as one:
        (one / "a.onnx").write_text("a")
        with atomic_folder(tmp_path, ["b.onnx.data", "b.onnx"]) as other:
            for name in ("b.onnx.data", "b.onnx"):
                (other / name).write_text(name)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"a.onnx": "a", "b.onnx": "b.onnx", "b.onnx.data": "b.onnx.data"}
