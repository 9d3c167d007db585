"""Two runs at once on the same folders: the second is told in one sentence, or both are right;
nothing is ever mixed.
"""
import random
import time
from collections.abc import Callable

from tests.robustness.bench.compare import unlike
from tests.robustness.bench.harness import Bench, check, ended
from tests.robustness.bench.records import Done, Row, Step
from tests.robustness.bench.steps import FREQUENT, PREPROCESS, TRAIN, ready, settle

TOLD = "another run"
# writes other stores while training reads them
REPLACE = ("--data_dir", "data", "--limit", "9", "--force")


def pairs(bench: Bench, step: Step, count: int, seed: int, say: Callable[
    [str], None] = print) -> Row:
    """Start the step, at a random instant start it again, with other settings where it has any, and
    judge both.
    """
    ready(bench, step)
    rng, row = random.Random(f"{seed} {step.name}"), Row(f"two runs of {step.name} at once",
                                                         "{tried} pairs")
    row.outcomes.update({"seconds told": 0, "both right": 0, "reruns byte-identical": 0})
    for _ in range(count):
        bench.clear(step)
        first = bench.start(bench.command(step))
        # mostly close together: what they hold alone is short
        time.sleep(0.5 * rng.random() ** 3 * bench.took[step.name])
        second = bench.start(
            bench.command(step, other=step.other != () and step is not TRAIN and
                          rng.random() < 0.5))
        ends = [ended(first), ended(second)]
        row.tried += 1
        _judge(bench, step, row, ends)
    settle(bench, step)
    say(f"{row.what}: {row.outcomes}, {len(row.wrong)} wrong")
    return row


def _judge(bench: Bench, step: Step, row: Row, ends: list[Done]) -> None:
    told = [done for done in ends if done.code == 1 and TOLD in done.sentence]
    right = [done for done in ends if done.code == step.code and not done.sentence]
    if any(done.traceback() for done in ends) or len(told) + len(right) != 2 or not right:
        row.wrong.append(
            f"{row.what}: ended with {[(done.code, done.err[-400:]) for done in ends]}")
    else:
        row.outcomes["seconds told" if told else "both right"] += 1
    row.wrong += [f"{row.what}: {name} is of no whole run" for name in bench.mixed(step)]
    done = bench.run(step)
    if done.code == step.code and not unlike(bench.sums(step), bench.references[step.name]):
        row.outcomes["reruns byte-identical"] += 1
    else:
        row.wrong.append(f"{row.what}: the rerun differs: {done.err[-400:]}")


def replaced_while_read(bench: Bench, count: int, seed: int, say: Callable[
    [str], None] = print) -> Row:
    """Replace the stores while a training reads them: it says so, or has what an undisturbed one
    has.
    """
    ready(bench, TRAIN)
    rng, row = random.Random(f"{seed} replaced"), Row("stores replaced while train reads them",
                                                      "{tried} trainings")
    row.outcomes.update({"told in one sentence": 0, "all on the old stores": 0,
                         "all on the new ones": 0})
    replace = Step("replace", PREPROCESS.script, REPLACE, (), first=FREQUENT)
    for _ in range(count):
        bench.clear(TRAIN)
        replacing = bench.start(bench.command(replace))
        time.sleep(rng.random() * bench.took[PREPROCESS.name])
        done = ended(bench.fork(TRAIN))
        check(ended(replacing), 0)
        row.tried += 1
        same = not unlike(bench.sums(TRAIN), bench.references[TRAIN.name])
        if done.code == 1 and not done.traceback() and done.sentence:
            row.outcomes["told in one sentence"] += 1
        elif done.code == 0 and same:
            row.outcomes["all on the old stores"] += 1
        elif done.code == 0 and " 9 train and 9 dev " in done.out:
            row.outcomes["all on the new ones"] += 1
        else:
            row.wrong.append(
                f"{row.what}: ended with {done.code}: {done.out[-300:]} {done.err[-600:]}")
        settle(bench, PREPROCESS)
    settle(bench, TRAIN)
    say(f"{row.what}: {row.outcomes}, {len(row.wrong)} wrong")
    return row
