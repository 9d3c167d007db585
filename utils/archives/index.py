"""An index of the files in an uncompressed tar archive; it allows reading the archive in place.

The index is a text file. Its first line holds the archive's length and time of change. Each file
has one line (name, first byte, length). The last line holds their number. An unfinished index is
named .part; the next run resumes it.
"""
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from tqdm import tqdm

from utils.archives.tar import Member, walk
from utils.common.errors import InputError
from utils.common.files import disk_errors, reading

FORMAT = "#archive-index-1"
FLUSH_EVERY = 1000        # files between two flushes: a killed run loses at most so many
LITTER = re.compile(r"(?:.*/)?(?:\._[^/]*|\.DS_Store)")    # what macOS leaves in archives


class Place(NamedTuple):
    """The place of a file's bytes."""
    container: str     # as `container_name` writes it
    offset: int        # first byte
    size: int          # bytes


class Entry(NamedTuple):
    """One file of an index."""
    name: str
    offset: int
    size: int


def container_name(data_dir: Path, path: Path) -> str:
    """The name of a file in trial lists: relative to the data folder with "/", else absolute."""
    path = path.absolute()
    base = data_dir.absolute()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def stamp(archive: Path) -> dict[str, int]:
    """The archive's length and time of change; a change of either shows a changed archive."""
    try:
        status = archive.stat()
    except FileNotFoundError as error:
        raise InputError(f"{archive} is missing: put it back, or run "
                         "python utils/prepare_dataset.py again") from error
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def check_containers(data_dir: Path, corpus: dict) -> None:
    """Raises `InputError` if an archive named in `corpus` (corpus.json) is missing or changed."""
    for container, known in corpus["containers"].items():
        if stamp(data_dir / container) != known:
            raise InputError(f"{data_dir / container} changed after it was indexed: "
                             "run python utils/prepare_dataset.py again")


def index_archive(archive: Path, index: Path, pattern: re.Pattern[str],
                  force: bool = False) -> Path:
    """Write the index of `archive` to `index`, unless a valid one exists; returns `index`.

    Raises `InputError` for a name that does not fully match `pattern`, for a repeated name, and
    for everything that `walk` refuses. Of memory, only the set of names grows with the archive.
    """
    head = _head(archive)
    if not force and _first_line(index) == head:
        return index
    part = index.with_name(index.name + ".part")
    with disk_errors(index):
        index.parent.mkdir(parents=True, exist_ok=True)
        start, names = (0, set()) if force else _resume(part, head)
        with open(part, "a" if start else "w", encoding="utf-8", newline="\n") as file:
            if not start:
                file.write(head + "\n")
            _append(file, archive, start, names, pattern)
            file.write(f"#end {len(names)}\n")
            file.flush()
            os.fsync(file.fileno())
        if _head(archive) != head:
            raise InputError(f"{archive} changed while it was read: "
                             "wait until its download has ended, then run this again")
        os.replace(part, index)
    return index


def read_index(index: Path) -> Iterator[Entry]:
    """Yields every file in the archive's order. Raises `InputError` for a damaged index."""
    number = 0
    with open(index, encoding="utf-8") as file:
        file.readline()
        for line in file:
            if line == f"#end {number}\n":
                return
            entry = _entry(line)
            if entry is None:
                break
            number += 1
            yield entry
    raise InputError(f"{index} is damaged: delete it and run "
                     "python utils/prepare_dataset.py again")


def _head(archive: Path) -> str:
    known = stamp(archive)
    return f"{FORMAT} {known['size']} {known['mtime_ns']}"


def _first_line(index: Path) -> str | None:
    if not index.is_file():
        return None
    with open(index, encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n")


def _entry(line: str) -> Entry | None:
    """The file that a line of the index names; None for any other line."""
    fields = line.rstrip("\n").split("\t")
    if len(fields) != 3 or not (fields[1].isdecimal() and fields[2].isdecimal()):
        return None
    return Entry(fields[0], int(fields[1]), int(fields[2]))


def _resume(part: Path, head: str) -> tuple[int, set[str]]:
    """The byte and the known names at which to resume; cuts off an incomplete line."""
    names: set[str] = set()
    start = kept = 0
    if _first_line(part) != head:
        return start, names
    with open(part, "r+b") as file:
        for number, line in enumerate(file):
            entry = _entry(line.decode("utf-8", "replace"))
            if not line.endswith(b"\n") or (number and entry is None):
                break
            if number:
                names.add(entry.name)
                start = entry.offset + -(-entry.size // 512) * 512
            kept += len(line)
        file.truncate(kept)
    return start, names


def _append(file: IO[str], archive: Path, start: int, names: set[str],
            pattern: re.Pattern[str]) -> None:
    total = archive.stat().st_size
    bar = tqdm(total=total, initial=start, unit="B", unit_scale=True,
               desc=f"index {archive.name}", mininterval=0.5)
    with bar, reading(archive), open(archive, "rb", buffering=0) as source:
        for member in walk(source, str(archive), start, total):
            if not member.is_directory and not LITTER.fullmatch(member.name):
                _check(member, names, pattern, archive)
                file.write(f"{member.name}\t{member.offset}\t{member.size}\n")
                if len(names) % FLUSH_EVERY == 0:
                    file.flush()
            bar.update(member.following - bar.n)
        bar.update(total - bar.n)
    if not names:
        raise InputError(f"{archive} holds no files: download it again")


def _check(member: Member, names: set[str], pattern: re.Pattern[str], archive: Path) -> None:
    if not pattern.fullmatch(member.name):
        raise InputError(f"{archive} holds {member.name!r}, which is not a file of this corpus: "
                         "check where the archive is from")
    if member.name in names:
        raise InputError(f"{archive} holds {member.name} twice: download it again")
    names.add(member.name)
