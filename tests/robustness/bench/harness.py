"""Every step of the pipeline as a process of its own, on a small corpus of real speech, to be
struck and run again.

A step is compared by its files, byte for byte, with a run that nothing disturbed. Left out of the
comparison: locks (they hold a process number) and the seconds that an epoch took (wall time; in
history.csv and in the models' metadata).
"""
import contextlib
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO

import soundfile

from tests.helpers.asvspoof5_archives import build_raw
from tests.conftest import ROOT
from tests.robustness.bench.compare import copy, digest, files, passing, remove, unfinished, unlike
from tests.robustness.bench.records import Done, Step
from tests.helpers.audio.example_speech import crops, write_clips

PARTS = ("models", "utils", "notebooks")
LIMIT = 300     # seconds that a step may take before it counts as hung


class Bench:
    """A copy of the code and a home folder with archives, recordings and, after `reference`, each
    step's results.
    """

    def __init__(self, folder: Path, recordings: int = 60) -> None:
        self.folder = folder
        self.code, self.home = folder / "the cöde", folder / "a höme"
        unwanted = shutil.ignore_patterns("__pycache__", "checkpoints", "pretrained")
        for part in PARTS:
            shutil.copytree(ROOT / part, self.code / part, ignore=unwanted)
        build_raw(self.home / "data" / "raw", write_clips(self.folder / "clips"), speakers=9,
                  utterances=10)
        write_recordings(self.home / "audio", recordings)
        self.references: dict[str, dict[str, str]] = {}
        self.others: dict[str, dict[str, str]] = {}
        self.needs: dict[str, int] = {}         # bytes on disk
        self.took: dict[str, float] = {}        # seconds, imports included
        self.alone: dict[str, float] = {}       # seconds, imports left out
        self.forker: subprocess.Popen | None = None

    def command(self, step: Step, *more: str, other: bool = False, first: str = "") -> list[str]:
        """The command line of a step; with `first`, lines of Python go before the script in the
        same process.
        """
        options = step.other if other else step.options
        script, first = str(self.code / step.script), step.first + first
        if not first:
            return [sys.executable, script, *options, *more]
        code = (f"import runpy, sys\nsys.path[0] = {str(self.code)!r}\n{first}\n"
                f"runpy.run_path({script!r}, run_name='__main__')")
        return [sys.executable, "-c", code, *options, *more]

    def start(self, command: list[str], home: Path | None = None, limits: Callable[
        [], None] | None = None, piped: bool = False,
              out: int | IO = subprocess.PIPE) -> subprocess.Popen:
        """Start a process in a home folder, deaf to nothing."""
        def prepare() -> None:
            # a shell may have started us deaf to it, and children inherit that
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if limits:
                limits()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "PYTHONDEVMODE": "",
                                    "MPLBACKEND": "Agg"}
        return subprocess.Popen(command, cwd=home or self.home, env=environment, stdout=out,
                                stderr=subprocess.PIPE,
                                stdin=subprocess.PIPE if piped else subprocess.DEVNULL, text=True,
                                encoding="utf-8", errors="replace", preexec_fn=prepare,
                                start_new_session=True)

    def fork(self, step: Step, home: Path | None = None) -> "Forked":
        """Start a step in a child of a parent that has the libraries loaded."""
        if self.forker is None:
            self.forker = self.start([sys.executable, str(Path(__file__).with_name("forker.py"))],
                                     piped=True)
            self.forker.stdout.readline()
        return Forked(self, step, home or self.home)

    def close(self) -> None:
        """End the parent of forks, if there is one."""
        if self.forker:
            self.forker.stdin.close()
            try:
                self.forker.wait(10)
            except subprocess.TimeoutExpired:
                self.forker.kill()
                self.forker.wait()
            self.forker = None

    def run(self, step: Step, *more: str, other: bool = False, first: str = "",
            home: Path | None = None, plain: bool = False) -> Done:
        """Run a step to its end; one that imports much in a fork, where it runs as it stands."""
        if step.heavy and not plain:
            options = (step.other if other else step.options) + more
            return ended(self.fork(replace(step, options=options, first=step.first + first), home))
        return ended(self.start(self.command(step, *more, other=other, first=first), home))

    def reference(self, step: Step) -> dict[str, str]:
        """Sums of what the step leaves when nothing disturbs it (run once), those of the run with
        other settings kept beside.
        """
        if step.name not in self.references:
            if step.other:
                self.clear(step)
                check(self.run(step, other=True, first=step.stop), step.code)
                self.others[step.name] = self.sums(step)
                self.keep(step, self.saved(step, "earlier"))
            self.clear(step)
            check(self.run(step), step.code)
            self.references[step.name] = self.sums(step)
            self.keep(step, self.saved(step, "whole"))
            self.needs[step.name] = sum(
                (self.home / name).stat().st_size + 4096 for name in self.references[step.name])
            self.clear(step)
            self.took[step.name] = check(self.run(step, plain=True), step.code).seconds
            if differing := unlike(self.sums(step), self.references[step.name]):
                raise AssertionError(f"{step.name} is not deterministic: {differing}")
        return self.references[step.name]

    def saved(self, step: Step, which: str) -> Path:
        """Where a copy lies of the results of the undisturbed run ("whole") and of the one with
        other settings ("earlier").
        """
        return self.folder / which / step.name

    def restore(self, step: Step) -> None:
        """Put the results of the undisturbed run back."""
        self.clear(step)
        for name in step.outputs:
            copy(self.saved(step, "whole") / name, self.home / name)

    def keep(self, step: Step, folder: Path) -> None:
        """Copy a step's outputs into `folder`."""
        for name in step.outputs:
            copy(self.home / name, folder / name)

    def clear(self, step: Step, earlier: bool = False, home: Path | None = None) -> None:
        """Remove a step's outputs; `earlier`: and put those of the run with other settings there.
        """
        home = home or self.home
        for name in step.outputs:
            remove(home / name)
            remove((home / name).with_name((home / name).name + ".partial"))
            if earlier and step.other:
                copy(self.saved(step, "earlier") / name, home / name)

    def sums(self, step: Step, home: Path | None = None) -> dict[str, str]:
        """A sum for every file that the step wrote, whatever its name; locks left out."""
        home = home or self.home
        found = [path for name in step.outputs for path in files(home / name)]
        found += [path for name in step.outputs if (path := home / (name + ".partial")).is_file()]
        return {
            path.relative_to(home).as_posix(): digest(path)
            for path in sorted(found)
            if not path.name.endswith(".lock")
        }

    def mixed(self, step: Step, home: Path | None = None) -> list[str]:
        """Files under their final names that are of no whole run: what a later step or a person
        would read wrongly.
        """
        home, found = home or self.home, self.sums(step, home)
        runs = [run for run in (self.references[step.name], self.others.get(step.name)) if run]
        found = {name: value for name, value in found.items() if not unfinished(name)}
        bad = [name for name, value in found.items()
               if value not in [run.get(name) for run in runs] and not passing(step, home / name)]
        for pattern in step.markers:
            for marker in home.glob(pattern):
                beside = {
                    name: value
                    for name, value in found.items()
                    if (home / name).parent == marker.parent
                }
                whole = [{
                    name: value
                    for name, value in run.items()
                    if (home / name).parent == marker.parent
                }
                         for run in runs]
                if not unfinished(marker.relative_to(home).as_posix()) and beside not in whole:
                    bad.append(f"what lies beside {marker.relative_to(home)}")
        return bad


class Forked:
    """A child of the forker, used like a `subprocess.Popen`."""

    def __init__(self, bench: Bench, step: Step, home: Path) -> None:
        self.parent, self.files = bench.forker, [bench.folder / name for name in ("out", "err")]
        script = str(bench.code / step.script)
        job = {"script": script, "options": step.options, "first": step.first,
               "code": str(bench.code), "home": str(home), "out": str(self.files[0]),
               "err": str(self.files[1])}
        self.parent.stdin.write(json.dumps(job) + "\n")
        self.parent.stdin.flush()
        self.pid, self.returncode = int(self.parent.stdout.readline()), None

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it printed, once it has ended; `subprocess.TimeoutExpired` where that takes longer.
        """
        if self.returncode is None:
            if not select.select([self.parent.stdout], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("forked", timeout)
            self.returncode = int(self.parent.stdout.readline())
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in self.files)
        return out, err

    def kill(self) -> None:
        """Kill -9."""
        os.killpg(self.pid, signal.SIGKILL)


def write_recordings(folder: Path, count: int) -> None:
    """`count` clips of real speech, 1 to 2 s, and three files that are no audio, cut short and
    empty.
    """
    folder.mkdir(parents=True)
    speech = crops("bonafide", min(count, 60))
    for number in range(count):
        wave = speech[number % len(speech)][1600 * (number // len(speech)):]
        soundfile.write(folder / f"{number:05}.flac", wave[:16000 + 200 * (number % 80)], 16000)
    whole = (folder / "00000.flac").read_bytes()
    for name, content in (("broken-1.flac", whole[:len(whole) // 2]), ("broken-2.wav", b"no audio"),
                          ("broken-3.wav", b"")):
        (folder / name).write_bytes(content)


def check(done: Done, code: int) -> Done:
    """`done`, where it ended as expected; AssertionError with what it said elsewhere."""
    if done.code != code or done.traceback():
        raise AssertionError(
            f"exit code {done.code} instead of {code}: {done.out[-500:]} {done.err[-1500:]}")
    return done


def ended(process: "subprocess.Popen | Forked", begun: float | None = None) -> Done:
    """Wait for a process; one that hangs is killed and has the code -9."""
    begun = begun or time.monotonic()
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate(timeout=LIMIT)
        err += f"\nTraceback of a hang: no end within {LIMIT} s"
    return Done(process.returncode, out or "", err, time.monotonic() - begun)


def strike(process: "subprocess.Popen | Forked", after: float, blow: int) -> Done | None:
    """Send a signal to the process and all its children after so many seconds; None where it was
    done before that.
    """
    begun = time.monotonic()
    try:
        process.communicate(timeout=after)
        return None
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, blow)
        return ended(process, begun)


def instants(rng, count: int) -> Iterable[float]:
    """Shares of a step's duration, spread over all of it and in random order."""
    found = [(number + rng.random()) / count for number in range(count)]
    rng.shuffle(found)
    return found


def child_seconds() -> float:
    """CPU seconds of all processes started from here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
