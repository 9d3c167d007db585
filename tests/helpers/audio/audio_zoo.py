"""The zoo: every kind of good, odd and bad file that a person may drop on the detector, each with
what must come of it.

    for kind in kinds():
        path = kind.write(folder, wave)     # `wave`: `example()`, real speech
        ...                                 # score `path`, compare with kind.outcome and kind.words
"""
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tests.helpers.audio import audio_encodings as coded
from tests.helpers.audio.example_speech import EXAMPLES


SCORED = "scored"              # a verdict that rests on the score; warnings may be there
WARNED = "scored and warned"   # the same, and one of the warnings says `words`
NOTED = "scored, with what is missing told first"   # one of the notes says `words`
# read, exit code 0, but nothing in it that could be judged; `words`: why
UNJUDGED = "cannot judge"
REFUSED = "refused"            # one sentence that says `words`, exit code 1

Place = Callable[[Path, bytes], Path | None]


@dataclass(frozen=True)
class Kind:
    """One kind of file: its bytes are `content(wave)`; `place` puts them down (and may return
    another path to open).
    """
    name: str
    format: str
    file: str                  # the name it takes on disk
    content: Callable[[np.ndarray], bytes]
    outcome: str
    words: str = ""
    place: Place | None = None

    def write(self, folder: Path, wave: np.ndarray) -> Path:
        """Make the file in `folder`, which gets one of its own per kind so that names never
        collide; its path.
        """
        home = folder / self.name.replace(" ", "-")
        home.mkdir(parents=True)
        path, content = home / self.file, self.content(wave)
        if self.place:
            return self.place(path, content) or path
        path.write_bytes(content)
        return path

    def came_out(self, record: dict) -> str:
        """Which outcome a record of the inference (as --json prints it) is, for comparison with
        `outcome`.
        """
        if record["error"]:
            return REFUSED if self.words in record["error"] and record[
                "score"] is None else f"refused: {record['error']}"
        if record["verdict"] == "cannot judge":
            told = self.words in record["reasons"][0] and record[
                "score"] is None and not record["stretches"]
            return UNJUDGED if told else f"cannot judge: {record['reasons']}"
        warned = any(self.words in warning for warning in record["warnings"])
        if self.outcome == NOTED and any(self.words in note for note in record["notes"]):
            return NOTED
        return WARNED if self.outcome == WARNED and warned else SCORED


def example() -> np.ndarray:
    """1.6 s of real speech at 16 kHz on the grid of 16-bit samples, float64: what every kind is
    made from.
    """
    wave = coded.speech(EXAMPLES / "real_librispeech_2412_en.flac", 1.6)
    return np.rint(wave / np.abs(wave).max() * 16384) / 32768


def kinds() -> list[Kind]:
    """The whole zoo, as far as this system can hold it (no odd names on Windows, no file that root
    may not read).
    """
    return [*_encodings(), *_truncated(), *_damaged(), *_no_audio(), *_odd_sound(), *_odd_numbers(),
            *_odd_places()]


# how the format of an encoding is called, its suffix, and which encodings bring a warning of loss

_FORMATS = {"wav": "WAV", "wavex": "WAV", "rf64": "RF64", "w64": "W64", "aiff": "AIFF", "au": "AU",
            "caf": "CAF", "nist": "NIST", "flac": "FLAC", "vorbis": "Ogg Vorbis",
            "opus": "Ogg Opus", "ogg": "Ogg FLAC", "mp3": "MP3", "mp2": "MP2", "m4a": "M4A",
            "mp4": "MP4", "mov": "QuickTime", "aac": "AAC", "webm": "WebM", "mka": "Matroska",
            "3gp": "3GP", "amr": "AMR", "wma": "WMA", "ac3": "AC-3", "wavpack": "WavPack",
            "tta": "TTA", "flv": "FLV", "avi": "AVI", "mpegts": "MPEG-TS"}
_SUFFIXES = {"vorbis": "ogg", "wavpack": "wv", "mpegts": "ts", "wavex": "wav"}
_LOSSY = ("ulaw", "alaw", "ima", "ms", "gsm", "g722", "mp3", "vorbis", "opus", "m4a", "mp4", "mov",
          "aac", "webm", "amr", "wma", "mp2", "ac3", "flv", "avi", "mpegts")
_LOSSLESS = ("m4a-alac", "mp4-flac")


@lru_cache(maxsize=256)
def _encoded(name: str, samples: bytes) -> bytes:
    """The encoding called `name` of float64 `samples`; kept, since a truncated and a damaged kind
    start from it too.
    """
    wave = np.frombuffer(samples)
    for encode, table in ((coded.by_soundfile, coded.SOUNDFILE_KINDS),
                          (coded.by_pyav, coded.PYAV_KINDS)):
        for known, *how in table:
            if known == name:
                return encode(wave, *how)
    raise KeyError(name)


def _as(name: str) -> Callable[[np.ndarray], bytes]:
    return lambda wave: _encoded(name, wave.tobytes())


def _format(name: str) -> str:
    return _FORMATS[name.split("-")[0]]


def _file(name: str) -> str:
    first = name.split("-")[0]
    return f"speech.{_SUFFIXES.get(first, first)}"


def _lossy(name: str) -> bool:
    return name not in _LOSSLESS and bool(set(name.split("-")) & set(_LOSSY))


def _encodings() -> list[Kind]:
    """Sound files of every format, depth, rate and channel count: all are scored."""
    found = []
    for name, _, _, rate, _ in coded.SOUNDFILE_KINDS + coded.PYAV_KINDS:
        words = f"{rate:,} Hz" if rate < 16000 else "lossy" if _lossy(name) else ""
        found.append(Kind(name, _format(name), _file(name), _as(name), WARNED if words else SCORED,
                          words))
    return found


# one encoding of each format, cut at 61 % of its bytes and before its last; those of frames alone
# also between two

_ONE_EACH = {_format(name): name for name, *_ in reversed(coded.SOUNDFILE_KINDS + coded.PYAV_KINDS)}
# cut at 61 %, these have no index or no whole block left; these cannot tell; the rest promised more
_NOTHING_LEFT = ("M4A", "MP4", "QuickTime", "3GP", "Ogg Vorbis", "Ogg Opus", "Ogg FLAC", "WavPack",
                 "TTA")
_CANNOT_TELL = ("MPEG-TS", "AC-3", "MP2")
# without their last byte, these have no index left; these lose their last piece; the rest nothing
_INDEX_LOST = ("QuickTime", "3GP")
_PIECE_LOST = ("Ogg Opus", "Ogg FLAC", "FLAC", "AAC", "AMR", "MPEG-TS")


def _outcome_of_cut(form: str) -> tuple[str, str]:
    if form in _NOTHING_LEFT:
        return REFUSED, "cut short"
    if form in _CANNOT_TELL:
        return WARNED, "cannot tell whether the recording was cut short"
    return NOTED, "be decoded"


def _outcome_of_last_byte(form: str) -> tuple[str, str]:
    if form in _INDEX_LOST:
        return REFUSED, "cut short"
    return (NOTED, "be decoded") if form in _PIECE_LOST else (SCORED, "")


def _truncated() -> list[Kind]:
    found = [Kind(f"{name} cut to 61 %", form, _file(name), _cut(name, 0.61),
                  *_outcome_of_cut(form)) for form, name in _ONE_EACH.items()]
    found += [Kind(f"{name} without its last byte", form, _file(name), _cut(name, None),
                   *_outcome_of_last_byte(form)) for form, name in _ONE_EACH.items()]
    header = {"WAV": 40, "RF64": 30, "W64": 100, "AIFF": 50, "AU": 12, "CAF": 30, "FLAC": 30,
              "Ogg Vorbis": 20, "Ogg Opus": 20, "MP3": 30, "M4A": 30, "WebM": 30, "WMA": 30,
              "AMR": 6}
    found += [
        Kind(f"{form} of {size} bytes", form, _file(_ONE_EACH[form]),
             lambda wave, name=_ONE_EACH[form], size=size: _as(name)(wave)[:size], REFUSED)
        for form, size in header.items()
    ]
    # whole frames of these lengths
    between = {"AMR": 6 + 45 * 13, "MP2": 11 * 1440, "AC-3": 24 * 384}
    found += [
        Kind(f"{form} cut between two frames", form, _file(_ONE_EACH[form]),
             lambda wave, name=_ONE_EACH[form], size=size: _as(name)(wave)[:size], WARNED,
             "cannot tell whether the recording was cut short") for form, size in between.items()
    ]
    found += [Kind(name, form, _file(_ONE_EACH[form]), content, WARNED,
                   "cannot tell whether the recording was cut short")
              for name, form, content in (("Ogg cut between two pages", "Ogg Vorbis", _pages),
                                          ("MP3 without its frame count cut between two frames",
                                           "MP3", _frames))]
    return found


def _pages(wave: np.ndarray) -> bytes:
    """The first half of the pages of a long Ogg file: the last of all bears a mark, which is
    missing then.
    """
    content, starts = _as("vorbis")(np.tile(wave, 10)), [0]
    while (at := starts[-1]) < len(content):
        starts.append(at + 27 + content[at + 26] + sum(content[at + 27:at + 27 + content[at + 26]]))
    return content[:starts[len(starts) // 2]]


def _frames(wave: np.ndarray) -> bytes:
    """Twenty frames of an MP3, the first of all, which tells how many there are, left out."""
    content, starts = _as("mp3")(wave), [0]
    for _ in range(21):
        starts.append(content.index(content[starts[-1]:starts[-1] + 2], starts[-1] + 100))
    return content[starts[1]:starts[-1]]


def _cut(name: str, keep: float | None) -> Callable[[np.ndarray], bytes]:
    def content(wave: np.ndarray) -> bytes:
        whole = _as(name)(wave)
        return whole[:-1] if keep is None else whole[:int(keep * len(whole))]
    return content


def _damaged() -> list[Kind]:
    """Sound inside, but not as it was: a flipped bit where sums are kept, a missing or a foreign
    middle.
    """
    def flipped(name: str) -> Callable[[np.ndarray], bytes]:
        def content(wave: np.ndarray) -> bytes:
            data = bytearray(_as(name)(wave))
            data[len(data) // 2] ^= 4
            return bytes(data)
        return content

    def without(name: str, start: int, end: int) -> Callable[[np.ndarray], bytes]:
        return lambda wave: _as(name)(wave)[:start] + _as(name)(wave)[end:]

    def spliced(wave: np.ndarray) -> bytes:
        return _as("mp3")(wave)[:3000] + _as("flac")(wave)[3000:]
    lost = (NOTED, "be decoded")
    with_sums = {"flac": lost, "mka-flac": lost, "wavpack": (REFUSED, "damaged"), "tta": lost,
                 "vorbis": (NOTED, "lost"), "opus": lost, "ogg-flac": lost}
    return [*(Kind(f"{_format(name)} with a flipped bit", _format(name), _file(name), flipped(name),
                   *outcome) for name, outcome in with_sums.items()),
            Kind("FLAC without its middle", "FLAC", "a.flac", without("flac", 9000, 12000), *lost),
            Kind("Ogg without its middle", "Ogg Vorbis", "a.ogg", without("vorbis", 5000, 7000),
                 NOTED, "lost"),
            Kind("MP3 without its middle", "MP3", "a.mp3", without("mp3", 3000, 3500), *lost),
            Kind("MP3 that goes on as FLAC", "MP3", "a.mp3", spliced, *lost)]


def _bytes(content: bytes) -> Callable[[np.ndarray], bytes]:
    return lambda wave: content


def _no_audio() -> list[Kind]:
    tag = b"ID3\x04\0\0" + bytes((0, 0, 10, 0)) + bytes(1280)
    table = (("empty", b"", "empty"), ("one byte", b"R", "is not audio"),
             ("text", b"this is no audio\n" * 99, "text"),
             ("ZIP archive", b"PK\x03\x04" + bytes(999), "ZIP"),
             ("gzip archive", b"\x1f\x8b\x08" + bytes(99), "gzip"),
             ("PNG picture", b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
             ("PDF document", b"%PDF-1.7\n" + bytes(99), "PDF"),
             ("web page", b"<!DOCTYPE html><html>not found</html>", "web page"),
             ("program", b"\x7fELF" + bytes(99), "program"),
             ("Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
              "Git LFS"),
             ("playlist", b"#EXTM3U\nfile:///etc/passwd\n", "playlist"),
             ("zeros", bytes(5000), "not audio"),
             ("random bytes", np.random.default_rng(0).bytes(9999), "not audio"),
             ("ID3 tag only", tag, "tag"))
    return [Kind(name, "no audio", "a.wav", _bytes(content), REFUSED, words)
            for name, content, words in table]


def _float(wave: np.ndarray) -> bytes:
    return coded.by_soundfile(wave, "WAV", "FLOAT", 16000, 1, as_it_is=True)


def _with(value: float) -> Callable[[np.ndarray], bytes]:
    return lambda wave: _float(np.concatenate([wave, [value], wave]))


def _pcm(wave: np.ndarray, container: str = "WAV", subtype: str = "PCM_16",
         rate: int = 16000) -> bytes:
    return coded.by_soundfile(wave, container, subtype, rate,
                              1 if wave.ndim == 1 else wave.shape[1], as_it_is=True)


def _odd_sound() -> list[Kind]:
    """Good containers with odd content."""
    from utils.detector.verdict import MIN_SECONDS, MOSTLY_SILENT
    short, silence = int(0.6 * MIN_SECONDS * 16000), np.zeros(int(2 / MOSTLY_SILENT) * 16000)
    noise = np.random.default_rng(0).standard_normal(32000) * 0.1
    hum = 0.3 * np.sin(2 * np.pi * 50 / 16000 * np.arange(48000))
    table = (
        ("NaN", lambda w: _with(np.nan)(w), REFUSED, "NaN"),
        ("infinity", lambda w: _with(np.inf)(w), REFUSED, "infinity"),
        ("minus infinity", lambda w: _with(-np.inf)(w), REFUSED, "infinity"),
        ("absurd amplitude", lambda w: _with(3e4)(w), REFUSED, "no sound"),
        ("integers stored as float", lambda w: _float(w * 32768), REFUSED, "no sound"),
        ("clipped", lambda w: _pcm(np.clip(w * 8, -1, 1)), WARNED, "clipped"),
        ("twice full scale", lambda w: _float(w * 4), WARNED, "clipped"),
        ("mostly silent", lambda w: _pcm(np.concatenate([silence, w, w, silence])), WARNED,
         "mostly silent"),
        ("very short", lambda w: _pcm(w[:9600]), WARNED, "short"),
        ("too short", lambda w: _pcm(w[:short]), UNJUDGED, "too short"),
        ("one sample", lambda w: _pcm(w[:1]), UNJUDGED, ""),
        ("silence", lambda w: _pcm(silence), UNJUDGED, "silent"),
        ("whisper below hearing", lambda w: _float(w * 1e-5), UNJUDGED, "silent"),
        ("white noise", lambda w: _pcm(noise), UNJUDGED, "not speech-like"),
        ("hum", lambda w: _pcm(hum), UNJUDGED, "not speech-like"),
        ("large offset", lambda w: _float(w * 0.5 + 0.4), SCORED, ""),
        ("one silent channel", lambda w: _pcm(np.stack([w, 0 * w], 1)), SCORED, ""),
        ("channels in opposite phase", lambda w: _pcm(np.stack([w, -w], 1)), NOTED,
         "opposite phase"),
        ("8 channels", lambda w: _pcm(np.stack([w] * 8, 1)), SCORED, ""),
        ("32 channels", lambda w: _pcm(np.stack([w / 2] * 32, 1)), SCORED, ""))
    return [Kind(name, "WAV", "a.wav", content, outcome, words)
            for name, content, outcome, words in table]


def _header(at: int, layout: str, *values: int) -> Callable[[np.ndarray], bytes]:
    """A 16-bit WAV with other numbers at byte `at`."""
    def content(wave: np.ndarray) -> bytes:
        data = bytearray(_as("wav-16")(wave))
        struct.pack_into(layout, data, at, *values)
        return bytes(data)
    return content


def _odd_numbers() -> list[Kind]:
    """WAV headers that say odd things: the byte at 22 is the channel count, 24 the rate, 34 the
    depth, 40 the length.
    """
    def only_header(wave: np.ndarray) -> bytes:
        return _header(40, "<I", 0)(wave)[:44]

    def streamed(wave: np.ndarray) -> bytes:
        data = bytearray(_as("wav-16")(wave))
        data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
        return bytes(data)
    table = (("header only", only_header, REFUSED, "no sound"),
             ("zero channels", _header(22, "<H", 0), REFUSED, "no sound"),
             ("65535 channels", _header(22, "<H", 65535), REFUSED, ""),
             ("50 Hz", _header(24, "<I", 50), REFUSED, "50 Hz"),
             ("0 Hz", _header(24, "<I", 0), REFUSED, ""),
             ("4 GHz", _header(24, "<I", 2 ** 32 - 1), REFUSED, ""),
             ("0 bits", _header(34, "<H", 0), REFUSED, ""),
             ("64-bit integers", lambda wave: coded.by_pyav(
                 wave, "wav", "pcm_s64le", 16000, 1), SCORED, ""),
             ("unknown coding", _header(20, "<H", 0x4242), REFUSED, ""),
             ("length of 2 GB", _header(40, "<I", 0x7FFFEFFF), NOTED, "be decoded"),
             ("streamed without a length", streamed, WARNED,
              "cannot tell whether the recording was cut short"))
    far = Kind("WMA whose sound lies beyond all disks", "WMA", "a.wma", lambda wave: _as("wma")
               (wave)[:16] + b"\xff" * 7 + b"\x7f" + _as("wma")(wave)[24:], SCORED)
    return [far, *(Kind(f"WAV {name}", "WAV", "a.wav", content, outcome, words)
                   for name, content, outcome, words in table)]


def _folder(path: Path, content: bytes) -> None:
    path.mkdir()


def _nowhere(path: Path, content: bytes) -> None:
    pass


def _pipe(path: Path, content: bytes) -> None:
    os.mkfifo(path)


def _locked(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0)


def _dangling(path: Path, content: bytes) -> None:
    path.symlink_to("nowhere.wav")


def _named(name: bytes) -> Place:
    def place(path: Path, content: bytes) -> Path:
        path = Path(os.fsdecode(os.fsencode(path.parent) + b"/" + name))
        path.write_bytes(content)
        return path
    return place


def _odd_places() -> list[Kind]:
    """Names and places; the wrong extension never matters."""
    wav, found = _as("wav-16"), []
    for name, ending, kind in (("FLAC called .wav", "wav", "flac"),
                               ("WAV called .mp3", "mp3", "wav-16"),
                               ("M4A called .flac", "flac", "m4a"),
                               ("MP3 called .wav", "wav", "mp3"),
                               ("Opus called .aiff", "aiff", "opus")):
        found.append(Kind(name, _format(kind), f"a.{ending}", _as(kind), SCORED))
    found += [Kind("no extension", "WAV", "recording", wav, SCORED),
              Kind("name of 200 letters", "WAV", "x" * 200 + ".wav", wav, SCORED),
              Kind("non-Latin name", "WAV", "録音 ωδή запись.wav", wav, SCORED),
              Kind("name with quotes", "WAV", "it's $HOME; `a`.wav", wav, SCORED),
              Kind("folder called .wav", "no file", "a.wav", wav, REFUSED, "", _folder),
              Kind("missing file", "no file", "a.wav", wav, REFUSED, "does not exist", _nowhere)]
    if os.name != "nt":
        found += [Kind("named pipe", "no file", "a.wav", wav, REFUSED, "a device or a pipe", _pipe),
                  Kind("link to nowhere", "no file", "a.wav", wav, REFUSED, "does not exist",
                       _dangling),
                  Kind("newline in the name", "WAV", "a.wav", wav, SCORED, "",
                       _named(b"new\nline.wav"))]
        if os.geteuid() != 0:
            found.append(Kind("no permission", "WAV", "a.wav", wav, REFUSED, "no permission",
                              _locked))
    if sys.platform == "linux":
        found += [Kind("name that is no UTF-8", "WAV", "a.wav", wav, SCORED, "",
                       _named(b"latin\xe4.wav")),
                  Kind("bad file whose name is no UTF-8", "no audio", "a.wav",
                       _bytes(b""), REFUSED, "empty", _named(b"\xff\xfe.wav")),
                  Kind("escape sequence in the name", "WAV", "a.wav", wav, SCORED, "",
                       _named(b"esc\x1b[31m.wav"))]
    return found
