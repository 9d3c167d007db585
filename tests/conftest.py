"""What every test may use: speech cut from the examples, and the reference folder where there is
one."""
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
if "PYTEST_XDIST_WORKER" in os.environ:     # one of several: one thread each, children's too
    os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = ROOT.parent / "shared"
NO_REFERENCE = "the reference folder ../shared is missing"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference folder beside the checkout; without it the test is skipped, and counted at the
    end."""
    if not SHARED.is_dir():
        pytest.skip(NO_REFERENCE)
    return SHARED


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """24 FLAC files of real speech ("bonafide") and 24 of synthetic speech ("spoof"), cut from
    data/examples."""
    from tests.helpers.audio.example_speech import write_clips
    return write_clips(tmp_path_factory.mktemp("clips"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests need the reference folder, and in which files they stand."""
    skipped = [
        report for report in terminalreporter.stats.get("skipped", ())
        if NO_REFERENCE in str(report.longrepr)
    ]
    if skipped:
        files = Counter(report.nodeid.split("::")[0] for report in skipped)
        named = ", ".join(f"{file} ({count})" for file, count in sorted(files.items()))
        terminalreporter.write_line(f"{len(skipped)} tests need the reference folder ../shared and "
                                    f"were skipped: {named}")
