"""Sound behind the promised end: joined files, and lengths that are older than the sound."""
import struct
from collections.abc import Iterator

import numpy as np

from tests.robustness.everyday.making.case import (LOOSE, Case, Check, both_judged, lasts, put,
                                                   says, scores_like)
from tests.robustness.everyday.making.containers import chunk, pcm, wav, with_u32, with_u64
from tests.robustness.everyday.making.sound import (RATE, Track, both, fake, muxed, plain, real,
                                                    seconds, written)

# (file, how a wave is written)
JOINED = (*((f"a.{name.lower()}", lambda wave, name=name: written(wave, name))
            for name in ("WAV", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64")),
          ("a.tta", lambda wave: muxed("tta", [Track(wave, "tta", 16000)])),
          ("a.wv", lambda wave: muxed("wv", [Track(wave, "wavpack", 16000)])),
          ("a.m4a", lambda wave: muxed("ipod", [Track(wave)])),
          ("a.mov", lambda wave: muxed("mov", [Track(wave, "pcm_s16le", 16000)])),
          ("a.webm", lambda wave: muxed("webm", [Track(wave, "libopus", 48000)])),
          ("a.mkv", lambda wave: muxed("matroska", [Track(wave)])),
          ("a.mp3", lambda wave: written(wave, "MP3", "MPEG_LAYER_III")),
          ("a.aac", lambda wave: muxed("adts", [Track(wave)])),
          ("a.ogg", lambda wave: written(wave, "OGG", "VORBIS")),
          ("a.opus", lambda wave: muxed("ogg", [Track(wave, "libopus", 48000)])),
          ("a.wma", lambda wave: muxed("asf", [Track(wave, "wmav2", 44100)])),
          ("a.avi", lambda wave: muxed("avi", [Track(wave, "libmp3lame", 44100)], "mpeg4")),
          ("a.ts", lambda wave: muxed("mpegts", [Track(wave)])),
          ("a.mpg", lambda wave: muxed("vob", [Track(wave, "ac3", 48000)])),
          ("a.flv", lambda wave: muxed("flv", [Track(wave)])),
          ("a.amr", lambda wave: muxed("amr", [Track(wave, "libopencore_amrnb", 8000)])))
OF_TWO_KINDS = (("a.wav", "CAF"), ("a.wav", "FLAC"), ("a.wav", "MP3"), ("a.flac", "WAV"),
                ("a.aac", "MP3"), ("a.webm", "WAV"))
# The second one has no mark that is long enough; or libav reads on over it.
FRAMES_BEHIND = (*((file, "a.mp3") for file in ("a.flac", "a.opus", "a.ogg", "a.m4a", "a.mov",
                                               "a.webm", "a.tta", "a.wv", "a.ts", "a.avi", "a.au")),
                 ("a.mpg", "a.aac"), ("a.opus", "a.aac"), ("a.wav", "a.ts"), ("a.flac", "a.ts"),
                 ("a.m4a", "a.aac"), ("a.mp3", "a.wav"), ("a.mp3", "a.aac"), ("a.mp3", "a.m4a"),
                 ("a.aac", "a.opus"), ("a.flac", "a.opus"), ("a.flac", "a.m4a"))
ROWS = {"a.wav": "34", "a.m4a": "35", "a.flac": "36", "a.w64": "36", "a.tta": "36", "a.au": "36"}


def cases() -> Iterator[Case]:
    yield from _joined()
    yield from _stale()
    yield from _zero()


def _joined() -> Iterator[Case]:
    for file, encode in JOINED:
        checks = (_heard_or_refused(),)
        if file in ("a.amr", "a.flv"):       # telephone band, or of a video site: no clear verdict
            checks = (lasts(seconds(both()), 0.5),)
        yield Case("joined", f"{file[2:]}: real, then fake", put(
            file, lambda encode=encode: encode(real()) + encode(fake())), checks,
            ROWS.get(file, ""))
        if file in ROWS:
            yield Case("joined", f"{file[2:]}: fake, then real", put(
                file, lambda encode=encode: encode(fake()) + encode(real())), checks)
    yield Case("joined", "flac: real, then fake of another rate", put("a.flac", lambda: written(
        real(), "FLAC") + written(fake(), "FLAC", rate=44100)), (_heard_or_refused(),))
    first = dict(JOINED)
    for file, kind in OF_TWO_KINDS:
        yield Case("joined", f"{file[2:]}: real, then fake as {kind}", put(
            file, lambda file=file, kind=kind: first[file](real()) + written(fake(), kind)),
            (_heard_or_refused(),))
    for file, kind in FRAMES_BEHIND:
        yield Case("joined", f"{file[2:]}: real, then fake as {kind[2:]}", put(
            file, lambda file=file, kind=kind: first[file](real()) + first[kind](fake())),
            (_heard_or_refused(),))
    yield Case("joined", "wav: three", put("a.wav", lambda: 2 * written(real()) + written(fake())),
               (_heard_or_refused(2 * seconds(real()) + seconds(fake())),))


def _heard_or_refused(length: float = 0.0) -> Check:
    """Both parts are judged at their times."""
    wanted = length or seconds(both())

    def holds(seen) -> bool:
        return both_judged().holds(seen) and lasts(wanted, 0.5).holds(seen)
    return Check(f"both judged, {wanted:.1f} s", holds)


def _stale() -> Iterator[Case]:
    sound, three = pcm(fake()), 3 * RATE
    whole = (scores_like(plain(fake), LOOSE), lasts(seconds(fake())))
    yield Case("stale length", "wav: 3 s promised", put("a.wav", lambda: wav(sound, 32000)), whole,
               "38")
    yield Case("stale length", "wav: two takes, one header", put(
        "a.wav", lambda: wav(pcm(both()), 2 * len(real()))), (_heard_or_refused(),), "38")
    yield Case("stale length", "wav: two takes, RIFF length right", put("a.wav", lambda: wav(
        pcm(both()), 2 * len(real()), riff_length=36 + 2 * len(both()))), (_heard_or_refused(),))
    yield Case("stale length", "wav: a second data chunk", put("a.wav", lambda: wav(
        pcm(real()), behind=chunk(b"data", sound))), (_heard_or_refused(),))
    yield Case("stale length", "wav: RIFF length 0", put("a.wav", lambda: wav(
        sound, riff_length=0)), whole)
    yield Case("stale length", "wav: RIFF length of one second", put("a.wav", lambda: wav(
        sound, riff_length=32000)), whole)
    yield Case("stale length", "wav: an odd number of bytes promised", put("a.wav", lambda: wav(
        sound, 32001)), whole)
    yield Case("stale length", "wav: zeros behind, as a recorder reserves them", put(
        "a.wav", lambda: wav(sound + bytes(1 << 20), len(sound))), whole)
    yield from _stale_elsewhere(three, whole)
    yield from _stale_codings()


def _stale_elsewhere(three: int, whole: tuple[Check, ...]) -> Iterator[Case]:
    def aiff() -> bytes:
        data = written(fake(), "AIFF")
        at = data.find(b"SSND") + 4
        return with_u32(with_u32(data, at, 8 + 32000, ">"), data.find(b"COMM") + 10, 16000, ">")

    def caf() -> bytes:
        data = written(fake(), "CAF")
        return with_u64(data, data.find(b"data") + 4, 4 + 32000, ">")

    def w64() -> bytes:
        data = written(fake(), "W64")
        return with_u64(data, data.find(b"data") + 16, 24 + 32000)

    def rf64() -> bytes:
        data = written(fake(), "RF64")
        at = data.find(b"ds64") + 8
        return with_u64(with_u64(data, at + 8, 32000), at + 16, 16000)

    def flac(total: int) -> bytes:
        data = written(fake(), "FLAC")
        high = data[21] & 0xF0 | total >> 32
        return data[:21] + bytes([high]) + struct.pack(">I", total & 0xFFFFFFFF) + data[26:]
    yield Case("stale length", "aiff: 1 s promised", put("a.aiff", aiff), whole)
    yield Case("stale length", "au: 1 s promised", put("a.au", lambda: with_u32(
        written(fake(), "AU"), 8, 32000, ">")), whole)
    yield Case("stale length", "caf: 1 s promised", put("a.caf", caf), whole)
    yield Case("stale length", "w64: 1 s promised", put("a.w64", w64), whole)
    yield Case("stale length", "rf64: 1 s promised", put("a.rf64", rf64), whole)
    for total, name in ((16000, "1 s promised"), (0, "length not known"),
                        (len(fake()) + 9000, "0.6 s too much promised")):
        yield Case("stale length", f"flac: {name}", put("a.flac", lambda total=total: flac(total)),
                   whole)


def _stale_codings() -> Iterator[Case]:
    """Codings whose bytes are no samples; half of the sound is promised."""
    for subtype, rate in (("IMA_ADPCM", RATE), ("MS_ADPCM", RATE), ("GSM610", 8000),
                          ("ULAW", RATE), ("DOUBLE", RATE)):
        def make(subtype=subtype, rate=rate) -> bytes:
            data = written(fake(), "WAV", subtype, rate)
            at = data.find(b"data") + 4
            return with_u32(data, at, (len(data) - at) // 2 // 512 * 512)
        yield Case("stale length", f"wav, {subtype}: half promised", put("a.wav", make), (
            scores_like(lambda subtype=subtype, rate=rate: written(fake(), "WAV", subtype, rate),
                        LOOSE), lasts(seconds(fake()))))


def _zero() -> Iterator[Case]:
    yield from _headers_that_libav_refuses()
    sound = pcm(fake())
    whole = (scores_like(plain(fake), LOOSE), lasts(seconds(fake())))
    yield Case("length zero", "wav: 0", put("a.wav", lambda: wav(sound, 0)), whole, "40")
    yield Case("length zero", "wav: 0, RIFF too", put("a.wav", lambda: wav(
        sound, 0, riff_length=0)), whole, "40")
    yield Case("length zero", "wav: 0, a chunk before", put("a.wav", lambda: wav(
        sound, 0, before=chunk(b"LIST", b"INFOISFT\x04\0\0\0Lavf"))), whole)
    yield Case("length zero", "wav: 0xFFFFFFFF", put("a.wav", lambda: wav(
        sound, 0xFFFFFFFF, riff_length=0xFFFFFFFF)), whole)
    yield Case("length zero", "wav: 0x7FFFFFFF", put("a.wav", lambda: wav(
        sound, 0x7FFFFFFF)), whole)
    yield Case("length zero", "wav, stereo: 0", put("a.wav", lambda: wav(pcm(np.stack(
        [fake(), fake()], axis=1)), 0, channels=2)), whole)
    yield Case("length zero", "wav: 0, an odd byte behind", put("a.wav", lambda: wav(
        sound + b"x", 0)), whole, "40")
    yield Case("length zero", "au: not known", put("a.au", lambda: with_u32(
        written(fake(), "AU"), 8, 0xFFFFFFFF, ">")), whole)
    yield Case("length zero", "au: 0", put("a.au", lambda: with_u32(
        written(fake(), "AU"), 8, 0, ">")), whole)
    yield Case("length zero", "aiff: 0", put("a.aiff", _aiff_zero), whole)
    yield Case("length zero", "caf: not known", put("a.caf", lambda: _caf_unknown()), whole)


def _headers_that_libav_refuses() -> Iterator[Case]:
    faulty = (scores_like(plain(fake), LOOSE), lasts(seconds(fake())), says("header is faulty"))

    def w64(length: int) -> bytes:
        data = written(fake(), "W64")
        return with_u64(data, data.find(b"data") + 16, length % 2 ** 64)

    def rf64(length: int) -> bytes:
        data = written(fake(), "RF64")
        return with_u64(data, data.find(b"ds64") + 16, length % 2 ** 64)

    def aiff(length: int) -> bytes:
        data = with_u32(written(fake(), "AIFF"), 4, length % 2 ** 32, ">")
        for place in (data.find(b"COMM") + 10, data.find(b"SSND") + 4):
            data = with_u32(data, place, length % 2 ** 32, ">")
        return data
    for length in (0, 24, -1):
        yield Case("length zero", f"w64: {length}", put("a.w64", lambda length=length: w64(length)),
                   faulty)
    for length in (0, -1):
        yield Case("length zero", f"aiff: {length} in all places", put(
            "a.aiff", lambda length=length: aiff(length)), faulty)
    yield Case("length zero", "rf64: -1", put("a.wav", lambda: rf64(-1)), faulty)


def _aiff_zero() -> bytes:
    data = written(fake(), "AIFF")
    data = with_u32(data, data.find(b"COMM") + 10, 0, ">")
    return with_u32(data, data.find(b"SSND") + 4, 8, ">")


def _caf_unknown() -> bytes:
    data = written(fake(), "CAF")
    return with_u64(data, data.find(b"data") + 4, 0xFFFFFFFFFFFFFFFF, ">")


