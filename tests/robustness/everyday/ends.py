"""Rubbish in front or behind, and promises that are a little off."""
import struct
from collections.abc import Callable, Iterator

import numpy as np

from tests.robustness.everyday.making.case import (LOOSE, Case, Check, judged, lasts, put,
                                                   scores_like)
from tests.robustness.everyday.making.containers import chunk, pages, pcm, wav, with_u32
from tests.robustness.everyday.making.sound import Track, muxed, plain, real, seconds, written

RUBBISH = np.random.default_rng(3).integers(0, 256, 700, np.uint8).tobytes()
ID3V1 = b"TAG" + b"a title".ljust(125, b"\0")
APE = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0)
ID3V2 = b"ID3\x03\0\0" + bytes((0, 0, 8, 0)) + bytes(1024)
HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n\r\n"
SAMSUNG = b"\0\0\0\0SEFH" + struct.pack("<III", 101, 1, 32) + bytes(12) + b"\x20\0\0\0SEFT"

Bytes = Callable[[], bytes]


def formats() -> dict[str, Bytes]:
    """The same speech in each format, by the file's name."""
    return {"a.wav": lambda: written(real()), "a.flac": lambda: written(real(), "FLAC"),
            "a.mp3": mp3, "a.aac": aac, "a.ogg": lambda: written(real(), "OGG", "VORBIS"),
            "a.opus": lambda: muxed("ogg", [Track(real(), "libopus", 48000)]),
            "a.m4a": lambda: muxed("ipod", [Track(real())]),
            "a.mov": lambda: muxed("mov", [Track(real(), "alac", 16000)]),
            "a.webm": lambda: muxed("webm", [Track(real(), "libopus", 48000)]),
            "a.aiff": lambda: written(real(), "AIFF"), "a.au": lambda: written(real(), "AU"),
            "a.caf": lambda: written(real(), "CAF"), "a.w64": lambda: written(real(), "W64"),
            "a.wma": lambda: muxed("asf", [Track(real(), "wmav2", 44100)]),
            "a.avi": lambda: muxed("avi", [Track(real(), "libmp3lame", 44100)], "mpeg4"),
            "a.ts": lambda: muxed("mpegts", [Track(real())])}


def mp3() -> bytes:
    return written(real(), "MP3", "MPEG_LAYER_III")


def aac() -> bytes:
    return muxed("adts", [Track(real())])


def cases() -> Iterator[Case]:
    yield from _behind()
    yield from _in_front()
    yield from _a_little_off()


def _behind() -> Iterator[Case]:
    rows = {("a.m4a", "Samsung's trailer"): "27", ("a.ogg", "ID3v1"): "59",
            ("a.opus", "zeros"): "59"}
    for file, content in formats().items():
        for name, tail in (("zeros", bytes(700)), ("rubbish", RUBBISH), ("ID3v1", ID3V1),
                           ("APE tag", APE), ("Samsung's trailer", SAMSUNG)):
            yield _case(f"{file[2:]}, then {name}", file,
                        lambda content=content, tail=tail: content() + tail, content,
                        rows.get((file, name), ""))


def _in_front() -> Iterator[Case]:
    for name, front, row in (("ID3 and zeros", ID3V2 + bytes(700), "55"),
                             ("zeros", bytes(512), "55"), ("rubbish", RUBBISH, ""),
                             ("zeros of 5,000 bytes", bytes(5000), "")):
        yield _case(f"{name}, then mp3", "a.mp3", lambda front=front: front + mp3(), mp3, row)
        yield _case(f"{name}, then aac", "a.aac", lambda front=front: front + aac(), aac, "")
    for file in ("a.wav", "a.flac", "a.aiff", "a.ogg", "a.m4a"):
        content = formats()[file]
        yield _case(f"ID3, then {file[2:]}", file, lambda content=content: ID3V2 + content(),
                    content)
    for name, front in (("MacBinary", b"\0\5a.wav".ljust(128, b"\0")), ("HTTP", HTTP),
                        ("blank lines", b"\r\n\r\n"), ("BOM", b"\xef\xbb\xbf"),
                        ("rubbish", RUBBISH)):
        for file in ("a.wav", "a.flac", "a.ogg", "a.m4a")[:None if name == "rubbish" else 2]:
            content = formats()[file]
            yield _case(f"{name}, then {file[2:]}", file, lambda content=content, front=front:
                        front + content(), content)
    half = (judged(), lasts(seconds(real()), 0.3))
    yield Case("ends", "aac from the middle of a frame", put("a.aac", lambda: aac()[100:]), half,
               "56")
    yield Case("ends", "mp3 from the middle of a frame", put("a.mp3", lambda: mp3()[100:]), half,
               "56")
    yield Case("ends", "mp3 without its first second, in a frame", put(
        "a.mp3", lambda: mp3()[len(mp3()) // 5 + 7:]), (judged(), lasts(
            0.8 * seconds(real()), 0.3)))
    yield Case("ends", "transport stream cut at both ends", put("a.ts", lambda: formats()["a.ts"]()[
        100:-100]), (judged(), lasts(seconds(real()), 0.5)), "58", wish=True)
    yield Case("ends", "transport stream cut at its end", put("a.ts", lambda: formats()["a.ts"]()[
        :-100]), (judged(), lasts(seconds(real()), 0.5)), "58", wish=True)
    yield Case("ends", "ogg joined in the middle of a stream", put("a.ogg", _midstream),
               (judged(),), "61", wish=True)


def _midstream() -> bytes:
    """The head of an Ogg Opus stream, and its pages from the second on."""
    found = pages(muxed("ogg", [Track(real(), "libopus", 48000)], page_duration="200000"))
    return b"".join(found[:2] + found[6:])


def _a_little_off() -> Iterator[Case]:
    sound = pcm(real())
    for more in (44, 8, 1, 2, 36, 4000):
        yield _case(f"wav that promises {more} bytes more", "a.wav", lambda more=more: wav(
            sound, len(sound) + more), plain(real), "42" if more == 44 else "")
    yield _case("wav, LIST of odd length without its padding", "a.wav", lambda: wav(
        sound, before=chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf5", pad=False)), plain(real), "52")
    yield _case("wav, bext of odd length without its padding", "a.wav", lambda: wav(
        sound, before=chunk(b"bext", b"data" * 150 + b"x", pad=False)), plain(real))
    yield _case("wav, a web page's end behind", "a.wav", lambda: wav(sound) + b"<!-- x -->\n" * 400,
                plain(real))
    for name, file, data in (("m4a", "a.m4a", lambda: muxed("ipod", [Track(real())])),
                             ("mov", "a.mov", lambda: muxed("mov", [Track(real(), "pcm_s16le")]))):
        yield _case(f"{name}, 512 zeros before", file, lambda data=data: bytes(512) + data(), data)
    yield _case("wav, LIST behind of odd length without its padding", "a.wav", lambda: wav(
        sound, behind=chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf5", pad=False)), plain(real))
    yield _case("wav without its last byte", "a.wav", lambda: wav(sound)[:-1], plain(real))
    for more in (1, 2, -1):
        yield _case(f"mp3 whose Xing count is off by {more}", "a.mp3", lambda more=more: _xing(
            more), mp3, "47" if more == 1 else "")
    yield _case("mp3 without half of its last frame", "a.mp3", lambda: mp3()[:-60], mp3,
                tolerance=0.3)
    yield _case("aac without half of its last frame", "a.aac", lambda: aac()[:-60], aac,
                tolerance=0.3)
    yield _case("caf, ALAC", "a.caf", lambda: muxed("caf", [Track(real(), "alac", 16000)]),
                plain(real), "49")
    yield _case("caf, ALAC at 44.1 kHz", "a.caf", lambda: muxed(
        "caf", [Track(real(), "alac", 44100)]), plain(real), tolerance=0.3)
    yield _case("aiff that promises 44 bytes more", "a.aiff", lambda: _aiff(44), plain(real))
    yield _case("au that promises 24 bytes more", "a.au", lambda: with_u32(
        written(real(), "AU"), 8, 24 + len(sound), ">"), plain(real))


def _xing(more: int) -> bytes:
    """The MP3 with another count of frames in its first one."""
    data = mp3()
    at = data.find(b"Xing") if b"Xing" in data[:400] else data.find(b"Info")
    return with_u32(data, at + 8, struct.unpack(">I", data[at + 8:at + 12])[0] + more, ">")


def _aiff(more: int) -> bytes:
    data = written(real(), "AIFF")
    at = data.find(b"SSND") + 4
    return with_u32(data, at, struct.unpack(">I", data[at:at + 4])[0] + more, ">")


def _case(name: str, file: str, content: Bytes, plainly: Bytes, row: str = "", wish: bool = False,
          tolerance: float = LOOSE) -> Case:
    checks: tuple[Check, ...] = (scores_like(plainly, tolerance), lasts(seconds(real()), 0.3))
    return Case("ends", name, put(file, content), checks, row, wish)


