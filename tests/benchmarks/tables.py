"""Fill the tables of the documents from the CSV files in tests/benchmarks/results.

    python tests/benchmarks/tables.py            write the tables
    python tests/benchmarks/tables.py --check    exit code 1 if a table differs from its CSV file

A document marks a table with `<!-- table: NAME -->` and `<!-- end -->`. The rows of NAME.csv go between the two.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import csv
import re

from tests.benchmarks.results_files import RESULTS, VERSION
from utils.common.errors import InputError, run
from utils.common.files import ROOT, atomic_write

DOCUMENTS = ("README.md", "models/README.md", "models/pretrained/MODEL_CARD.md", "notebooks/README.md", "results/README.md",
             "utils/inference/README.md", "tests/benchmarks/README.md", "tests/robustness/README.md")
TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
SPREADS = (" sd", " low", " high")      # columns that stand beside the figure of column X: "X sd", "X low", "X high"


def markdown(path: Path) -> str:
    """The rows of a CSV file as a Markdown table. The column `version` is left out, spreads stand behind their figures."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name.removesuffix(" low") for name in rows[0] if not name.endswith((" sd", " high")) and name != VERSION]
    names = list(dict.fromkeys(names))      # "X low" stands for X where no column X exists
    lines = [names, ["---"] * len(names), *([cell(row, name) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(row: dict[str, str], name: str) -> str:
    """One cell: "10.2 ± 1.2" with a deviation, "10.4 (4.9 to 19.2)" with an interval, "4.9 to 19.2" with the interval alone."""
    value, deviation, low, high = (row.get(name + ending, "") for ending in ("", *SPREADS))
    text = f"{int(value):,}" if value.isdecimal() else value
    if deviation:
        return f"{text} ± {deviation}"
    if low:
        return f"{text} ({low} to {high})" if text else f"{low} to {high}"
    return text


def filled(text: str) -> str:
    """The text of a document with every table made anew. `InputError` where a CSV file is missing."""
    def fill(match: re.Match) -> str:
        path = RESULTS / f"{match[2]}.csv"
        if not path.is_file():
            raise InputError(f"there is no {path}: correct the name of the table")
        return match[1] + markdown(path) + match[3]
    return TABLE.sub(fill, text)


def main(argv: list[str] | None = None) -> int:
    """Write the tables or, with --check, name the documents whose tables are out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if a table is out of date")
    args = parser.parse_args(argv)
    differing = 0
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        if (new := filled(text)) == text:
            continue
        differing += 1
        if args.check:
            print(f"{name} is out of date: run python tests/benchmarks/tables.py", file=sys.stderr)
            continue
        with atomic_write(ROOT / name) as file:
            file.write(new)
        print(f"{name} written")
    return 1 if args.check and differing else 0


if __name__ == "__main__":
    run(main)
