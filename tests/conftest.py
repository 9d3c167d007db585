"""What every test may use: the reference material beside the checkout, and a loud skip where it is absent."""
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference folder beside the checkout; the test is skipped, by name, where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"REFERENCE MATERIAL ABSENT: {SHARED}")
    return SHARED
