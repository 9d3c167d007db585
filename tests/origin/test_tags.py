"""Labels, tags and edits: told of every container, safely, and never mixed into the score."""
import io
import json
import time

import numpy as np
import pytest
import soundfile

from tests.helpers.audio.audio_encodings import by_soundfile, speech
from tests.helpers.audio.example_speech import EXAMPLES
from tests.helpers.networks.scoring_models import write_small_model
from utils import simplified_inference
from utils.audio.decode import open_audio
from utils.detector import Detector
from utils.origin.statement import BY_ANYBODY
from utils.origin.told import statements

marks = pytest.importorskip("tests.helpers.audio.origin_marks",
                            reason="c2pa-python is not installed")

CLIP = EXAMPLES / "real_ljspeech_en.flac"
WAVE = speech(CLIP)
SAMPLES = soundfile.read(CLIP, dtype="int16")[0]
WAV = by_soundfile(WAVE, "WAV", "PCM_16", 16000, 1)
LABEL = json.dumps(marks.AIGC)
GENERATED = "AIGC label 1: generated; producer Speech Factory, number 7"
ESCAPES = "\x1b[31mred\x07\r\n\u202e"


def told(content):
    with open_audio(io.BytesIO(content)) as stream:
        for _ in stream:
            pass
    return statements(stream.info, io.BytesIO(content))


def says(content, what):
    return [entry["says"] for entry in told(content) if entry["what"] == what]


@pytest.mark.parametrize("container, encoder, options", [
    ("mp3", "libmp3lame", {}), ("flac", "flac", {}), ("ogg", "flac", {}),
    ("mp4", "aac", {"movflags": "use_metadata_tags"}), ("matroska", "flac", {})])
def test_an_aigc_label_is_read_of_every_container(container, encoder, options):
    content = marks.tagged(SAMPLES[:32000], container, encoder, {"AIGC": LABEL}, **options)
    assert says(content, "generated_label") == [GENERATED]
    assert [entry["generated"] for entry in told(content)
            if entry["what"] == "generated_label"] == [True]


def test_an_aigc_chunk_and_tag_of_a_wav_are_told_once():
    content = marks.with_chunks(WAV, marks.chunk(b"AIGC", LABEL.encode()))
    assert says(content, "generated_label") == [GENERATED]
    assert says(marks.with_info(content, AIGC=LABEL.encode()), "generated_label") == [GENERATED]


@pytest.mark.parametrize("label, words", [
    ('{"AIGC": {"Label": "2"}}', "AIGC label 2: possibly generated"),
    ('{"Label": "9"}', "AIGC label 9: of unknown meaning"),
    ("no JSON", "AIGC label that is not in order: no JSON"),
    ("[" * 100_000, "AIGC label that is not in order: [[["), ("[1]", "not in order: [1]")])
def test_labels_that_are_not_sure_or_not_in_order_are_not_called_generated(label, words):
    entry, = (entry for entry in told(marks.with_info(WAV, AIGC=label.encode()))
              if entry["what"] == "generated_label")
    assert words in entry["says"] and entry["generated"] is None and len(entry["says"]) <= 200


@pytest.mark.parametrize("attribute, element", [
    ('Iptc4xmpExt:DigitalSourceType="{}"', ""),
    ("", "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>")])
def test_the_digital_source_type_of_an_xmp_packet_is_told(attribute, element):
    url = marks.SOURCE_TYPE + "trainedAlgorithmicMedia"
    packet = marks.XMP.format(attribute.format(url), element.format(url)).encode()
    content = marks.with_chunks(WAV, marks.chunk(b"_PMX", packet))
    assert says(content, "generated_label") == [
        "IPTC digital source type: created by a trained model (trainedAlgorithmicMedia)"]


def test_an_xmp_packet_may_hold_an_aigc_label_and_a_tool():
    packet = marks.XMP.format(f"TC260:AIGC='{LABEL}' xmp:CreatorTool=\"Voice &amp; Co\"", "")
    content = marks.with_chunks(WAV, marks.chunk(b"_PMX", packet.encode()))
    assert says(content, "generated_label") == [GENERATED]
    assert says(content, "software") == ["XMP creator tool: Voice & Co"]


@pytest.mark.parametrize("container, encoder", [
    ("mp3", "libmp3lame"), ("ipod", "aac"), ("flac", "flac"), ("ogg", "flac"), ("wav", "pcm_s16le"),
    ("matroska", "flac")])
def test_software_dates_and_comments_are_told_with_what_they_prove(container, encoder):
    content = marks.tagged(SAMPLES[:32000], container, encoder,
                           {"date": "2025-01-02", "comment": "hello"})
    by_kind = {entry["what"]: entry for entry in told(content)}
    assert "Lavf" in by_kind["software"]["says"]
    assert "FFmpeg" in by_kind["software"]["proves"]
    assert "2025-01-02" in by_kind["date"]["says"] and "hello" in by_kind["comment"]["says"]
    assert all(BY_ANYBODY in entry["proves"] for entry in by_kind.values())


def test_a_phone_and_a_recorder_name_themselves():
    phone = marks.tagged(SAMPLES[:32000], "mov", "aac", {"com.apple.quicktime.model": "iPhone 9"},
                         movflags="use_metadata_tags")
    assert says(phone, "device") == ["com.apple.quicktime.model: iPhone 9"]
    recorder = marks.tagged(SAMPLES[:32000], "wav", "pcm_s16le", {"originator": "Recorder 3"},
                            write_bext="1")
    assert "encoded_by: Recorder 3" in says(recorder, "software")


def test_an_edit_list_and_joined_files_are_told():
    content = marks.tagged(SAMPLES[:80000], "mp4", "aac", {}, cut=32000)
    assert says(content, "editing") == [
        "an edit list leaves out 2.1 s of sound that the file still holds"]
    assert says(marks.tagged(SAMPLES[:80000], "mp4", "aac", {}), "editing") == []
    assert says(WAV + WAV, "editing") == ["2 recordings lie one behind the other"]


def test_a_file_that_says_nothing_has_no_statements():
    assert told(WAV) == []


@pytest.mark.parametrize("tag, shown", [
    ("Müller".encode("latin-1"), "encoder: Müller"), ("Müller".encode(), "encoder: Müller"),
    (ESCAPES.encode(), "encoder: \\x1b[31mred\\x07 \\u202e"), (b"\xff\xfe\x81", "encoder: ÿþ"),
    (b"x" * 5_000_000, "encoder: " + 190 * "x" + "…")])
def test_hostile_tags_are_told_safely(tag, shown):
    line, = says(marks.with_info(WAV, ISFT=tag), "software")
    assert line.startswith(shown) and line.isprintable() and len(line) <= 200


def test_thousands_of_tags_and_packets_cost_little():
    tags = b"".join(marks.chunk(b"I%03d" % (i % 1000), b"x" * 50) for i in range(20_000))
    packets = marks.chunk(b"_PMX", (b"<x:xmpmeta" + b":AIGC>" * 20) * 10_000 + b"</x:xmpmeta>")
    content = marks.with_chunks(WAV, marks.chunk(b"LIST", b"INFO" + tags), packets,
                                marks.chunk(b"AIGC", b"{" * 60_000))
    begun = time.process_time()
    assert len(told(content)) <= 30
    assert time.process_time() - begun < 2


def test_a_tag_in_another_encoding_does_not_stop_a_verdict(tmp_path):
    """Such a file was refused once."""
    content = marks.with_info(WAV, IART="Müller".encode("latin-1"))
    with open_audio(io.BytesIO(content)) as stream:
        assert sum(map(len, stream)) == len(WAVE)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("model"))


def test_labels_move_no_score_and_stand_apart_from_it(model, tmp_path, capsys):
    plain, marked = tmp_path / "plain.wav", tmp_path / "marked.wav"
    plain.write_bytes(WAV)
    marked.write_bytes(marks.with_info(WAV, AIGC=LABEL.encode(), ISFT=ESCAPES.encode()))
    detector = Detector.load(model, threads=1)
    before, after = (detector.judge(path) for path in (plain, marked))
    assert before["origin"] == [] and [entry["what"] for entry in after["origin"]] == [
        "generated_label", "software"]
    for name in ("score", "verdict", "reasons", "warnings", "notes", "windows"):
        assert before[name] == after[name]
    arguments = ["--model", str(model), "--threads", "1", "--input_file"]
    simplified_inference.main([*arguments, str(marked)])
    lines = capsys.readouterr().out.splitlines()
    assert f"  file says  generated label: {GENERATED}" in lines
    assert lines[-1].strip() == f"({BY_ANYBODY}, and moves no score)"
    assert "\x1b" not in "".join(lines)
    simplified_inference.main([*arguments, str(plain)])
    assert "nothing of where it comes from" in capsys.readouterr().out.splitlines()[-1]


def test_a_table_names_labels(model, tmp_path, capsys):
    for number in range(4):
        (tmp_path / f"{number}.wav").write_bytes(marks.with_info(WAV, AIGC=LABEL.encode()))
    simplified_inference.main(["--model", str(model), "--threads", "1", "--output",
                               str(tmp_path / "x.csv"), "--input_file", str(tmp_path)])
    assert capsys.readouterr().out.count(f"the file says: {GENERATED}") == 4
    assert (tmp_path / "x.csv").read_text().count(f"generated_label: {GENERATED}") == 4


def test_tags_of_an_empty_sound_are_not_asked_for(model):
    record = Detector.load(model, threads=1).judge(b"no audio")
    assert record["origin"] == [] and np.isscalar(record["error"])
