"""Is the file whole? What its container promises, compared with the bytes that are there.

Both decoders end quietly where the bytes end: libsndfile for WAV, AIFF, AU, CAF, W64 and Ogg, libav for nearly all it reads.
So the promise is read here, and a file that does not keep it is refused. What has no container is in frames.py.
"""
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from utils.audio import frames, kinds
from utils.audio.kinds import HEAD, Kind, id3_length
from utils.audio.sources import AudioError, Opened

PLACEHOLDER = 0x7FFFF000  # bytes: a 32-bit length from here on was written by a program that could not know the end (a pipe)


@dataclass(slots=True)
class Facts:
    """What a container says about its sound. None where it does not say."""
    seconds: float | None = None   # promised length
    slack: float = 0.0             # s that a decoder may leave out: encoder delay and padding
    frames: int | None = None      # promised samples per channel, exact
    unmarked_end: bool = False     # nothing in the file tells whether it ends here
    flac_sum: "FlacSum | None" = None


def read_at(source: Opened, position: int, count: int) -> bytes:
    """Up to `count` bytes from `position`."""
    source.file.seek(position)
    return source.file.read(count)


def cut_short(source: Opened, what: str, promised: int, there: int) -> AudioError:
    """The error for a file that ends before its container says."""
    return AudioError(f"{source.name} was cut short: its {what} should have {promised} bytes, {max(0, there)} are there")


def check_container(source: Opened, kind: Kind) -> Facts:
    """The promises of a container, after comparing them with the length of the file; `AudioError` where it is cut short."""
    check = _CHECKS.get(kind.name)
    return check(source) if check else Facts()


def _chunks(source: Opened, position: int, layout: str, align: int, inclusive: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """(identifier, first byte, length) of each chunk; `layout` is the struct of the chunk header (identifier, length)."""
    header = struct.calcsize(layout)
    while position + header <= source.size:
        name, length = struct.unpack(layout, read_at(source, position, header))
        if inclusive:
            length -= header
        yield name[:4], position + header, length
        if length < 0:
            return
        position += header + length
        position += -position % align if inclusive else (length % align)


def _wave(source: Opened, position: int, layout: str, align: int, inclusive: bool = False) -> Facts:
    long_length = None
    for name, start, length in _chunks(source, position, layout, align, inclusive):
        there = source.size - start
        if name == b"ds64":
            long_length = struct.unpack("<Q", read_at(source, start + 8, 8))[0]
        if name == b"fmt " and read_at(source, start + 2, 2) == b"\0\0":
            raise AudioError(f"{source.name} declares zero channels")
        if name in (b"data", b"SSND"):
            if length == 0xFFFFFFFF and long_length is not None:
                length = long_length
            if length > there and length < PLACEHOLDER or align != 2 and length > there:
                raise cut_short(source, "sound", length, there)
            return Facts(unmarked_end=length > there or length <= 0 < there)
    return Facts(unmarked_end=True)


def _wav(source: Opened) -> Facts:
    return _wave(source, 12, "<4sI", 2)


def _aiff(source: Opened) -> Facts:
    return _wave(source, 12, ">4sI", 2)


def _caf(source: Opened) -> Facts:
    return _wave(source, 8, ">4sq", 1)


def _w64(source: Opened) -> Facts:
    return _wave(source, 40, "<16sq", 8, inclusive=True)


def _au(source: Opened) -> Facts:
    order = "<" if read_at(source, 0, 4) == b"dns." else ">"
    start, length = struct.unpack(order + "II", read_at(source, 4, 8).ljust(8, b"\0"))
    if length < PLACEHOLDER and start + length > source.size:
        raise cut_short(source, "sound", length, source.size - start)
    return Facts(unmarked_end=length >= PLACEHOLDER)


def _avi(source: Opened) -> Facts:
    length, = struct.unpack("<I", read_at(source, 4, 4).ljust(4, b"\0"))
    if 8 + length > source.size:
        raise cut_short(source, "content", length, source.size - 8)
    return Facts()


def _ogg(source: Opened) -> Facts:
    tail_start = max(0, source.size - (1 << 17))
    tail = read_at(source, tail_start, 1 << 17)
    at = tail.rfind(b"OggS\0")
    page = tail[at:]
    length = 27 + page[26] + sum(page[27:27 + page[26]]) if at >= 0 and len(page) > 26 else None
    if length is None or length > len(page) or b"OggS".startswith(page[length:length + 4] or b"-"):
        raise AudioError(f"{source.name} was cut short: its last Ogg page is not whole")
    return Facts(unmarked_end=not page[5] & 4)


def _flac(source: Opened) -> Facts:
    start = id3_length(read_at(source, 0, HEAD))
    info = read_at(source, start + 8, 34)
    if len(info) < 34:
        raise AudioError(f"{source.name} was cut short: it ends inside its header")
    packed = int.from_bytes(info[10:18], "big")
    total, bits = packed & (1 << 36) - 1, (packed >> 36 & 31) + 1
    flac_sum = FlacSum(info[18:34], bits) if any(info[18:34]) and bits <= 24 else None
    return Facts(frames=total or None, unmarked_end=not total and not flac_sum, flac_sum=flac_sum)


def _mp4(source: Opened) -> Facts:
    position, seen = 0, set()
    while position + 8 <= source.size:
        length, name = struct.unpack(">I4s", read_at(source, position, 8))
        if length == 1:
            length, = struct.unpack(">Q", read_at(source, position + 8, 8).ljust(8, b"\0"))
        length = source.size - position if length == 0 else length
        if length < 8:
            break
        if position + length > source.size:
            raise cut_short(source, f"part {name!r}", length, source.size - position)
        seen.add(name)
        position += length
    if b"moov" not in seen:
        raise AudioError(f"{source.name} was cut short: the index of its sound is missing")
    return Facts(unmarked_end=b"moof" in seen and b"mfra" not in seen)


def _element(data: bytes) -> tuple[int, int | None]:
    """(bytes of identifier and length, length of the content or None where unknown) of an EBML element."""
    id_bytes = 9 - data[0].bit_length() if data and data[0] else 1
    first = data[id_bytes] if len(data) > id_bytes else 0
    count = 9 - first.bit_length() if first else 1
    value = int.from_bytes(data[id_bytes:id_bytes + count], "big") & (1 << 7 * count) - 1
    return id_bytes + count, None if value == (1 << 7 * count) - 1 else value


def _matroska(source: Opened) -> Facts:
    header, length = _element(read_at(source, 0, 16))
    segment = header + (length or 0)
    header, length = _element(read_at(source, segment, 16))
    if length is not None and segment + header + length > source.size:
        raise cut_short(source, "content", length, source.size - segment - header)
    return Facts(unmarked_end=length is None)


def _asf(source: Opened) -> Facts:
    data, = struct.unpack("<Q", read_at(source, 16, 8).ljust(8, b"\0"))
    length, = struct.unpack("<Q", read_at(source, data + 16, 8).ljust(8, b"\0"))
    if data + max(length, 24) > source.size:
        raise cut_short(source, "sound", length, source.size - data)
    return Facts(unmarked_end=length < 50)


def _framed(source: Opened, walk) -> Facts:
    seconds, slack, marked = walk(source)
    return Facts(seconds=seconds, slack=slack, unmarked_end=not marked)


class FlacSum:
    """The MD5 of all samples that a FLAC file carries, checked where the tolerant decoder was needed."""

    def __init__(self, expected: bytes, bits: int) -> None:
        self.expected, self.bits, self._md5 = expected, bits, hashlib.md5(usedforsecurity=False)

    def update(self, block: np.ndarray) -> None:
        """`block` (n, channels) int16, or float with full scale 1."""
        scale = 2.0 ** (self.bits - 1) / (32768 if block.dtype == np.int16 else 1)
        samples = np.rint(block.astype(np.float64) * scale).astype("<i4")
        width = (self.bits + 7) // 8
        self._md5.update(np.ascontiguousarray(samples).view(np.uint8).reshape(-1, 4)[:, :width].tobytes())

    def matches(self) -> bool:
        """Whether the samples so far are exactly those that were encoded."""
        return self._md5.digest() == self.expected


_CHECKS = {
    "WAV": _wav, "RF64": _wav, "W64": _w64, "AIFF": _aiff, "AU": _au, "CAF": _caf, "AVI": _avi, "Ogg": _ogg, "FLAC": _flac,
    "MP4": _mp4, "Matroska/WebM": _matroska, "ASF/WMA": _asf, "MP3": lambda source: _framed(source, frames.mp3),
    "AAC (ADTS)": lambda source: _framed(source, frames.adts), "AMR": lambda source: _framed(source, frames.amr),
}
