"""Who may import whom: one way only, so that each room can be understood alone."""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for room in ("models", "utils", "notebooks") for path in (ROOT / room).rglob("*.py"))
SCRIPTS = {f"utils.{path.stem}" for path in (ROOT / "utils").glob("*.py") if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")}
APART = {"utils.audio": ("utils.corpora", "utils.evaluation", "utils.scoring", "utils.training", "models"),
         "utils.corpora": ("utils.evaluation", "utils.scoring", "utils.training", "models"),
         "utils.metrics.metrics": ("utils.audio", "utils.corpora", "utils.scoring", "utils.training", "models")}


def imports(path: Path) -> list[str]:
    """Every module that a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_go_one_way(path):
    names = imports(path)
    if path.parts[len(ROOT.parts)] == "models":
        assert not [name for name in names if name.split(".")[0] in ("utils", "notebooks")]
    assert not [name for name in names if name in SCRIPTS or name.startswith("notebooks")], "nothing imports a script"
    for room, foreign in APART.items():
        if module(path).startswith(room):
            assert not [name for name in names if name.startswith(foreign)]
