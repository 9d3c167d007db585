"""Which functions a command enters when it runs, in all threads of this process."""
import runpy
import sys
import threading

from tests.helpers.call_graph import Module, Node


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
