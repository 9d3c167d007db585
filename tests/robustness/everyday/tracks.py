"""Several sound tracks in one file: each is judged, and their number is told."""
from collections.abc import Iterator

import numpy as np

from tests.robustness.everyday.making.case import (Case, both_judged, judged, put, silent_about,
                                                   told, verdict)
from tests.robustness.everyday.making.containers import multiplexed
from tests.robustness.everyday.making.sound import Track, fake, muxed, real, written

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


def _silence() -> np.ndarray:
    return np.zeros_like(real())


def _noise() -> np.ndarray:
    return 0.001 * np.random.default_rng(2).standard_normal(len(real()))

