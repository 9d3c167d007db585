"""How a step ends: one sentence for what a user can mend, a traceback only for a programmer's
mistake.
"""
import _thread
import errno
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

# the last: a file system or a limit that takes no larger file
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What libraries say instead of raising MemoryError: torch (CPU, CUDA, MPS), ONNX Runtime, oneDNN,
# and functions that start threads or map files.
_NO_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|not enough memory|failed to allocate memory"
    r"|out of memory|bad_alloc|bad allocation|could not create a memory|can't start new thread"
    r"|failed to map segment", re.IGNORECASE)


class InputError(Exception):
    """A foreseeable problem. The message is one sentence: what is wrong, where, and what to do
    next.
    """


def printable(text: object) -> str:
    """`text` on one line, safe to print on any terminal: control, surrogate and line-breaking
    characters are escaped.
    """
    return "".join(c if c.isprintable() else
                   c.encode("unicode_escape", "surrogatepass").decode("ascii")
                   for c in str(text))


def shown(path: str) -> str:
    """A path as JSON and tables carry it: itself, or escaped where it is not valid Unicode."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return printable(path)
    return path


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, whichever library raised it."""
    return isinstance(error, MemoryError) or (
        not isinstance(error, InputError) and _NO_MEMORY.search(str(error)) is not None)


def run(main: Callable[[], int], short_of_memory: str = "close other programs") -> NoReturn:
    """Run a script's `main` and exit: 0 done, 1 a foreseeable problem, 2 usage (argparse), 130
    interrupted.

    `short_of_memory` says what to do where memory runs out: which of the script's options to lower.
    """
    # a name that the terminal cannot show must not stop a step
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    heard = _hear_interrupts()
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _interrupted()
    except BrokenPipeError:                   # whoever read our output has seen enough
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
    # all is done: another Ctrl-C ends what is left of the process without a word
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
    return None


def _interrupted() -> int:
    # On a line of its own: a progress bar, or the terminal's ^C, may stand in this one.
    print("\ninterrupted: what was finished is kept; run the same command again to resume",
          file=sys.stderr)
    return 130


def _hear_interrupts() -> list[int]:
    """A list that grows with each Ctrl-C: libraries swallow a KeyboardInterrupt or turn it into an
    error of their own.
    """
    heard: list[int] = []

    def hear(number: int, _frame: Any) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    def swallowed(what: Any) -> None:
        # in a destructor or a callback: raise it again outside
        if issubclass(what.exc_type, KeyboardInterrupt):
            _thread.interrupt_main()
        else:
            sys.__unraisablehook__(what)

    # not where whoever started us wants none heard
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, hear)
        sys.unraisablehook = swallowed
    return heard


def _drop_output(error: Exception | None = None) -> None:
    """Send what is still to be printed nowhere, where printing it is what failed: nobody reads it,
    or its disk is full.
    """
    if error is None or isinstance(error, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
