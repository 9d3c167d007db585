"""The CSV files of the benchmarks, results/TABLE-CONDITIONS.csv, and Markdown tables of them."""
import argparse
import csv
import platform
import re
from pathlib import Path

from utils.common.files import ROOT, atomic_write
from utils.common.provenance import environment

RESULTS = ROOT / "tests" / "benchmarks" / "results"
VERSION = "version"     # last column: the commit that measured the row

Rows = list[dict[str, str]]


def add_output_options(parser: argparse.ArgumentParser, conditions: str | None = None) -> None:
    """Add --output and --conditions, of which `publish` makes a file's name.

    The default conditions are this machine's processor.
    """
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER",
                        help="folder for the CSV files (default: tests/benchmarks/results)")
    parser.add_argument("--conditions", default=conditions or processor(), metavar="NAME",
                        help="end of the files' names (default: %(default)s)")


def processor() -> str:
    """The processor's name in small letters and hyphens, for a file's name."""
    path = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", path.read_text()) if path.exists() else None
    name = named[1] if named else platform.processor() or platform.machine()
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def publish(table: str, rows: Rows, args: argparse.Namespace) -> None:
    """Print rows as Markdown, and write them, with the commit, to OUTPUT/TABLE-CONDITIONS.csv."""
    print(markdown(rows), flush=True)
    write_rows(results_path(table, args), rows)


def results_path(table: str, args: argparse.Namespace) -> Path:
    """The CSV file of a table."""
    return args.output / f"{table}-{args.conditions}.csv"


def among_earlier(rows: Rows, path: Path, names: tuple[str, ...]) -> Rows:
    """Rows measured now, and those of an earlier file that differ from them in `names`."""
    earlier = read_rows(path) if path.is_file() else []
    found = {tuple(row[name] for name in names): row for row in earlier + rows}
    return list(found.values())


def write_rows(path: Path, rows: Rows) -> None:
    """Write rows, with the commit, as a CSV file; a row that has its commit keeps it."""
    commit = environment()["commit"] or "unknown"
    with atomic_write(path) as file:
        columns = [name for name in rows[0] if name != VERSION]
        writer = csv.DictWriter(file, [*columns, VERSION], lineterminator="\n")
        writer.writeheader()
        writer.writerows({VERSION: commit} | row for row in rows)


def read_rows(path: Path) -> Rows:
    """The rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def markdown(rows: Rows) -> str:
    """A Markdown table without the version; deviations and intervals stand behind their figures."""
    columns = [name for name in rows[0] if name != VERSION and not name.endswith((" sd", " high"))]
    names = list(dict.fromkeys(name.removesuffix(" low") for name in columns))
    lines = [names, ["---"] * len(names), *([_cell(row, name) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(row: dict[str, str], name: str) -> str:
    """One cell: "10.2 ± 1.2" or "10.4 (4.9 to 19.2)"; "4.9 to 19.2" if there is no figure."""
    value = row.get(name, "")
    deviation = row.get(f"{name} sd")
    low = row.get(f"{name} low")
    high = row.get(f"{name} high")
    text = f"{int(value):,}" if value.isdecimal() else value
    if deviation:
        return f"{text} ± {deviation}"
    if low:
        return f"{text} ({low} to {high})" if text else f"{low} to {high}"
    return text
