"""Versions, platform and commit behind a result; every result file records them."""
import importlib.metadata
import platform
import subprocess
from functools import lru_cache

from utils.common.files import ROOT

PACKAGES = ("torch", "torchaudio", "numpy", "scipy", "scikit-learn", "soundfile", "soxr", "av",
            "onnxruntime")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT,
                              capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@lru_cache(maxsize=1)
def environment() -> dict:
    """Python, platform, package versions and the code's commit (None outside a checkout)."""
    packages = {name: version for name in PACKAGES if (version := _version(name))}
    return {"python": platform.python_version(), "platform": platform.platform(),
            "machine": platform.machine(), "packages": packages, "commit": _commit()}
