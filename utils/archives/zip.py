"""Zip archives: where uncompressed files lie, and unpacking. They are checked like tar archives."""
import contextlib
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from utils.archives.extraction import Item, unpack
from utils.archives.index import Place
from utils.archives.tar import AGAIN, safe_name
from utils.common.errors import InputError
from utils.common.files import reading

LARGEST_TEXT = 64 << 20      # bytes of a protocol
LOCAL_HEADER = 30            # bytes before the name
LENGTHS_AT = (26, 28)        # bytes of the local header with the lengths of name and extra field


@contextlib.contextmanager
def opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """The open archive, after its members are checked.

    Raises `InputError` for damage, encryption, links, unsafe names and repeated names.
    """
    try:
        with reading(archive), zipfile.ZipFile(archive) as file:
            _check(file, archive)
            yield file
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise InputError(f"{archive} is cut short or damaged ({error}): {AGAIN}") from error


def _check(file: zipfile.ZipFile, archive: Path) -> None:
    names: set[str] = set()
    for info in file.infolist():
        name = safe_name(info.orig_filename, str(archive))
        if name in names:
            raise InputError(f"{archive} holds {name} twice: {AGAIN}")
        names.add(name)
        if info.flag_bits & 1:
            raise InputError(f"{archive} is encrypted: {AGAIN} from its publisher")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{archive} holds a link or a device, {name!r}: "
                             f"do not use this archive, {AGAIN}")


def find(archive: Path, matches: Callable[[str], bool]) -> str | None:
    """The name of the first member that matches; None if no member does."""
    with opened(archive) as file:
        return next((name for name in file.namelist() if matches(name)), None)


def content(archive: Path, member: str) -> bytes:
    """The content of a small member, such as a protocol. Raises `InputError` if it is too large."""
    with opened(archive) as file:
        if file.getinfo(member).file_size > LARGEST_TEXT:
            raise InputError(f"{archive} holds {member} with over {LARGEST_TEXT:,} bytes, "
                             f"too large for a protocol: {AGAIN}")
        return file.read(member)


def stored_places(archive: Path, pattern: re.Pattern[str],
                  container: str) -> dict[str, dict[str, Place]]:
    """The places of the files with names that match `pattern`: {part: {utterance: Place}}.

    Group 1 of the pattern is the part, group 2 the utterance. Raises `InputError` if the files
    are compressed, because those must be unpacked.
    """
    places: dict[str, dict[str, Place]] = {}
    with opened(archive) as file, open(archive, "rb", buffering=0) as raw:
        for info in file.infolist():
            match = pattern.fullmatch(info.filename)
            if not match:
                continue
            if info.compress_type != zipfile.ZIP_STORED:
                need = sum(item.file_size for item in file.infolist()) / 1e9
                raise InputError(f"{archive} holds compressed files, which cannot be read in "
                                 f"place: run this again with --extract (it needs {need:.1f} GB)")
            place = Place(container, _first_byte(raw, info, archive), info.file_size)
            places.setdefault(match[1], {})[match[2]] = place
    return places


def _first_byte(raw: BinaryIO, info: zipfile.ZipInfo, archive: Path) -> int:
    """The first byte of an uncompressed member's content."""
    raw.seek(info.header_offset)
    header = raw.read(LOCAL_HEADER)
    lengths = sum(int.from_bytes(header[at:at + 2], "little") for at in LENGTHS_AT)
    offset = info.header_offset + LOCAL_HEADER + lengths
    if header[:4] != b"PK\3\4" or offset + info.file_size > archive.stat().st_size:
        raise InputError(f"{archive} is damaged at {info.filename}: {AGAIN}")
    return offset


def extract(archive: Path, wanted: Callable[[str], bool], folder: Path) -> int:
    """Unpack the members that `wanted` accepts below `folder`; returns the number of new files."""
    with opened(archive) as file:
        infos = [info for info in file.infolist() if wanted(info.filename)]
        return unpack(lambda: (Item(folder / info.filename, info.file_size,
                                    lambda info=info: file.open(info)) for info in infos), folder)
