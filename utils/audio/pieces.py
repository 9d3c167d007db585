"""Files that were joined, and sound behind the end that a header promises."""
import re
from collections.abc import Container, Iterator
from itertools import chain, islice

from utils.audio.file_types import FORMATS, not_audio
from utils.audio.headers import boxes, mended, understood
from utils.audio.libav import ENDLESS, DecoderRefused, Reader
from utils.audio.sources import Opened, part_of

FIRST, CHUNK = 1 << 12, 1 << 20     # bytes searched at once: the first time, and at most
MOST_PIECES = 1000          # files one behind the other; more are left
MOST_CHUNKS = 10_000        # of a file, looked at in turn
CHUNK_HEAD = 24             # bytes of the longest head of a chunk
LEAST_BYTES = 512           # of coded sound behind the promised end, likewise
LEAST_TAIL = 0.1            # s of samples behind the promised end; less is rubbish
MOST_STARTS = 20            # false ones, of bare AAC
FRONT = 1 << 16             # bytes before the sound that may be rubbish
# How files begin: enough bytes of each that sound does not look like it by chance.
_BEGIN = re.compile(
    rb"RIFF.{4}(?:WAVE|AVI )|RF64.{4}WAVE|BW64.{4}WAVE|riff\x2e\x91\xcf\x11|FORM.{4}AIF[FC]|"
    rb"\.snd\x00{3}|caff\x00\x01|fLaC\x00{3}\x22|OggS\x00\x02|TTA1[\x01\x02]\x00|"
    rb"wvpk.{3}\x00[\x00-\x10]\x04|\x00\x00\x00.ftyp|\x30\x26\xb2\x75\x8e\x66\xcf\x11|"
    rb"FLV\x01[\x01\x04\x05]\x00{3}\x09|#!AMR[-\n]|NIST_1A\n|Creative Voice File\x1a|"
    rb"\x1a\x45\xdf\xa3(?:[\x80-\xff]|\x01.{7})\x42", re.DOTALL)
# In these, libav reads on over the joint: they are frames without a length of them all.
_OGG_PAGE = re.compile(rb"OggS\x00([\x00-\x07])")
_FRAMES = re.compile(rb"#!AMR|fLaC|\x0b\x77|\xff[\xe0-\xff]")
_BOX = re.compile(rb"[\xa9 a-zA-Z0-9]{4}")
_AC3 = re.compile(rb"\x0b\x77")
_TS = re.compile(rb"G(?=(?:.{187}G){4})", re.DOTALL)     # packets of MPEG-TS
_BARE = ("mp3", "aac", "ac3", "eac3", "mpegts", "mpeg")     # formats without a mark long enough
_SOUND = re.compile(rb"[^\x00]")
PACKETS = {"mpegts": (b"G", 188), "mpeg": (b"\0\0\1", 2048)}     # how each begins, and its bytes
UNEDITED = {"ignore_editlist": "1"}     # of MP4: a list that leaves no sound
READ_ON = ("au", "nistsphere")      # formats that libav reads beyond the promised end
_WITH_LENGTH = ("wav", "w64", "aiff", "caf", *READ_ON)
# chunks that may follow the sound, also where the file was cut within them
_NO_SOUND = {b"%-4s" % name for name in (
    b"LIST id3 ID3 JUNK junk bext fact cue smpl inst PEAK iXML axml chna PAD FLLR MD5 _PMX LGWV "
    b"NAME AUTH (c) ANNO MARK COMT APPL info free strg uuid").split()}


def pieces(opened: Opened, track: int) -> Iterator[tuple[Opened, Reader]]:
    """(file, reader) of each of the files that lie one behind the other; most are one.

    The next is looked for when a reader is exhausted. Raises `DecoderRefused` if the first cannot
    be opened.
    """
    start: int | None = 0
    heard = False
    for _ in range(MOST_PIECES):
        rest = part_of(opened, start, opened.size) if start else opened
        joint = _joint(rest)
        end = joint or _first_data(rest)
        piece = part_of(rest, 0, end) if end else rest
        try:
            piece, reader = _begun(piece, track)
        except DecoderRefused:
            start = _next(opened, _BEGIN, start + 1)      # it only looked like a file
            if not heard and (not_audio(opened.read(0, FIRST)) or not 0 < (start or 0) <= FRONT):
                raise
        else:
            heard = True
            yield piece, reader
            reader.release()
            if reader.name == "mov" and reader.decoded < LEAST_TAIL < reader.medium:
                yield piece, Reader(piece, track, "mov", **UNEDITED)
            begun = piece.offset - opened.offset
            start = start + joint if joint else _next(opened, _BEGIN, begun + reader.end)
            start = start or _bare(opened, begun + _behind(piece, reader))
            if start:
                reader.faults -= reader.late
            if not start and (tail := _samples_behind(rest, reader)):
                yield tail, Reader(tail, 0, reader.codec.removeprefix("pcm_"),
                                   sample_rate=str(reader.rate), ch_layout=f"{reader.channels}C")
        if not start:
            return


def _begun(piece: Opened, track: int) -> tuple[Opened, Reader]:
    """A file and its reader; where its header is faulty, behind a mended one."""
    piece = understood(piece)
    try:
        reader = Reader(piece, track)
    except DecoderRefused:
        if not (better := mended(piece)):
            raise
        reader = Reader(better, track)
        reader.mended = True
        return better, reader
    if reader.name == "aac":
        return _begun_aac(piece, track, reader)
    if reader.name == "mp3" and not _FRAMES.match(piece.read(0, 2)):
        reader.begins()     # libav reads the frame of lengths and delay from the first byte only
        piece = part_of(piece, reader.first, piece.size)
        return piece, Reader(piece, track)
    if reader.name in READ_ON and reader.seconds and reader.codec.startswith("pcm_"):
        sound = int.from_bytes(piece.read(4, 4)) if reader.name == "au" else int(piece.read(8, 8))
        piece = part_of(piece, 0, sound + round(reader.seconds * reader.rate) * reader.width)
        return piece, Reader(piece, track)
    if reader.name == "wav" and not reader.codec.startswith("pcm_") and _stale(piece):
        return piece, Reader(piece, track, **ENDLESS)
    return piece, reader


def _begun_aac(piece: Opened, track: int, reader: Reader) -> tuple[Opened, Reader]:
    """Bare AAC without rubbish that looks like its first frame.

    libav believes such a frame's header, and loses the up to 8 KB that it announces.
    """
    for _ in range(MOST_STARTS):
        if reader.begins():
            break
        piece = part_of(piece, reader.first + 1, piece.size)
        reader = Reader(piece, track)
    return piece, Reader(piece, track)


def _behind(opened: Opened, reader: Reader) -> int:
    """Where sound of another format may begin: the last packet may go on to the file's end."""
    if reader.name == "mov":        # an edit list may leave out the last packets
        return opened.size
    if reader.late:
        return reader.end
    if reader.name == "flac":
        return reader.last + 1
    if reader.name not in PACKETS:
        return reader.end_of_all
    mark, size = PACKETS[reader.name]
    end = reader.last - (reader.last % size if reader.name == "mpeg" else 0)
    while opened.read(end, len(mark)) == mark:
        end += size
    return max(end, reader.end_of_all)


def _bare(opened: Opened, start: int) -> int | None:
    """Where sound begins, behind byte `start`, in frames that have no mark which is long enough."""
    places = chain(filter(None, [_next(opened, _TS, start)]), [start],
                   (at for at, _ in _found(opened, _AC3, start)))
    return next((at for at in islice(places, MOST_STARTS) if opened.size - at > LEAST_BYTES
                 and _opens(part_of(opened, at, opened.size), _BARE)), None)


def _opens(opened: Opened, formats: Container[str] = FORMATS) -> bool:
    """Whether libav takes it for one of these formats, and decodes its first packet."""
    try:
        reader = _begun(opened, 0)[1]
    except DecoderRefused:
        return False
    return reader.name in formats and reader.begins()


def _joint(opened: Opened) -> int | None:
    """Where an Ogg file is followed by another (RFC 3533: first pages after others), or frames by a
    file of another kind."""
    head = opened.read(0, 8)
    if head[:4] == b"OggS":
        begun = False
        for at, page in _found(opened, _OGG_PAGE):
            first = page[1][0] & 2
            if first and begun:
                return at
            begun |= not first
    elif head.endswith(b"ftyp"):
        return _last_box(opened)
    elif _FRAMES.match(head):
        return next((at for at, _ in _found(opened, _BEGIN, 1)
                     if _opens(part_of(opened, at, opened.size))), None)
    return None


def _last_box(opened: Opened) -> int | None:
    """Where the boxes of an MP4 end, or another MP4 begins; None where it ends with them."""
    for at, _, name in boxes(opened):
        if at and name == b"ftyp" or not _BOX.fullmatch(name):
            return at if opened.size - at > LEAST_BYTES else None
    return None


def _next(opened: Opened, pattern: re.Pattern, start: int) -> int | None:
    """Where the pattern comes next, from byte `start` on."""
    return next((at for at, _ in _found(opened, pattern, start)), None)


def _found(opened: Opened, pattern: re.Pattern, start: int = 0) -> Iterator[tuple[int, re.Match]]:
    """(place, match) of each match from byte `start` on."""
    overlap = 1024      # bytes of the longest pattern
    size = FIRST
    while start < opened.size:
        data = opened.read(start, size + overlap)
        for match in pattern.finditer(data):
            if match.start() < size:
                yield start + match.start(), match
        start += size
        size = min(2 * size, CHUNK)


def _first_data(opened: Opened) -> int | None:
    """Where the samples of a WAV file end, if more follow: libav would take the last."""
    end = _data_end(opened)
    behind = opened.read(end, CHUNK_HEAD) if end else b""
    return end if behind[:4] == b"data" or _BEGIN.match(behind) else None


def _stale(opened: Opened) -> bool:
    """Whether the sound of a WAV file goes on behind its promised end."""
    end = _data_end(opened)
    return bool(end) and opened.size - end > LEAST_BYTES and not _chunk(opened, end)


def _data_end(opened: Opened) -> int:
    """Where the first data chunk of a WAV file ends; 0 where that is not known."""
    kind, start = opened.read(0, 4), 12
    for _ in range(MOST_CHUNKS if kind in (b"RIFF", b"RF64", b"BW64") else 0):
        chunk = _chunk(opened, start)
        if not chunk:       # RF64 and BW64 say the length in their first chunk, ds64
            end = start + 8 + int.from_bytes(opened.read(28, 8), "little")
            known = kind != b"RIFF" and opened.read(start, 4) == b"data" and end <= opened.size
            return end if known else 0
        start = chunk[2]
        if chunk[0] == b"data":
            return start
    return 0


def _samples_behind(opened: Opened, reader: Reader) -> Opened | None:
    """The samples behind those that the header of a PCM file promises."""
    if reader.name not in _WITH_LENGTH or not reader.codec.startswith("pcm_") or not reader.width:
        return None
    start = reader.end or 12        # with no packet: of WAV and AIFF the first chunk
    for _ in range(MOST_CHUNKS):
        chunk = _chunk(opened, start)
        if not chunk:
            break
        name, begin, end = chunk
        if name in (b"data", b"SSND"):
            start = begin
            break
        start = end
    behind = opened.read(start, FIRST)
    if behind[:4] in _NO_SOUND or not_audio(behind) or _next(opened, _SOUND, start) is None:
        return None
    if start == reader.end:         # an odd length may end within a sample
        start -= (start - reader.first) % reader.width
    if (opened.size - start) / reader.width < LEAST_TAIL * reader.rate:
        return None
    return part_of(opened, start, opened.size)


def _chunk(opened: Opened, start: int) -> tuple[bytes, int, int] | None:
    """(name, first byte, end) of the chunk that begins at `start`, of any of the four formats."""
    head = opened.read(start, CHUNK_HEAD)
    name = head[:4]
    if len(head) < 8 or not (name.isascii() and name.decode().isprintable()):
        return None
    for at, size, order, own in ((4, 4, "little", 8), (4, 4, "big", 8), (4, 8, "big", 12),
                                 (16, 8, "little", 0)):
        length = int.from_bytes(head[at:at + size], order)
        end = start + own + length
        if (0 < length or name in _NO_SOUND) and end <= opened.size:
            return name, start + (own or 24), end + length % 2
    return None
