"""What of a file is judged: every track, and every channel that holds speech of its own."""
import io

import av
import numpy as np
import pytest

from tests.robustness.everyday.making.sound import Track, fake, muxed, real, written
from utils.detector.voices import Comparison, Voice, voices
from utils.audio.decode import open_audio
from utils.common.errors import InputError

SAMPLES = len(real())


def found(*channels: np.ndarray):
    length = max(map(len, channels))
    waves = np.stack([np.pad(wave, (0, length - len(wave))) for wave in channels], axis=1)
    return voices(io.BytesIO(written(waves)))


def names(*channels: np.ndarray) -> list[str]:
    return [voice.name for voice in found(*channels).found]


def heard(content: bytes, voice: Voice) -> np.ndarray:
    with voice.open(io.BytesIO(content)) as stream:
        return np.concatenate(list(stream))


def test_one_channel_is_one_voice_and_nothing_is_said():
    told = voices(io.BytesIO(written(real())))
    assert told.found == [Voice()] and told.notes == []


def test_a_stereo_recording_of_one_talker_is_the_mean_of_both_channels():
    told = found(real(), 0.7 * real())
    assert [voice.channels for voice in told.found] == [None] and told.notes == []


@pytest.mark.parametrize("gain", [1.0, 0.25, 0.06])
def test_two_talkers_on_two_channels_are_two_voices(gain):
    assert names(real(), gain * fake()) == ["left channel", "right channel"]


def test_two_talkers_in_turns_are_two_voices():
    first = np.pad(real(), (0, len(fake())))
    second = np.pad(fake(), (len(real()), 0))
    assert names(first, second) == ["left channel", "right channel"]


@pytest.mark.parametrize("dead", [
    np.zeros(SAMPLES), np.full(SAMPLES, 0.3),
    0.03 * np.sin(2 * np.pi * 50 * np.arange(SAMPLES) / 16000),
    0.005 * np.random.default_rng(1).standard_normal(SAMPLES)],
    ids=["silent", "offset", "hum", "hiss"])
def test_a_channel_without_speech_is_left_out_and_named(dead):
    told = found(dead, real())
    assert [voice.channels for voice in told.found] == [(1,)]
    assert told.notes == ["left channel holds no speech: left out"]


@pytest.mark.parametrize("from_sample", [0, 20000, 50000])
def test_opposite_phase_is_told_wherever_it_begins_and_one_channel_is_taken(from_sample):
    flipped = np.where(np.arange(len(real())) < from_sample, 1, -1) * real()
    told = found(real(), flipped)
    assert len(told.found) == 1 and len(told.found[0].channels) == 1
    assert "opposite phase" in told.notes[0]


@pytest.mark.parametrize("count, speaks", [(6, 2), (8, 2), (4, 3), (3, 0)])
def test_of_many_channels_the_one_that_speaks_is_taken(count, speaks):
    waves = [0 * real() for _ in range(count)]
    waves[speaks] = real()
    told = found(*waves)
    assert [voice.channels for voice in told.found] == [(speaks,)]


def test_where_nothing_speaks_the_whole_stands_for_all():
    assert found(0 * real(), 0 * real()).found == [Voice()]


def test_every_track_is_a_voice_of_its_own_sound():
    content = muxed("matroska", [Track(real(), "flac", 16000), Track(fake(), "flac", 16000)])
    told = voices(io.BytesIO(content))
    assert [voice.name for voice in told.found] == ["track 1", "track 2"]
    assert told.notes == ["2 sound tracks, each judged"]
    for voice, wave in zip(told.found, (real(), fake())):
        assert np.abs(heard(content, voice) / 32768 - wave).max() < 1e-4


def test_a_silent_track_is_left_out_and_named():
    told = voices(io.BytesIO(muxed("mp4", [Track(0 * real()), Track(fake())])))
    assert [voice.track for voice in told.found] == [1]
    assert told.notes == ["2 sound tracks", "track 1 holds no speech: left out"]


def test_channels_are_averaged_or_taken_alone():
    content = written(np.stack([real(), -0.5 * real(), 0.25 * real()], axis=1))
    for channels, gain in ((None, 0.25), ((0,), 1.0), ((1, 2), -0.125)):
        with open_audio(io.BytesIO(content), channels=channels) as stream:
            wave = np.concatenate(list(stream)) / 32768
        assert np.abs(wave - gain * real()).max() < 1e-4


def test_channels_that_come_and_go_are_heard_as_their_mean():
    content = muxed("mpegts", [Track(real())]) + muxed("mpegts", [Track(np.stack([real()] * 2, 1))])
    with av.open(io.BytesIO(content)) as file:
        assert len(file.streams.audio) == 1
    assert [voice.channels for voice in voices(io.BytesIO(content)).found] == [None]


def test_sound_that_differs_stays_apart_over_many_windows():
    compared = Comparison()
    block = np.stack([np.resize(real(), 64600), np.resize(fake(), 64600)], axis=1)
    for start in range(3):
        compared.add(start * 64600, (block * 32768).astype(np.int16))
    assert compared.groups(compared.speaking()) == [[0], [1]]


def test_the_comparison_can_be_watched_and_ended():
    """Every block of every track goes by, and an end there is not one of a track alone."""
    stereo = written(np.stack([real(), real()], axis=1))
    lengths = []

    def counted(stream):
        for block in stream:
            lengths.append(block.shape)
            yield block

    def ended(stream):
        yield next(stream)
        raise InputError("enough")

    voices(io.BytesIO(stereo), counted)
    assert sum(length for length, _ in lengths) == SAMPLES and {c for _, c in lengths} == {2}
    for content in (stereo, muxed("mp4", [Track(real()), Track(fake())])):
        with pytest.raises(InputError, match="enough"):
            voices(io.BytesIO(content), ended)
