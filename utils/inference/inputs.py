"""Which recordings a person means: files, folders and lists of paths, each file once and in order."""
import os
from collections.abc import Iterator
from pathlib import Path

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError

LIST_HEAD = 4096


def expand(inputs: list[str]) -> tuple[list[str], int]:
    """(paths, left out): every recording that `inputs` name, and how many other files lie in the folders among them.

    A folder gives the files below it with an audio or video suffix, sorted; hidden ones do not count, and a folder that
    cannot be opened stands for itself, so that it fails and is told. A .txt file is a list: one path per line, taken
    from the current folder or else from the list's; blank lines and those that begin with # are passed over. Other
    paths are taken as they are. Raises `InputError` for an empty list or folder, and for a list of nothing that exists.
    """
    found: dict[str, None] = {}
    left_out = 0
    for name in inputs:
        if os.path.isdir(name):
            refused: list[OSError] = []
            inside = sorted(_below(name, refused))
            chosen = [path for path in inside if os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES]
            left_out += len(inside) - len(chosen)
            chosen += [str(error.filename) for error in refused]
            if not chosen:
                raise InputError(f"no recordings in {name}: none of its {len(inside)} files has an audio suffix such "
                                 "as .wav, name files one by one to have them tried whatever they are called")
        else:
            chosen = _listed(Path(name)) if _is_list(name) else [name]
        found.update(dict.fromkeys(chosen))
    return list(found), left_out


def _below(folder: str, refused: list[OSError]) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=refused.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in files if not name.startswith("."))


def _is_list(name: str) -> bool:
    """Whether a .txt file is text: a recording may be called .txt too, and its bytes tell."""
    if not name.lower().endswith(".txt") or not os.path.isfile(name):
        return False
    try:
        with open(name, "rb") as file:
            return b"\0" not in file.read(LIST_HEAD)
    except OSError:
        return False


def _listed(path: Path) -> list[str]:
    lines = [line.strip() for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()]
    names = [os.fsdecode(line) for line in lines if line and not line.startswith(b"#")]
    if not names:
        raise InputError(f"the list {path} names no files: write one path per line")
    beside = [os.path.join(path.parent, name) for name in names]
    if not any(map(os.path.exists, [*names, *beside])):      # False too for what can be no path
        raise InputError(f"{path} is text, so it was read as a list of recordings, one path per line, and none of its {len(names)} lines "
                         "names a file: check the paths, or name the recordings themselves")
    return [name if os.path.exists(name) or not os.path.exists(other) else other for name, other in zip(names, beside)]
