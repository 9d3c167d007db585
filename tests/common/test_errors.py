"""How a step ends where a package is missing."""
import subprocess
import sys

import pytest

from utils.common.files import ROOT

CLIP = "data/examples/fake_kokoro_en.flac"


@pytest.mark.parametrize("package, script, options", [
    ("soxr", "utils/simplified_inference.py", ("--input_file", CLIP)),
    ("tqdm", "utils/prepare_dataset.py", ("--data_dir", "none")),
    ("numpy", "utils/make_vocoded.py", ("--input", "none", "--output", "x")),
    ("onnx", "utils/compress_model.py", ("--model", "m.pt", "--output", "x.onnx", "--quantise"))])
def test_a_missing_package_is_named_in_one_sentence(package, script, options):
    done = run(f"import sys; sys.modules[{package!r}] = None\n"
               f"import runpy; sys.argv = {[script, *options]!r}\n"
               f"sys.path.insert(0, 'utils'); runpy.run_path({script!r}, run_name='__main__')")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"package {package} is missing: pip install {package}, " in done.stderr


def test_a_missing_module_of_ours_stays_a_traceback():
    done = run("from utils.common.errors import run\n"
               "def main(): import utils.no_such_room\n"
               "run(main)")
    assert done.returncode == 1 and "ModuleNotFoundError: No module named" in done.stderr


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
