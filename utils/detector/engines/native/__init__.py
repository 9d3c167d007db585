"""AASIST's encoder in machine code: a library of ONNX Runtime for each system, see README.md."""
import platform
import sys
from pathlib import Path

import onnxruntime

SYSTEMS = {"linux": "linux", "win32": "windows", "darwin": "macos"}
PROCESSORS = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
SUFFIXES = {"linux": ".so", "windows": ".dll", "macos": ".dylib"}


def library() -> Path | None:
    """The library for this system and processor; None where there is none."""
    system = SYSTEMS.get(sys.platform)
    processor = PROCESSORS.get(platform.machine().lower())
    path = Path(__file__).parent / "built" / f"{system}-{processor}{SUFFIXES.get(system)}"
    return path if path.is_file() else None


def register(options: onnxruntime.SessionOptions) -> None:
    """Let sessions with these options run aasist.Encoder natively, where that is possible.

    Where it is not, they run its definition in the model file: slower, with equal scores.
    """
    path = library()
    if path is None:
        return
    try:
        options.register_custom_ops_library(str(path))
    except Exception:       # the runtime raises many kinds: another C library, a noexec disk
        return
