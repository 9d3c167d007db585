"""The files that a step leaves: their sums, which of them are of no whole run, and how they are
moved about.

Left out of sums: the seconds that an epoch took, which are wall time (in history.csv and in the
models' metadata).
"""
import hashlib
import re
import shutil
from pathlib import Path

from tests.robustness.bench.records import Step

UNFINISHED = (".building", ".old", ".partial", ".part", ".lock")    # names that no later step reads
SECONDS = re.compile(rb'"seconds": [0-9.]+')


def unlike(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Names that are not the same in both."""
    return sorted(name for name in found.keys() | expected.keys()
                  if found.get(name) != expected.get(name))


def unfinished(name: str) -> bool:
    """Whether a file lies under a name that says it is not finished."""
    return any(part.startswith(".") or part.endswith(UNFINISHED) for part in Path(name).parts)


def passing(step: Step, path: Path) -> bool:
    """Whether a file of a training under way is a whole one: a checkpoint that loads, a history
    without a torn line.
    """
    from utils.common.errors import InputError
    from utils.detector.checkpoint import load_checkpoint
    if step.name != "train":
        return False
    if path.suffix == ".pt":
        try:
            return bool(load_checkpoint(path))
        except InputError:
            return False
    return path.name == "history.csv" and path.read_bytes().endswith(b"\n")


def digest(path: Path) -> str:
    """The sum of a file's bytes, without wall times."""
    if path.suffix == ".pt":
        return _checkpoint_digest(path)
    content = path.read_bytes()
    if path.suffix == ".onnx":
        content = SECONDS.sub(b"", content)
    if path.name == "history.csv":
        content = b"\n".join(line.rsplit(b",", 1)[0] for line in content.splitlines())
    return hashlib.sha256(content).hexdigest()


def _checkpoint_digest(path: Path) -> str:
    import torch
    total = hashlib.sha256()

    def add(value, name: str = "") -> None:
        if isinstance(value, dict):
            for key in value:
                add(value[key], f"{name}/{key}")
        elif isinstance(value, (list, tuple)):
            for number, item in enumerate(value):
                add(item, f"{name}/{number}")
        elif not re.fullmatch(r"/history/\d+/seconds", name):
            plain = value.numpy().tobytes() if isinstance(value,
                                                          torch.Tensor) else repr(value).encode()
            total.update(name.encode() + plain)

    try:
        add(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError) as error:
        return f"unreadable: {error}"
    return total.hexdigest()


def files(path: Path) -> list[Path]:
    """The file itself, or all files below a folder."""
    return [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, if it is there."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
