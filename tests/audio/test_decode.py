"""What the decoder promises: the same sound whatever carries it, whole or not at all."""
import hashlib
import io
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from tests.helpers.audio.audio_encodings import (PYAV_KINDS, SOUNDFILE_KINDS, UNMARKED, at_rate,
                                                 build, by_pyav, by_soundfile)
from tests.helpers.audio.audio_zoo import example
from tests.conftest import ROOT
from utils.audio.decode import load_audio, open_audio
from utils.audio.promises import TOLERANCE
from utils.audio.sources import AudioError

KINDS = [name for name, *_ in SOUNDFILE_KINDS + PYAV_KINDS]
# their index lies at the end, or one block is all
INDEX_LAST = ("m4a", "m4a-alac", "mp4", "mov", "3gp-amr", "mp4-flac", "wavpack")
LOSSLESS = {name for name, _, codec, *_ in SOUNDFILE_KINDS if codec.startswith(
    ("PCM", "FLOAT", "DOUBLE", "ALAC", "ULAW", "ALAW"))} | {
    name for name, _, codec, *_ in PYAV_KINDS if codec in ("alac", "flac", "tta", "wavpack")}
LOSSLESS_16K = ("wav-16", "wav-24", "wav-32", "wav-float", "wav-double", "rf64", "w64", "aiff",
                "au", "caf", "caf-alac", "nist", "flac", "m4a-alac", "mka-flac", "ogg-flac",
                "mp4-flac")


class Files(dict):
    """Contents by name, shown in a failure without the contents."""

    def __repr__(self) -> str:
        return f"{len(self)} files"


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    return example()


@pytest.fixture(scope="session")
def zoo(clip) -> dict[str, bytes]:
    return Files(build(clip))


def decode(content: bytes, whole: bool = False):
    with open_audio(io.BytesIO(content), whole=whole) as stream:
        blocks = list(stream)
    return np.concatenate(blocks), stream.info


def snr(wave: np.ndarray, reference: np.ndarray, reach: int = 1200) -> float:
    """dB by which `reference` stands out of what differs, at the best delay (an encoder's) up to
    `reach` and the best gain.
    """
    length = min(len(wave), len(reference)) - 2 * reach
    spectrum = np.fft.rfft(wave, 1 << 17) * np.conj(np.fft.rfft(reference, 1 << 17))
    delay = int(np.argmax(np.roll(np.fft.irfft(spectrum), reach)[:2 * reach])) - reach
    part, reference = wave[reach + delay:reach + delay +
                           length].astype(float), reference[reach:reach + length]
    error = part - reference * (part @ reference) / (reference @ reference)
    return 10 * np.log10((part @ part) / (error @ error + 1e-9))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_the_speech_it_was_made_from(name, zoo, clip):
    wave, info = decode(zoo[name])
    assert wave.dtype in (np.int16, np.float32) and info.n_samples == len(wave)
    assert -800 < len(wave) - len(clip) < 2500, "length"
    assert abs(info.seconds - len(wave) / 16000) < 0.01
    assert snr(wave, clip) > (3 if "amr" in name or "gsm" in name else 9), "content"
    assert 0.2 < info.peak < 0.8 and info.channels in (1, 2, 6)


@pytest.mark.parametrize("name", LOSSLESS_16K)
def test_lossless_16_khz_comes_out_bit_for_bit(name, zoo, clip):
    assert np.array_equal(decode(zoo[name])[0], (clip * 32768).astype(np.int16))


def test_official_flac_is_what_libsndfile_reads_as_int16(shared):
    for path in (shared / "reference" / "asvspoof" / "audio").glob("*.flac"):
        assert np.array_equal(load_audio(path), soundfile.read(path, dtype="int16")[0])


def test_sound_flac_that_libsndfile_refuses_is_read_exactly(shared):
    folder = shared / "reference" / "hard-audio"
    for line in (folder / "expected.tsv").read_text().splitlines()[1:]:
        name, samples, sha256 = line.split("\t")
        wave = load_audio(folder / name)
        assert len(wave) == int(samples) and hashlib.sha256(
            wave.astype("<i2").tobytes()).hexdigest() == sha256


@pytest.mark.parametrize("name", ("wav-44k-stereo", "wav-8k", "wav-6ch", "wav-11k", "flac-24"))
def test_blocks_are_the_mean_of_the_channels_resampled_at_once(name, clip):
    how = next(how for kind, *how in SOUNDFILE_KINDS if kind == name)
    content = by_soundfile(np.tile(clip, 20), *how)  # several blocks
    wave = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)[0].mean(axis=1)
    if how[2] != 16000:
        wave = soxr.resample(wave, how[2], 16000, "HQ")
    expected = np.clip(np.rint(wave * 32768), -32768, 32767)
    found = decode(content)[0]
    assert len(found) == len(expected) and np.abs(found - expected).max() <= 1


def test_load_audio_is_the_blocks_of_open_audio_joined_and_rounded(zoo, tmp_path):
    for name in ("flac", "wav-44k-stereo", "m4a", "mp3"):
        path = tmp_path / name
        path.write_bytes(zoo[name])
        assert np.array_equal(load_audio(path), np.rint(decode(zoo[name])[0]))


def test_a_slice_of_an_archive_is_the_file_itself(zoo, tmp_path):
    archive = tmp_path / "all.bin"
    archive.write_bytes(b"x" * 777 + b"".join(zoo[name] for name in KINDS))
    offset = 777
    for name in KINDS:
        assert np.array_equal(load_audio((archive, offset, len(zoo[name]))),
                              np.rint(decode(zoo[name])[0])), name
        offset += len(zoo[name])


def test_large_files_are_read_through_a_view_with_the_same_result(zoo, monkeypatch, tmp_path):
    expected = {name: np.rint(decode(zoo[name])[0]) for name in KINDS}
    monkeypatch.setattr("utils.audio.sources.SMALL", 100)
    for name in KINDS:
        (tmp_path / "f").write_bytes(zoo[name])
        assert np.array_equal(load_audio(tmp_path / "f"), expected[name]), name


def test_content_decides_and_the_name_does_not(zoo, tmp_path):
    for name, ending in (("flac", ".wav"), ("wav-16", ".mp3"), ("m4a", ".raw"), ("mp3", ".flac"),
                         ("opus", ".txt")):
        path = tmp_path / f"wrong{ending}"
        path.write_bytes(zoo[name])
        assert np.array_equal(load_audio(path), np.rint(decode(zoo[name])[0]))


def test_raw_g722_has_no_header_and_is_known_by_its_name(clip, tmp_path):
    content = by_pyav(clip, "g722", "g722", 16000, 1)
    (tmp_path / "voice.g722").write_bytes(content)
    assert snr(load_audio(tmp_path / "voice.g722"), clip) > 10
    with pytest.raises(AudioError, match="is not audio"):
        decode(content)


def test_a_pipe_is_read_to_its_end(zoo):
    code = ("import sys; from utils.audio.decode import load_audio\n"
            "sys.stdout.buffer.write(load_audio(sys.stdin.buffer).tobytes())")
    done = subprocess.run([sys.executable, "-c", code], input=zoo["flac"], capture_output=True,
                          cwd=ROOT, check=True)
    assert np.array_equal(np.frombuffer(done.stdout, np.int16), decode(zoo["flac"])[0])


def test_tags_before_and_after_the_sound_change_nothing(zoo):
    tag = b"ID3\x04\0\0" + bytes((0, 0, 10, 0)) + bytes(1280)
    for name in ("flac", "wav-16", "aiff", "mp3", "aac"):
        assert np.array_equal(decode(tag + zoo[name])[0], decode(zoo[name])[0]), name
    assert np.array_equal(decode(zoo["mp3"] + b"TAG" + bytes(125))[0], decode(zoo["mp3"])[0])
    assert np.array_equal(decode(zoo["wav-16"] + b"LIST\4\0\0\0abcd")[0], decode(zoo["wav-16"])[0])


def test_two_ogg_files_in_one_are_both_heard(zoo):
    for name in ("vorbis", "opus"):
        assert abs(len(decode(zoo[name] * 2)[0]) - 2 * len(decode(zoo[name])[0])) < 1000


def test_a_streamed_wav_without_its_length_is_read_to_the_end_and_said(zoo, clip):
    content = bytearray(zoo["wav-16"])
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    wave, info = decode(bytes(content))
    assert len(wave) == len(clip) and info.unmarked_end
    assert not decode(zoo["wav-16"])[1].unmarked_end


def test_info_tells_the_length_to_come_from_the_first_block_on(clip):
    for name in ("wav-44k-stereo", "flac", "mp3", "m4a", "webm"):
        table = {kind: (make, how) for make, kinds in ((by_soundfile, SOUNDFILE_KINDS),
                                                       (by_pyav, PYAV_KINDS))
                 for kind, *how in kinds}
        make, how = table[name]
        with open_audio(io.BytesIO(make(np.tile(clip, 20), *how))) as stream:
            next(stream)
            expected = stream.info.expected_seconds
            for _ in stream:
                pass
        assert expected == pytest.approx(stream.info.seconds, abs=0.2) and expected > 20, name


def test_info_counts_clipped_samples(clip):
    loud = np.clip(clip * 1.5 / np.abs(clip).max(), -1, 1)
    for subtype in ("PCM_16", "PCM_U8", "FLOAT", "PCM_24"):
        info = decode(by_soundfile(loud, "WAV", subtype, 16000, 1))[1]
        assert info.clipped_fraction == pytest.approx(np.mean(np.abs(loud) == 1),
                                                      rel=0.2) and info.peak > 0.99
    assert decode(by_soundfile(clip * 0.9, "WAV", "PCM_16", 16000, 1))[1].clipped_fraction == 0


def test_beyond_full_scale_is_clipped_only_where_it_is_rounded(clip):
    loud = clip / np.abs(clip).max() * 3
    wave, info = decode(float_wav(loud))
    assert info.peak == pytest.approx(3) and np.abs(wave / 32768 - loud).max() < 1e-6
    clipped = decode(float_wav(loud), whole=True)[0]
    assert np.array_equal(clipped, np.rint(32768 * loud).clip(-32768, 32767))


@pytest.mark.parametrize("name", KINDS)
def test_cut_anywhere_no_part_of_it_passes_for_a_whole_utterance(name, zoo):
    """`UNMARKED` formats cannot know of a cut between two frames, and say so. What is padding or an
    index may be missing, and of lossy sound a few frames.
    """
    whole = decode(zoo[name], whole=True)[0]
    rng = random.Random(name)
    for cut in [len(zoo[name]) - 1, *(rng.randrange(1, len(zoo[name])) for _ in range(12))]:
        try:
            wave, info = decode(zoo[name][:cut], whole=True)
        except AudioError as error:
            assert "\n" not in str(error)
            continue
        allowed = name in UNMARKED and info.unmarked_end or (
            name not in LOSSLESS and len(whole) - len(wave) < TOLERANCE * 16000)
        assert allowed or np.array_equal(wave, whole), f"{name} cut at {cut} passed for whole"


@pytest.mark.parametrize("name", KINDS)
def test_cut_anywhere_what_is_left_is_heard_and_the_loss_told(name, zoo):
    whole = decode(zoo[name])[0]
    rng = random.Random(name)
    heard = 0
    for cut in (rng.randrange(len(zoo[name]) // 3, len(zoo[name])) for _ in range(6)):
        try:
            wave, info = decode(zoo[name][:cut])
        except AudioError as error:
            assert "cut short" in str(error)
            continue
        heard += 1
        lost = len(whole) - len(wave) > (TOLERANCE + 0.05) * 16000
        assert info.missing or info.unmarked_end or not lost, f"{name} cut at {cut}"
    assert heard or name in INDEX_LAST


def float_wav(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, values, 16000, "FLOAT", format="WAV")
    return buffer.getvalue()


def test_places_that_are_no_file_are_refused(tmp_path):
    with pytest.raises(AudioError, match="does not exist"):
        load_audio(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="is a folder"):
        load_audio(tmp_path)
    with pytest.raises(AudioError, match="cannot be opened"):
        load_audio("a\0b.wav")
    (tmp_path / "short.bin").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match="cut short"):
        load_audio((tmp_path / "short.bin", 2, 10))


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="a device or a pipe"):
        load_audio(tmp_path / "pipe.wav")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not take such names")
def test_names_that_cannot_be_printed_are_escaped(zoo, tmp_path):
    for name in (b"new\nline.wav", b"latin\xe4.wav", b"esc\x1b[31m.wav"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes(zoo["wav-16"])
        assert len(load_audio(path))
        path.write_bytes(b"")
        with pytest.raises(AudioError) as error:
            load_audio(path)
        str(error.value).encode("utf-8")
        assert str(error.value).isprintable()


def test_ten_times_the_sound_takes_the_same_memory(clip, tmp_path):
    """Peak memory of decoding 1 and 10 minutes of 44.1 kHz stereo, each in a process of its own."""
    peaks = []
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.wav"
        second = np.rint(at_rate(clip, 44100, 2)[:44100] * 32767).astype(np.int16)
        with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
            for _ in range(minutes * 60):
                file.write(second)
        code = (
            "import sys; from utils.audio.decode import open_audio\n"
            "with open_audio(sys.argv[1]) as stream: n = sum(map(len, stream))\n"
            "lines = open('/proc/self/status')\n"
            "print(n, [line.split()[1] for line in lines if line.startswith('VmHWM')][0])"
        )
        if sys.platform != "linux":
            pytest.skip("peak memory is read from /proc")
        n, peak = subprocess.check_output([sys.executable, "-c", code, path], cwd=ROOT,
                                          text=True).split()
        assert int(n) == minutes * 60 * 16000
        peaks.append(int(peak))
        path.unlink()
    assert peaks[1] < peaks[0] * 1.1


def test_errors_may_cross_process_borders():
    assert str(pickle.loads(pickle.dumps(AudioError("x is empty")))) == "x is empty"
