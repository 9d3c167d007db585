"""ASVspoof5 (Zenodo record 14498691): archives, read in place or unpacked, and protocols."""
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from utils.archives.extraction import tar_items, unpack
from utils.archives.index import Place, container_name, index_archive, read_index
from utils.common.errors import InputError
from utils.common.files import reading
from utils.corpora.asvspoof.asvspoof5_protocols import ARCHIVE as PROTOCOL_ARCHIVE
from utils.corpora.asvspoof.asvspoof5_protocols import Table, find_tables, table_files
from utils.corpora.corpus import Corpus, Files, Part, Request

DOWNLOAD = "https://zenodo.org/records/14498691"
LETTERS = {"train": "T", "dev": "D", "eval": "E"}
ARCHIVES = {"train": [f"flac_T_a{c}.tar" for c in "abcde"],
            "dev": [f"flac_D_a{c}.tar" for c in "abc"],
            "eval": [f"flac_E_a{c}.tar" for c in "abcdefghij"]}
FOLDERS = {"train": ["flac_T"], "dev": ["flac_D"], "eval": ["flac_E_eval", "flac_E"]}
ENROLMENT = re.compile(r"[TDE]_A\d{10}")
OTHER_CORPORA = {"default_corpus", "bonafide", "spoof"}      # folders of data/raw
NAMES_SHOWN = 4                                              # of archives, in a description
WHAT_TO_GET = (
    f"download {PROTOCOL_ARCHIVE} (20.7 MB) and one or more of flac_T_aa..ae.tar (37.5 GB in all), "
    "flac_D_aa..ac.tar (20.0 GB; flac_D_ab.tar alone, 6.6 GB, is enough) and flac_E_aa..aj.tar "
    f"(84.8 GB) from {DOWNLOAD} into this folder")


@dataclass(frozen=True)
class Located:
    """Where archives, folders of unpacked files and protocols lie, by part."""
    archives: dict[str, list[Path]]
    folders: dict[str, list[Path]]
    tables: dict[str, Table]

    def parts(self) -> list[str]:
        """The parts whose audio was found."""
        return [part for part in LETTERS if self.archives[part] or self.folders[part]]


def is_there(raw_dir: Path) -> list[Path]:
    """The archives, protocols and folders of ASVspoof5 in data/raw; none where it is not there."""
    folders = chain.from_iterable(FOLDERS.values())
    return [*downloads(raw_dir), *_first(_places(raw_dir), folders, Path.is_dir)]


def downloads(raw_dir: Path) -> list[Path]:
    """The publishers' files in data/raw: archives and protocols."""
    places = _places(raw_dir)
    archives = _first(places, chain(*ARCHIVES.values(), [PROTOCOL_ARCHIVE]), Path.is_file)
    return [*archives, *(path for _, path in table_files(places))]


def find(request: Request) -> Corpus:
    """The ASVspoof5 in data/raw or in folders directly below it.

    `InputError` where audio is missing, a part has no protocol, or an archive cannot be read.
    """
    located = locate(_places(request.raw_dir))
    if not located.parts():
        raise InputError(f"no dataset files of ASVspoof5 were found in {request.raw_dir}"
                         f"{_leftovers(request.raw_dir)}: {WHAT_TO_GET}")
    return build(request, located)


def locate(places: list[Path]) -> Located:
    """Look for this layout in `places`; of each name the first place counts."""
    archives = {part: _first(places, names, Path.is_file) for part, names in ARCHIVES.items()}
    folders = {part: _first(places, names, Path.is_dir) for part, names in FOLDERS.items()}
    return Located(archives, folders, find_tables(places))


def build(request: Request, located: Located) -> Corpus:
    """The corpus that was located: unpacks or indexes its archives, ties parts to protocols."""
    for part in located.parts():
        if part not in located.tables:
            raise InputError(f"the protocol of the {part} part is missing in {request.raw_dir}: "
                             f"download {PROTOCOL_ARCHIVE} (20.7 MB) from {DOWNLOAD} into it")
    indexes = _index(request, located)
    if request.extract and indexes:
        located = _extract(located, indexes, request.raw_dir)
        indexes = {}
    parts = {part: Part(str(located.tables[part]), located.tables[part].lines,
                        partial(_files, request, part, indexes, located))
             for part in located.parts()}
    archives = list(chain.from_iterable(located.archives.values()))
    folders = list(chain.from_iterable(located.folders.values()))
    found = [f"{path.name} ({path.stat().st_size / 1e9:.2f} GB)" for path in archives]
    found += [f"{path.name}/" for path in folders]
    description = f"ASVspoof5 ({_enumerate([path.name for path in archives + folders])})"
    return Corpus("ASVspoof5", description, "asvspoof5", ", ".join(found), parts, tuple(indexes))


def members(part: str) -> re.Pattern[str]:
    """The names of audio files in a part's archives: trials, and enrolment (with a letter A)."""
    folders = "|".join(FOLDERS[part])
    return re.compile(rf"(?:(?:{folders})/)?{LETTERS[part]}_A?\d{{10}}\.flac")


def _index(request: Request, located: Located) -> dict[Path, Path]:
    """The index of every archive."""
    return {archive: index_archive(archive, request.index_dir / f"{archive.name}.tsv",
                                   members(part), request.force)
            for part, archives in located.archives.items() for archive in archives}


def _enumerate(names: list[str]) -> str:
    stems = [name.removesuffix(".tar") for name in names]
    if len(stems) <= NAMES_SHOWN:
        return ", ".join(stems)
    return f"{len(stems)} parts, {stems[0]} to {stems[-1]}"


def _places(raw_dir: Path) -> list[Path]:
    """data/raw and the folders directly below it that may hold this corpus."""
    if not raw_dir.is_dir():
        return []
    return [raw_dir, *sorted(path for path in raw_dir.iterdir()
                             if path.is_dir() and path.name not in OTHER_CORPORA)]


def _leftovers(raw_dir: Path) -> str:
    """Names that look like an incomplete or renamed download of ASVspoof5."""
    known = set(chain.from_iterable(ARCHIVES.values()))
    names = []
    if raw_dir.is_dir():
        names = sorted(path.name for path in raw_dir.glob("flac_*") if path.name not in known)
    if not names:
        return ""
    return f" (but {', '.join(names[:3])}: is the download complete and its name unchanged?)"


def _first(places: list[Path], names: Iterable[str],
           exists: Callable[[Path], bool]) -> list[Path]:
    """For each name the path in the first of `places` where it exists."""
    found = (next((place / name for place in places if exists(place / name)), None)
             for name in names)
    return [path for path in found if path is not None]


def _extract(located: Located, indexes: dict[Path, Path], folder: Path) -> Located:
    """Unpack each archive into a folder beside it; only folders are located afterwards."""
    homes = {archive: archive.parent / FOLDERS[part][0]
             for part, archives in located.archives.items() for archive in archives}
    unpack(lambda: chain.from_iterable(tar_items(archive, index, homes[archive])
                                       for archive, index in indexes.items()), folder)
    folders = {}
    for part in LETTERS:
        unpacked = [homes[archive] for archive in located.archives[part]]
        folders[part] = list(dict.fromkeys([*located.folders[part], *unpacked]))
    return replace(located, archives={part: [] for part in LETTERS}, folders=folders)


def _files(request: Request, part: str, indexes: dict[Path, Path], located: Located) -> Files:
    """Where the files of a part lie.

    An archive takes precedence over a folder: reading it in order is faster than many files.
    """
    files = Files()
    for archive in located.archives[part]:
        container = container_name(request.data_dir, archive)
        for entry in read_index(indexes[archive]):
            place = Place(container, entry.offset, entry.size)
            _add(files, entry.name.rsplit("/", 1)[-1], place, str(archive))
    for folder in located.folders[part]:
        _scan(files, folder, container_name(request.data_dir, folder))
    return files


def _add(files: Files, name: str, place: Place, archive: str) -> None:
    utterance = name.removesuffix(".flac")
    if ENROLMENT.fullmatch(utterance):
        files.enrolment.add(utterance)
    elif utterance in files.places:
        raise InputError(f"{archive} and {files.places[utterance].container} both hold {name}: "
                         "remove the archive that is not of this release")
    else:
        files.places[utterance] = place


def _scan(files: Files, folder: Path, container: str) -> None:
    others = 0
    with reading(folder), os.scandir(folder) as entries:
        for entry in entries:
            utterance = entry.name.removesuffix(".flac")
            if utterance == entry.name or entry.name.startswith(".") or not entry.is_file():
                others += 1
            elif ENROLMENT.fullmatch(utterance):
                files.enrolment.add(utterance)
            else:
                place = Place(f"{container}/{entry.name}", 0, entry.stat().st_size)
                files.places.setdefault(utterance, place)
    if others:
        files.notes.append(f"{others:,} other files in {folder} are left out")
