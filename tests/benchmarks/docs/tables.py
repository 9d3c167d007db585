"""Fill the tables of the documents from the CSV files in tests/benchmarks/results.

    python tests/benchmarks/docs/tables.py           write the tables
    python tests/benchmarks/docs/tables.py --check   exit 1 if a table differs from its CSV file

A document marks a table with `<!-- table: NAME -->` and `<!-- end -->`. Between the two stand the
rows of NAME.csv.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import re

from tests.benchmarks.results_files import RESULTS, markdown, read_rows
from utils.common.errors import InputError, run
from utils.common.files import ROOT, atomic_write

DOCUMENTS = ("README.md", "data/README.md", "models/README.md", "models/checkpoints/README.md",
             "models/pretrained/MODEL_CARD.md", "notebooks/GUIDE.md", "notebooks/README.md",
             "results/README.md", "utils/encoders/README.md", "utils/inference/README.md",
             "utils/page/README.md", "tests/benchmarks/README.md", "tests/robustness/README.md")
TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The text of a document with its tables made anew. `InputError` if a CSV file is missing."""
    def fill(match: re.Match) -> str:
        path = RESULTS / f"{match[2]}.csv"
        if not path.is_file():
            raise InputError(f"there is no {path}: correct the table's name in the document")
        return match[1] + markdown(read_rows(path)) + match[3]
    return TABLE.sub(fill, text)


def main(argv: list[str] | None = None) -> int:
    """Write the tables or, with --check, name the documents whose tables are out of date."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true",
                        help="change nothing; exit code 1 if a table is out of date")
    args = parser.parse_args(argv)
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
    outdated = {name: new for name, text in texts.items() if (new := filled(text)) != text}
    for name, text in outdated.items():
        if args.check:
            print(f"{name} is out of date: run python tests/benchmarks/docs/tables.py",
                  file=sys.stderr)
        else:
            with atomic_write(ROOT / name) as file:
                file.write(text)
            print(f"{name} written")
    return 1 if args.check and outdated else 0


if __name__ == "__main__":
    run(main)
