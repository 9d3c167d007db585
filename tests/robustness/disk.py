"""A disk that fills up at random points of each step: one sentence, earlier results intact, and the
rerun completes.
"""
import contextlib
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.robustness.bench.compare import copy, unlike
from tests.robustness.bench.harness import Bench, ended
from tests.robustness.bench.records import Row, Step
from tests.robustness.bench.steps import ready, settle

SIZE = 400 << 20
TOLD = ("the disk is full", "are free: free some space")


class NoDisk(Exception):
    """This system lets us mount nothing."""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, `SIZE` bytes in memory; raises `NoDisk` where mounting is not
    permitted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder],
                              check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise NoDisk("there is no mount command") from error
    if done.returncode:
        raise NoDisk(done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def leave(disk: Path, free: int) -> None:
    """Fill the disk up to so many free bytes."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(disk).free - free))


def full_disk(bench: Bench, step: Step, count: int, seed: int, say: Callable[
    [str], None] = print) -> Row:
    """Let the disk fill up `count` times at random points of what the step writes, over earlier
    results or none.
    """
    ready(bench, step)
    rng = random.Random(f"{seed} {step.name}")
    row = Row(f"disk full in {step.name}", "{tried} times, at random levels of a small disk")
    row.outcomes.update({"told in one sentence, exit code 1": 0, "reruns byte-identical": 0})
    with small_disk(bench.folder / "disk") as disk:
        home = disk / bench.home.name
        copy(bench.home, home)
        number = 0
        while number < count:
            earlier = step.other != () and rng.random() < 0.6
            bench.clear(step, earlier, home)
            before = bench.sums(step, home)
            leave(disk, int(bench.needs[step.name] * rng.random()) if number else 0)
            done = bench.run(step, home=home)
            if done.code == step.code and not unlike(bench.sums(step, home),
                                                     bench.references[step.name]):
                continue        # it was room enough after all
            number += 1
            row.tried += 1
            if done.code == 1 and not done.traceback() and any(word in done.sentence
                                                               for word in TOLD):
                row.outcomes["told in one sentence, exit code 1"] += 1
            else:
                row.wrong.append(
                    f"{row.what}: exit code {done.code}: {done.out[-200:]} {done.err[-600:]}")
            row.wrong += [f"{row.what}: {name} is of no whole run" for name in bench.mixed(
                step, home)]
            lost = [name for name in before if name not in bench.sums(step, home)]
            row.wrong += [f"{row.what}: {name} of the earlier run is gone" for name in lost]
            (disk / "ballast").unlink()
            done = bench.run(step, home=home)
            if done.code == step.code and not unlike(bench.sums(step, home),
                                                     bench.references[step.name]):
                row.outcomes["reruns byte-identical"] += 1
            else:
                unequal = unlike(bench.sums(step, home), bench.references[step.name])
                row.wrong.append(f"{row.what}: the rerun ended with {done.code} and differs in "
                                 f"{unequal}: {done.err[-600:]}")
    say(f"{row.what}: {row.outcomes}, {len(row.wrong)} wrong")
    return row


def full_disk_if_any(bench: Bench, step: Step, count: int, seed: int, say: Callable[
    [str], None] = print) -> Row:
    """`full_disk`; where mounting is not permitted, a row that says so."""
    try:
        return full_disk(bench, step, count, seed, say)
    except NoDisk as reason:
        say(f"disk full in {step.name}: not possible here: {reason}")
        return Row(f"disk full in {step.name}", "{tried} times",
                   outcomes=Counter({"not possible: mounting is not permitted": 1}))


def full_output(bench: Bench, step: Step, say: Callable[[str], None] = print) -> Row:
    """Let the disk be full that stdout goes to."""
    ready(bench, step)
    row = Row(f"stdout of {step.name} on a full disk", "{tried} time, /dev/full")
    row.tried += 1
    bench.clear(step)
    with open("/dev/full", "w") as full:
        done = ended(bench.start(bench.command(step), out=full))
    if done.code == 1 and not done.traceback() and "the disk is full" in done.sentence:
        row.outcomes["told in one sentence, exit code 1"] += 1
    else:
        row.wrong.append(f"{row.what}: exit code {done.code}: {done.err[-600:]}")
    settle(bench, step)
    say(f"{row.what}: {len(row.wrong)} wrong")
    return row
