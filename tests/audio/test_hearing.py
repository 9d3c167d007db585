"""What odd files give: nothing is heard twice, lost without a word, or made longer than it is."""
import io
import time
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.robustness.everyday.making.containers import (chunk, pcm, wav, with_edits,
                                                         with_layout, with_sound_box)
from tests.robustness.everyday.making.sound import Track, fake, muxed, real, seconds, written
from utils.audio.decode import open_audio
from utils.audio.sources import AudioError
import contextlib


def heard(content: bytes, track: int = 0, whole: bool = False):
    with open_audio(io.BytesIO(content), track, whole=whole) as stream:
        blocks = list(stream)
    return np.concatenate(blocks) / 32768, stream.info


def stamped(at, container: str = "matroska", codec: str = "libopus", rate: int = 48000) -> bytes:
    """Real speech whose packets have the time stamps `at(number, seconds)`; None leaves one out."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(muxed(container, [Track(real(), codec, rate)]))) as source, av.open(
            buffer, "w", format=container, options={"live": "1"}) as file:
        stream = file.add_stream_from_template(source.streams.audio[0])
        for number, packet in enumerate(source.demux(source.streams.audio[0])):
            if not packet.size:
                continue
            when = at(number, float(packet.pts * packet.time_base))
            if when is not None:
                packet.pts = packet.dts = round(Fraction(when) / packet.time_base)
                packet.stream = stream
                file.mux(packet)
    return buffer.getvalue()


def test_a_large_file_that_is_no_audio_is_refused_in_one_sentence(tmp_path):
    for size in (5_000, 5_000_000):
        path = tmp_path / f"{size}.wav"
        path.write_bytes(b"%PDF-1.7\n" + bytes(size))
        with pytest.raises(AudioError, match="a PDF document"), open_audio(path):
            pass


def test_joined_files_are_heard_bit_for_bit():
    both = np.concatenate([real(), fake()])
    for kind in ("WAV", "AIFF", "W64", "RF64", "CAF", "FLAC"):
        wave, info = heard(written(real(), kind) + written(fake(), kind))
        assert np.abs(wave - both).max() < 1e-4 and info.remarks, kind


def test_damage_in_the_second_of_two_joined_files_is_told():
    second = written(fake())
    info = heard(written(real()) + second[:len(second) // 2])[1]
    whole = seconds(fake())
    assert info.missing == [f"{whole / 2:.1f} of {whole:.1f} s could be decoded"]


def test_what_lies_between_joined_files_hides_none_of_them():
    wave, info = heard(written(real()) + b"fLaC\0\0\0\x22 no flac" + written(fake()))
    assert abs(len(wave) - len(real()) - len(fake())) < 1600 and "2 recordings" in info.remarks[0]


def test_samples_behind_the_promised_end_are_heard_and_tags_are_not():
    sound = pcm(real())
    assert np.abs(heard(wav(sound, data_length=16000))[0] - real()).max() < 1e-4
    picture = np.random.default_rng(1).bytes(60_000)
    for behind in (chunk(b"LIST", picture), chunk(b"id3 ", picture)[:-5000],
                   chunk(b"JUNK", b"") + chunk(b"LIST", picture)):
        wave, info = heard(wav(sound, behind=behind))
        assert len(wave) == len(real()) and info.remarks == []


def test_both_data_chunks_of_a_wav_are_heard():
    wave, info = heard(wav(pcm(real()), behind=chunk(b"data", pcm(fake()))))
    assert np.abs(wave - np.concatenate([real(), fake()])).max() < 1e-4 and info.remarks


def test_a_pause_keeps_its_place_and_its_length():
    wave, info = heard(stamped(lambda number, at: at + 5.0 * (at >= 2.0)))
    assert abs(len(wave) / 16000 - seconds(real()) - 5) < 0.1
    assert not wave[int(2.3 * 16000):int(6.8 * 16000)].any()
    assert len(info.remarks) == 1 and info.remarks[0].startswith("nothing from 2.0 to 7.0 s")


def test_small_losses_add_up_and_times_stay_those_of_the_file():
    content = stamped(lambda number, at: at if number % 2 else None)
    wave, info = heard(content)
    assert abs(len(wave) / 16000 - seconds(real())) < 0.2 and info.remarks
    with pytest.raises(AudioError, match="not one whole recording: nothing from"):
        heard(content, whole=True)


def test_pauses_do_not_make_hours_of_a_few_bytes():
    content = stamped(lambda number, at: 3000.0 * number if number < 8 else None)
    assert len(heard(content)[0]) < 3700 * 16000


@pytest.mark.parametrize("container, codec, rate", [("matroska", "flac", 16000),
                                                    ("matroska", "libopus", 48000)])
def test_a_late_start_is_told_and_is_no_loss(container, codec, rate):
    content = muxed(container, [Track(real(), codec, rate, start=0.5)])
    wave, info = heard(content, whole=True)
    assert abs(len(wave) / 16000 - seconds(real()) - 0.5) < 0.05
    assert info.missing == [] and info.remarks == ["the sound begins 0.5 s after the file does"]


def middle_of(count: int) -> np.ndarray:
    channels = np.zeros((len(real()), count))
    channels[:, 2] = real()
    return channels


def in_mov(count: int, container: str = "mov") -> bytes:
    return muxed(container, [Track(middle_of(count), "pcm_s16le", 16000)])


@pytest.mark.parametrize("content", [
    lambda: muxed("ipod", [Track(middle_of(8), "aac", 48000)]),
    lambda: muxed("ogg", [Track(middle_of(8), "libopus", 48000)]),
    lambda: muxed("wv", [Track(middle_of(24), "wavpack", 16000)]),
    lambda: with_layout(written(middle_of(8), "CAF"), 128),
    lambda: with_layout(written(middle_of(8), "AIFF"), 128),
    lambda: with_layout(in_mov(8), 128),
    *(lambda kind=kind, told=told: with_layout(written(middle_of(6), kind), places=told * [1])
      for kind in ("CAF", "AIFF") for told in (1, 6, 24)),
    lambda: with_layout(in_mov(6), places=24 * [1]),
    lambda: with_layout(in_mov(24), places=24 * [1]),
    lambda: with_sound_box(in_mov(6, "mp4"), b"chnl", b"\0\0\0\0\1\0" + 24 * b"\3")])
def test_many_channels_are_heard_whatever_is_said_of_their_places(content):
    """PyAV reads beyond the eighth plane of a frame, and frees a layout of odd places twice."""
    with open_audio(io.BytesIO(content()), channels=[2]) as stream:
        wave = np.concatenate(list(stream)) / 32768
    level = np.sqrt(np.mean(real() ** 2))
    assert abs(np.sqrt(np.mean(wave ** 2)) - level) < 0.1 * level
    assert abs(len(wave) / 16000 - seconds(real())) < 0.1


def test_a_pause_in_an_edit_list_holds_no_sound():
    content = muxed("mov", [Track(real(), "pcm_s16le", 16000)])
    wave, info = heard(with_edits(content, (2.0, 0.0), (3.0, -1), (2.0, 2.0)))
    assert not wave[int(2.1 * 16000):int(4.9 * 16000)].any() and abs(len(wave) / 16000 - 7) < 0.1
    assert info.remarks == ["nothing from 2.0 to 5.0 s: a pause, or a part that is lost"]


def test_tracks_of_ogg_are_compared_with_no_page_of_another():
    content = muxed("ogg", [Track(real(), "libopus", 48000), Track(real(), "flac", 16000)])
    assert [heard(content, track)[1].missing for track in (0, 1)] == [[], []]


def test_a_live_file_without_a_length_promises_none():
    info = heard(stamped(lambda number, at: at, codec="pcm_s16le", rate=16000), whole=True)[1]
    assert info.unmarked_end and info.missing == []


@pytest.mark.parametrize("content", [
    lambda: 2000 * written(real()[:40]), lambda: b"ID3\x04\0\0\0\0\0\0" * 300_000,
    lambda: wav(pcm(real()), before=300_000 * chunk(b"abcd", b"ab"))],
    ids=["joined", "tags", "chunks"])
def test_many_small_parts_take_no_quadratic_time(content):
    data = content()
    begun = time.process_time()
    with contextlib.suppress(AudioError):
        heard(data)
    assert time.process_time() - begun < 20
