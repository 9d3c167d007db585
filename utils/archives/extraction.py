"""Unpacking: it checks free space first, overwrites no file, and names a file only when whole."""
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

CHUNK = 1 << 20          # bytes copied at a time
CLUSTER = 4096           # bytes that a small file needs on most file systems
RESERVE = 100 << 20      # bytes kept free for the trial lists and for other programs


@dataclass(frozen=True)
class Item:
    """One file to unpack: its target, its length in bytes, a function that opens its content."""
    target: Path
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]

    @property
    def disk_bytes(self) -> int:
        """The bytes that the file needs on the disk."""
        return -(-self.size // CLUSTER) * CLUSTER


def unpack(items: Callable[[], Iterable[Item]], folder: Path) -> int:
    """Unpack the items that are missing; `items` is called twice. Returns the number of new files.

    It resumes where a killed run stopped. Raises `InputError` if the disk has too little space,
    another file has an item's name, or the archive ends early.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        missing = sum(item.disk_bytes for item in items() if not is_unpacked(item))
        free = shutil.disk_usage(folder).free
        if missing and missing + RESERVE > free:
            raise InputError(f"unpacking to {folder} needs {(missing + RESERVE) / 1e9:.1f} GB, "
                             f"but {free / 1e9:.1f} GB are free: free some space, "
                             "or leave out --extract")
        return _unpack_missing(items, missing)


def tar_items(archive: Path, index: Path, folder: Path) -> Iterator[Item]:
    """The files of an indexed tar archive, as items to unpack to `folder`."""
    for entry in read_index(index):
        target = folder / entry.name.rsplit("/", 1)[-1]
        yield Item(target, entry.size, lambda offset=entry.offset: _open_at(archive, offset))


def is_unpacked(item: Item) -> bool:
    """Whether the file is already unpacked. Raises `InputError` if another file has its name."""
    try:
        status = item.target.lstat()
    except FileNotFoundError:
        return False
    is_file = item.target.is_file() and not item.target.is_symlink()
    if is_file and status.st_size == item.size:
        return True
    raise InputError(f"{item.target} blocks the unpacking: it differs from the archive's file "
                     f"({item.size:,} bytes); move it elsewhere and run this again")


def _unpack_missing(items: Callable[[], Iterable[Item]], missing: int) -> int:
    written = 0
    with tqdm(total=missing, unit="B", unit_scale=True, desc="unpack", mininterval=0.5,
              disable=not missing) as bar:
        for item in items():
            if not is_unpacked(item):
                _unpack_one(item)
                written += 1
                bar.update(item.disk_bytes)
    if written and hasattr(os, "sync"):
        os.sync()      # once for all files: flushing 47,400 small files singly takes far longer
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
            raise InputError(f"the archive ends {left:,} bytes before {item.target.name} does: "
                             "download it again")
        os.replace(beside, item.target)
    finally:
        beside.unlink(missing_ok=True)


def _open_at(archive: Path, offset: int) -> BinaryIO:
    with reading(archive):
        file = open(archive, "rb")
    file.seek(offset)
    return file
