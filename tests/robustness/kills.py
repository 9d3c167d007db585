"""kill -9 and Ctrl-C at random instants: the rerun completes, and its files are those of a run that
nothing disturbed.
"""
import random
import re
import signal
from collections.abc import Callable

from tests.robustness.bench.compare import unlike
from tests.robustness.bench.harness import Bench, check, instants, strike
from tests.robustness.bench.records import Done, Row, Step
from tests.robustness.bench.steps import INFER, ready, settle

RUN = re.compile(r"errors\.py\", line \d+, in run\b")
PLAIN = 5       # every so many kills strike a process that also imports its libraries
# seconds in which Python may not yet listen to a Ctrl-C, which then ends it without a word
STARTING = 0.05
CHAIN = 5       # at most so many kills in a row before a run is left alone
EARLY = "before the program began"     # while Python was starting: another instant is drawn


def kills(bench: Bench, step: Step, count: int, seed: int, say: Callable[
    [str], None] = print) -> Row:
    """Kill `step` `count` times, over and over on what the kill before left, and compare every few
    kills.
    """
    ready(bench, step)
    rng, row = random.Random(f"{seed} {step.name}"), Row(f"`kill -9` in {step.name}",
                                                         "{tried} at random instants")
    row.outcomes.update({"reruns complete and byte-identical": 0})
    lasts = measure(bench, step)
    fresh(bench, step, rng)
    for number, share in enumerate(instants(rng, count)):
        plain = not step.heavy or number % PLAIN == PLAIN - 1
        while not hit(bench, step, plain, share * (bench.took[step.name] if plain else lasts),
                      signal.SIGKILL):
            # done before the blow: the machine was faster than when it was measured
            share *= 0.8
            judge(bench, step, row, 0)
            fresh(bench, step, rng)
        row.tried += 1
        look(bench, step, row, f"kill {number + 1}")
        if rng.random() < 1 / 3 or number % CHAIN == CHAIN - 1 or number == count - 1:
            rerun(bench, step, row)
            fresh(bench, step, rng)
            say(f"{step.name}: {number + 1} of {count} kills, {len(row.wrong)} wrong")
    settle(bench, step)
    return row


def interrupts(bench: Bench, step: Step, count: int, seed: int, say: Callable[
    [str], None] = print) -> Row:
    """Ctrl-C at random instants: exit code 130, one sentence, no traceback, and the rerun goes on
    to the same files.
    """
    ready(bench, step)
    rng, row = random.Random(f"{seed} {step.name}"), Row(f"Ctrl-C in {step.name}",
                                                         "{tried} at random instants")
    row.outcomes.update({"ended with 130 and one sentence": 0, "reruns byte-identical": 0})
    lasts = measure(bench, step)
    for number, share in enumerate(instants(rng, count)):
        plain = not step.heavy or number % 2 == 1
        while True:
            fresh(bench, step, rng)
            done = hit(bench, step, plain, share * (bench.took[step.name] if plain else lasts),
                       signal.SIGINT)
            if done and not too_early(done):
                break
            if done:
                row.tried += 1
                row.outcomes[EARLY] += 1
            share = rng.random()
        row.tried += 1
        if done.code == 130 and not done.traceback() and done.sentence.startswith("interrupted: "):
            row.outcomes["ended with 130 and one sentence"] += 1
        elif done.code in (-signal.SIGINT,
                           step.code) and not done.traceback() and over(bench, step):
            row.outcomes["had finished already but for the end of the process"] += 1
        else:
            row.wrong.append(f"{row.what}: exit code {done.code}: {done.err[-600:]}")
        if step is INFER:
            kept(bench, row)
        else:
            look(bench, step, row, "Ctrl-C")
        rerun(bench, step, row, "reruns byte-identical")
    settle(bench, step)
    say(f"{step.name}: {count} times Ctrl-C, {len(row.wrong)} wrong")
    return row


def measure(bench: Bench, step: Step) -> float:
    """Seconds that the step takes with its libraries loaded, where they are."""
    if step.name not in bench.alone:
        bench.clear(step)
        bench.alone[step.name] = check(bench.run(step),
                                       step.code).seconds if step.heavy else bench.took[step.name]
    return bench.alone[step.name]


def fresh(bench: Bench, step: Step, rng: random.Random) -> None:
    """Begin with nothing, or with the results of an earlier run with other settings."""
    bench.clear(step, earlier=step.other != () and rng.random() < 0.5)


def hit(bench: Bench, step: Step, plain: bool, after: float, blow: int) -> Done | None:
    """Start the step and strike it; None where it was done before."""
    return strike(bench.start(bench.command(step)) if plain else bench.fork(step), after, blow)


def over(bench: Bench, step: Step) -> bool:
    """Whether all that the step leaves is there."""
    return not unlike(bench.sums(step), bench.references[step.name])


def too_early(done: Done) -> bool:
    """Whether the signal came before `utils.common.errors.run`, while Python was starting: nothing
    of ours could have heard it.
    """
    unheard = done.code == -signal.SIGINT and not done.err and done.seconds < STARTING
    return unheard or "KeyboardInterrupt" in done.err and RUN.search(done.err) is None


def look(bench: Bench, step: Step, row: Row, when: str) -> None:
    """Note what a later step would read wrongly now."""
    row.wrong += [
        f"{row.what}: {name} is of no whole run after {when}" for name in bench.mixed(step)
    ]


def kept(bench: Bench, row: Row) -> None:
    """Ctrl-C leaves a table of the recordings that were finished: each of its lines must be one of
    a whole run, but for the recording that was being heard.
    """
    if not (table := bench.home / "out" / "r.csv").exists():
        return
    tables = [bench.saved(INFER, which) / "out" / "r.csv" for which in ("earlier", "whole")]
    whole = {line for path in tables for line in path.read_text().splitlines()}
    other = [
        line for line in table.read_text().splitlines()
        if line not in whole and "interrupted after" not in line
    ]
    row.wrong += [f"{row.what}: a line of no whole run: {line}" for line in other]


def rerun(bench: Bench, step: Step, row: Row,
          success: str = "reruns complete and byte-identical") -> None:
    """Let the step run to its end and compare."""
    done = bench.run(step)
    if done.code != step.code or done.traceback():
        row.wrong.append(f"{row.what}: the rerun ended with {done.code}: {done.err[-600:]}")
    judge(bench, step, row, 1, success)


def judge(bench: Bench, step: Step, row: Row, count: int,
          success: str = "reruns complete and byte-identical") -> None:
    """Compare all that the step left with the undisturbed run."""
    if differing := unlike(bench.sums(step), bench.references[step.name]):
        row.wrong.append(f"{row.what}: {', '.join(differing[:5])} differ from the undisturbed run")
    else:
        row.outcomes[success] += count
