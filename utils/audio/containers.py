"""Is the file whole? What its container promises, compared with the bytes that are there.

Both decoders end quietly where the bytes end: libsndfile for WAV, AIFF, AU, CAF, W64 and Ogg, libav
for nearly all it reads. So the promise is read here, and a file that does not keep it is refused.
What has no container is in frames.py.
"""
import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from utils.audio import frame_formats as frames
from utils.audio.file_types import Kind
from utils.audio.sources import AudioError, Opened

LEFT_TO_PYAV = (  # WAV format tags that libsndfile opens
    # GSM: it takes the padding byte after an odd number of blocks for one more block
    0x31,
    0x50, 0x55)        # MPEG: its libmpg123 covers damage with silence, and writes to stderr
# bytes: a file below that without any sound was cut; a longer one is for the decoder to say
LARGEST_HEADER = 512
# bytes: a length from here on was written by a program that could not know the end
PLACEHOLDER = 0x7FFFF000


@dataclass(slots=True)
class Facts:
    """What a container says about its sound. None where it does not say."""
    seconds: float | None = None   # promised length
    slack: float = 0.0             # s that a decoder may leave out: encoder delay and padding
    frames: int | None = None      # promised samples per channel, exact
    unmarked_end: bool = False     # nothing in the file tells whether it ends here
    # bytes from here on are no sound, and a decoder would take them for it
    end: int | None = None
    libsndfile: bool = True        # False for what it opens and does not read well
    flac_sum: "FlacSum | None" = None


def read_at(source: Opened, position: int, count: int) -> bytes:
    """Up to `count` bytes from `position`, which a damaged header may have set anywhere."""
    if not 0 <= position < source.size:
        return b""
    source.file.seek(position)
    return source.file.read(count)


def cut_short(source: Opened, what: str, promised: int, there: int) -> AudioError:
    """The error for a file that ends before its container says."""
    if not promised:
        return AudioError(f"{source.name} was cut short: it ends inside its header")
    return AudioError(f"{source.name} was cut short: its {what} should have {promised} bytes, "
                      f"{max(0, there)} are there")


def check_container(source: Opened, kind: Kind) -> Facts:
    """The promises of a container, after comparing them with the length of the file; `AudioError`
    where it is cut short.
    """
    check = _CHECKS.get(kind.name)
    try:
        return check(source) if check else Facts(unmarked_end=True)
    except struct.error as error:  # a number of the header was to be read where no bytes are left
        raise AudioError(f"{source.name} was cut short: it ends inside its header") from error


def _chunks(source: Opened, position: int, layout: str, align: int,
            inclusive: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """(identifier, first byte, length) of each chunk; `layout` is the struct of the chunk header
    (identifier, length).
    """
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
    facts, long_length = Facts(), None
    for name, start, length in _chunks(source, position, layout, align, inclusive):
        there = source.size - start
        if name == b"ds64":
            long_length = struct.unpack("<Q", read_at(source, start + 8, 8))[0]
        if name == b"fmt ":
            head = read_at(source, start, 26).ljust(26, b"\0")
            facts.libsndfile = _wav_format(source, head, layout[0]) not in LEFT_TO_PYAV
        if name in (b"data", b"SSND"):
            if length == 0xFFFFFFFF and long_length is not None:
                length = long_length
            if length > there and length < PLACEHOLDER or align != 2 and length > there:
                raise cut_short(source, "sound", length, there)
            facts.unmarked_end = length > there or length <= 0 < there
            facts.end = start + length if inclusive else None
            return facts
    if source.size < LARGEST_HEADER:
        raise AudioError(f"{source.name} was cut short: it ends before its sound begins")
    return Facts(unmarked_end=True)


def _wav_format(source: Opened, head: bytes, order: str) -> int:
    """The format tag of a WAV file's `fmt ` chunk, that of the extensible form included."""
    tag, channels = struct.unpack(order + "HH", head[:4])
    if channels == 0:
        raise AudioError(f"{source.name} declares zero channels")
    return struct.unpack(order + "H", head[24:26])[0] if tag == 0xFFFE else tag


def _wav(source: Opened) -> Facts:
    return _wave(source, 12, ">4sI" if read_at(source, 0, 4) == b"RIFX" else "<4sI", 2)


def _nist(source: Opened) -> Facts:
    """The text header of a SPHERE file: 1024 bytes with lines like `sample_count -i 52000`, samples
    per channel.
    """
    for line in read_at(source, 0, 1024).decode("ascii", "replace").splitlines():
        name, _, value = line.partition(" -i ")
        if name == "sample_count" and value.strip().isdecimal():
            return Facts(frames=int(value))
    return Facts(unmarked_end=True)


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


def _flv(source: Opened) -> Facts:
    """A header of 9 bytes, then for each tag the length of the one before (4 bytes) and its own 11
    bytes of header.
    """
    position = 9 + 4
    while position < source.size:
        length = 11 + int.from_bytes(read_at(source, position + 1, 3).ljust(3, b"\xff"), "big") + 4
        if position + length > source.size:
            raise cut_short(source, "last tag", length, source.size - position)
        position += length
    return Facts(unmarked_end=True)


def _mpeg_ts(source: Opened) -> Facts:
    if source.size % 188:
        raise cut_short(source, "last packet", 188, source.size % 188)
    return Facts(unmarked_end=True)


def _ogg(source: Opened) -> Facts:
    """Every page in turn (RFC 3533). Android's recorder never marks the last one, so a missing mark
    is no error.
    """
    position, beginning, chained, last = 0, True, False, {}
    while position < source.size:
        head = read_at(source, position, 27 + 255)
        if head[:4] != b"OggS"[:len(head)]:
            raise AudioError(f"{source.name} is damaged at byte {position}: "
                             "no Ogg page begins where the last one ends")
        length = 27 + head[26] + sum(head[27:27 + head[26]]) if len(head) > 26 else 27
        if position + length > source.size:
            raise AudioError(f"{source.name} was cut short: its last Ogg page is not whole")
        # libsndfile would leave the page out, and go on
        if not _ogg_sum_is_right(read_at(source, position, length)):
            raise AudioError(f"{source.name} is damaged: the Ogg page at byte {position} has not "
                             "the sum stored with it")
        flags, (serial, number) = head[5], struct.unpack("<II", head[14:22])
        if not flags & 2 and last.get(serial, number - 1) != number - 1:
            raise AudioError(f"{source.name} is damaged: "
                             f"Ogg pages are missing before byte {position}")
        chained |= bool(flags & 2) and not beginning
        beginning &= bool(flags & 2)
        last[serial], position = number, position + length
    # of a chain it would read the first link alone
    return Facts(unmarked_end=not flags & 4, libsndfile=not chained)


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_sum_is_right(page: bytes) -> bool:
    """The sum of a page (RFC 3533: polynomial 0x04c11db7 over the page with zeros for the sum) is
    zlib's CRC-32 with all bits mirrored and nothing inverted.
    """
    stored = int.from_bytes(page[22:26].translate(_MIRRORED), "big")
    content = page[:22] + bytes(4) + page[26:]
    return zlib.crc32(content.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF == stored


def _flac(source: Opened) -> Facts:
    info = read_at(source, 8, 34)
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
            raise cut_short(source, f"part {name.decode('latin-1')!r}", length,
                            source.size - position)
        seen.add(name)
        position += length
    if b"moov" not in seen:
        raise AudioError(f"{source.name} was cut short: the index of its sound is missing")
    return Facts(unmarked_end=b"moof" in seen and b"mfra" not in seen)


def _element(data: bytes) -> tuple[int, int | None]:
    """(bytes of identifier and length, length of the content or None where unknown) of an EBML
    element.
    """
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
    """The MD5 of all samples that a FLAC file carries, checked where the tolerant decoder was
    needed.
    """

    def __init__(self, expected: bytes, bits: int) -> None:
        self.expected, self.bits, self._md5 = expected, bits, hashlib.md5(usedforsecurity=False)

    def update(self, block: np.ndarray) -> None:
        """`block` (n, channels) int16, or float with full scale 1."""
        scale = 2.0 ** (self.bits - 1) / (32768 if block.dtype == np.int16 else 1)
        samples = np.rint(block.astype(np.float64) * scale).astype("<i4")
        width = (self.bits + 7) // 8
        octets = np.ascontiguousarray(samples).view(np.uint8).reshape(-1, 4)
        self._md5.update(octets[:, :width].tobytes())

    def matches(self) -> bool:
        """Whether the samples so far are exactly those that were encoded."""
        return self._md5.digest() == self.expected


_CHECKS = {
    "WAV": _wav, "RF64": _wav, "W64": _w64, "AIFF": _aiff, "AU": _au, "CAF": _caf,
    "NIST SPHERE": _nist, "FLAC": _flac, "Ogg": _ogg, "MP4": _mp4, "Matroska/WebM": _matroska,
    "ASF/WMA": _asf, "AVI": _avi, "FLV": _flv, "MPEG-TS": _mpeg_ts,
    "MP3": lambda source: _framed(source, frames.mp3),
    "AAC (ADTS)": lambda source: _framed(source, frames.adts),
    "AMR": lambda source: _framed(source, frames.amr),
    "AC-3": lambda source: _framed(source, frames.ac3),
    "WavPack": lambda source: _framed(source, frames.wavpack),
}
