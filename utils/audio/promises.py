"""How long a file says it is: the promise that is compared with what could be decoded.

libav tells most of it. A few formats keep it where libav corrects or hides it: there, one number
is read from its place.
"""
import re
import struct

from utils.audio.libav import Reader
from utils.audio.sources import Opened

# bytes: a length from here on was written by a program that could not know the end
PLACEHOLDER = 0x7FFFF000
LARGEST_PAGE = 65_307       # bytes of an Ogg page (RFC 3533)
MOST_PADDING = 0.3          # s that an MP3 encoder adds at both ends
TOLERANCE = 0.1             # s by which a promise may be off: a frame or an encoder's delay
HEAD = 8192                 # bytes in which a header says how long a file is
OPUS_RATE = 48_000          # of the clock of every Ogg Opus file (RFC 7845)
# ASF's File Properties Object: what it is called, what is of no use here, the length in units of
# 100 ns, the preroll in ms that counts into it, and flags of which the first means "not known yet"
_ASF = re.compile(rb"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65.{48}"
                  rb"(.{8}).{8}(.{8})(.)", re.DOTALL)
# how the two say their length, near the beginning
_DURATION = {"matroska": re.compile(rb"\x44\x89[\x84\x88]"), "flv": re.compile(rb"duration")}
# The first frame of an MP3 may say how many follow.
_XING = re.compile(rb"(?:Xing|Info)\x00{3}[\x01\x03\x05\x07\x09\x0b\x0d\x0f](.{4})", re.DOTALL)


def promised_seconds(source: Opened, reader: Reader) -> float | None:
    """The length in seconds that `source` promises, comparable with the reader's `length`.

    None if the file does not say. To be asked when the reader has given its first block.
    """
    if reader.name in ("wav", "w64") and reader.codec.startswith("pcm_"):
        return _of_bytes(source, reader)
    if reader.name in ("aiff", "caf", "avi") and reader.codec.startswith("pcm_"):
        return reader.listed and reader.listed / reader.rate
    if reader.name == "caf":    # libav counts what is padding
        return reader.seconds if reader.codec == "alac" else None
    if reader.name == "mov":    # in fragments it lists nothing; what an edit list delays may count
        known = reader.listed and not (reader.lead and reader.seconds == reader.total)
        return reader.seconds + reader.lead if known and reader.seconds else None
    if reader.name in ("matroska", "flv"):
        said = _DURATION[reader.name].search(source.read(0, HEAD))
        return reader.total if said else None       # else libav's is a guess
    if reader.name == "mp3":
        return _of_frames(source, reader)
    if reader.name == "asf":
        said = _of_properties(source)       # from the clock's zero, mostly
        return said and said - reader.zero * (said > reader.zero)
    if reader.name == "avi" and not reader.codec.startswith("pcm_"):
        return reader.listed and reader.decoded * reader.listed / reader.packets
    if reader.name == "ogg":
        return _of_last_page(source, reader)
    if reader.name in ("mpegts", "mpeg", "aac", "loas", "amr", "ac3", "eac3", "dts", "gsm", "g722"):
        return None     # libav's figure is a guess from the size of the file
    return reader.seconds


def slack(reader: Reader) -> float:
    """Seconds that a whole recording may be shorter than its promise."""
    if reader.exact:
        return 0.5 / reader.rate
    return 0.02 if reader.name == "ogg" else TOLERANCE


def _of_bytes(source: Opened, reader: Reader) -> float | None:
    """The number of bytes that stands right before the samples of WAV and W64."""
    if reader.name == "w64":
        length = struct.unpack("<q", source.read(reader.first - 8, 8).rjust(8, b"\0"))[0] - 24
    else:
        order = ">I" if source.read(0, 4) == b"RIFX" else "<I"
        length, = struct.unpack(order, source.read(reader.first - 4, 4).rjust(4, b"\0"))
        if length == 0xFFFFFFFF and source.read(0, 4) in (b"RF64", b"BW64"):
            return reader.seconds
        length = 0 if length >= PLACEHOLDER else length
    return length / (reader.rate * reader.width) if length > 0 < reader.width else None


def _of_frames(source: Opened, reader: Reader) -> float | None:
    """The frames that the first one of an MP3 announces; libav takes off what pads them."""
    found = _XING.search(source.read(reader.first, HEAD)) or _XING.search(
        source.read(0, HEAD))
    if not found:
        return None
    samples = 1152 if reader.rate >= 32_000 else 576
    seconds = int.from_bytes(found[1], "big") * samples / reader.rate
    padded = reader.seconds is not None and 0 <= seconds - reader.seconds < MOST_PADDING
    return reader.seconds if padded else seconds


def _of_properties(source: Opened) -> float | None:
    """The length in the properties of ASF, which libav corrects by the size of the file."""
    found = _ASF.search(source.read(0, HEAD))
    if not found or found[3][0] & 1:
        return None
    play, preroll = (int.from_bytes(found[number], "little") for number in (1, 2))
    return play / 1e7 - preroll / 1000


def _of_last_page(source: Opened, reader: Reader) -> float | None:
    """The position that the last page of an Ogg file bears, if it is marked as the last or cut.

    None for several streams: each has a last page of its own.
    """
    if source.read(0, HEAD).count(b"OggS\0\2") > 1:
        return None
    tail = source.read(source.size - 2 * LARGEST_PAGE, 2 * LARGEST_PAGE)
    page = tail[max(0, tail.rfind(b"OggS")):]
    segments = page[27:27 + page[26]] if len(page) > 26 else b""
    whole = len(page) >= 27 + len(segments) + sum(segments)
    if len(page) < 27 or whole and not page[5] & 4:
        return None
    position, = struct.unpack("<q", page[6:14])
    clock = reader.rate
    if reader.codec == "opus":      # it counts what its head says to skip
        clock = OPUS_RATE
        position -= int.from_bytes(source.read(0, HEAD).partition(b"OpusHead")[2][2:4], "little")
    return position / clock - reader.zero if position > 0 else None
