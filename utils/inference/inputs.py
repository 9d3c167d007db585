"""Which recordings the inputs name: files, folders and lists of paths, each file once, in order."""
import os
from collections.abc import Iterator
from pathlib import Path

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError

LIST_HEAD = 4096    # bytes of a .txt file that show whether it is text


def expand(inputs: list[str]) -> tuple[list[str], int]:
    """(paths, left out): all recordings, and how many other files lie in the folders.

    A folder stands for the files below it with an audio or video suffix, sorted, without hidden
    ones. A folder that cannot be opened stands for itself, so its record says why it failed. A
    .txt file is a list, one path per line, relative to the current folder or to the list's; blank
    lines and lines that begin with # are skipped. Any other path stands for itself. Raises
    `InputError` for a folder without recordings, an empty list, and a list without existing files.
    """
    found: dict[str, None] = {}
    left_out = 0
    for name in inputs:
        chosen = [name]
        if os.path.isdir(name):
            chosen, others = _in_folder(name)
            left_out += others
        elif _is_list(name):
            chosen = _in_list(Path(name))
        found.update(dict.fromkeys(chosen))
    return list(found), left_out


def _in_folder(folder: str) -> tuple[list[str], int]:
    """The recordings below a folder, and how many other files lie there."""
    refused: list[OSError] = []
    inside = sorted(_below(folder, refused))
    chosen = [path for path in inside if os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES]
    left_out = len(inside) - len(chosen)
    chosen += [str(error.filename) for error in refused]
    if not chosen:
        raise InputError(f"no recordings in {folder}: none of its {len(inside)} files has an audio "
                         "suffix such as .wav; to judge files with any suffix, name each file")
    return chosen, left_out


def _below(folder: str, refused: list[OSError]) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=refused.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in files if not name.startswith("."))


def _is_list(name: str) -> bool:
    """Whether a file is a list: its suffix is .txt and its bytes are text, not a recording's."""
    if not name.lower().endswith(".txt") or not os.path.isfile(name):
        return False
    try:
        with open(name, "rb") as file:
            return b"\0" not in file.read(LIST_HEAD)
    except OSError:
        return False


def _in_list(path: Path) -> list[str]:
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    lines = [line.strip() for line in lines]
    names = [os.fsdecode(line) for line in lines if line and not line.startswith(b"#")]
    if not names:
        raise InputError(f"the list {path} names no files: write one path per line")
    beside = [os.path.join(path.parent, name) for name in names]
    if not any(map(os.path.exists, [*names, *beside])):
        which = "line does not name" if len(names) == 1 else f"{len(names)} lines do not name"
        raise InputError(f"{path} is text, so it was read as a list of recordings, one path per "
                         f"line, but its {which} any existing file: check the paths, or name the "
                         "recordings directly")
    return [other if os.path.exists(other) and not os.path.exists(name) else name
            for name, other in zip(names, beside)]
