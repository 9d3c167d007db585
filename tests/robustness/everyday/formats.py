"""Opus at any claimed rate, chained Ogg, transport streams of camcorders, suffixes of phones."""
import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tests.robustness.everyday.making.case import (Case, Check, both_judged, judged, lasts, put,
                                                   scores_like, verdict)
from tests.robustness.everyday.making.containers import pages, resealed
from tests.robustness.everyday.making.sound import (MODEL, Track, both, fake, muxed, real, seconds,
                                                    written)

SUFFIXES = (".3gpp .weba .m4r .mts .m2ts .vob .adts .mpga .f4v .ogv .ogx .mp4a .f4a .m2a .mpa .oga "
            ".spx .qt .OPUS .aifc .bwf .lpcm").split()


def cases() -> Iterator[Case]:
    yield from _opus()
    yield from _opus_heads()
    yield from _chained()
    yield Case("formats", "camcorder: packets of 192 bytes", put("a.mts", _camcorder),
               (judged(), lasts(seconds(real()), 0.3)), "70")
    for suffix in SUFFIXES:
        yield Case("suffixes", f"a folder with {suffix}", _folder(suffix), (Check(
            "the file is judged", lambda seen: seen.code == 0 and '"score"' in seen.out),),
            "71", command="utils/simplified_inference.py")
    yield from _others()


def opus(wave, container: str = "ogg") -> bytes:
    return muxed(container, [Track(wave, "libopus", 48000)])


def _opus() -> Iterator[Case]:
    for name, wave, word in (("fake", fake, "likely spoof"), ("real", real, "likely bona fide")):
        for rate in (0, 8000, 16000, 44100, 96000, 0xFFFFFFFF):
            yield Case("opus", f"{name}, header says {rate:,} Hz", put(
                "a.opus", lambda wave=wave, rate=rate: _at(wave(), rate)),
                (scores_like(lambda wave=wave: opus(wave()), 0.02), verdict(word)),
                "67" if rate in (0, 8000) else "")
        yield Case("opus", f"{name}, in mpegts", put("a.ts", lambda wave=wave: opus(
            wave(), "mpegts")), (verdict(word),))        # it has no place for the samples to skip
        for container in ("webm", "mp4", "matroska"):
            yield Case("opus", f"{name}, in {container}", put(
                f"a.{container}", lambda wave=wave, container=container: opus(wave(), container)),
                (scores_like(lambda wave=wave: opus(wave()), 0.15), verdict(word)))


def _opus_heads() -> Iterator[Case]:
    """Fields of OpusHead besides the rate (RFC 7845): gain, samples to skip, channels."""
    sound = opus(fake())
    for gain in (-20, 6):
        yield Case("opus", f"output gain of {gain} dB", put("a.opus", lambda gain=gain: _head(
            sound, 16, struct.pack("<h", 256 * gain))), (
                verdict("likely spoof"), scores_like(lambda: sound, 0.1)))
    yield Case("opus", "80 ms to skip", put("a.opus", lambda: _head(
        sound, 10, struct.pack("<H", 3840))), (verdict("likely spoof"), lasts(
            seconds(fake()) - 0.07, 0.03)))
    for family in ("1", "255"):
        yield Case("opus", f"two talkers, channels of family {family}", put(
            "a.opus", lambda family=family: muxed("ogg", [Track(np.stack(
                [real()[:len(fake())], fake()], 1), "libopus", 48000,
                options=(("mapping_family", family),))])),
            (both_judged(),))
    for duration in ("2.5", "60"):
        yield Case("opus", f"frames of {duration} ms", put(
            "a.opus", lambda duration=duration: muxed("ogg", [Track(
                fake(), "libopus", 48000, options=(("frame_duration", duration),))])),
            (verdict("likely spoof"), lasts(seconds(fake()), 0.1)))
    yield Case("opus", "chained, the second 20 dB softer by its gain", put(
        "a.opus", lambda: _again(opus(real()), _head(sound, 16, struct.pack("<h", -5120)))),
        (both_judged(), lasts(seconds(both()), 0.1)))


def _head(data: bytes, at: int, field: bytes) -> bytes:
    """Ogg Opus with another field in its head."""
    first, *rest = pages(data)
    at += first.find(b"OpusHead")
    return resealed(first[:at] + field + first[at + len(field):]) + b"".join(rest)


def _at(wave, rate: int) -> bytes:
    first, *rest = pages(opus(wave))
    head = first[28:28 + 19]
    new = head[:12] + struct.pack("<I", rate) + head[16:]
    return resealed(first, head, new) + b"".join(rest)


def _chained() -> Iterator[Case]:
    def vorbis(wave, rate: int = 16000) -> bytes:
        return written(wave, "OGG", "VORBIS", rate)
    whole: tuple[Check, ...] = (Check("real and fake judged", lambda seen: all(
        word in seen.said for word in ("likely spoof", "likely bona fide"))),
        lasts(seconds(both()), 0.3))
    yield Case("chained ogg", "vorbis, same rate", put("a.ogg", lambda: _again(
        vorbis(real()), vorbis(fake()))), whole)
    yield Case("chained ogg", "vorbis, other rate", put("a.ogg", lambda: _again(
        vorbis(real()), vorbis(fake(), 44100))), whole, "64")
    yield Case("chained ogg", "vorbis, from 44.1 kHz down", put("a.ogg", lambda: _again(
        vorbis(real(), 44100), vorbis(fake(), 22050))), whole)
    yield Case("chained ogg", "opus, opus", put("a.opus", lambda: _again(
        opus(real()), opus(fake()))), whole)
    yield Case("chained ogg", "opus, vorbis", put("a.ogg", lambda: _again(
        opus(real()), vorbis(fake()))), whole)
    yield Case("chained ogg", "vorbis, opus", put("a.ogg", lambda: _again(
        vorbis(real()), opus(fake()))), whole)
    yield Case("chained ogg", "flac, flac", put("a.oga", lambda: _again(*(muxed(
        "ogg", [Track(wave, "flac", 16000)]) for wave in (real(), fake())))), whole)


def _again(*files: bytes) -> bytes:
    """Ogg files one behind the other, each with its own serial number."""
    return b"".join(resealed(page, serial=2000 + number)
                    for number, data in enumerate(files) for page in pages(data))


def _camcorder() -> bytes:
    """Each packet of a transport stream with the four bytes of a time stamp before it."""
    data = muxed("mpegts", [Track(real(), "ac3", 48000)])
    return b"".join(struct.pack(">I", number * 300) + data[at:at + 188]
                    for number, at in enumerate(range(0, len(data), 188)))


def _folder(suffix: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        inside = folder / "phone"
        inside.mkdir()
        (inside / f"a{suffix}").write_bytes(opus(real()))
        (inside / "notes.txt").write_text("no sound")
        return ["--json", "--threads", "1", "--model", str(MODEL), "--input_file", str(inside)]
    return make


def _others() -> Iterator[Case]:
    advice = (Check("judged, or told what to do", lambda seen: seen.record.get("score") is not None
                    or "convert" in (seen.record.get("error") or "")),
              Check("never called text", lambda seen: "text" not in (seen.record["error"] or "")))
    yield Case("formats", "raw GSM", put("a.gsm", lambda: _raw("GSM610")), advice, "73", wish=True)
    yield Case("formats", "raw mu-law", put("a.ul", lambda: _raw("ULAW")), advice, "73", wish=True)
    yield Case("formats", "VOC", put("a.voc", lambda: written(real(), "VOC")), advice, "73",
               wish=True)
    yield Case("formats", "MXF", put("a.mxf", lambda: muxed(
        "mxf", [Track(real(), "pcm_s16le", 48000)], "mpeg2video")), advice, "74", wish=True)


def _raw(subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, soxr.resample(real(), 16000, 8000), 8000, subtype, format="RAW")
    return buffer.getvalue()
