"""What lies before, behind and beside the sound of a file changes no sample of it."""
import io
import struct
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest

from tests.robustness.everyday.ends import HTTP, RUBBISH, aac, mp3
from tests.robustness.everyday.lengths import JOINED
from tests.robustness.everyday.making.containers import chunk, pages, pcm, resealed, wav
from tests.robustness.everyday.making.sound import RATE, Track, fake, muxed, real, written
from utils.audio.decode import load_audio, open_audio
from utils.audio.sources import AudioError


def heard(data: bytes) -> tuple[np.ndarray, list[str]]:
    """The samples of a file, and what is said of it."""
    with open_audio(io.BytesIO(data)) as stream:
        samples = np.concatenate(list(stream))
    return samples, stream.info.missing + stream.info.remarks


@pytest.fixture(scope="module")
def plain():
    return np.frombuffer(pcm(real()), np.int16)


@pytest.mark.parametrize("front", [HTTP, RUBBISH, b"\r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_rubbish_in_front_is_left_out_and_told(plain, container, front):
    samples, said = heard(front + written(real(), container))
    assert np.array_equal(samples, plain)
    assert said == [f"{len(front)} bytes before the sound are none: they are left out"]


def test_what_is_something_else_is_not_searched_for_sound(plain):
    for front in (b"PK\x03\x04", b"%PDF-1.4\n"):
        with pytest.raises(AudioError, match="not audio: it is a"):
            heard(front + RUBBISH + written(real()))


@pytest.mark.parametrize("plain", [aac, mp3])
def test_rubbish_that_looks_like_a_frame_hides_no_frame(plain):
    samples, said = heard(RUBBISH + plain())        # it holds a header of AAC
    assert np.array_equal(samples, heard(plain())[0])
    assert said[0].endswith("bytes before the sound are none: they are left out")


@pytest.mark.parametrize("content", [
    lambda sound: wav(sound, 32001),                                    # half a sample
    lambda sound: wav(sound, 32001, behind=chunk(b"LIST", b"INFOISFT\4\0\0\0Lavf")),
    lambda sound: wav(sound + bytes(1 << 20), len(sound)),              # reserved, never written
    lambda sound: muxed("caf", [Track(real(), "alac", 16000)]),
    lambda sound: muxed("avi", [Track(real(), "pcm_s16le", 16000)] * 3, "mpeg4")])
def test_no_sample_is_lost_added_or_shifted(plain, content):
    samples, said = heard(content(plain.tobytes()))
    assert np.array_equal(samples[:len(plain)], plain) and len(samples) - len(plain) < 20
    assert not any("could be decoded" in sentence for sentence in said)


def test_joined_flac_of_two_rates_is_heard_at_both():
    samples, said = heard(written(real(), "FLAC") + written(fake(), "FLAC", rate=44100))
    assert len(samples) == pytest.approx(len(real()) + len(fake()), abs=2)
    assert said == ["2 recordings lie one behind the other in this file: all are judged"]


@pytest.mark.parametrize("skip", [312, 3840])
def test_opus_is_whole_whatever_its_head_says_to_skip(skip):
    first, *others = pages(muxed("ogg", [Track(real(), "libopus", 48000)]))
    at = first.find(b"OpusHead") + 10
    first = resealed(first[:at] + struct.pack("<H", skip) + first[at + 2:])
    whole = load_audio(io.BytesIO(first + b"".join(others)))
    assert len(whole) == pytest.approx(len(real()) - (skip - 312) / 3, abs=2)


@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_a_clock_that_jumps_by_hours_is_told_and_is_no_loss(container):
    track = Track(real(), gap=(2.4, 7200.0))
    samples, said = heard(muxed(container, [track]))
    assert len(samples) == pytest.approx(len(real()), abs=1500)
    assert len(said) == 1 and "its clock jumps by 7,200.0 s" in said[0]


# libav reads on over the joint, and what it decodes is no sound: that is told, or refused
NOT_HEARD = (("a.webm", "a.mkv"), ("a.mp3", "a.ts"), ("a.amr", "a.mp3"), ("a.amr", "a.aac"),
             ("a.amr", "a.ts"), ("a.amr", "a.mpg"), ("a.mpg", "a.ts"))


@lru_cache
def encoded(file: str, wave: Callable) -> tuple[bytes, float]:
    """A wave in one of the formats that people join, and how many seconds come of it."""
    data = dict(JOINED)[file](wave())
    return data, len(heard(data)[0]) / RATE


@pytest.mark.parametrize("first", [file for file, _ in JOINED])
def test_a_file_of_any_format_behind_one_of_any_format_is_heard(first):
    for second, _ in JOINED:
        if (first, second) in NOT_HEARD:
            continue
        (before, length), (behind, more) = encoded(first, real), encoded(second, fake)
        found = len(heard(before + behind)[0]) / RATE
        assert found == pytest.approx(length + more, abs=0.4), second
