"""Whatever bytes it is given, the decoder returns sound or one sentence: no other error, no hang,
nothing that is not sound, nothing shorter than the file says without a word.
"""
import faulthandler
import io
import re
import struct
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.audio.audio_encodings import build
from tests.audio.test_decode import KINDS, clip, zoo  # noqa: F401  (fixtures)
from utils.audio.decode import open_audio
from utils.audio.info import AudioInfo
from utils.audio.promises import TOLERANCE
from utils.audio.sources import AudioError

CPU_SECONDS = 5  # for one file of a second and a half
KIND_OF_DAMAGE = st.sampled_from(("flip", "cut", "tail", "zero", "repeat", "splice", "head"))
STEP = st.tuples(KIND_OF_DAMAGE, st.floats(0, 1, exclude_max=True), st.integers(1, 4000),
                 st.sampled_from(KINDS))


def spoil(content: bytes, steps, zoo: dict[str, bytes]) -> bytes:  # noqa: F811
    """`content` after each of `steps`: (what, where as a share of the length, how much, which other
    file to splice in).
    """
    data = bytearray(content)
    for what, where, amount, other in steps:
        at = int(where * len(data))
        if what == "head":
            at, what = int(where * min(len(data), 120)), "flip"
        if what == "flip" and data:
            data[at] ^= 1 + amount % 255
        elif what == "cut":
            del data[at:at + amount]
        elif what == "tail":
            del data[at:]
        elif what == "zero":
            data[at:at + amount] = bytes(len(data[at:at + amount]))
        elif what == "repeat":
            data[at:at] = data[at:at + amount]
        elif what == "splice":
            data[at:] = zoo[other][int(where * len(zoo[other])):]
    return bytes(data)


def heard(content: bytes, whole: bool = False) -> tuple[np.ndarray, AudioInfo] | None:
    """What the decoder makes of `content` within a limit of time; None where it refuses it in one
    sentence.
    """
    # a hang in a decoder cannot be interrupted otherwise
    faulthandler.dump_traceback_later(60, exit=True)
    started = time.process_time()
    try:
        with open_audio(io.BytesIO(content), whole=whole) as stream:
            wave = np.concatenate(list(stream))
        assert wave.dtype in (np.int16, np.float32) and len(wave) == stream.info.n_samples > 0
        return wave, stream.info
    except AudioError as error:
        assert str(error).isprintable() and len(str(error)) < 300
        return None
    finally:
        faulthandler.cancel_dump_traceback_later()
        assert time.process_time() - started < CPU_SECONDS


def promised_samples(content: bytes, info: AudioInfo) -> tuple[int, int] | None:
    """(fewest, most) samples per channel that the header of `content` promises, read anew for this
    test; None where it says nothing that can be read in a few lines.
    """
    if content[:4] == b"fLaC" and (total := int.from_bytes(content[18:26], "big") & (1 << 36) - 1):
        return total, total
    if content[:4] == b"TTA1":
        return (struct.unpack_from("<I", content, 14)[0],) * 2
    if content[:4] == b"wvpk" and (total := struct.unpack_from("<I", content, 12)[0]) != 0xFFFFFFFF:
        return total, total
    pcm = re.fullmatch(r"pcm_(?:\D*?)(\d*)(?:le|be)?|pcm_.law", info.subtype)
    width = int(pcm[1] or 8) // 8 * info.channels if pcm else 0
    sound = None
    if content[:4] == b"RIFF" and width:
        _, sound = _chunk(content, 12, "<4sI", b"data")
    elif content[:4] == b"FORM" and width:
        at, length = _chunk(content, 12, ">4sI", b"SSND")
        # after an offset
        sound = length - 8 - struct.unpack_from(">I", content, at)[0] if length else 0
        form, there = _chunk(content, 12, ">4sI", b"COMM")
        if there and there >= 18:       # the number of samples; the sound may be padded
            sound = min(sound, struct.unpack_from(">I", content, form + 2)[0] * width)
    elif content[:4] == b".snd" and width:
        sound = struct.unpack_from(">I", content, 8)[0]
    if not sound or sound >= 0x7FFFF000:
        return None
    return sound // width, -(-sound // width)


def loss_is_told(content: bytes, info: AudioInfo) -> bool:
    """Whether all that the header of `content` promises was heard, or what is missing is told."""
    promise = promised_samples(content, info)
    if promise is None or info.missing or info.remarks or info.flaws:
        return True
    return promise[0] <= info.frames <= promise[1] + TOLERANCE * info.sample_rate


def _chunk(content: bytes, at: int, layout: str, name: bytes) -> tuple[int, int | None]:
    """Where the chunk's content begins, and its length; None where there is none."""
    while at + 8 <= len(content):
        found, length = struct.unpack_from(layout, content, at)
        if found == name:
            return at + 8, length
        at += 8 + length + length % 2
    return at, None


@settings(max_examples=500, deadline=None, derandomize=True,
          suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(KINDS), steps=st.lists(STEP, min_size=1, max_size=3))
def test_damage_ends_in_sound_or_words_and_losses_are_told(zoo, capfd, kind, steps):  # noqa: F811
    content = spoil(zoo[kind], steps, zoo)
    found = heard(content)
    assert "Traceback" not in capfd.readouterr().err
    assert not found or loss_is_told(content, found[1]), found


@settings(max_examples=500, deadline=None, derandomize=True,
          suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(KINDS), where=st.floats(0.05, 1, exclude_max=True),
       amount=st.integers(1, 9000))
def test_what_lost_its_middle_or_its_end_is_refused_unless_as_much_is_heard(
        zoo, kind, where, amount):  # noqa: F811
    """The header, untouched, still promises all of it. Formats without one say that they cannot
    tell. Of lossy sound a few frames may be lost.
    """
    whole = heard(zoo[kind])[1]
    at = int(where * len(zoo[kind]))
    found = heard(zoo[kind][:at] + zoo[kind][at + amount:], whole=True)
    if found and not found[1].unmarked_end:
        lost = abs(found[1].seconds - whole.seconds)
        assert lost <= (0 if whole.lossless else TOLERANCE), found[1]


@pytest.mark.parametrize("name", ["flac", "flac-24", "ogg-flac", "mka-flac", "mp4-flac", "tta",
                                  "wavpack", "vorbis", "opus"])
def test_files_with_sums_are_never_heard_wrongly(zoo, name):  # noqa: F811
    """As an utterance of a corpus, a file whose sound bytes changed is refused, unless exactly the
    same samples come out.
    """
    rng, size = np.random.default_rng(0), len(zoo[name])
    whole = heard(zoo[name])[0]
    for _ in range(20):
        data = bytearray(zoo[name])
        data[rng.integers(size // 10, size * 9 // 10)] ^= 1 << rng.integers(8)
        found = heard(bytes(data), whole=True)
        assert found is None or np.array_equal(found[0], whole)


def test_the_zoo_is_built_alike_each_time(clip):  # noqa: F811
    first, second = build(clip), build(clip)
    assert [name for name in KINDS if len(first[name]) != len(second[name])] == []
