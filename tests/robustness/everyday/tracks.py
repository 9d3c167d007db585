"""Several sound tracks in one file: each is judged, and their number is told."""
from collections.abc import Iterator

import numpy as np

from tests.robustness.everyday.making.case import (Case, both_judged, judged, lasts, put, says,
                                                   silent_about, told, verdict)
from tests.robustness.everyday.making.containers import multiplexed
from tests.robustness.everyday.making.sound import (Track, fake, muxed, real, seconds,
                                                    written)

# (name, file, libav's name, encoder, rate, codec of a film)
FORMATS = (("MP4", "a.mp4", "mp4", "aac", 44100, ""), ("MP4 with film", "a.mp4", "mp4", "aac",
            44100, "mpeg4"), ("M4A", "a.m4a", "ipod", "aac", 44100, ""),
           ("MOV, ALAC", "a.mov", "mov", "alac", 16000, ""),
           ("MOV, PCM", "a.mov", "mov", "pcm_s16le", 16000, "mpeg4"),
           ("MKV with film", "a.mkv", "matroska", "aac", 44100, "mpeg4"),
           ("MKA, FLAC", "a.mka", "matroska", "flac", 16000, ""),
           ("WebM", "a.webm", "webm", "libopus", 48000, ""),
           ("AVI with film", "a.avi", "avi", "libmp3lame", 44100, "mpeg4"),
           ("AVI, PCM", "a.avi", "avi", "pcm_s16le", 16000, "mpeg4"),
           ("MPEG-TS", "a.ts", "mpegts", "aac", 44100, ""),
           ("MPEG-TS, MP2, film", "a.ts", "mpegts", "mp2", 48000, "mpeg2video"),
           ("ASF", "a.wma", "asf", "wmav2", 44100, ""),
           ("Ogg Opus", "a.ogg", "ogg", "libopus", 48000, ""),
           ("Ogg FLAC", "a.oga", "ogg", "flac", 16000, ""))


def cases() -> Iterator[Case]:
    both = (told(2), both_judged())
    for name, file, container, codec, rate, film in FORMATS:
        row = "15" if file == "a.mp4" else "17" if file in ("a.mkv", "a.avi", "a.ts") else ""
        def made(waves, file=file, container=container, codec=codec, rate=rate, film=film):
            return put(file, lambda: muxed(container, [Track(wave(), codec, rate)
                                                         for wave in waves], film))
        yield Case("tracks", f"{name}: real, then fake", made((real, fake)), both, row)
        yield Case("tracks", f"{name}: fake, then real", made((fake, real)), both, row)
        yield Case("tracks", f"{name}: silent, then fake", made((_silence, fake)),
                   (told(2), verdict("likely spoof")), "16" if file in ("a.mp4", "a.m4a") else "")
    yield from _odd_ones()
    yield from _of_other_lengths()
    yield from _not_known_at_first()


def _odd_ones() -> Iterator[Case]:
    both = (told(2), both_judged())
    yield Case("tracks", "Ogg Vorbis: real, then fake", put("a.ogg", lambda: multiplexed(
        *(written(wave, "OGG", "VORBIS") for wave in (real(), fake())))), both, "17")
    yield Case("tracks", "Ogg: Opus, then FLAC", put("a.ogg", lambda: muxed(
        "ogg", [Track(real(), "libopus", 48000), Track(fake(), "flac", 16000)])), both)
    yield Case("tracks", "MKV: the default mark on the second", put("a.mkv", lambda: muxed(
        "matroska", [Track(real()), Track(fake(), default=True)], "mpeg4")), both)
    yield Case("tracks", "MKV: other codec and rate", put("a.mkv", lambda: muxed(
        "matroska", [Track(real(), "libopus", 48000), Track(fake(), "pcm_s16le", 16000)])), both)
    yield Case("tracks", "MP4: silent, silent, fake", put("a.mp4", lambda: muxed(
        "mp4", [Track(_silence()), Track(_silence()), Track(fake())])),
        (told(3), verdict("likely spoof")))
    yield Case("tracks", "MP4: real, then silent", put("a.mp4", lambda: muxed(
        "mp4", [Track(real()), Track(_silence())])), (told(2), verdict("likely bona fide")))
    yield Case("tracks", "MP4: soft noise, then fake", put("a.mp4", lambda: muxed(
        "mp4", [Track(_noise()), Track(fake())])), (told(2), verdict("likely spoof")))
    yield Case("tracks", "MP4: long real, short fake", put("a.mp4", lambda: muxed(
        "mp4", [Track(np.tile(real(), 3)), Track(fake())])), both)
    yield Case("tracks", "AVI, PCM: fake, fake, real", put("a.avi", lambda: muxed(
        "avi", [Track(wave(), "pcm_s16le", 16000) for wave in (fake, fake, real)], "mpeg4")),
        (told(3), both_judged(), silent_about("could be decoded", "nothing is missing")))
    yield Case("tracks", "MP4: one track", put("a.mp4", lambda: muxed(
        "mp4", [Track(real())], "mpeg4")), (judged(),))


def _of_other_lengths() -> Iterator[Case]:
    """Frames of a longer track are no recording behind the shorter one."""
    checks = (told(2), both_judged(),
              silent_about("behind the other|could not be", "no further recording"))
    for name, file, container, codec, rate, options in (
            ("MP4, AC-3", "a.mp4", "mp4", "ac3", 48000, {}),
            ("MP4, MP3", "a.mp4", "mp4", "libmp3lame", 44100, {}),
            ("MKV, AC-3", "a.mkv", "matroska", "ac3", 48000, {}),
            ("MKV, MP2", "a.mkv", "matroska", "mp2", 48000, {}),
            ("AVI, AC-3", "a.avi", "avi", "ac3", 48000, {}),
            ("ASF, MP3", "a.wmv", "asf", "libmp3lame", 44100, {}),
            ("VOB, AC-3", "a.vob", "vob", "ac3", 48000, {}),
            ("camcorder, AC-3", "a.m2ts", "mpegts", "ac3", 48000, {"mpegts_m2ts_mode": "1"})):
        yield Case("tracks", f"{name}: short real, long fake", put(
            file, lambda container=container, codec=codec, rate=rate, options=options: muxed(
                container, [Track(real(), codec, rate), Track(np.tile(fake(), 3), codec, rate)],
                **options)), checks)


def _not_known_at_first() -> Iterator[Case]:
    """Codings that are not known, and tracks that begin late or change."""
    yield Case("tracks", "MKV: coding not known, then fake", put("a.mkv", lambda: _unknown(0)),
               (told(2), verdict("likely spoof"), says("track 1 is not judged")))
    yield Case("tracks", "MKV: real, then coding not known", put("a.mkv", lambda: _unknown(1)),
               (told(2), verdict("likely bona fide"), says("track 2 is not judged")))
    yield Case("tracks", "VOB: the fake begins after 10 s", put("a.vob", lambda: muxed("vob", [
        Track(np.tile(real(), 8), "ac3", 48000), Track(fake(), "ac3", 48000, start=10.0)])),
        (told(2), both_judged()))
    def ts(wave: np.ndarray, codec: str = "aac", pid: str = "256") -> bytes:
        return muxed("mpegts", [Track(wave, codec, 48000)], mpegts_start_pid=pid)
    yield Case("tracks", "MPEG-TS: joined, other numbers of the tracks", put(
        "a.ts", lambda: ts(real()) + ts(fake(), pid="400")),
        (told(2), both_judged(), silent_about("0 Hz", "its rate is known")))
    yield Case("tracks", "MPEG-TS: other numbers in the middle", put("a.ts", lambda: ts(
        np.tile(real(), 4)) + ts(fake(), pid="400") + ts(np.tile(real(), 4))),
        (judged(), says("begin later in this file", "the later track told")))
    for first, second in (("mp2", "aac"), ("ac3", "mp2"), ("mp2", "ac3")):
        yield Case("tracks", f"MPEG-TS: {first}, then {second} under the same number", put(
            "a.ts", lambda first=first, second=second: ts(real(), first) + ts(fake(), second)),
            (both_judged(), lasts(seconds(real()) + seconds(fake()), 0.3)))
    yield Case("tracks", "MPEG-TS: aac, then ac3 under the same number", put(
        "a.ts", lambda: ts(real(), "aac") + ts(fake(), "ac3")),
        (says("could not be decoded", "told that not all was heard"),))


def _unknown(number: int) -> bytes:
    """MKV with two FLAC tracks, one of them under the name of no coding."""
    parts = muxed("matroska", [Track(wave(), "flac", 16000) for wave in (real, fake)]).split(
        b"A_FLAC")
    names = [b"A_FLAC", b"A_FLAC"]
    names[number] = b"A_NONE"
    return parts[0] + names[0] + parts[1] + names[1] + b"A_FLAC".join(parts[2:])


def _silence() -> np.ndarray:
    return np.zeros_like(real())


def _noise() -> np.ndarray:
    return 0.001 * np.random.default_rng(2).standard_normal(len(real()))

