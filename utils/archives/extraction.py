"""Unpacking for those who want files: room checked first, no file overwritten, each written beside and renamed."""
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from utils.archives.index import read_index
from utils.common.errors import InputError
from utils.common.files import disk_errors, reading

CHUNK = 1 << 20
CLUSTER = 4096           # bytes a small file takes on most file systems
RESERVE = 100 << 20      # bytes left free for the trial lists and for others


@dataclass(frozen=True)
class Item:
    """One file to unpack: where to, how long it is, and how to open its content."""
    target: Path
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]


def unpack(items: Callable[[], Iterable[Item]], folder: Path) -> int:
    """Unpack what `items()` yields (asked twice) and is not there yet; the number of files written.

    Goes on where a killed run stopped. `InputError` where the room is not enough, where a file of another length or
    kind stands in the way, and where an archive ends early.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        missing = sum(-(-item.size // CLUSTER) * CLUSTER for item in items() if not is_there(item))
        free = shutil.disk_usage(folder).free
        if missing and missing + RESERVE > free:
            raise InputError(f"unpacking to {folder} needs {(missing + RESERVE) / 1e9:.1f} GB, "
                             f"{free / 1e9:.1f} GB are free: make room, or leave out --extract")
        return _unpack_missing(items, missing)


def tar_items(archive: Path, index: Path, folder: Path) -> Iterator[Item]:
    """The members of an indexed tar archive as files of `folder`, whose names are theirs without folders."""
    for name, offset, size in read_index(index):
        yield Item(folder / name.rsplit("/", 1)[-1], size, lambda offset=offset: _at(archive, offset))


def is_there(item: Item) -> bool:
    """Whether the file is unpacked; `InputError` where something else has its name."""
    try:
        status = item.target.lstat()
    except FileNotFoundError:
        return False
    if item.target.is_file() and not item.target.is_symlink() and status.st_size == item.size:
        return True
    raise InputError(f"{item.target} is in the way: it is not the file of the archive ({item.size:,} bytes); "
                     "move it elsewhere and run this again")


def _unpack_missing(items: Callable[[], Iterable[Item]], missing: int) -> int:
    written = 0
    with tqdm(total=missing, unit="B", unit_scale=True, desc="unpack", mininterval=0.5, disable=not missing) as bar:
        for item in items():
            if not is_there(item):
                _unpack_one(item)
                written += 1
                bar.update(-(-item.size // CLUSTER) * CLUSTER)
    if written and hasattr(os, "sync"):
        os.sync()      # once for all: flushing 47,400 small files one by one takes longer than writing them
    return written


def _unpack_one(item: Item) -> None:
    item.target.parent.mkdir(parents=True, exist_ok=True)
    beside = item.target.with_name(f".{item.target.name}.tmp")
    try:
        with item.open() as source, open(beside, "wb") as file:
            left = item.size
            while left and (chunk := source.read(min(CHUNK, left))):
                file.write(chunk)
                left -= len(chunk)
        if left:
            raise InputError(f"the archive ends {left:,} bytes before {item.target.name} does: download it again")
        os.replace(beside, item.target)
    finally:
        beside.unlink(missing_ok=True)


def _at(archive: Path, offset: int) -> BinaryIO:
    with reading(archive):
        file = open(archive, "rb")
    file.seek(offset)
    return file
