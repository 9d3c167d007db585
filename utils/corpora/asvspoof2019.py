"""ASVspoof2019, logical access: the folders of LA.zip, or an uncompressed LA.zip read in place."""
import io
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from utils.archives import zip as zips
from utils.archives.index import Place, container_name
from utils.common.errors import InputError
from utils.common.files import reading
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.trials.protocols import read_protocol
from utils.trials.releases import ProtocolLine

DOWNLOAD = "https://datashare.ed.ac.uk/handle/10283/3336"
WHAT_TO_GET = f"download LA.zip (7.6 GB) from {DOWNLOAD} and unpack it into this folder"
LISTS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}
PROTOCOLS = "ASVspoof2019_LA_cm_protocols"
AUDIO = re.compile(r"(?:LA/)?ASVspoof2019_LA_(train|dev|eval)/flac/(LA_[TDE]_\d{7})\.flac")
UTTERANCE = re.compile(r"(LA_[TDE]_\d{7})\.flac")


def is_there(raw_dir: Path) -> bool:
    """Whether data/raw holds audio folders of ASVspoof2019 LA, or LA.zip."""
    return bool(_folders(raw_dir)) or _archive(raw_dir) is not None


def find(request: Request) -> Corpus:
    """The ASVspoof2019 LA in data/raw or up to two folders below it.

    `InputError` where there is none, where audio has no protocol, and for a compressed LA.zip.
    """
    archive = _archive(request.raw_dir)
    if archive is not None and request.extract:
        zips.extract(archive, _wanted, archive.parent)
    if folders := _folders(request.raw_dir):
        return _from_folders(request, folders)
    if archive is None:
        raise InputError(f"no dataset files of ASVspoof2019 LA were found in {request.raw_dir}: "
                         f"{WHAT_TO_GET}")
    return _from_zip(request, archive)


def _places(raw_dir: Path) -> list[Path]:
    below = []
    if raw_dir.is_dir():
        below = sorted(path for path in raw_dir.iterdir() if path.is_dir())
    return [raw_dir, *below, *(path / "LA" for path in below)]


def _archive(raw_dir: Path) -> Path | None:
    paths = (place / "LA.zip" for place in _places(raw_dir))
    return next((path for path in paths if path.is_file()), None)


def _folders(raw_dir: Path) -> dict[str, Path]:
    return {part: folder for part in LISTS for place in reversed(_places(raw_dir))
            if (folder := place / f"ASVspoof2019_LA_{part}" / "flac").is_dir()}


def _wanted(name: str) -> bool:
    return AUDIO.fullmatch(name) is not None or any(_is_list(name, part) for part in LISTS)


def _is_list(name: str, part: str) -> bool:
    return name.endswith(f"{PROTOCOLS}/{_list_name(part)}")


def _list_name(part: str) -> str:
    return f"ASVspoof2019.LA.cm.{LISTS[part]}.txt"


def _corpus(found: str, parts: dict[str, Part], archives: tuple[Path, ...] = ()) -> Corpus:
    which = "" if len(parts) == len(LISTS) else f", {' and '.join(parts)} only"
    return Corpus("ASVspoof2019 LA", f"ASVspoof2019 LA{which}", "asvspoof2019", found, parts,
                  archives)


def _from_folders(request: Request, folders: dict[str, Path]) -> Corpus:
    parts = {}
    for part, folder in folders.items():
        table = folder.parents[1] / PROTOCOLS / _list_name(part)
        if not table.is_file():
            raise InputError(f"the protocol {table} is missing: unpack all of LA.zip "
                             f"({DOWNLOAD}), not only its audio")
        parts[part] = Part(str(table), partial(_read_list, table), partial(_scan, folder, request))
    return _corpus(", ".join(folder.parent.name for folder in folders.values()), parts)


def _read_list(table: Path) -> Iterator[ProtocolLine]:
    with reading(table), open(table, "rb") as file:
        yield from read_protocol(str(table), file)


def _scan(folder: Path, request: Request) -> Files:
    container = container_name(request.data_dir, folder)
    files = Files()
    with reading(folder), os.scandir(folder) as entries:
        for entry in entries:
            if (match := UTTERANCE.fullmatch(entry.name)) and entry.is_file():
                size = entry.stat().st_size
                files.places[match[1]] = Place(f"{container}/{entry.name}", 0, size)
    return files


def _from_zip(request: Request, archive: Path) -> Corpus:
    places = zips.stored_places(archive, AUDIO, container_name(request.data_dir, archive))
    parts = {}
    for part in (part for part in LISTS if part in places):
        member = zips.find(archive, partial(_is_list, part=part))
        if member is None:
            raise InputError(f"{archive} lacks the protocol {_list_name(part)}: "
                             f"download it again from {DOWNLOAD}")
        table = f"{archive} ({member})"
        parts[part] = Part(table, partial(_read_zipped, table, archive, member),
                           partial(Files, places[part]))
    if not parts:
        raise InputError(f"{archive} holds no audio of ASVspoof2019 LA: "
                         f"download it again from {DOWNLOAD}")
    return _corpus(archive.name, parts, (archive,))


def _read_zipped(name: str, archive: Path, member: str) -> Iterator[ProtocolLine]:
    yield from read_protocol(name, io.BytesIO(zips.content(archive, member)))
