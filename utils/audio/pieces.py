"""Files that were joined, and sound behind the end that a header promises."""
import re
from collections.abc import Iterator

from utils.audio.file_types import not_audio
from utils.audio.headers import mended
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
    rb"RIFF.{4}(?:WAVE|AVI )|(?:RF64|BW64).{4}WAVE|riff\x2e\x91\xcf\x11|FORM.{4}AIF[FC]|"
    rb"\.snd\x00{3}|caff\x00\x01|fLaC\x00{3}\x22|OggS\x00\x02|TTA1[\x01\x02]\x00|"
    rb"wvpk.{3}\x00[\x00-\x10]\x04|\x00{3}.ftyp|\x30\x26\xb2\x75\x8e\x66\xcf\x11|"
    rb"FLV\x01[\x01\x04\x05]\x00{3}\x09|#!AMR|\x1a\x45\xdf\xa3[\x01\x80-\xff]|NIST_1A\n",
    re.DOTALL)
# In these, libav reads on over the joint.
_OGG_PAGE = re.compile(rb"OggS\x00([\x00-\x07])")
_JOINTS = {b"#!AMR": _BEGIN, b"fLaC\0": re.compile(rb"fLaC\x00{3}\x22|RIFF.{4}WAVE", re.DOTALL)}
_SOUND = re.compile(rb"[^\x00]")
_CHUNKED = ("wav", "w64", "aiff", "caf")
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
            begun, end = start, start + reader.end
            start = begun + joint if joint else _next(opened, _BEGIN, end)
            if not start and _bare(opened, end):
                start = end
            if not start and (tail := _samples_behind(rest, reader)):
                yield tail, Reader(tail, 0, reader.codec.removeprefix("pcm_"),
                                   sample_rate=str(reader.rate), ch_layout=f"{reader.channels}C")
        if not start:
            return


def _begun(piece: Opened, track: int) -> tuple[Opened, Reader]:
    """A file and its reader; where its header is faulty, behind a mended one."""
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


def _bare(opened: Opened, start: int) -> bool:
    """Whether MP3 or AAC begins right there, whose frames have no mark that is long enough."""
    head = opened.read(start, 3)
    if head != b"ID3" and not b"\xff\xe0" <= head[:2]:
        return False
    try:
        reader = Reader(part_of(opened, start, opened.size))
    except DecoderRefused:
        return False
    return reader.name in ("mp3", "aac") and reader.begins()


def _joint(opened: Opened) -> int | None:
    """Where an Ogg file is followed by another (RFC 3533: first pages after others), or AMR, FLAC.
    """
    head = opened.read(0, 6)
    if head[:4] == b"OggS":
        begun = False
        for at, page in _found(opened, _OGG_PAGE):
            first = page[1][0] & 2
            if first and begun:
                return at
            begun |= not first
    elif pattern := _JOINTS.get(head[:5]):
        return _next(opened, pattern, 1)
    return None


def _next(opened: Opened, pattern: re.Pattern, start: int) -> int | None:
    """Where the pattern comes next, from byte `start` on."""
    return next((at for at, _ in _found(opened, pattern, start)), None)


def _found(opened: Opened, pattern: re.Pattern, start: int = 0) -> Iterator[tuple[int, re.Match]]:
    """(place, match) of each match from byte `start` on."""
    overlap = 32
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
    if opened.read(0, 4) != b"RIFF":
        return 0
    start = 12
    for _ in range(MOST_CHUNKS):
        chunk = _chunk(opened, start)
        if not chunk:
            return 0
        start = chunk[2]
        if chunk[0] == b"data":
            return start
    return 0


def _samples_behind(opened: Opened, reader: Reader) -> Opened | None:
    """The samples behind those that the header of a PCM file promises."""
    if reader.name not in _CHUNKED or not reader.codec.startswith("pcm_") or not reader.width:
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
