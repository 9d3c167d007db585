"""The headers of a tar archive, read one by one: where each file lies. Memory is constant."""
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from utils.common.errors import InputError

BLOCK = 512
ZERO = bytes(BLOCK)
LONGEST_NAME = 65_536        # bytes of a GNU long name or a pax header
MOST_PADDING = 1 << 20       # zero bytes after the end mark; tar writes 10 kB by default
REGULAR = b"0\0" b"7"
DIRECTORY = b"5"
EXTENSIONS = b"LKxg"
REFUSED_KINDS = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
    b"6": "a named pipe", b"S": "a sparse file", b"M": "a part of a multi-volume archive",
    b"V": "a volume label"}
AGAIN = "download it again"


class Seekable(Protocol):
    """The methods that `walk` needs of a file."""

    def seek(self, offset: int) -> int: ...
    def read(self, count: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a directory of an archive."""
    name: str            # checked: it cannot lead out of the target folder
    offset: int          # first byte of its content
    size: int            # bytes
    following: int       # first byte of the next header
    is_directory: bool


def walk(file: Seekable, archive: str, start: int = 0,
         total: int | None = None) -> Iterator[Member]:
    """The members from byte `start` on; `total` is the archive's length, if known.

    Raises `InputError` for an archive that is cut short or corrupt, and for any member that is
    neither a file nor a directory. Raises it also for a name that leads out of the folder: an
    absolute name, or one with "..", a drive or a backslash.
    """
    offset = start
    extended: dict[str, str] = {}      # fields of an extension header for the next member
    while True:
        file.seek(offset)
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise InputError(f"{archive} is cut short at byte {offset + len(block):,}, "
                             f"without an end mark: {AGAIN}")
        if block == ZERO:
            return _check_end(file, archive, offset, total)
        kind, name, size = _header(block, archive, offset)
        data = offset + BLOCK
        if kind in EXTENSIONS:
            extended |= _extension(kind, _read(file, archive, size), archive)
            offset = data + _padded(size)
            continue
        name = extended.get("path", name)
        size = int(extended.get("size", size))
        if total is not None and data + size > total:
            raise InputError(f"{archive} is cut short: {name} should end at byte {data + size:,}, "
                             f"but the archive has {total:,}: {AGAIN}")
        offset = data + _padded(size)
        extended = {}
        yield _member(kind, name, data, size, offset, archive)


def safe_name(name: str, archive: str) -> str:
    """`name` without a leading "./" or a closing "/".

    Raises `InputError` for a name that could lead out of the folder.
    """
    parts = name.rstrip("/").split("/")
    if "\\" in name or "\0" in name or ".." in parts or name.startswith("/") \
            or re.match(r"[A-Za-z]:", name):
        raise InputError(f"{archive} holds the unsafe name {name!r}: "
                         f"do not use it, {AGAIN} from its publisher")
    return "/".join(part for part in parts if part not in ("", "."))


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _member(kind: bytes, name: str, data: int, size: int, following: int, archive: str) -> Member:
    if kind not in REGULAR and kind != DIRECTORY:
        what = REFUSED_KINDS.get(kind, f"a member of unknown kind {kind!r}")
        raise InputError(f"{archive} holds {what}, {name!r}: do not use this archive, "
                         f"{AGAIN} from its publisher")
    is_directory = kind == DIRECTORY or name.endswith("/")
    return Member(safe_name(name, archive), data, size, following, is_directory)


def _header(block: bytes, archive: str, offset: int) -> tuple[bytes, str, int]:
    """Kind, name and size in one header block; its checksum is verified."""
    try:
        stated = _number(block[148:156])
        size = _number(block[124:136])
    except ValueError:
        stated = size = -1
    if stated != sum(block) - sum(block[148:156]) + 8 * 32 or size < 0:
        what = "is not an uncompressed tar archive" if not offset else "is corrupt"
        raise InputError(f"{archive} {what} (no valid header at byte {offset:,}): {AGAIN}")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    return block[156:157], name, size


def _number(field: bytes) -> int:
    """A number in a header: octal digits, or GNU's big-endian form with the top bit set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.rstrip(b"\0 ") or b"0", 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _read(file: Seekable, archive: str, size: int) -> bytes:
    if size > LONGEST_NAME:
        raise InputError(f"{archive} holds an extended header of {size:,} bytes, "
                         f"too long for a name: {AGAIN}")
    content = file.read(size)
    if len(content) < size:
        raise InputError(f"{archive} is cut short in an extended header: {AGAIN}")
    return content


def _extension(kind: bytes, content: bytes, archive: str) -> dict[str, str]:
    """Fields of a GNU long name or pax header for the next member: at most "path" and "size"."""
    if kind == b"L":
        return {"path": _text(content)}
    if kind in b"Kg":      # a link's target (links are refused), or remarks on the whole archive
        return {}
    found = {}
    while content:
        match = re.match(rb"(\d{1,6}) ([^=]+)=", content)
        length = int(match[1]) if match else 0
        if not match or not match.end() < length <= len(content):
            raise InputError(f"{archive} holds a malformed pax header: {AGAIN}")
        value = content[match.end():length - 1].decode("utf-8", "surrogateescape")
        found[match[2].decode("utf-8", "replace")] = value
        content = content[length:]
    if any(key.startswith("GNU.sparse") for key in found) \
            or not found.get("size", "0").isdecimal():
        raise InputError(f"{archive} holds a sparse file or a malformed size: {AGAIN}")
    return {key: found[key] for key in ("path", "size") if key in found}


def _check_end(file: Seekable, archive: str, offset: int, total: int | None) -> None:
    """Refuse anything but zeros after the end mark.

    An unfinished download may have zeros in its middle.
    """
    if total is None:
        return
    rest = total - offset
    file.seek(offset)
    if rest > MOST_PADDING or any(file.read(rest)):
        raise InputError(f"{archive} is corrupt: zeros at byte {offset:,} instead of a header, "
                         f"{rest:,} bytes before its end (an unfinished download): {AGAIN}")
