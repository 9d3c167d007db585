"""ASVspoof5 (Zenodo record 14498691): flac_T_aa.tar ... read in place or unpacked, and ASVspoof5_protocols.tar.gz."""
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

from utils.archives.index import Place, container_name, index_archive, read_index
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.archives.extraction import tar_items, unpack
from utils.trials.protocols import read_protocol
from utils.trials.releases import ProtocolLine
from utils.archives.safe_open import BoundedGzip
from utils.archives.tar import Member, walk
from utils.common.errors import InputError
from utils.common.files import reading

DOWNLOAD = "https://zenodo.org/records/14498691"
PROTOCOL_ARCHIVE = "ASVspoof5_protocols.tar.gz"
LETTERS = {"train": "T", "dev": "D", "eval": "E"}
ARCHIVES = {"train": [f"flac_T_a{c}.tar" for c in "abcde"], "dev": [f"flac_D_a{c}.tar" for c in "abc"],
            "eval": [f"flac_E_a{c}.tar" for c in "abcdefghij"]}
FOLDERS = {"train": ["flac_T"], "dev": ["flac_D"], "eval": ["flac_E_eval", "flac_E"]}
TABLES = {part: re.compile(rf"ASVspoof5\.{part}(?:\.track_1)?(?:\.metadata\.txt|\.tsv)") for part in LETTERS}
ENROLMENT = re.compile(r"[TDE]_A\d{10}")
NOT_OURS = {"default_corpus", "bonafide", "spoof"}           # folders of data/raw that hold other corpora
LARGEST_TABLE, LARGEST_UNPACKED = 256 << 20, 1 << 30         # bytes; the real ones have 45 MB and under 200 MB
MOST_MEMBERS = 10_000                                        # of the protocol archive, which has about a dozen


WHAT_TO_GET = (
    f"download {PROTOCOL_ARCHIVE} (20.7 MB) and one or more of flac_T_aa..ae.tar (37.5 GB in all), flac_D_aa..ac.tar "
    f"(20.0 GB; flac_D_ab.tar alone, 6.6 GB, will do) and flac_E_aa..aj.tar (84.8 GB) from {DOWNLOAD} into this folder")


@dataclass(frozen=True)
class Located:
    """Where things of this layout lie, by part: archives, folders of unpacked files, protocol tables."""
    archives: dict[str, list[Path]]
    folders: dict[str, list[Path]]
    tables: dict[str, tuple[Path, str | None]]      # a table's file, or the archive that holds it and its name there

    def parts(self) -> list[str]:
        """The parts whose audio is there."""
        return [part for part in LETTERS if self.archives[part] or self.folders[part]]


def is_there(raw_dir: Path) -> bool:
    """Whether data/raw has anything of ASVspoof5: audio or protocols."""
    archives = chain.from_iterable(ARCHIVES.values())
    folders = chain.from_iterable(FOLDERS.values())
    places = _places(raw_dir)
    return bool(_first(places, archives, Path.is_file) or _first(places, folders, Path.is_dir)
                or _first(places, [PROTOCOL_ARCHIVE], Path.is_file) or any(_table_files(places)))


def downloads(raw_dir: Path) -> list[Path]:
    """The files of the publishers that are there: archives and protocols."""
    places = _places(raw_dir)
    archives = _first(places, chain(*ARCHIVES.values(), [PROTOCOL_ARCHIVE]), Path.is_file)
    return [*archives, *(path for _, path in _table_files(places))]


def find(request: Request) -> Corpus:
    """The ASVspoof5 in data/raw or in folders directly below it.

    `InputError` where there is no audio, where a part has no protocol, and for an archive that cannot be read.
    """
    located = locate(_places(request.raw_dir))
    if not located.parts():
        raise InputError(f"no dataset files of ASVspoof5 were found in {request.raw_dir}{_leftovers(request.raw_dir)}: "
                         f"{WHAT_TO_GET}")
    return build(request, located)


def locate(places: list[Path]) -> Located:
    """Look for archives, folders and tables of this layout in `places`; the first of a name counts."""
    return Located({part: _first(places, names, Path.is_file) for part, names in ARCHIVES.items()},
                   {part: _first(places, names, Path.is_dir) for part, names in FOLDERS.items()}, _find_tables(places))


def build(request: Request, located: Located) -> Corpus:
    """The corpus of what was located: unpacks or indexes its archives and ties each part to its protocol."""
    for part in located.parts():
        if part not in located.tables:
            raise InputError(f"the protocol of the {part} part is missing in {request.raw_dir}: download "
                             f"{PROTOCOL_ARCHIVE} (20.7 MB) from {DOWNLOAD} into it")
    indexes = {archive: index_archive(archive, request.index_dir / f"{archive.name}.tsv", members(part), request.force)
               for part, archives in located.archives.items() for archive in archives}
    if request.extract and indexes:
        located, indexes = _extract(located, indexes, request.raw_dir), {}
    parts = {part: Part(_table_name(*located.tables[part]), partial(_lines, *located.tables[part]),
                        partial(_files, request, part, indexes, located)) for part in located.parts()}
    archives, folders = (list(chain.from_iterable(kind.values())) for kind in (located.archives, located.folders))
    found = [f"{path.name} ({path.stat().st_size / 1e9:.2f} GB)" for path in archives]
    found += [f"{path.name}/" for path in folders]
    description = f"ASVspoof5 ({_enumerate([path.name for path in archives + folders])})"
    return Corpus("ASVspoof5", description, "asvspoof5", ", ".join(found), parts, tuple(indexes))


def members(part: str) -> re.Pattern[str]:
    """What the audio files of a part are called in its archives: trials, and the speakers' enrolment (a letter A)."""
    return re.compile(rf"(?:(?:{'|'.join(FOLDERS[part])})/)?{LETTERS[part]}_A?\d{{10}}\.flac")


def _enumerate(names: list[str]) -> str:
    stems = [name.removesuffix(".tar") for name in names]
    return ", ".join(stems) if len(stems) <= 4 else f"{len(stems)} parts, {stems[0]} to {stems[-1]}"


def _places(raw_dir: Path) -> list[Path]:
    """Where to look: data/raw and the folders directly below it that may be of this corpus."""
    if not raw_dir.is_dir():
        return []
    return [raw_dir, *sorted(path for path in raw_dir.iterdir() if path.is_dir() and path.name not in NOT_OURS)]


def _leftovers(raw_dir: Path) -> str:
    """Names that look like a download of ASVspoof5 which has not ended or was renamed."""
    known = {name for names in ARCHIVES.values() for name in names}
    names = sorted(path.name for path in raw_dir.glob("flac_*") if path.name not in known) if raw_dir.is_dir() else []
    return f" (but {', '.join(names[:3])}: is the download complete and its name unchanged?)" if names else ""


def _first(places: list[Path], names: Iterable[str], is_there: Callable[[Path], bool]) -> list[Path]:
    """For each name the path in the first of `places` that has it."""
    found = (next((place / name for place in places if is_there(place / name)), None) for name in names)
    return [path for path in found if path is not None]


def _find_tables(places: list[Path]) -> dict[str, tuple[Path, str | None]]:
    """The protocol table of each part: from the archive, whose sum protects it, else from a file of its own."""
    archive = next((place / PROTOCOL_ARCHIVE for place in places if (place / PROTOCOL_ARCHIVE).is_file()), None)
    tables: dict[str, tuple[Path, str | None]] = {}
    if archive is not None:
        for member in _protocol_members(archive):
            for part, pattern in TABLES.items():
                if pattern.fullmatch(member.name.rsplit("/", 1)[-1]) and not member.is_directory:
                    tables.setdefault(part, (archive, member.name))
    for part, path in _table_files(places):
        tables.setdefault(part, (path, None))
    return tables


def _table_files(places: list[Path]) -> Iterator[tuple[str, Path]]:
    """Protocol tables that are files of their own: part and path, the .tsv before the older .metadata.txt."""
    for place in places:
        for folder in (place, place / "ASVspoof5_protocols"):
            for path in sorted(folder.glob("ASVspoof5.*"), reverse=True):
                yield from ((part, path) for part, pattern in TABLES.items()
                            if pattern.fullmatch(path.name) and path.is_file())


def _protocol_members(archive: Path) -> list[Member]:
    with BoundedGzip(archive, LARGEST_UNPACKED) as file:
        members = list(islice(walk(file, str(archive)), MOST_MEMBERS + 1))
        file.seek(LARGEST_UNPACKED + 1)     # to its end, where the sum over all of it stands
    if len(members) > MOST_MEMBERS:
        raise InputError(f"{archive} holds over {MOST_MEMBERS:,} members, too many for protocols: download it again")
    return members


def _table_name(path: Path, member: str | None) -> str:
    return str(path) if member is None else f"{path} ({member})"


def _lines(path: Path, member: str | None) -> Iterator[ProtocolLine]:
    name = _table_name(path, member)
    if member is None:
        with reading(path), open(path, "rb") as file:
            yield from read_protocol(name, file)
        return
    with BoundedGzip(path, LARGEST_UNPACKED) as archive:
        place = next(found for found in walk(archive, str(path)) if found.name == member)
        if place.size > LARGEST_TABLE:
            raise InputError(f"{name} would be {place.size:,} bytes long, which no protocol is: download it again")
        archive.seek(place.offset)
        content = archive.read(place.size)
    yield from read_protocol(name, io.BytesIO(content))


def _extract(located: Located, indexes: dict[Path, Path], folder: Path) -> Located:
    """Unpack all archives beside themselves; what is located then: folders only."""
    homes = {archive: archive.parent / FOLDERS[part][0] for part, own in located.archives.items() for archive in own}
    unpack(lambda: chain.from_iterable(tar_items(*pair, homes[pair[0]]) for pair in indexes.items()), folder)
    folders = {part: list(dict.fromkeys([*located.folders[part], *map(homes.get, located.archives[part])]))
               for part in LETTERS}
    return replace(located, archives={part: [] for part in LETTERS}, folders=folders)


def _files(request: Request, part: str, indexes: dict[Path, Path], located: Located) -> Files:
    """Where the files of a part lie. An archive goes before a folder: reading it in order is faster than many files."""
    files = Files()
    for archive in located.archives[part]:
        container = container_name(request.data_dir, archive)
        for name, offset, size in read_index(indexes[archive]):
            _add(files, name.rsplit("/", 1)[-1], (container, offset, size), str(archive))
    for folder in located.folders[part]:
        _scan(files, folder, container_name(request.data_dir, folder))
    return files


def _add(files: Files, name: str, place: Place, archive: str) -> None:
    utterance = name.removesuffix(".flac")
    if ENROLMENT.fullmatch(utterance):
        files.enrolment.add(utterance)
    elif utterance in files.places:
        raise InputError(f"{archive} holds {name}, and so does {files.places[utterance][0]}: "
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
                files.places.setdefault(utterance, (f"{container}/{entry.name}", 0, entry.stat().st_size))
    if others:
        files.notes.append(f"{others:,} other files in {folder} are passed over")
