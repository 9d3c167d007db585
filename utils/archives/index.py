"""An uncompressed archive read in place: an index of its members, made once, kept beside the trial lists.

The index is a text file: a first line with the archive's length and time, one line per member (name, first byte,
length), a last line with their number. It grows under the name *.part, which a killed run leaves to the next one.
"""
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tqdm import tqdm

from utils.archives.tar import Member, walk
from utils.common.errors import InputError
from utils.common.files import disk_errors, reading

FORMAT = "#archive-index-1"
FLUSH_EVERY = 1000        # members between two flushes: what a killed run may lose
LITTER = re.compile(r"(?:.*/)?(?:\._[^/]*|\.DS_Store)")    # what macOS leaves in archives

Place = tuple[str, int, int]     # container, first byte, length


def container_name(data_dir: Path, path: Path) -> str:
    """How trial lists name a file: relative to the data folder with "/" between, or absolute outside of it."""
    path = path.absolute()
    base = data_dir.absolute()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def stamp(archive: Path) -> dict[str, int]:
    """What tells that an archive changed: its length and time of change."""
    try:
        status = archive.stat()
    except FileNotFoundError as error:
        raise InputError(f"{archive} is missing: put it back, or run python utils/prepare_dataset.py again") from error
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def check_containers(data_dir: Path, corpus: dict) -> None:
    """Raise `InputError` where an archive named in `corpus` (the content of corpus.json) is missing or has changed."""
    for container, known in corpus["containers"].items():
        if stamp(data_dir / container) != known:
            raise InputError(f"{data_dir / container} changed after it was indexed: "
                             "run python utils/prepare_dataset.py again")


def index_archive(archive: Path, index: Path, pattern: re.Pattern[str], force: bool = False) -> Path:
    """Write the index of `archive` to `index` unless it is there and the archive unchanged; return `index`.

    A member whose name does not match `pattern` wholly, one that comes twice and everything `walk` refuses end in
    `InputError`. Memory does not grow with the archive but for the set of names.
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
            raise InputError(f"{archive} changed while it was read: run this again when its download has ended")
        os.replace(part, index)
    return index


def read_index(index: Path) -> Iterator[tuple[str, int, int]]:
    """Name, first byte and length of every member, in the archive's order; `InputError` for a damaged index."""
    number = 0
    with open(index, encoding="utf-8") as file:
        file.readline()
        for line in file:
            if line.startswith("#end "):
                if line == f"#end {number}\n":
                    return
                break
            fields = line.rstrip("\n").split("\t")
            if not _is_entry(fields):
                break
            number += 1
            yield fields[0], int(fields[1]), int(fields[2])
    raise InputError(f"{index} is damaged: delete it and run python utils/prepare_dataset.py again")


def _head(archive: Path) -> str:
    known = stamp(archive)
    return f"{FORMAT} {known['size']} {known['mtime_ns']}"


def _first_line(index: Path) -> str | None:
    if not index.is_file():
        return None
    with open(index, encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n")


def _is_entry(fields: list[str]) -> bool:
    return len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal()


def _resume(part: Path, head: str) -> tuple[int, set[str]]:
    """Where to go on in the archive, and the names read so far; a line cut off by a kill is cut away."""
    names: set[str] = set()
    start = kept = 0
    if _first_line(part) != head:
        return start, names
    with open(part, "r+b") as file:
        for number, line in enumerate(file):
            fields = line.decode("utf-8", "replace").rstrip("\n").split("\t")
            if not line.endswith(b"\n") or (number and not _is_entry(fields)):
                break
            if number:
                names.add(fields[0])
                start = int(fields[1]) + -(-int(fields[2]) // 512) * 512
            kept += len(line)
        file.truncate(kept)
    return start, names


def _append(file: IO[str], archive: Path, start: int, names: set[str], pattern: re.Pattern[str]) -> None:
    total = archive.stat().st_size
    bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=f"index {archive.name}", mininterval=0.5)
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
        raise InputError(f"{archive} holds {member.name!r}, no file of this corpus: check where the archive is from")
    if member.name in names:
        raise InputError(f"{archive} holds {member.name} twice: download it again")
    names.add(member.name)
