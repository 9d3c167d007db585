"""Measure the house, and print its sizes, floors and reach as a table.

    python tests/house.py
    python tests/house.py --run utils/simplified_inference.py --input_file data/examples
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import ast
import gc
import runpy
import threading
from statistics import median

from tests.helpers.call_graph import Module, Node, imports, reached, read

ROOT = Path(__file__).resolve().parents[1]
CODE = ("models", "utils", "notebooks")
LONGEST_LINE = 100
MOST_SIBLINGS = 13
# Each room imports from lower floors alone, never from its own floor or a higher one.
FLOORS = (
    ("utils.common", "utils.signals"),
    ("models",),
    ("utils.metrics", "utils.audio", "utils.archives", "utils.parallel", "utils.trials"),
    ("utils.origin",),
    ("utils.store", "utils.detector"),
    ("utils.corpora", "utils.synthesis", "utils.export", "utils.encoders"),
    ("utils.inference", "utils.report"),
    ("utils.page",),
    ("utils.training",),
    ("utils", "notebooks"),     # the scripts
)
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}


def room_of(module: str) -> str:
    """The room that a module lies in; a script's is the folder itself."""
    parts = module.split(".")
    return next(room for cut in (2, 1) if (room := ".".join(parts[:cut])) in HEIGHT)


def arrows_up(modules: dict[str, Module]) -> list[str]:
    """Imports of a room on the same floor or above, as "importer -> imported"."""
    return [f"{module.name} -> {target}" for module in modules.values()
            for target in sorted(imports(module, set(modules)))
            if target != "utils" and (own := room_of(module.name)) != (other := room_of(target))
            and HEIGHT[other] >= HEIGHT[own]]


def circles(modules: dict[str, Module]) -> list[set[str]]:
    """Sets of modules, or of folders, that import each other, however far around.

    Deferred imports count too.
    """
    imported = {name: imports(module, set(modules)) for name, module in modules.items()}
    deepest = max(name.count(".") for name in modules) + 1
    found = set().union(*(_circles_at(depth, imported) for depth in range(2, deepest + 1)))
    return sorted(map(set, found), key=sorted)


def _circles_at(depth: int, imported: dict[str, set[str]]) -> set[frozenset[str]]:
    """The circles among names cut to `depth` parts: utils.report, of 2, is a room."""
    targets: dict[str, set[str]] = {}
    for name, others in imported.items():
        own, *far = (".".join(part.split(".")[:depth]) for part in (name, *others))
        targets.setdefault(own, set()).update(other for other in far if other != own)
    below = {name: _below(name, targets) for name in targets}
    return {frozenset(other for other in below[name] if name in below[other])
            for name in targets if name in below[name]}


def _below(name: str, targets: dict[str, set[str]]) -> set[str]:
    """Every name that `name` imports, directly or through others."""
    seen: set[str] = set()
    waiting = set(targets[name])
    while waiting:
        seen.add(current := waiting.pop())
        waiting |= targets[current] - seen
    return seen


def siblings(root: Path) -> dict[str, int]:
    """Modules and packages in each folder of code; `utils` and `tests` hold rooms instead."""
    folders = {path.parent for top in (*CODE, "tests") for path in (root / top).rglob("*.py")}
    return {str(folder.relative_to(root)): len(_members(folder)) for folder in sorted(folders)
            if folder not in (root / "utils", root / "tests")}


def _members(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir()
            if path.suffix == ".py" and path.stem != "__init__" or any(path.glob("*.py"))]


def scripts(modules: dict[str, Module]) -> list[str]:
    """The modules that are commands."""
    return [name for name, module in modules.items() if any(
        line.startswith('if __name__ == "__main__"') for line in module.lines)]


def long_lines(modules: dict[str, Module]) -> float:
    """The share of lines over 100 characters, from 0 to 1."""
    lines = [len(line) for module in modules.values() for line in module.lines]
    return sum(length > LONGEST_LINE for length in lines) / len(lines)


def lengths(modules: dict[str, Module]) -> list[tuple[int, str]]:
    """Lines and name of every function and method, shortest first."""
    return sorted((node.end_lineno - node.lineno + 1, f"{module.name}.{name}")
                  for module in modules.values() for name, node in module.functions.items())


def sizes(modules: dict[str, Module]) -> list[tuple[str, str]]:
    """Rows of the table about modules, lines and functions."""
    counts = sorted((len(module.lines), name) for name, module in modules.items())
    functions = lengths(modules)
    ninth = functions[len(functions) * 9 // 10][0]
    return [("modules", f"{len(modules)}"),
            ("lines", f"{sum(count for count, _ in counts):,}"),
            ("lines of a module", f"median {median(count for count, _ in counts):.0f}, "
                                  f"longest {counts[-1][0]} ({counts[-1][1]})"),
            ("functions", f"{len(functions)}"),
            ("lines of a function", f"median {median(count for count, _ in functions):.0f}, 90th "
                                    f"percentile {ninth}, longest {functions[-1][0]} "
                                    f"({functions[-1][1]})"),
            (f"lines over {LONGEST_LINE} characters", f"{long_lines(modules):.1%}")]


def reach(modules: dict[str, Module]) -> list[tuple[str, str]]:
    """Rows of the table about what each script reaches."""
    rows = []
    for script in scripts(modules):
        functions = reached(modules, script)
        core = {node for node in functions if room_of(node[0]) not in ("models", "utils.audio")}
        rows.append((f"reach of {script}", f"{_extent(functions)}; without networks and decoders "
                                           f"{_extent(core)}"))
    return rows


def entered(modules: dict[str, Module], command: list[str]) -> set[Node]:
    """Every function and method of `modules` that a command enters: a script's path, and arguments.

    Functions inside functions are left out.
    """
    places = {(str(module.path), _first_line(node)): (module.name, name)
              for module in modules.values() for name, node in module.functions.items()}
    seen: set[tuple[str, int]] = set()

    def note(frame, event: str, _) -> None:
        if event == "call":
            seen.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))
    gc.collect()    # generators that an earlier command left end now, not while this one is watched
    before = sys.argv, sys.path[0]
    sys.argv = command
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        sys.argv, sys.path[0] = before
    return {places[place] for place in seen if place in places}


def _first_line(node) -> int:
    """The line where a function begins, decorators included."""
    return min(part.lineno for part in (node, *node.decorator_list))


def _extent(nodes: set[Node]) -> str:
    return f"{len(nodes)} functions in {len({module for module, _ in nodes})} files"


def order(root: Path, modules: dict[str, Module]) -> list[tuple[str, str]]:
    """Rows of the table about the rooms and their floors, circles and full folders."""
    widths = siblings(root)
    full = [f"{folder} {count}" for folder, count in widths.items() if count > MOST_SIBLINGS]
    folder, most = max(widths.items(), key=lambda item: item[1])
    rows = [(f"floor {height}: {room}", ast.get_docstring(modules[room].tree).split("\n")[0])
            for height, floor in enumerate(FLOORS) for room in floor]
    return [*rows, ("arrows up or sideways", _count(arrows_up(modules))),
            ("circles", _count([" ".join(sorted(circle)) for circle in circles(modules)])),
            ("siblings", f"at most {most} ({folder})"),
            (f"folders with more than {MOST_SIBLINGS} siblings", _count(full))]


def _count(found: list[str]) -> str:
    return f"{len(found)}" + (f": {'; '.join(found)}" if found else "")


def main(argv: list[str] | None = None) -> int:
    """Print the table of a checkout."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", type=Path, nargs="?", default=ROOT,
                        help="the checkout to measure (default: this one)")
    parser.add_argument("--run", nargs=argparse.REMAINDER, metavar="SCRIPT",
                        help="count the functions that this command enters; it ends the line")
    args = parser.parse_args(argv)
    root = args.root.resolve()
    modules = read(root, CODE)
    if args.run:
        print(f"entered: {_extent(entered(modules, [str(root / args.run[0]), *args.run[1:]]))}")
        return 0
    tests = read(root, ("tests",))
    rows = [*sizes(modules), *reach(modules), *order(root, modules),
            *((f"tests: {name}", value) for name, value in sizes(tests))]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
