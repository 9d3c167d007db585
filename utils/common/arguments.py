"""Options and their types for argparse, and arguments as result files record them.

Each type returns the value, or says what the text should have been.
"""
import difflib
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path

from utils.common.files import ROOT


def _number(text: str, parse: Callable, fits: Callable, wanted: str):
    """The number in `text`. Raises `ArgumentTypeError` if it is not a number or does not fit."""
    try:
        value = parse(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise ArgumentTypeError(f"{text!r} is not {wanted}")
    return value


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _number(text, int, lambda value: value >= 1, "a whole number of at least 1")


def count(text: str) -> int:
    """A whole number of at least 0."""
    return _number(text, int, lambda value: value >= 0, "a whole number of at least 0")


def rate(text: str) -> float:
    """A finite number above 0."""
    return _number(text, float, lambda value: 0 < value < float("inf"), "a number above 0")


def weight(text: str) -> float:
    """A finite number of at least 0."""
    return _number(text, float, lambda value: 0 <= value < float("inf"), "a number of at least 0")


def share(text: str) -> float:
    """A number from 0 to 1, both included."""
    return _number(text, float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def probability(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    return _number(text, float, lambda value: 0 < value < 1, "a number between 0 and 1")


def seeds(text: str) -> list[int]:
    """Different whole numbers of at least 0, separated by commas."""
    values = [count(part) for part in text.split(",")]
    if len(set(values)) < len(values):
        raise ArgumentTypeError(f"{text!r} names a seed twice")
    return values


def fold(text: str) -> tuple[int, int]:
    """(K, N) from "K/N": fold K of N, N at least 3, K from 1 to N."""
    try:
        number, folds = map(int, text.split("/"))
    except ValueError:
        number, folds = 0, 0
    if not 1 <= number <= folds or folds < 3:
        raise ArgumentTypeError(f"{text!r} is not K/N with N of at least 3 and K from 1 to N")
    return number, folds


class Parser(ArgumentParser):
    """Takes no abbreviated option, and names the option that an unknown one resembles."""

    def __init__(self, hint: str = "", **options) -> None:
        """`hint` ends what is said of unknown options."""
        super().__init__(allow_abbrev=False, **options)
        self.hint = hint

    def parse_known_args(self, args=None, namespace=None) -> tuple[Namespace, list[str]]:
        """As argparse's own, which subcommands use too; but what is unknown ends the program."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            known = list(self._option_string_actions)
            near = [match for word in unknown if word.startswith("-")
                    for match in difflib.get_close_matches(word.split("=")[0], known, 1)]
            self.error(f"unrecognized arguments: {' '.join(unknown)}"
                       + (f" (did you mean {' '.join(dict.fromkeys(near))}?)" if near else "")
                       + (f"; {self.hint}" if self.hint else ""))
        return parsed, unknown


def add_groups(parser: ArgumentParser, groups: dict[str, tuple]) -> None:
    """Give a parser groups of options, each a name, a kind, the default and the meaning.

    A kind is a type, a tuple of choices, `bool` for a switch, or `list` for several words.
    """
    special = {bool: {"action": "store_true"}, list: {"nargs": "*"}}
    for title, options in groups.items():
        group = parser.add_argument_group(title)
        for name, kind, default, text in options:
            how = special.get(kind) or {"choices" if isinstance(kind, tuple) else "type": kind}
            group.add_argument(f"--{name}", default=default, help=text, **how)


def recorded(args: Namespace) -> dict:
    """The arguments for metrics.json: paths inside the project from its root, threads as used."""
    torch = sys.modules.get("torch")
    threads = args.threads or (torch.get_num_threads() if torch else os.cpu_count())
    return {name: _from_root(value) if isinstance(value, Path) else value
            for name, value in vars(args).items()} | {"threads": threads}


def _from_root(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
