"""Run the commands of notebooks/GUIDE.md, in their order, and log what each one gave.

    python tests/benchmarks/docs/run_guide.py --conditions 600-clips

Run it in a checkout of its own: the commands write into data, models and results. Its data must be
prepared. Commands in tests/benchmarks write tables of their own and are left out, and so is what
measures nothing. What has been logged for this text of a command is not run again.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import re
import resource
import shlex
import subprocess

from tests.benchmarks.results_files import (VERSION, add_output_options, publish, read_rows,
                                            write_rows)
from utils.common.errors import InputError, run
from utils.common.files import ROOT

GUIDE = ROOT / "notebooks" / "GUIDE.md"
TELLING = re.compile(r"all attacks: (EER .*?\))|(exported .*)|(train: \d+ utterances .*?\))")


def commands(text: str) -> list[str]:
    """The commands of the guide, each on one line, but for those of tests/benchmarks."""
    blocks = re.findall(r"^    (python (?:.*\\\n)*.*)$", text, flags=re.MULTILINE)
    found = [" ".join(block.replace("\\\n", " ").split()) for block in blocks]
    return [command for command in found if not command.startswith("python tests/")]


def outcome(said: str) -> str | None:
    """What a command's output says of errors, sizes or data; None if it says nothing of them."""
    found = [next(filter(None, match.groups())) for match in TELLING.finditer(said)]
    return found[-1].replace(f"{ROOT}/", "") if found else None


def cpu_seconds() -> float:
    """The CPU time of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(argv: list[str] | None = None) -> int:
    """Run what the log lacks, and write guide-commands-CONDITIONS.csv after each command."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output_options(parser)
    args = parser.parse_args(argv)
    path = args.output / f"guide-commands-{args.conditions}.csv"
    known = {row["command"].strip("`"): row for row in (read_rows(path) if path.exists() else [])}
    rows = []
    for command in commands(GUIDE.read_text(encoding="utf-8")):
        if command in known:
            rows.append({name: cell for name, cell in known[command].items() if name != VERSION})
            continue
        print("$", command, file=sys.stderr, flush=True)
        before = cpu_seconds()
        done = subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=ROOT,
                              capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{command} failed: {done.stderr.strip()[-300:]}")
        if (told := outcome(done.stdout)) is not None:
            rows.append({"command": f"`{command}`", "outcome": told,
                         "CPU s": f"{cpu_seconds() - before:.0f}"})
            write_rows(path, rows)
    publish("guide-commands", rows, args)
    return 0


if __name__ == "__main__":
    run(main)
