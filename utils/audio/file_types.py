"""What a file is, by its first bytes; its name is never asked, except for raw G.722, which has no
header at all.

Left out on purpose, though libsndfile opens them: VOC, IRCAM, PAF, PVF, SVX, AVR, HTK, MAT4/5,
MPC2K, WVE, SDS, XI, SD2. They do not say how long they are, or libsndfile does not look, so a file
cut short would pass for whole; some are no sound at all.
"""
from dataclasses import dataclass

HEAD = 4096  # bytes looked at
# Suffixes, in lower case, by which a file in a folder counts as a recording.
AUDIO_SUFFIXES = frozenset(
    ".3g2 .3gp .aac .ac3 .aif .aifc .aiff .amr .ape .asf .au .avi .awb .caf .dts .flac .flv .g722 "
    ".gsm .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpc .mpeg .mpg .nist .oga .ogg .opus .ra "
    ".rf64 .rm .snd .sph .spx .tta .ts .voc .w64 .wav .wave .webm .wma .wmv .wv".split())


@dataclass(frozen=True, slots=True)
class Kind:
    """A container. `av` is libav's name for it where PyAV may read it; `soundfile` says whether
    that is tried first.
    """
    name: str
    av: str | None = None
    soundfile: bool = False


WAV, RF64, W64 = Kind("WAV", "wav", True), Kind("RF64", "wav", True), Kind("W64", "w64", True)
AIFF, AU, CAF = Kind("AIFF", "aiff", True), Kind("AU", "au", True), Kind("CAF", "caf", True)
FLAC, OGG = Kind("FLAC", "flac", True), Kind("Ogg", "ogg", True)
# libsndfile writes warnings of its own on stderr, and stops early in files that were joined
MP3 = Kind("MP3", "mp3")
NIST, OTHER = Kind("NIST SPHERE", "nistsphere", True), Kind("unknown")
MP4, MATROSKA, ASF = Kind("MP4", "mov"), Kind("Matroska/WebM", "matroska"), Kind("ASF/WMA", "asf")
ADTS, AMR = Kind("AAC (ADTS)", "aac"), Kind("AMR", "amr")
AVI, FLV = Kind("AVI", "avi"), Kind("FLV", "flv")
G722 = Kind("raw G.722", "g722")

_MAGIC = (  # (offset, bytes, kind)
    (0, b"fLaC", FLAC), (0, b"OggS", OGG), (0, b"RF64", RF64), (0, b"BW64", RF64),
    (0, b"riff\x2e\x91\xcf\x11", W64), (0, b".snd", AU), (0, b"dns.", AU), (0, b"caff", CAF),
    (0, b"NIST_1A", NIST), (0, b"#!AMR", AMR), (0, b"\x1a\x45\xdf\xa3", MATROSKA),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ASF), (0, b"FLV\x01", FLV),
    (4, b"ftyp", MP4), (4, b"moov", MP4), (4, b"mdat", MP4), (4, b"wide", MP4),
    (0, b"wvpk", Kind("WavPack", "wv")),
    (0, b"TTA1", Kind("TTA", "tta")), (0, b"MAC ", Kind("Monkey's Audio", "ape")),
    (0, b"MPCK", Kind("Musepack", "mpc8")), (0, b"MP+", Kind("Musepack", "mpc")),
    (0, b".RMF", Kind("RealMedia", "rm")), (0, b"\x0b\x77", Kind("AC-3", "ac3")),
    (0, b"\x7f\xfe\x80\x01", Kind("DTS", "dts")), (0, b"tBaK", Kind("TAK", "tak")),
    (0, b"ajkg", Kind("Shorten", "shn")), (0, b"DSD ", Kind("DSF", "dsf")),
    (0, b"\x00\x00\x01\xba", Kind("MPEG", "mpeg")),
)
_NOT_AUDIO = (
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"), (b"\xff\xd8\xff", "a JPEG picture"), (b"GIF8", "a GIF picture"),
    (b"BM", "a bitmap picture"), (b"\x7fELF", "a program"), (b"MZ", "a program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"), (b"<?xml", "an XML document"), (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"), (b"SQLite", "a database"), (b"\x93NUMPY", "a NumPy array"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
    (b"#EXTM3U", "a playlist"),
)


def id3_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag that `head` begins with; 0 where it begins with none."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def sniff(head: bytes, name: str) -> Kind:
    """The kind of the file that begins with `head` (what follows an ID3 tag, where there is one).
    """
    if head[:4] in (b"RIFF", b"RIFX"):
        return {b"WAVE": WAV, b"AVI ": AVI}.get(head[8:12], OTHER)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
    for offset, magic, kind in _MAGIC:
        if head[offset:offset + len(magic)] == magic:
            return kind
    if len(head) > 188 and head[0] == 0x47 and head[188] == 0x47:
        return Kind("MPEG-TS", "mpegts")
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return ADTS
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return MP3
    return G722 if name.lower().endswith(".g722") and not not_audio(head) else OTHER


def not_audio(head: bytes) -> str | None:
    """What else the file is, in words, where its first bytes tell; None where they don't."""
    for magic, what in _NOT_AUDIO:
        if head.lower().startswith(magic.lower()):
            return what
    if head and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "text"
    return None
