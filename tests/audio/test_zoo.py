"""The whole zoo through the inference script: one verdict or one sentence each, the right exit
code, never a traceback.
"""
import io
import json
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.helpers.audio.audio_zoo import NOTED, REFUSED, Kind, example, kinds
from tests.conftest import ROOT
from tests.helpers.networks.scoring_models import write_small_model
from utils import simplified_inference as script
from utils.audio.decode import load_audio
from utils.audio.sources import AudioError
from utils.common.errors import InputError
from utils.common.errors import shown

ALL = kinds()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> dict[str, Path]:
    folder, wave = tmp_path_factory.mktemp("zoo"), example()
    return {kind.name: kind.write(folder, wave) for kind in ALL}


def test_the_zoo_is_large():
    assert len(ALL) >= 180 and len({kind.name for kind in ALL}) == len(ALL)
    assert len({kind.format for kind in ALL if kind.outcome in (NOTED, REFUSED)}) >= 25


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.outcome == REFUSED],
                         ids=lambda kind: kind.name)
def test_each_refused_kind_alone_ends_in_one_sentence_and_exit_1(kind: Kind, zoo, model):
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            code = script.main(["--model", str(model), "--threads", "1", "--input_file",
                                str(zoo[kind.name])])
    except InputError as error:   # of an input that holds no file at all
        assert kind.name == "folder called .wav" and "no recordings in" in str(error)
        return
    verdict, reason = out.getvalue().splitlines()
    assert code == 1 and verdict.endswith(": cannot judge") and reason.startswith("  reason     ")
    assert kind.words in reason and reason.isprintable() and len(reason) < 500


def test_the_whole_zoo_in_one_folder_is_accounted_for(zoo, model, tmp_path):
    folder = Path(os.path.commonpath([str(path.parent) for path in zoo.values()]))
    command = [sys.executable, ROOT / "utils" / "simplified_inference.py", "--model", model,
               "--threads", "1", "--input_file", folder, "--output", tmp_path / "r.jsonl"]
    done = subprocess.run(command, capture_output=True, timeout=300, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    found = {
        record["file"]: record
        for record in map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    }
    there = {
        shown(str(path)): kind
        for kind in ALL
        if os.path.lexists(path := zoo[kind.name]) and not path.is_dir()
    }
    left_out = [name for name, kind in there.items() if kind.name == "no extension"]
    assert sorted([*found, *left_out]) == sorted(there) and len(found) == len(ALL) - 3
    assert [
        name for name, record in found.items()
        if there[name].came_out(record) != there[name].outcome
    ] == []
    assert f"{len(found)} recordings: " in done.stdout
    assert "1 file without an audio suffix left out" in done.stdout
    refused = sum(kind.outcome == REFUSED for name, kind in there.items() if name in found)
    assert f"{refused} of them cannot be read" in done.stdout
    assert all(line.isprintable() for line in done.stdout.split("\n"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no such users")
@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"RIFF"), Path.mkdir])
def test_what_nobody_may_read_is_refused_by_root_turned_nobody(zoo, make):
    """Modes do not bind root, as whom tests often run: a child that has become another user asks.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "secret.wav"
        make(path)
        path.chmod(0)
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                load_audio(path)
                os._exit(1)
            except AudioError as error:
                os._exit(0 if "no permission to read" in str(error) else 2)
            finally:
                os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
