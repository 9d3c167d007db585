"""Which suffixes and rates are audio, libav's formats, and what is plainly no audio."""
import re

# In lower case: a file in a folder with one of these counts as a recording.
AUDIO_SUFFIXES = frozenset(
    ".3g2 .3ga .3gp .3gpp .aac .ac3 .adts .aif .aifc .aiff .amr .ape .asf .au .avi .awb .bwf .caf "
    ".dsf .dts .ec3 .f4a .f4v .flac .flv .g722 .gsm .lpcm .m2a .m2ts .m4a .m4b .m4r .m4v .mka .mkv "
    ".mov .mp1 .mp2 .mp3 .mp4 .mp4a .mpa .mpc .mpeg .mpg .mpga .mts .mxf .nist .oga .ogg .ogv .ogx "
    ".opus .qt .ra .rf64 .rm .snd .sph .spx .tak .ts .tta .voc .vob .w64 .wav .wave .weba .webm "
    ".wma .wmv .wv".split())

MIN_RATE, MAX_RATE = 4000, 768_000      # Hz: beyond these a header is wrong, not unusual
# libav's formats that may open a file, by the first of libav's names: no playlists, no pictures
FORMATS = {
    "wav": "WAV", "w64": "W64", "aiff": "AIFF", "au": "AU", "caf": "CAF", "flac": "FLAC",
    "nistsphere": "NIST SPHERE", "ogg": "Ogg", "mov": "MP4", "matroska": "Matroska/WebM",
    "asf": "ASF/WMA", "avi": "AVI", "flv": "FLV", "mpegts": "MPEG-TS", "mpeg": "MPEG",
    "mp3": "MPEG audio", "aac": "AAC (ADTS)", "loas": "AAC (LATM)", "ac3": "AC-3",
    "eac3": "Enhanced AC-3", "dts": "DTS", "amr": "AMR", "wv": "WavPack", "tta": "TTA",
    "ape": "Monkey's Audio", "mpc": "Musepack", "mpc8": "Musepack", "rm": "RealMedia", "tak": "TAK",
    "shn": "Shorten", "dsf": "DSF", "voc": "VOC", "mxf": "MXF", "gsm": "GSM", "g722": "raw G.722"}
_NOT_AUDIO = (
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"), (b"\xff\xd8\xff", "a JPEG picture"), (b"GIF8", "a GIF picture"),
    (b"BM", "a bitmap picture"), (b"\x7fELF", "a program"), (b"MZ", "a program"),
    (b"<!DOCTYPE", "a web page"), (b"<html", "a web page"), (b"<?xml", "an XML document"),
    (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a RAR archive"), (b"SQLite", "a database"),
    (b"\x93NUMPY", "a NumPy array"), (b"#EXTM3U", "a playlist"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"))
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def id3_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag that `head` begins with; 0 where it begins with none."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def not_audio(head: bytes) -> str | None:
    """What else the file is, in words, if its first bytes tell; None if they don't."""
    for magic, what in _NOT_AUDIO:
        if head.lower().startswith(magic.lower()):
            return what
    letters = head.decode("utf-8", "replace")       # in bare mu-law, half are no letters
    if 3 * letters.count("\ufffd") < len(letters) and not _CONTROLS.search(letters):
        return "text"
    return None
