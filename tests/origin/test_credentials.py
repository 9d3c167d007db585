"""Content credentials: who signed, whether the sound is the signed one, and what that proves."""
import io
import sys

import pytest

pytest.importorskip("c2pa", reason="c2pa-python is not installed")

from tests.helpers.audio.audio_encodings import by_pyav, by_soundfile, speech
from tests.helpers.audio.example_speech import EXAMPLES
from tests.helpers.audio.origin_marks import GENERATOR, SIGNER, XMP, chunk, signed, with_chunks
from utils.audio.decode import open_audio
from utils.origin import credentials
from utils.origin.told import statements

WAVE = speech(EXAMPLES / "real_ljspeech_en.flac")
FILES = {"audio/wav": by_soundfile(WAVE, "WAV", "PCM_16", 16000, 1),
         "audio/flac": by_soundfile(WAVE, "FLAC", "PCM_16", 16000, 1),
         "audio/mpeg": by_soundfile(WAVE, "MP3", "MPEG_LAYER_III", 16000, 1),
         "audio/mp4": by_pyav(WAVE, "ipod", "aac", 44100, 1)}


def told(content):
    """What a file says of itself about credentials."""
    with open_audio(io.BytesIO(content)) as stream:
        for _ in stream:
            pass
    return [entry for entry in statements(stream.info, io.BytesIO(content))
            if entry["what"] == "content_credentials"]


@pytest.mark.parametrize("mime", FILES)
def test_a_signed_file_tells_its_signer_and_generator(mime):
    entry, = told(signed(FILES[mime], mime))
    assert entry["signature"] is True and entry["sound"] is True and entry["generated"] is True
    assert entry["signer"] == SIGNER and entry["generator"] == f"{GENERATOR} 1"
    assert entry["source_types"] == ["trainedAlgorithmicMedia"]
    assert "created by a trained model" in entry["says"]
    assert "unchanged" in entry["proves"] and "no list of trusted ones" in entry["proves"]


def test_a_recording_is_not_called_generated():
    entry, = told(signed(FILES["audio/wav"], "audio/wav", "digitalCapture"))
    assert entry["generated"] is None and "captured from real life" in entry["says"]


@pytest.mark.parametrize("mime", FILES)
def test_sound_that_was_changed_later_is_not_the_signed_one(mime):
    content = bytearray(signed(FILES[mime], mime))
    at = content.find(FILES[mime][-9000:-8000])     # a piece of the sound
    content[at + 500] ^= 1
    entry, = told(bytes(content))
    assert entry["sound"] is False and entry["proves"].startswith("nothing of this sound")
    assert "mismatch" in entry["says"]


def test_credentials_of_another_signer_do_not_hold():
    content = signed(FILES["audio/wav"], "audio/wav")
    assert SIGNER.encode() in content
    entry, = told(content.replace(SIGNER.encode(), b"Honest Factory"[:len(SIGNER)]))
    assert entry["signature"] is not True and entry["proves"].startswith("nothing")


def test_a_forged_statement_is_not_called_signed_because_the_sound_was_changed_too():
    content = bytearray(signed(FILES["audio/wav"], "audio/wav"))
    at = content.find(FILES["audio/wav"][-9000:-8000])
    content[at + 500] ^= 1
    forged = content.replace(b"trainedAlgorithmicMedia", b"trainedAlgorithmicMedib")
    assert forged != content
    entry, = told(bytes(forged))
    assert entry["signature"] is False and entry["proves"].startswith("nothing")


def test_a_sum_that_leaves_bytes_out_proves_nothing_of_the_sound():
    codes = {"success": [credentials.SIGNED, "assertion.dataHash.match"],
             "informational": ["assertion.dataHash.additionalExclusionsPresent"]}
    results = {kind: [{"code": code} for code in found] for kind, found in codes.items()}
    entry = credentials._told({"active_manifest": "m", "manifests": {"m": {}},
                               "validation_results": {"activeManifest": results}})
    assert entry["signature"] is True and entry["sound"] is None
    assert "is not known" in entry["proves"] and "additionalExclusions" in entry["says"]


def test_a_broken_box_of_credentials_is_told_and_stops_nothing():
    content = bytearray(signed(FILES["audio/wav"], "audio/wav"))
    at = content.find(b"jumb")
    content[at + 20:at + 200] = bytes(180)
    entry, = told(bytes(content))
    assert "cannot be read" in entry["says"] and entry["proves"] == "nothing"


def test_credentials_that_lie_elsewhere_are_not_fetched():
    packet = XMP.format('dcterms:provenance="http://localhost:9/x.c2pa"', "").encode()
    entry, = told(with_chunks(FILES["audio/wav"], chunk(b"_PMX", packet)))
    assert "not fetched: http://localhost:9/x.c2pa" in entry["says"]
    assert entry["signature"] is None


def test_without_the_package_one_line_says_so(monkeypatch):
    content = signed(FILES["audio/wav"], "audio/wav")
    monkeypatch.setitem(sys.modules, "c2pa", None)
    entry, = told(content)
    assert entry["says"] == credentials.NOT_INSTALLED and entry["proves"] == "nothing"


def test_files_without_credentials_say_nothing_of_them():
    assert [told(content) for content in FILES.values()] == [[]] * 4
