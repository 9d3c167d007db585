"""What lies below data/raw: folders and files. Hidden ones and the default corpus do not count."""
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.files import reading
from utils.common.text import fits_in_line

DEFAULT_CORPUS = "default_corpus"
NO_FOLDERS = (DEFAULT_CORPUS, "__MACOSX")     # the second: what macOS adds to a ZIP archive


@dataclass(frozen=True)
class Found:
    """A file below a folder."""
    parts: tuple[str, ...]      # its path relative to the folder

    @property
    def name(self) -> str:
        """Its path relative to the folder, with "/"."""
        return "/".join(self.parts)

    @property
    def is_audio(self) -> bool:
        """Whether its suffix is one of audio, and its name fits in one line of a trial list."""
        return has_audio_suffix(self.parts[-1]) and fits_in_line(self.name)


def has_audio_suffix(name: str) -> bool:
    """Whether a file with this name counts as a recording."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES


def walk(folder: Path) -> Iterator[Found]:
    """All files below a folder, through links too, sorted, without hidden ones."""
    for here in folders_below(folder):
        above = here.relative_to(folder).parts
        yield from (Found((*above, name)) for name in files_in(here))


def audio(folder: Path) -> Iterator[Found]:
    """The audio files below a folder."""
    return (found for found in walk(folder) if found.is_audio)


def folders_below(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """A folder and all folders below it, through links too, but never into one it lies in."""
    real = os.path.realpath(folder)
    if folder.is_dir() and real not in above:
        yield folder
        for child in subfolders(folder):
            yield from folders_below(child, above | {real})


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder and the links to folders, sorted."""
    if _listed is not None and folder in _listed:
        return _listed[folder]
    with reading(folder), os.scandir(folder) as entries:
        found = sorted(Path(entry.path) for entry in entries if entry.is_dir()
                       and not entry.name.startswith(".") and entry.name not in NO_FOLDERS)
    if _listed is not None:
        _listed[folder] = found
    return found


_listed: dict[Path, list[Path]] | None = None      # what `subfolders` found, while that is kept


@contextlib.contextmanager
def listed_once() -> Iterator[None]:
    """Inside, `subfolders` looks into each folder once, however many corpora are looked for.

    Millions of files take seconds each time. Nothing may change below data/raw meanwhile.
    """
    global _listed
    _listed = {}
    try:
        yield
    finally:
        _listed = None


def files_in(folder: Path) -> list[str]:
    """The names of the files in a folder itself, sorted, without hidden ones."""
    with reading(folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries
                      if not entry.name.startswith(".") and entry.is_file())
