"""Formats that are nothing but frames (MP3, ADTS, AMR, AC-3, WavPack): every frame is visited,
since nothing else tells their length.
"""
import struct
from collections.abc import Callable

from utils.audio.file_types import id3_length
from utils.audio.sources import AudioError, Opened

_BITRATES = {  # kbit/s by (version 1?, layer), ISO/IEC 11172-3 and 13818-3
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000,
               7350)
# bytes after the first, RFC 4867
_AMR_NB = (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)
_AMR_WB = (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0)
# ETSI TS 102 366
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576,
              640)
_AC3_RATES = (48000, 44100, 32000)
# what may follow the frames
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"LYRICS200", b"ID3", b"3DI")

# first bytes of a frame → (length in bytes, seconds)
Header = Callable[[bytes], tuple[int, float] | None]


def mp3_header(head: bytes) -> tuple[int, float] | None:
    """(bytes, seconds) of the MPEG audio frame that `head` begins with; None where it begins with
    none.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _BITRATES[version == 3, layer][bitrate - 1] * 1000
    if layer == 1:
        return (12 * bits // hertz + padding) * 4, 384 / hertz
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples // 8 * bits // hertz + padding, samples / hertz


def adts_header(head: bytes) -> tuple[int, float] | None:
    """(bytes, seconds) of the ADTS frame that `head` begins with."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    if (rate := head[2] >> 2 & 15) >= len(_ADTS_RATES):
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return (length, 1024 * ((head[6] & 3) + 1) / _ADTS_RATES[rate]) if length >= 7 else None


def mp3(source: Opened) -> tuple[float, float, bool]:
    """(seconds, slack in seconds, whether the file says how many frames it has); `AudioError` where
    frames are missing.
    """
    start = _first(source, mp3_header, 1 << 16)
    length, step = mp3_header(_read(source, start, 4))
    promised = _announced(_read(source, start, length))
    count, seconds = _walk(source, start + (length if promised else 0), mp3_header, 4)
    if promised and count < promised:
        raise AudioError(f"{source.name} was cut short: {count} of {promised} frames are there")
    return seconds, 0.15 + 8 * step, promised is not None


def adts(source: Opened) -> tuple[float, float, bool]:
    """As `mp3`, for AAC in ADTS frames; the format cannot say how many frames there should be."""
    _, seconds = _walk(source, _first(source, adts_header, 1 << 16), adts_header, 7)
    return seconds, 0.15, False


def amr(source: Opened) -> tuple[float, float, bool]:
    """As `adts`, for AMR narrowband and wideband."""
    wide = _read(source, 0, 9) == b"#!AMR-WB\n"
    sizes = _AMR_WB if wide else _AMR_NB

    def header(head: bytes) -> tuple[int, float] | None:
        return (1 + sizes[head[0] >> 3 & 15], 0.02) if head and not head[0] & 0x83 else None

    _, seconds = _walk(source, 9 if wide else 6, header, 1)
    return seconds, 0.05, False


def ac3_header(head: bytes) -> tuple[int, float] | None:
    """(bytes, seconds) of the AC-3 or Enhanced AC-3 frame that `head` begins with."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return None
    rate = head[4] >> 6
    if head[5] >> 3 > 10:  # Enhanced AC-3; a dependent frame adds channels, no time
        length, blocks = 2 * ((head[2] & 7) << 8 | head[3]) + 2, (1, 2, 3, 6)[head[4] >> 4 & 3]
        hertz = _AC3_RATES[rate] if rate < 3 else _AC3_RATES[(head[4] >> 4 & 3) % 3] // 2
        return length, 0.0 if head[2] >> 6 == 1 else (256 * blocks if rate < 3 else 1536) / hertz
    code = head[4] & 63
    if rate == 3 or code // 2 >= len(_AC3_KBITS):
        return None
    kbits = _AC3_KBITS[code // 2]
    words = (2 * kbits, kbits * 320 // 147 + code % 2, 3 * kbits)[rate]
    return 2 * words, 1536 / _AC3_RATES[rate]


def ac3(source: Opened) -> tuple[float, float, bool]:
    """As `adts`, for AC-3."""
    _, seconds = _walk(source, 0, ac3_header, 6)
    return seconds, 0.1, False


def wavpack(source: Opened) -> tuple[None, float, bool]:
    """As `mp3`, for the blocks of WavPack, which tell the samples to the decoder and not the
    seconds here.
    """
    def header(head: bytes) -> tuple[int, float] | None:
        length = 8 + int.from_bytes(head[4:8], "little")
        return (length, 0.0) if head[:4] == b"wvpk" and length >= 32 else None

    _walk(source, 0, header, 8)
    return None, 0.0, _read(source, 12, 4) != b"\xff\xff\xff\xff"


def _read(source: Opened, position: int, count: int) -> bytes:
    source.file.seek(position)
    return source.file.read(count)


def _first(source: Opened, header: Header, reach: int) -> int:
    """The first byte at which two frames follow one another, within `reach` bytes."""
    head = _read(source, 0, reach)
    for at in range(len(head)):
        if head[at] != 0xFF or not (found := header(head[at:at + 8])):
            continue
        if header(_read(source, at + found[0], 8)) or at + found[0] == source.size:
            return at
    raise AudioError(f"{source.name} is not audio that can be read, or was cut short: "
                     "no two whole frames in it")


def _walk(source: Opened, position: int, header: Header, needed: int) -> tuple[int, float]:
    """(frames, seconds) from `position` to the end; `AudioError` where something else stands
    between or the last is cut.
    """
    count, seconds = 0, 0.0
    while position < source.size:
        head = _read(source, position, max(needed, 11))
        found = header(head)
        if found is None:
            if id3 := id3_length(head):
                position += id3
                continue
            if head.startswith(_TAGS) or not any(_read(source, position, 4096)):
                break
            raise AudioError(f"{source.name} is damaged at byte {position}: "
                             "no frame begins where the last one ends")
        if position + found[0] > source.size:
            raise AudioError(
                f"{source.name} was cut short: its last frame should have {found[0]} bytes, "
                f"{source.size - position} are there")
        count, seconds, position = count + 1, seconds + found[1], position + found[0]
    return count, seconds


def _announced(frame: bytes) -> int | None:
    """The number of frames that an encoder's first frame (Xing, Info or VBRI) announces."""
    for tag, flags_at, count_at in ((b"Xing", 4, 8), (b"Info", 4, 8), (b"VBRI", None, 14)):
        at = frame.find(tag, 4, 64)
        if at < 0 or len(frame) < at + count_at + 4 or flags_at and not frame[at + 7] & 1:
            continue
        return struct.unpack(">I", frame[at + count_at:at + count_at + 4])[0]
    return None
