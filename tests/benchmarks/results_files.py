"""The CSV files in which the benchmarks leave their figures: tests/benchmarks/results/NAME.csv, one row a figure or case."""
import csv
from pathlib import Path

from utils.common.files import ROOT, atomic_write
from utils.common.provenance import environment

RESULTS = ROOT / "tests" / "benchmarks" / "results"
VERSION = "version"     # last column: the commit that measured the row


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Write rows with the same columns as CSV, and beside each the commit that measured it. None becomes an empty cell."""
    commit = environment()["commit"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, [*rows[0], VERSION], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {VERSION: commit} for row in rows)
