"""Inject every fault at full size and print the table of the README.

python -m tests.robustness                                  everything: about 15 minutes of CPU time
python -m tests.robustness --only kills,disk --kills 10
python -m tests.robustness --only everyday --filter tracks   a kind, a row or a word of a name
"""
import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.conftest import ROOT, SHARED
from tests.robustness import disk, kills, limits, load, pairs, zoo
from tests.robustness.everyday.table import everyday
from tests.robustness.fuzz import fuzz
from tests.robustness.bench.harness import Bench, child_seconds
from tests.robustness.hostile_input import hostile_input
from tests.robustness.bench.records import Row, grouped
from tests.robustness.bench.steps import ALL, INFER, STEPS
from tests.benchmarks.results_files import write_rows
from utils.common.files import atomic_write

HEAD = ("| what | tried | outcome | wrong |", "|---|---|---|---|")
KINDS = ("files", "zoo", "hostile", "fuzz", "kills", "interrupts", "disk", "pairs", "limits",
         "load", "everyday")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(KINDS),
                        help=f"faults to inject, separated by commas (default: {','.join(KINDS)})")
    parser.add_argument("--kills", type=int, default=50, help="kills per step (default: 50)")
    parser.add_argument("--interrupts", type=int, default=10,
                        help="interruptions per step by Ctrl-C (default: 10)")
    parser.add_argument("--levels", type=int, default=6,
                        help="levels at which a small disk is full, per step (default: 6)")
    parser.add_argument("--pairs", type=int, default=6,
                        help="pairs of runs at once, per step (default: 6)")
    parser.add_argument("--limits", type=int, default=6,
                        help="limits of memory per step (default: 6)")
    parser.add_argument("--files", type=int, default=2000,
                        help="recordings for the folder inference (default: 2000)")
    parser.add_argument("--examples", type=int, default=3000, help="damaged files (default: 3000)")
    parser.add_argument("--filter", default="", metavar="TEXT",
                        help="everyday inputs of this kind, of this row, or with this text in "
                             "their names (default: all)")
    parser.add_argument("--seed", type=int, default=1,
                        help="of every instant, level and damage (default: 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "robustness",
                        help="folder for the table (default: results/robustness)")
    return parser


def inject(bench: Bench | None, args: argparse.Namespace,
           say: Callable[[str], None]) -> Iterator[Row]:
    """The rows, one after the other."""
    chosen = args.only.split(",")
    if "files" in chosen and SHARED.is_dir():
        yield zoo.hard_files(bench, SHARED, say)
    if "zoo" in chosen:
        yield from zoo.audio_zoo(bench, None, say)
    if "hostile" in chosen:
        yield from hostile_input(bench.folder / "hostile", say)
    if "fuzz" in chosen:
        yield fuzz(args.examples, args.seed, say)
    if "kills" in chosen:
        yield from (kills.kills(bench, step, args.kills, args.seed, say) for step in STEPS)
    if "interrupts" in chosen:
        yield from (kills.interrupts(bench, step, args.interrupts, args.seed,
                                     say) for step in STEPS)
    if "disk" in chosen:
        yield from (disk.full_disk_if_any(bench, step, args.levels, args.seed, say) for step in ALL)
        yield disk.full_output(bench, INFER, say)
    if "pairs" in chosen:
        yield from (pairs.pairs(bench, step, args.pairs, args.seed, say) for step in STEPS)
        yield pairs.replaced_while_read(bench, 3 * args.pairs, args.seed, say)
    if "limits" in chosen:
        yield limits.diverging_loss(bench, args.limits, args.seed, say)
        yield from (limits.short_memory(bench, step, args.limits, args.seed,
                                        say) for step in limits.HUNGRY)
    if "load" in chosen:
        yield from load.load(bench, args.files, say)
    if "everyday" in chosen:
        yield from everyday(args.filter, args.out / "everyday.csv", say)


def write_table(rows: list[Row], args: argparse.Namespace, seconds: float) -> str:
    """Write the table, with how it was made, every wrong outcome by its name, and the rows step by
    step; returns it. The table alone is written as CSV too, for tests/benchmarks/docs/tables.py.
    """
    summed = grouped(rows, [step.name for step in ALL])
    write_rows(args.out / f"robustness-seed{args.seed}.csv", [row.cells() for row in summed])
    lines = [*HEAD, *(row.text() for row in summed), ""]
    wrong = [line for row in rows for line in row.wrong]
    minutes, cpu_minutes = seconds / 60, child_seconds() / 60
    lines.append(f"{len(rows)} rows, {len(wrong)} wrong outcomes; made by `python -m "
                 f"tests.robustness --only {args.only} --seed {args.seed}` in {minutes:.0f} "
                 f"minutes ({cpu_minutes:.0f} of CPU time).")
    lines += [*(f"- WRONG: {line}" for line in wrong), "", "Step by step:", "", *HEAD,
              *(row.text() for row in rows)]
    text = "\n".join(lines) + "\n"
    with atomic_write(args.out / "table.md") as file:
        file.write(text)
    return text


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if unknown := set(args.only.split(",")) - set(KINDS):
        parser.error(f"--only knows {', '.join(KINDS)}, not {', '.join(sorted(unknown))}")
    begun, rows = time.monotonic(), []

    def say(text: str) -> None:
        print(f"[{(time.monotonic() - begun) / 60:5.1f} min] {text}", file=sys.stderr, flush=True)

    folder = Path(tempfile.mkdtemp(prefix="robustness "))
    bench = Bench(folder) if args.only != "everyday" else None
    try:
        for row in inject(bench, args, say):
            rows.append(row)
            for line in row.wrong:
                say(f"WRONG: {line}")
            # after every row: a stopped run keeps its own
            write_table(rows, args, time.monotonic() - begun)
    finally:
        if bench:
            bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(write_table(rows, args, time.monotonic() - begun), end="")
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
