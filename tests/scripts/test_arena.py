"""The arenas: their harness' calls give a verdict's scores, and their score files are read and
written."""
import json

import numpy as np
import pytest
import soundfile

from tests.helpers.audio.example_speech import example_files
from tests.helpers.networks.scoring_models import write_small_model
from tests.helpers.steps import step
from utils.arena import Model
from utils.detector import Detector


def test_the_harness_gets_the_scores_of_verdicts_and_its_file_is_evaluated(tmp_path, monkeypatch):
    """The calls, the waves and the lines are those of speech-spoof-bench's runner."""
    path = write_small_model(tmp_path)
    files = {file.stem: file for key in ("bonafide", "spoof") for file in example_files(key)[:2]}
    monkeypatch.setenv("ARENA_MODEL", str(path))
    model = Model()
    model.load()
    lines = []
    for name, file in files.items():
        wave, rate = soundfile.read(file, dtype="float32")
        lines.append(f"{name} {float(model.score_batch([wave], [rate])[0]):.6f}\n")
    model.unload()
    detector = Detector.load(path)
    for line, file in zip(lines, files.values()):
        assert float(line.split()[1]) == pytest.approx(detector.judge(file)["score"], abs=1e-5)
    (tmp_path / "scores.txt").write_text("".join(lines))
    metadata = [f"/audio/{name}.flac,{'bonafide' if name.startswith('real') else 'spoof'}\n"
                for name in files]
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + "".join(metadata))
    done = step("utils/evaluate_model.py", "--scores", tmp_path / "scores.txt", "--keys",
                tmp_path / "metadata.csv", "--json", "--replicates", 0)
    assert done.returncode == 0 and json.loads(done.stdout)["trials"]["spoof"] == 2


def test_own_scores_are_written_as_arenas_read_them(tmp_path):
    (tmp_path / "scores.tsv").write_text("filename\tcm-score\nb\t-1.25\na\t2\n")
    done = step("utils/arena.py", "--scores", tmp_path / "scores.tsv", "--output",
                tmp_path / "scores.txt")
    assert done.returncode == 0
    assert (tmp_path / "scores.txt").read_text() == "b -1.250000\na 2.000000\n"
    (tmp_path / "scores.tsv").write_text("filename\tcm-score\na b\t-1\n")
    done = step("utils/arena.py", "--scores", tmp_path / "scores.tsv", "--output",
                tmp_path / "scores.txt")
    assert done.returncode == 1 and "have no blanks" in done.stderr


def test_the_published_score_is_had_on_demand(tmp_path, monkeypatch):
    from utils.detector.engines import load_engine
    from utils.detector.scoring import published_score
    path = write_small_model(tmp_path)
    monkeypatch.setenv("ARENA_MODEL", str(path))
    monkeypatch.setenv("ARENA_PUBLISHED", "1")
    model = Model()
    model.load()
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 8000).astype(np.float32)
    samples = np.rint(wave * 32768).astype(np.int16)
    assert model.score_batch([wave], [16000]) == [published_score(load_engine(path), [samples])]
