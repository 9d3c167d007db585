"""How a step ends: one sentence for a person's mistake, a traceback only for a programmer's."""
import sys
from collections.abc import Callable


class InputError(Exception):
    """A foreseeable problem. The message is one sentence: what is wrong, where, and what to do next."""


def printable(text: object) -> str:
    """`text` on one line, safe to print on any terminal: control, surrogate and line-breaking characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in str(text))


def run(main: Callable[[], int]) -> None:
    """Run a script's `main` and exit: 0 done, 1 a foreseeable problem, 2 usage (argparse), 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):   # a name that the terminal cannot show must not stop a step
        stream.reconfigure(errors="backslashreplace")
    try:
        code = main()
    except InputError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept; run the same command again to go on", file=sys.stderr)
        code = 130
    sys.exit(code)
