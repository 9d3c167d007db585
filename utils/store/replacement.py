"""A new store is built beside the old one and replaces it at the end in one step."""
import contextlib
import os
import shutil
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import disk_errors, read_json
from utils.store.reader import DESCRIPTION, FORMAT

JOURNAL = "journal.tsv"      # of an unfinished store


def building(path: Path) -> Path:
    """The folder in which the store `path` is written until it is complete."""
    return path.with_name(path.name + ".building")


def bytes_written(path: Path) -> int:
    """The present size of an unfinished store; 0 without one."""
    with contextlib.suppress(FileNotFoundError):
        return sum(file.stat().st_size for file in building(path).iterdir())
    return 0


def recover(path: Path) -> None:
    """Finish a killed swap: keep the new store if it is complete, else the old one."""
    old = _old(path)
    with disk_errors(path):
        if read_description(building(path)).get("complete") is True:
            swap(path)
        elif not path.exists() and old.exists():
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)


def swap(path: Path) -> None:
    """Replace the old store by the complete new one; `recover` finishes a killed swap."""
    old = _old(path)
    with disk_errors(path):
        (building(path) / JOURNAL).unlink(missing_ok=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
        os.replace(building(path), path)
        shutil.rmtree(old, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove an unfinished store; a complete one stays."""
    shutil.rmtree(building(path), ignore_errors=True)


def difference(path: Path, description: dict) -> str | None:
    """Why `path` is not the complete store of `description`; None if it is."""
    found = read_description(path)
    if not found:
        return "no store exists yet"
    if found.get("format") != FORMAT or found.get("complete") is not True:
        return "the store is of another version"
    if any(found[name] != description[name] for name in ("trial_list_sha256", "corpus")):
        return "the trial list changed"
    before, now = found["settings"], description["settings"]
    if before == now:
        return None
    changed = [f"{name} was {before.get(name)}, is {value}" for name, value in now.items()
               if before.get(name) != value]
    return "other settings: " + ", ".join(changed)


def read_description(folder: Path) -> dict:
    """The content of store.json; empty if it is missing or damaged."""
    try:
        content = read_json(folder / DESCRIPTION)
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


def _old(path: Path) -> Path:
    return path.with_name(path.name + ".old")
