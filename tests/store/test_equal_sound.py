"""Recordings of equal sound are found although their files differ."""
import shutil
from pathlib import Path

import pytest
import soundfile

from utils import prepare_dataset, preprocess_data
from utils.common.errors import InputError

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "data/examples").glob("*.flac"))
CLASSES = {"train": slice(0, 2), "dev": slice(2, 4), "eval": slice(4, 6)}


def put(clip: Path, path: Path) -> None:
    """Copy a clip; as WAV where `path` says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".wav":
        soundfile.write(path, *soundfile.read(clip, dtype="int16"), subtype="PCM_16")
    else:
        shutil.copy(clip, path)


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder of the user's own with train, dev and eval, two clips of each class."""
    real = [clip for clip in EXAMPLES if clip.name.startswith("real")]
    fake = [clip for clip in EXAMPLES if clip not in real]
    for subset, some in CLASSES.items():
        for key, clips in (("real", real), ("fake", fake)):
            for clip in clips[some]:
                put(clip, tmp_path / "raw" / subset / key / clip.name)
    return tmp_path


def stored(data: Path) -> None:
    """Prepare and preprocess."""
    assert prepare_dataset.main(["--data_dir", str(data)]) == 0
    assert preprocess_data.main(["--data_dir", str(data)]) == 0


def first(data: Path, place: str) -> Path:
    return min((data / "raw" / place).iterdir())


def test_different_recordings_are_not_mentioned(data, capsys):
    stored(data)
    assert "CAREFUL" not in capsys.readouterr().out


@pytest.mark.parametrize("held", ["dev", "eval"])
def test_a_wav_copy_of_a_flac_in_train_is_refused(data, held):
    put(first(data, "train/fake"), data / "raw" / held / "fake/copy.wav")
    with pytest.raises(InputError, match=f"train and {held} share 1 recording .*copy"):
        stored(data)


def test_a_copy_in_dev_and_eval_is_told(data, capsys):
    put(first(data, "dev/fake"), data / "raw/eval/fake/copy.wav")
    stored(data)
    assert "CAREFUL: dev and eval share 1 recording" in capsys.readouterr().out


def test_a_copy_under_the_other_key_is_told(data, capsys):
    put(first(data, "train/real"), data / "raw/train/fake/copy.wav")
    stored(data)
    assert "CAREFUL: 1 recording under both keys" in capsys.readouterr().out
