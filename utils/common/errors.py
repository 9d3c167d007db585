"""How a step ends.

A user's problem ends in one sentence. Only a programmer's mistake ends in a traceback.
"""
import _thread
import errno
import importlib.util
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

# the last one: the file system or a limit does not allow a file of this size
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# packages that are installed by another name than they are imported by
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}
AGAIN_SECONDS = 0.01    # until a swallowed Ctrl-C is raised again
# Messages that mean MemoryError in torch (CPU, CUDA, MPS), ONNX Runtime, oneDNN, and in functions
# that start threads or map files.
_NO_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|not enough memory|failed to allocate memory"
    r"|out of memory|bad_alloc|bad allocation|could not create a memory|can't start new thread"
    r"|failed to map segment", re.IGNORECASE)


class InputError(Exception):
    """A foreseeable problem, in one sentence: what is wrong, where, and what to do next."""


def printable(text: object) -> str:
    """`text` on one line, safe to print on any terminal.

    Control, surrogate and line-breaking characters are escaped.
    """
    return "".join(c if c.isprintable() else
                   c.encode("unicode_escape", "surrogatepass").decode("ascii")
                   for c in str(text))


def shown(path: str) -> str:
    """`path` as JSON and tables show it: unchanged, or escaped if it is not valid Unicode."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return printable(path)
    return path


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library means that memory ran out."""
    return isinstance(error, MemoryError) or (
        not isinstance(error, InputError) and _NO_MEMORY.search(str(error)) is not None)


def run(main: Callable[[], int], short_of_memory: str = "close other programs") -> NoReturn:
    """Run a script's `main` and exit.

    Exit codes: 0 done, 1 a foreseeable problem, 2 wrong usage (argparse), 130 interrupted.
    `short_of_memory` advises which options to lower if memory runs out.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:      # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        # the step must go on if the terminal cannot show a name
        getattr(sys, name).reconfigure(errors="backslashreplace")
    heard = _hear_interrupts()
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _interrupted()
    except BrokenPipeError:                   # the reader of our output has closed it
        code = 1
        _drop_output()
    except Exception as error:
        if heard and not isinstance(error, InputError):
            code = _interrupted()
        elif (message := _sentence(error, short_of_memory)) is None:
            raise
        else:
            print(f"error: {printable(message)}", file=sys.stderr)
            code = 1
            _drop_output(error)
    # the work is done: a further Ctrl-C ends the process silently
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _sentence(error: Exception, short_of_memory: str) -> str | None:
    """The sentence for the user; None for a programmer's mistake."""
    if isinstance(error, InputError):
        return str(error)
    if out_of_memory(error):
        return f"memory ran out: {short_of_memory}; what was finished is kept"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return ("the disk is full: free some space and run the same command again; "
                "what was finished is kept")
    if isinstance(error, ModuleNotFoundError) and (package := _missing_package(error)):
        return (f"the Python package {package} is missing: pip install {package}, or all that the "
                "project uses: pip install -r requirements.txt")
    return None


def _missing_package(error: ModuleNotFoundError) -> str | None:
    """What to install; None where a module is missing inside a package, or one of Python's own."""
    package = (error.name or "").partition(".")[0]
    if not package or package in sys.stdlib_module_names or importlib.util.find_spec(package):
        return None
    return DISTRIBUTIONS.get(package, package)


def _interrupted() -> int:
    # Start a new line: the current one may hold a progress bar or the terminal's ^C.
    print("\ninterrupted: what was finished is kept; run the same command again to resume",
          file=sys.stderr)
    return 130


def _hear_interrupts() -> list[int]:
    """A list that grows with each Ctrl-C.

    Some libraries swallow a KeyboardInterrupt or replace it by an error of their own.
    """
    heard: list[int] = []

    def hear(number: int, _frame: Any) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    def swallowed(what: Any) -> None:
        # in a destructor or a callback: raise it again a moment later, until it is outside
        if issubclass(what.exc_type, KeyboardInterrupt):
            threading.Timer(AGAIN_SECONDS, _thread.interrupt_main).start()
        else:
            sys.__unraisablehook__(what)

    # not if the parent process ignores interrupts
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, hear)
        sys.unraisablehook = swallowed
    return heard


def _drop_output(error: Exception | None = None) -> None:
    """Discard the remaining output if printing failed: the reader left, or its disk is full."""
    if error is None or isinstance(error, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
