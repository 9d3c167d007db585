"""The floors hold: imports go down only, nothing imports a script, no folder is too full."""
import ast
import sys

import pytest

from tests.house import (CODE, FLOORS, MOST_SIBLINGS, ROOT, arrows_up, circles, entered, main,
                         scripts, siblings)
from tests.helpers.call_graph import imports, reached, read

MODULES = read(ROOT, CODE)


def test_the_list_of_floors_names_every_room():
    rooms = {f"utils.{path.name}" for path in (ROOT / "utils").iterdir() if any(path.glob("*.py"))}
    assert rooms | {"models", "notebooks", "utils"} == {room for floor in FLOORS for room in floor}


def test_no_import_goes_up_or_sideways():
    assert arrows_up(MODULES) == []


def test_no_module_and_no_folder_imports_itself_through_others():
    assert circles(MODULES) == []


def test_circles_of_folders_are_found(tmp_path):
    for name, text in {"a/one.py": "import utils.b.two", "b/two.py": "", "a/three.py": "",
                       "b/four.py": "import utils.a.three"}.items():
        (tmp_path / "utils" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "utils" / name).write_text(text)
    assert circles(read(tmp_path, ("utils",))) == [{"utils.a", "utils.b"}]


def test_nothing_imports_a_script():
    commands = set(scripts(MODULES))
    assert {name: found for name, module in MODULES.items()
            if (found := imports(module, commands))} == {}


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] == "models"])
def test_networks_import_torch_alone(name):
    """One of them imports torchaudio's encoders, when it is built."""
    tops = {top for node in ast.walk(MODULES[name].tree) for top in _tops(node)}
    encoders = {"torchaudio"} if name == "models.ssl" else set()
    assert tops - set(sys.stdlib_module_names) <= {"torch", "models"} | encoders


def _tops(node: ast.AST) -> set[str]:
    """The top-level packages that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return set()


def test_no_folder_is_too_full():
    assert {folder for folder, count in siblings(ROOT).items() if count > MOST_SIBLINGS} == set()


def test_each_room_says_what_it_is_for():
    """A docstring, at most constants beside it; two rooms also export what others call."""
    for name in (room for floor in FLOORS for room in floor):
        tree = MODULES[name].tree
        assert ast.get_docstring(tree), name
        if name not in ("models", "utils.detector"):
            assert all(isinstance(part, (ast.Expr, ast.Assign)) for part in tree.body), name


CALLED_BY_LIBRARIES = {
    "utils.arena": {"Model.load", "Model.score_batch", "Model._score", "Model.unload"},
    "utils.archives.tar": {"Seekable.seek", "Seekable.read"},       # protocols: no code
    "utils.audio.libsndfile": {"Reader.blocks"},
    "utils.detector.engines": {"Engine.logits"},
    "utils.synthesis.vocoders.catalogue": {"Vocoder.copies"},
    "utils.audio.sources": {"Slice.readable", "Slice.readinto"},    # by the classes they extend
    "utils.common.arguments": {"Parser.parse_known_args"},
    "utils.detector.model_files": {"_Inert.__init__", "_PlainUnpickler.find_class",
                                   "_PlainUnpickler.persistent_load"},
    # by --front_end, as worked examples
    **{f"notebooks.front_ends.{name.lower()}": {f"{name}.__init__", f"{name}.forward"}
       for name in ("CQT", "Modulation", "Sinc")}}


def test_every_function_is_reached_by_a_script():
    """What only tests call is dead."""
    alive = set().union(*(reached(MODULES, name) for name in scripts(MODULES)))
    dead = {name: left for name, module in MODULES.items()
            if (left := {function for function in module.functions if (name, function) not in alive}
                - CALLED_BY_LIBRARIES.get(name, set()))}
    assert dead == {}


@pytest.mark.parametrize("script, options", [
    ("utils/simplified_inference.py", ["--input_file", "data/examples/fake_piper_en.flac"]),
    ("utils/export_model.py", ["--help"])])
def test_what_a_command_enters_is_what_it_reaches(script, options, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = entered(MODULES, [str(ROOT / script), *options])
    by_libraries = {(name, function) for name, functions in CALLED_BY_LIBRARIES.items()
                    for function in functions}
    name = script.removesuffix(".py").replace("/", ".")
    assert found and found <= reached(MODULES, name) | by_libraries


EXAMPLE = {
    "utils/step.py": ("from utils.room import corpus, table\n"
                      "CORPORA = (corpus,)\n"
                      "def main():\n"
                      "    return table.PARTS['a'](1).size, [part.find() for part in CORPORA]\n"
                      'if __name__ == "__main__":\n    main()\n'),
    "utils/room/__init__.py": "",
    "utils/room/corpus.py": "def find():\n    return 0\ndef unused():\n    return 0\n",
    "utils/room/table.py": ("from utils.room.parts import Part, lonely\n"
                            "PARTS = {'a': Part}\nOTHERS = {'b': lonely}\n"),
    "utils/room/parts.py": ("class Part:\n    def __init__(self, n):\n        self.n = n\n"
                            "    @property\n    def size(self):\n        return helper(self.n)\n"
                            "    def unused(self):\n        return lonely()\n"
                            "def helper(n):\n    return n\n"
                            "def lonely():\n    return 0\n")}


def test_reach_is_by_call_and_by_name(tmp_path):
    for name, text in EXAMPLE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    modules = read(tmp_path, ("utils",))
    assert scripts(modules) == ["utils.step"]
    parts = "utils.room.parts"
    assert reached(modules, "utils.step") == {
        ("utils.step", "main"), ("utils.room.corpus", "find"), (parts, "Part.__init__"),
        (parts, "Part.size"), (parts, "helper")}


def test_the_table_is_printed(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "reach of utils.simplified_inference" in said and "lines over 100 characters" in said
