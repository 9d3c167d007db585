"""Data that several tests of training share."""
from pathlib import Path

import pytest

from tests.helpers.asvspoof5_archives import build_raw
from tests.helpers.steps import step


@pytest.fixture(scope="session")
def data_dir(clips: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of real speech in ASVspoof5's format, prepared and preprocessed.

    It is one part of dev, split by speaker.
    """
    data = tmp_path_factory.mktemp("training") / "data"
    build_raw(data / "raw", clips, speakers=9, utterances=8)
    for script, options in (("utils/prepare_dataset.py", ()),
                            ("utils/preprocess_data.py", ("--subset", "dev", "--workers", 1))):
        done = step(script, "--data_dir", data, *options)
        assert done.returncode == 0, done.stderr
    return data
