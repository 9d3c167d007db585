"""A header that libav refuses or misreads, put right: lengths that no writer filled in, a chunk
badly aligned, layouts of fewer channels than there are, pauses in an edit list.

libav then reads on as usual. The samples stay at their places.
"""
import re
import struct
from collections.abc import Iterator

from utils.audio.sources import Opened, patched

HEAD = 1 << 16              # bytes in which the sound begins
LONGEST_FORM = 64           # bytes of WAV's form chunk
LARGEST_INDEX = 1 << 26     # bytes: of an MP4 of days
UNKNOWN = 0xFFFFFFFF        # a length that is not known: libav reads to the end
MOST_BOXES = 10_000         # of a file, looked at in turn
# MP4's edit list: version, number of entries; of each the length, the start in the medium, the rate
_EDITS = re.compile(rb"elst([\0\1])\0{3}(.{4})", re.DOTALL)
_NOTHING = -1               # the start of a pause; where one is not the first, libav plays sound
_NEVER = (0x7FFFFFFF, 1 << 60)      # by version: a start behind every end, which it leaves out
_W64_SOUND = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def mended(opened: Opened) -> Opened | None:
    """The file with a header that libav reads; None where its kind is another, or nothing helps."""
    head = opened.read(0, HEAD)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wave(opened, head)
    if head[:4] == b"caff":
        return patched(opened, head.replace(b"chan", b"free", 1))
    if head[:4] == b"FORM":
        head = head.replace(b"CHAN", b"free", 1)
        counted = head.find(b"COMM") + 10
        head = head[:counted] + bytes(4) + head[counted + 4:]       # samples: not known
        return _with_lengths(opened, head, b"SSND", ">I", 4, 0)
    if head[:4] == b"riff":
        return _with_lengths(opened, head, _W64_SOUND, "<Q", 16, 24)
    return None


def boxes(opened: Opened) -> Iterator[tuple[int, int, bytes]]:
    """(first byte, size, name) of the boxes of an MP4, and of what follows the last whole one."""
    at = 0
    for _ in range(MOST_BOXES):
        head = opened.read(at, 16)
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[8:])
        yield at, size, head[4:8]
        at += size
        if size < 8 or at >= opened.size:
            return


def understood(opened: Opened) -> Opened:
    """An MP4 or MOV whose pauses are as libav means them."""
    found = (box for box in boxes(opened) if box[2] == b"moov")
    start, size, _ = next(found, (0, 0, b""))
    head = opened.read(start, min(size, LARGEST_INDEX))
    new = bytearray(head)
    for match in _EDITS.finditer(head):
        _mend_pauses(new, match.end(), match[1][0], int.from_bytes(match[2]))
    return opened if new == head else patched(opened, bytes(new), place=start)


def _mend_pauses(index: bytearray, start: int, version: int, count: int) -> None:
    entry = struct.Struct((">IiI", ">QqI")[version])
    begun = False
    for at in range(start, min(start + count * entry.size, len(index) - entry.size), entry.size):
        length, medium, rate = entry.unpack_from(index, at)
        if begun and medium == _NOTHING:
            entry.pack_into(index, at, length, _NEVER[version], rate)
        begun |= medium != _NOTHING


def _with_lengths(opened: Opened, head: bytes, name: bytes, form: str, at: int,
                  own: int) -> Opened | None:
    """All behind the sound chunk's head is sound. `at`: of the file's own length; `own`: bytes of
    a chunk's head that its length counts.
    """
    place = head.find(name) + len(name)
    size = struct.calcsize(form)
    if place < len(name):
        return None
    new = bytearray(head[:place + size])
    struct.pack_into(form, new, place, opened.size - len(new) + own)
    struct.pack_into(form, new, at, opened.size - at - size + own * at // 16)
    return patched(opened, bytes(new))


def _wave(opened: Opened, head: bytes) -> Opened | None:
    """WAV with nothing but its form before the sound; of RF64 the table of lengths goes too."""
    form = head.find(b"fmt ", 12)
    length = int.from_bytes(head[form + 4:form + 8], "little")
    sound = _sound(head, form + 8 + length, opened.size)
    if form < 0 or length > LONGEST_FORM or not sound:
        return None
    kept = head[form:form + 8 + length]
    free = sound - 12 - len(kept)       # bytes for a chunk that says nothing
    odd = free % 2                      # such a chunk cannot fill: the file begins later
    if free < 8:
        return None
    between = b"JUNK" + struct.pack("<I", free - 8 - odd) + bytes(free - 8 - odd)
    start = b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVE"
    return patched(opened, start + kept + between + head[sound:sound + 8], odd)


def _sound(head: bytes, start: int, size: int) -> int:
    """Where the sound chunk begins: its name also occurs in comments; 0 where it does not."""
    while (start := head.find(b"data", start)) > 0:
        length = int.from_bytes(head[start + 4:start + 8], "little")
        if length in (0, UNKNOWN) or start + 8 + length <= size:
            return start
        start += 4
    return 0
