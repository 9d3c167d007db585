"""What a player plays is judged, at the player's times: PCM in MOV, edit lists, pauses, late
starts."""
from collections.abc import Iterator

from tests.robustness.everyday.making.case import (Case, judged, lasts, put, says, scores_like,
                                                   silent_about, spoof_after, verdict)
from tests.robustness.everyday.making.containers import with_edits, with_u32
from tests.robustness.everyday.making.sound import Track, both, fake, muxed, plain, real, seconds


def cases() -> Iterator[Case]:
    yield from _pcm()
    yield from _edits()
    yield from _times()


def _pcm() -> Iterator[Case]:
    exact = (scores_like(plain(real), 0.02), lasts(seconds(real())))
    for codec, row in (("pcm_s16le", "19"), ("pcm_s16be", "19"), ("pcm_s24le", ""),
                       ("pcm_s24be", ""), ("pcm_s32be", ""), ("pcm_f32le", ""), ("pcm_f32be", "")):
        yield Case("pcm in mov", f"MOV, {codec}", put("a.mov", lambda codec=codec: muxed(
            "mov", [Track(real(), codec, 16000)])), exact, row)
    yield Case("pcm in mov", "MOV, pcm_s16be, film", put("a.mov", lambda: muxed(
        "mov", [Track(real(), "pcm_s16be", 16000)], "mpeg4")), exact, "19")
    yield Case("pcm in mov", "MP4, pcm_s16le", put("a.mp4", lambda: muxed(
        "mp4", [Track(real(), "pcm_s16le", 16000)])), exact)
    yield Case("pcm in mov", "MOV, index first", put("a.mov", lambda: muxed(
        "mov", [Track(real(), "pcm_s16le", 16000)], movflags="faststart")), exact)
    yield Case("pcm in mov", "MP4 in fragments, cut", put("a.mp4", lambda: _half(muxed(
        "mp4", [Track(real())], movflags="frag_every_frame+empty_moov+default_base_moof"))),
        (judged(), says("could be decoded|cut short", "told that it may be cut")))
    yield Case("pcm in mov", "MP4 in fragments, AAC", put("a.mp4", lambda: muxed(
        "mp4", [Track(real())], movflags="frag_keyframe+empty_moov")),
        (verdict("likely bona fide"), lasts(seconds(real()))))
    for codec in ("pcm_u8", "pcm_mulaw", "pcm_alaw", "adpcm_ima_qt"):
        rate = 8000 if "law" in codec else 16000
        yield Case("pcm in mov", f"MOV, {codec}", put("a.mov", lambda codec=codec, rate=rate: muxed(
            "mov", [Track(real(), codec, rate)])), (judged(), lasts(seconds(real()))), "21")


def _half(data: bytes) -> bytes:
    return data[:len(data) // 2]


def _edits() -> Iterator[Case]:
    whole, first = seconds(both()), seconds(real())
    rest = whole - first
    for name, codec, rate in (("M4A, AAC", "aac", 44100), ("M4A, ALAC", "alac", 16000)):
        def edited(*edits, codec=codec, rate=rate, **options):
            return put("a.m4a", lambda: with_edits(muxed(
                "ipod", [Track(both(), codec, rate)]), *edits, **options))
        near = 0.05 if codec == "alac" else 1.0
        yield Case("edit lists", f"{name}: the second half alone", edited((rest, first)),
                   (verdict("likely spoof"), lasts(rest), scores_like(plain(fake), near)), "22")
        yield Case("edit lists", f"{name}: the first half alone", edited((first, 0.0)),
                   (verdict("likely bona fide"), lasts(first)), "24")
        yield Case("edit lists", f"{name}: a piece of the middle", edited((3.0, 0.7)),
                   (verdict("likely bona fide"), lasts(3.0)), "22")
        yield Case("edit lists", f"{name}: 3 s late", edited((3.0, -1), (whole, 0.0)),
                   (judged(), lasts(whole + 3), spoof_after(first + 3)), "23")
        yield Case("edit lists", f"{name}: 2 s late, then a piece", edited((2.0, -1), (3.0, 0.7)),
                   (verdict("likely bona fide"), lasts(5.0),
                    silent_about("could be decoded", "nothing is missing")))
        yield Case("edit lists", f"{name}: version 1", edited((rest, first), version=1),
                   (verdict("likely spoof"), lasts(rest)))
        yield Case("edit lists", f"{name}: longer than the sound", edited((whole + 2, 0.0)),
                   (judged(),))
        yield Case("edit lists", f"{name}: two pieces", edited((1.5, 0.5), (1.5, 2.5)),
                   (judged(), lasts(3.0)))
    yield from _as_tools_write_them()
    yield Case("edit lists", "MOV, PCM: the second half alone", put("a.mov", lambda: with_edits(
        muxed("mov", [Track(both(), "pcm_s16le", 16000)]), (rest, first))),
        (verdict("likely spoof"), lasts(rest), scores_like(plain(fake))))
    yield Case("edit lists", "MP4 with film: the second half alone", put(
        "a.mp4", lambda: with_edits(muxed("mp4", [Track(both())]), (rest, first))),
        (verdict("likely spoof"), lasts(rest)))


def _as_tools_write_them() -> Iterator[Case]:
    """Other codings, pieces in turn, nothing between them, and lists that leave nothing."""
    whole, first = seconds(both()), seconds(real())
    rest = whole - first
    alone = silent_about("behind the other|could not be|file says", "what is left out is not heard")
    for name, file, container, codec, rate in (
            ("MP4, MP3", "a.mp4", "mp4", "libmp3lame", 44100),
            ("MP4, AC-3", "a.mp4", "mp4", "ac3", 48000),
            ("MP4, Opus", "a.mp4", "mp4", "libopus", 48000),
            ("M4A, AAC", "a.m4a", "ipod", "aac", 44100),
            ("MOV, PCM", "a.mov", "mov", "pcm_s16le", 16000)):
        def edited(*edits, file=file, container=container, codec=codec, rate=rate):
            return put(file, lambda: with_edits(muxed(
                container, [Track(both(), codec, rate)]), *edits))
        yield Case("edit lists", f"{name}: the end is cut off", edited((first, 0.0)),
                   (verdict("likely bona fide"), lasts(first), alone))
        yield Case("edit lists", f"{name}: 3 s of nothing between", edited(
            (first, 0.0), (3.0, -1), (rest, first)),
            (judged(), lasts(whole + 3), spoof_after(first + 3), alone,
             says(f"nothing from {first:.1f}", "the pause told")))
        yield Case("edit lists", f"{name}: the halves change places", edited(
            (rest, first), (first, 0.0)),
            (judged(), lasts(whole, 0.3), spoof_after(0, rest), alone))
        yield Case("edit lists", f"{name}: the second half twice", edited(
            (rest, first), (rest, first)), (verdict("likely spoof"), lasts(2 * rest, 0.3), alone))
    for name, edits in (("of length 0", (0, 0.05)), ("from behind the end on", (2.0, 30.0))):
        yield Case("edit lists", f"M4A, AAC: one piece {name}", put(
            "a.m4a", lambda edits=edits: with_edits(muxed("ipod", [Track(both())]), edits)),
            (judged(), lasts(whole, 0.3), says("edit list", "the list told")))
    for name, edits, length in (("2 s late", ((2.0, -1), (0, 0.0)), whole + 2),
                                ("the second half alone", ((0, first),), rest)):
        yield Case("edit lists", f"MP4 in fragments: {name}", put(
            "a.mp4", lambda edits=edits: with_edits(muxed("mp4", [Track(both())],
                movflags="frag_every_frame+empty_moov+default_base_moof"), *edits)),
            (judged(), lasts(length)))


def _times() -> Iterator[Case]:
    yield from _clocks()
    first, whole = seconds(real()), seconds(both())
    for name, file, container, codec, rate in (
            ("WebM", "a.webm", "webm", "libopus", 48000),
            ("MKV", "a.mkv", "matroska", "aac", 44100),
            ("MKA, FLAC", "a.mka", "matroska", "flac", 16000),
            ("MP4", "a.mp4", "mp4", "aac", 44100), ("MPEG-TS", "a.ts", "mpegts", "aac", 44100),
            ("MPEG-PS", "a.mpg", "vob", "ac3", 48000), ("WMA", "a.wma", "asf", "wmav2", 44100),
            ("FLV", "a.flv", "flv", "aac", 44100)):
        def made(film="", codec=codec, rate=rate, file=file, container=container, **how):
            return put(file, lambda: muxed(container, [Track(both(), codec, rate, **how)], film,
                                           63 if film else 0))
        yield Case("time", f"{name}: 60 s of nothing between", made(gap=(first, 60.0)),
                   (judged(), lasts(whole + 60, 0.5), spoof_after(first + 60)), "30"
                   if file == "a.webm" else "")
        yield Case("time", f"{name}: 3 s of nothing between", made(gap=(first, 3.0)),
                   (judged(), lasts(whole + 3, 0.3), spoof_after(first + 3)))
        other_clock = (judged(), lasts(whole, 0.5),
                       silent_about("could be decoded|file says", "nothing is missing"))
        yield Case("time", f"{name}: two hours later in the middle", made(gap=(first, 7200.0)),
                   other_clock)
        yield Case("time", f"{name}: the clock begins at ten hours", made(start=36000.0),
                   other_clock)
        if container in ("mp4", "matroska", "mpegts") and codec == "aac":
            film = "mpeg2video" if container == "mpegts" else "mpeg4"
            yield Case("time", f"{name}: the sound 60 s after the film", made(film, start=60.0),
                       (judged(), says("60|1:0|later|late|begins", "the late start told")), "32")
    for file, container, codec, rate, film in (
            ("a.mkv", "matroska", "aac", 44100, "mpeg4"),
            ("a.webm", "webm", "libopus", 48000, "libvpx"),
            ("a.mp4", "mp4", "aac", 44100, "mpeg4"), ("a.flv", "flv", "aac", 44100, "flv"),
            ("a.avi", "avi", "libmp3lame", 44100, "mpeg4"),
            ("a.wmv", "asf", "wmav2", 44100, "mpeg4"),
            ("a.ts", "mpegts", "aac", 44100, "mpeg2video")):
        yield Case("time", f"{file[2:]}: the film lasts 20 s", put(
            file, lambda codec=codec, rate=rate, container=container, film=film: muxed(
                container, [Track(real(), codec, rate)], film, 20.0)),
            (judged(), lasts(seconds(real()), 0.3),
             silent_about("could be decoded|file says that", "nothing is missing")))
    for file, container, codec, film in (("a.wmv", "asf", "wmav2", "mpeg4"),
                                         ("a.flv", "flv", "aac", "flv")):
        yield Case("time", f"{file[2:]}: a picture every second for 20 s", put(
            file, lambda container=container, codec=codec, film=film: muxed(
                container, [Track(real(), codec)], film, 20.0, 1)),
            (judged(), lasts(seconds(real()), 0.3),
             silent_about("could be decoded|file says that", "nothing is missing")))


def _clocks() -> Iterator[Case]:
    """Clocks that do not begin at zero, or pass their end."""
    whole = seconds(both())
    for name, file, container, codec, rate in (
            ("WMA", "a.wma", "asf", "wmav2", 44100), ("FLV", "a.flv", "flv", "aac", 44100),
            ("MPEG-TS", "a.ts", "mpegts", "aac", 44100), ("MPEG-PS", "a.mpg", "vob", "ac3", 48000)):
        for start in (1.0, 600.0):
            yield Case("time", f"{name}: the clock begins at {start:.0f} s", put(
                file, lambda file=file, container=container, codec=codec, rate=rate, start=start:
                    muxed(container, [Track(both(), codec, rate, start=start)])),
                (judged(), lasts(whole, 0.3),
                 silent_about("could be decoded|file says", "nothing is missing")))
    end = 2 ** 33 / 90_000      # s: of the clock of MPEG-TS
    for pause in (0.0, 60.0):
        yield Case("time", f"MPEG-TS: the clock passes its end, {pause:.0f} s of nothing", put(
            "a.ts", lambda pause=pause: muxed("mpegts", [Track(
                both(), start=end - 5 - pause / 2, gap=(seconds(real()), pause))])),
            (judged(), lasts(whole + pause, 0.3), spoof_after(seconds(real()) + pause)))
    yield Case("time", "AVI: the sound 3 s after the film", put("a.avi", lambda: _avi_late(3.0)),
               (judged(), lasts(whole + 3, 0.3), spoof_after(seconds(real()) + 3),
                says("begins 3.0 s", "the late start told")))


def _avi_late(start: float) -> bytes:
    """AVI whose sound has another start in its header."""
    data = muxed("avi", [Track(both(), "libmp3lame", 44100)], "mpeg4")
    return with_u32(data, data.find(b"auds") + 28, round(start * 44100 / 1152))
