"""The whole pipeline as a newcomer runs it: the guide's own commands, in order, in a folder with an
awkward name."""
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.asvspoof5_archives import build_raw

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("models", "utils", "notebooks", "requirements.txt", "run.sh")


def copy_project(folder: Path) -> Path:
    """A checkout of the project without anything that was made in it."""
    unwanted = shutil.ignore_patterns("__pycache__", "checkpoints", "pretrained")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=unwanted)
        else:
            shutil.copy2(ROOT / part, folder / part)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command in the checkout; it must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def sums(folder: Path, pattern: str) -> dict[str, str]:
    """SHA-256 of every matching file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
    }


@pytest.fixture(scope="module")
def project(clips: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose data/raw holds the minimal download: the protocols and one part of dev, in
    the real format."""
    folder = copy_project(tmp_path_factory.mktemp("pipeline") / "détecteur de démo")
    build_raw(folder / "data/raw", clips, speakers=9, utterances=8, absent=20)
    return folder


@pytest.mark.parametrize("extract", [False, True], ids=["in place", "extracted"])
def test_the_guides_commands_work_in_order_on_one_part_of_dev(project: Path, tmp_path: Path,
                                                              extract: bool):
    folder = tmp_path / project.name
    shutil.copytree(project, folder)
    run(folder, sys.executable, "utils/prepare_dataset.py", *(["--extract"] if extract else []))
    assert bool(list(folder.rglob("*.flac"))) is extract
    run(folder, sys.executable, "utils/preprocess_data.py", "--subset", "dev", "--limit", "500",
        "--low_memory")
    stored = sums(folder / "data/processed", "*.i16")
    assert {Path(name).parts[0] for name in stored} == {"train", "dev", "eval"}
    fixture_sums = project / "sums.json"
    if fixture_sums.exists():
        assert stored == json.loads(fixture_sums.read_text()), ("the stored bytes depend on "
                                                                "--extract")
    fixture_sums.write_text(json.dumps(stored))
    run(folder, sys.executable, "notebooks/aasist_training.py", "--small_model", "--epochs", "5",
        "--batch_size", "16",
        "--max_samples", "500", "--device", "cpu", "--test", "--learning_rate", "0.001")
    metrics = json.loads((folder / "results/small-1/metrics.json").read_text())
    assert 0 <= metrics["eer"] <= 1 and metrics["seen"] and metrics["unseen"] is not None
    verdict = run(folder, sys.executable, "utils/simplified_inference.py", "--input_file",
        "results/small-1/examples/bonafide.wav", "--force_cpu")
    assert "higher" in verdict.stdout and "threshold" in verdict.stdout


def test_run_sh_goes_from_archives_to_a_verdict_and_again_does_nothing_twice(
        project: Path, tmp_path: Path):
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine: run.bat is the twin")
    folder = tmp_path / project.name
    shutil.copytree(project, folder)
    environment = {
        "VIRTUAL_ENV": sys.prefix, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path)
    }
    for _ in range(2):
        done = subprocess.run(["bash", "run.sh", "--epochs", "1"], cwd=folder, capture_output=True,
                              text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "$ python utils/prepare_dataset.py" in done.stdout
        assert "Done. These files are new:" in done.stdout
        made = sums(folder / "models/checkpoints", "last.pt")
    assert made == sums(folder / "models/checkpoints", "last.pt")
    failing = subprocess.run(["bash", "run.sh", "--epochs", "0"], cwd=folder, capture_output=True,
                             text=True, env=environment)
    assert failing.returncode == 2 and "prepare_dataset" not in failing.stdout


@pytest.mark.parametrize("words, code", [
    (["--help"], 0), (["-h"], 0), (["tset"], 2), (["epochs", "3"], 2), (["-x"], 2),
    (["--epochs", "3", "--help"], 0), (["--test", "--seeds", "1,2"], 2), (["--run_name=a"], 2)])
def test_run_sh_shows_its_usage_before_anything_starts(tmp_path: Path, words: list[str], code: int):
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine: run.bat is the twin")
    shutil.copy2(ROOT / "run.sh", tmp_path)
    done = subprocess.run(["bash", "run.sh", *words], cwd=tmp_path, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == code
    assert "options of aasist_training.py" in (done.stderr if code else done.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["run.sh"]


def test_run_bat_runs_the_same_steps_as_run_sh():
    def steps(script: str) -> list[str]:
        text = (ROOT / script).read_text(encoding="utf-8").replace("\\", "/").replace("%RUN_NAME%",
            "$RUN_NAME").replace("%*", '"$@"')
        lines = [
            line.removeprefix("step ").removesuffix(" || exit /b 1")
            for line in map(str.strip, text.splitlines())
        ]
        return [line for line in lines if line.startswith(("python utils/", "python notebooks/",
            "python -m pip"))]
    assert steps("run.sh") == steps("run.bat")
    assert len(steps("run.sh")) == 5
    unix, windows = ((ROOT / name).read_text(encoding="utf-8") for name in ("run.sh", "run.bat"))
    refused = re.findall(r"--(\w+)", re.search(r"^ *(--run_name.*)\)$", unix, re.MULTILINE)[1])
    assert f"in ({' '.join(refused)}) do" in windows and len(refused) == 5


def test_top_level_is_as_promised():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()} - {"LICENSE", "NOTICE",
        "MODEL_CARD.md", "pyproject.toml"}
    assert {name for name in top if not name.startswith(".")} == {
        "run.bat", "run.sh", "requirements.txt", "utils", "notebooks", "models", "data", "results",
            "tests", "README.md"}
