"""The protocols of ASVspoof5: in ASVspoof5_protocols.tar.gz, or unpacked from it."""
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from utils.archives.bounded_gzip import BoundedGzip
from utils.archives.tar import Member, walk
from utils.common.errors import InputError
from utils.common.files import reading
from utils.trials.protocols import read_protocol
from utils.trials.releases import ProtocolLine
from utils.trials.trial import SUBSETS

ARCHIVE = "ASVspoof5_protocols.tar.gz"
FILES = {part: re.compile(rf"ASVspoof5\.{part}(?:\.track_1)?(?:\.metadata\.txt|\.tsv)")
         for part in SUBSETS}
LARGEST_TABLE = 256 << 20         # bytes; the real ones have 45 MB
LARGEST_UNPACKED = 1 << 30        # bytes; the real archive has under 200 MB
MOST_MEMBERS = 10_000             # the real archive has about a dozen


@dataclass(frozen=True)
class Table:
    """One protocol: a file, or a member of the archive `path`."""
    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path} ({self.member})"

    def lines(self) -> Iterator[ProtocolLine]:
        """What the protocol lists; `InputError` where it is damaged or too large."""
        if self.member is None:
            with reading(self.path), open(self.path, "rb") as file:
                yield from read_protocol(str(self), file)
            return
        with BoundedGzip(self.path, LARGEST_UNPACKED) as archive:
            place = next(found for found in walk(archive, str(self.path))
                         if found.name == self.member)
            if place.size > LARGEST_TABLE:
                raise InputError(f"{self} has {place.size:,} bytes, too large for a protocol: "
                                 "download it again")
            archive.seek(place.offset)
            content = archive.read(place.size)
        yield from read_protocol(str(self), io.BytesIO(content))


def find_tables(places: list[Path]) -> dict[str, Table]:
    """The protocol of each part: from the archive, whose sum protects it, or else from a file."""
    archive = next((place / ARCHIVE for place in places if (place / ARCHIVE).is_file()), None)
    tables: dict[str, Table] = {}
    if archive is not None:
        for member in _members(archive):
            for part, pattern in FILES.items():
                if pattern.fullmatch(member.name.rsplit("/", 1)[-1]) and not member.is_directory:
                    tables.setdefault(part, Table(archive, member.name))
    for part, path in table_files(places):
        tables.setdefault(part, Table(path))
    return tables


def table_files(places: list[Path]) -> Iterator[tuple[str, Path]]:
    """Unpacked protocols: part and path, the .tsv before the older .metadata.txt."""
    for place in places:
        for folder in (place, place / "ASVspoof5_protocols"):
            for path in sorted(folder.glob("ASVspoof5.*"), reverse=True):
                yield from ((part, path) for part, pattern in FILES.items()
                            if pattern.fullmatch(path.name) and path.is_file())


def _members(archive: Path) -> list[Member]:
    with BoundedGzip(archive, LARGEST_UNPACKED) as file:
        members = list(islice(walk(file, str(archive)), MOST_MEMBERS + 1))
        file.seek(LARGEST_UNPACKED + 1)     # to its end, where the sum over all of it stands
    if len(members) > MOST_MEMBERS:
        raise InputError(f"{archive} holds over {MOST_MEMBERS:,} members, too many for protocols: "
                         "download it again")
    return members
