"""Bytes of containers by hand: what no library writes, since it is wrong, or rewritten by a tool.

Sources: RIFF (Microsoft 1991), ISO/IEC 14496-12 (boxes, edit lists), RFC 3533 (Ogg pages).
"""
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from tests.robustness.everyday.making.sound import RATE

WAV_HEADER = 44


def pcm(wave: np.ndarray) -> bytes:
    """16 bits, little-endian."""
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype("<i2").tobytes()


def chunk(name: bytes, content: bytes, length: int | None = None, pad: bool = True) -> bytes:
    """A chunk of a RIFF file; `length`: the one it claims."""
    size = len(content) if length is None else length
    return name + struct.pack("<I", size) + content + b"\0" * (pad and len(content) % 2)


def wav(sound: bytes, data_length: int | None = None, before: bytes = b"", behind: bytes = b"",
        riff_length: int | None = None, channels: int = 1) -> bytes:
    """A WAV file of 16 bits at 16 kHz; lengths may be other than true."""
    form = struct.pack("<HHIIHH", 1, channels, RATE, 2 * RATE * channels, 2 * channels, 16)
    inside = b"WAVE" + chunk(b"fmt ", form) + before + chunk(b"data", sound, data_length) + behind
    return chunk(b"RIFF", inside, riff_length)


def with_u32(data: bytes, offset: int, value: int, order: str = "<") -> bytes:
    """The bytes with another 32-bit number at `offset`."""
    return data[:offset] + struct.pack(f"{order}I", value) + data[offset + 4:]


def with_u64(data: bytes, offset: int, value: int, order: str = "<") -> bytes:
    return data[:offset] + struct.pack(f"{order}Q", value) + data[offset + 8:]


# MP4 and MOV


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the boxes between two offsets."""
    while start + 8 <= end:
        size, name = struct.unpack(">I4s", data[start:start + 8])
        size = size or end - start
        yield name, start, start + size
        start += size


def box_path(data: bytes, *names: bytes) -> list[tuple[int, int]]:
    """The (start, end) of each box on the way down, the first of each name."""
    start, end, found = 0, len(data), []
    for name in names:
        start, end = next((low, high) for known, low, high in boxes(data, start, end)
                          if known == name)
        found.append((start, end))
        start += 8
    return found


def _timescale(data: bytes, *names: bytes) -> int:
    start = box_path(data, *names)[-1][0]
    return struct.unpack(">I", data[start + (20 if data[start + 8] == 0 else 28):][:4])[0]


def with_edits(data: bytes, *edits: tuple[float, float], version: int = 0) -> bytes:
    """The file with another edit list of its first track; edits: (seconds, start in the medium in
    seconds; -1: nothing is played). Its index must lie behind the sound, as libav writes it."""
    film = _timescale(data, b"moov", b"mvhd")
    medium = _timescale(data, b"moov", b"trak", b"mdia", b"mdhd")
    form = ">Iihh" if version == 0 else ">Qqhh"
    entries = b"".join(struct.pack(form, round(length * film),
                                   -1 if at < 0 else round(at * medium), 1, 0)
                       for length, at in edits)
    inner = struct.pack(">II", version << 24, len(edits)) + entries
    edit_list = struct.pack(">I4s", 8 + len(inner), b"elst") + inner
    new = struct.pack(">I4s", 8 + len(edit_list), b"edts") + edit_list
    track = box_path(data, b"moov", b"trak")
    try:
        low, high = box_path(data, b"moov", b"trak", b"edts")[-1]
    except StopIteration:
        low = high = box_path(data, b"moov", b"trak", b"tkhd")[-1][1]
    for start, end in track:
        data = with_u32(data, start, end - start + len(new) - (high - low), ">")
    return data[:low] + new + data[high:]


def with_layout(data: bytes, number: int = 0, places: Sequence[int] = ()) -> bytes:
    """A CAF, AIFF or MOV file with the layout of this number for 8 channels, or with these places
    (Core Audio's labels)."""
    layout = struct.pack(">III", number << 16 | 8 if number else 0, 0, len(places))
    layout += b"".join(struct.pack(">I16x", place) for place in places)
    if data[:4] == b"caff":
        at = data.find(b"data")
        return data[:at].replace(b"chan", b"free") + b"chan" + struct.pack(
            ">Q", len(layout)) + layout + data[at:]
    if data[:4] == b"FORM":
        at = data.find(b"SSND")
        data = data[:at] + b"CHAN" + struct.pack(">I", len(layout)) + layout + data[at:]
        return with_u32(data, 4, len(data) - 8, ">")
    return with_sound_box(data, b"chan", bytes(4) + layout)


def with_sound_box(data: bytes, name: bytes, content: bytes) -> bytes:
    """An MP4 or MOV with one more box in the description of its sound, in place of another layout.
    """
    path = box_path(data, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    low = path[-1][0] + 16
    high = low + struct.unpack(">I", data[low:low + 4])[0]
    entry = data[low:high].replace(b"chan", b"free").replace(b"chnl", b"free")
    entry += struct.pack(">I", 8 + len(content)) + name + content
    for start, end in path:
        data = with_u32(data, start, end - start + 8 + len(content), ">")
    return data[:low] + with_u32(entry, 0, len(entry), ">") + data[high:]


# Ogg


def pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    found, start = [], 0
    while start < len(data):
        count = data[start + 26]
        size = 27 + count + sum(data[start + 27:start + 27 + count])
        found.append(data[start:start + size])
        start += size
    return found


def _sum(page: bytes) -> int:
    """The check sum of a page whose own field is zero."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def resealed(page: bytes, old: bytes = b"", new: bytes = b"", serial: int | None = None,
             later: int = 0) -> bytes:
    """The page with `old` replaced, another serial number or a later position, and its sum made
    anew."""
    page = page.replace(old, new, 1) if old else page
    if serial is not None:
        page = with_u32(page, 14, serial)
    position = struct.unpack("<q", page[6:14])[0]
    if later and position >= 0:
        page = page[:6] + struct.pack("<q", position + later) + page[14:]
    page = with_u32(page, 22, 0)
    return with_u32(page, 22, _sum(page))


def multiplexed(*files: bytes) -> bytes:
    """Several Ogg files as one with a track each: first pages first, the rest in turns."""
    streams = [[resealed(page, serial=1000 + number) for page in pages(data)]
               for number, data in enumerate(files)]
    mixed = [stream[0] for stream in streams]
    longest = max(map(len, streams))
    return b"".join(mixed + [stream[turn] for turn in range(1, longest)
                             for stream in streams if turn < len(stream)])
