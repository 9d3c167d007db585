"""A corpus as its authors publish it: lists, and the folders of audio that they name.

A folder of data/raw, at any depth, is its home: there lie a list and its audio.
"""
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from utils.archives.index import Place, container_name
from utils.common.errors import InputError
from utils.common.files import reading
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.corpora.tree import folders_below, walk
from utils.trials.protocols import read_protocol
from utils.trials.releases import ProtocolLine


def read_lines(table: Path) -> Iterator[ProtocolLine]:
    """The lines of a protocol in a file; `InputError` names a wrong one."""
    with reading(table), open(table, "rb") as file:
        yield from read_protocol(str(table), file)


def describe(name: str, parts: Collection[str], every: Collection[str]) -> str:
    """The corpus' name, and which parts were found if not every one."""
    return name if len(parts) == len(every) else f"{name}, {' and '.join(parts)} only"


@dataclass(frozen=True)
class Subset:
    """A list and the folder of its audio, as paths below the corpus' home."""
    part: str
    table: str
    audio: str


@dataclass(frozen=True)
class Located:
    """A subset that data/raw holds: its list, if that was found, and its folders of audio."""
    subset: Subset
    table: Path | None
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Release:
    """What tells a corpus from others, and how its lists are read."""
    name: str
    layout: str
    subsets: tuple[Subset, ...]
    what_to_get: str
    first_line: re.Pattern[str]         # how its lists begin
    read: Callable[[Path], Iterator[ProtocolLine]] = read_lines
    ending: str = ""                    # what the lists leave out of the names of files
    prefixed: bool = False              # names are unique below one folder of audio only
    apart: bool = False                 # lists and folders of audio may lie in different homes
    not_in: str = ""                    # a folder where a list of the same name is another one
    keeps_sets: bool = False

    def is_there(self, raw_dir: Path) -> list[Path]:
        """The folders of audio of this corpus in data/raw; none where it is not there."""
        return [folder for located in self._locate(raw_dir) for folder in located.folders]

    def find(self, request: Request) -> Corpus:
        """The corpus in data/raw. `InputError` where there is none, or a list is missing."""
        located = self._locate(request.raw_dir)
        if not located:
            raise InputError(f"no dataset files of {self.name} were found in {request.raw_dir}: "
                             f"{self.what_to_get}")
        for one in located:
            if one.table is None:
                raise InputError(f"{one.folders[0]} lacks its list with the keys, "
                                 f"{one.subset.table}: {self.what_to_get}")
        parts = {}
        for part in dict.fromkeys(subset.part for subset in self.subsets):
            if there := [one for one in located if one.subset.part == part]:
                parts[part] = Part(" and ".join(str(one.table) for one in there),
                                   partial(self._lines, there),
                                   partial(self._files, there, request.data_dir))
        found = [folder.relative_to(request.data_dir).as_posix()
                 for one in located for folder in one.folders]
        every = {subset.part for subset in self.subsets}
        return Corpus(self.name, describe(self.name, parts, every), self.layout,
                      ", ".join(found), parts, keeps_sets=self.keeps_sets)

    def _locate(self, raw_dir: Path) -> list[Located]:
        homes = list(folders_below(raw_dir))
        every = (self._subset(subset, homes) for subset in self.subsets)
        return [located for located in every if located.folders]

    def _subset(self, subset: Subset, homes: list[Path]) -> Located:
        tables = [home for home in homes if self._is_list(home / subset.table)]
        if not self.apart:
            homes = [home for home in tables if (home / subset.audio).is_dir()][:1]
            tables = homes
        folders = tuple(home / subset.audio for home in homes if (home / subset.audio).is_dir())
        return Located(subset, tables[0] / subset.table if tables else None, folders)

    def _is_list(self, path: Path) -> bool:
        if not path.is_file() or path.parent.name == self.not_in:
            return False
        with reading(path), open(path, "rb") as file:
            first = file.readline(1000).removeprefix(b"\xef\xbb\xbf").decode("latin-1")
        return self.first_line.fullmatch(first.strip()) is not None

    def _prefix(self, located: Located) -> str:
        return f"{located.subset.audio}/" if self.prefixed else ""

    def _lines(self, located: list[Located]) -> Iterator[ProtocolLine]:
        for one in located:
            for line in self.read(one.table):
                yield replace(line, utterance=self._prefix(one) + line.utterance)

    def _files(self, located: list[Located], data_dir: Path) -> Files:
        files = Files()
        for one, folder in chain(*([(one, folder) for folder in one.folders] for one in located)):
            container = container_name(data_dir, folder)
            for file in walk(folder):
                if file.is_audio and file.name.endswith(self.ending):
                    size = (folder / file.name).stat().st_size
                    name = self._prefix(one) + file.name.removesuffix(self.ending)
                    files.places.setdefault(name, Place(f"{container}/{file.name}", 0, size))
        return files
