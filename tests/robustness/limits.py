"""A loss that is no number, and memory that runs out: what was good is kept, and the flag to lower
is named.
"""
import random
from collections.abc import Callable

from tests.robustness.bench.compare import unlike
from tests.robustness.bench.harness import Bench
from tests.robustness.bench.records import Row, Step
from tests.robustness.bench.steps import EVALUATE, INFER, PREPROCESS, TRAIN, ready, settle

NAN = """
from utils.training.learners.gradient import Gradient
whole = Gradient.loss
def loss(self, logits, batch):
    self.seen = getattr(self, "seen", 0) + 1
    return whole(self, logits, batch) * (float("nan") if self.seen == {step} else 1)
Gradient.loss = loss
"""
MEMORY = """
import resource
{imports}
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + ({more} << 20)
resource.setrlimit(resource.RLIMIT_AS, (size, size))
"""
# after which it ends the process: nothing of ours can say more
OPENBLAS = "OpenBLAS error: Memory allocation still failed"
# what the step imports, its options for much memory at once, and the flag that it must name
HUNGRY = {
    TRAIN: (
        "import torch, onnx, onnxruntime, matplotlib.figure, scipy.optimize, scipy.signal, "
        "utils.training.setup, utils.training.best_model",
        ("--batch_size", "96", "--run_name", "big"), "--batch_size"),
    EVALUATE: (
        "import torch, matplotlib.figure, scipy.optimize, utils.report.results, "
        "utils.detector.engines.torch_engine",
        ("--model", "checkpoints/r/best.pt", "--batch_size", "512"), "--batch_size"),
    PREPROCESS: ("import av, soxr, utils.store.build", ("--force", ), "--low_memory"),
    INFER: (
        "import onnxruntime, soxr, utils.inference.batch, "
        "utils.detector.engines.onnx_engine",
        (), "--small_model")
}


def diverging_loss(bench: Bench, count: int, seed: int, say: Callable[[str], None] = print) -> Row:
    """A learning rate of 1e30, and a NaN put into random batches: named, and the rerun goes on from
    the last good epoch.
    """
    ready(bench, TRAIN)
    rng = random.Random(f"{seed} NaN")
    row = Row("loss that is no number",
              "{tried} times: a learning rate of 1e30, and NaN in random batches")
    row.outcomes.update({"stopped and the batch named": 0, "reruns byte-identical": 0})
    bench.clear(TRAIN)
    done = bench.run(TRAIN, "--learning_rate", "1e30", "--run_name", "steep")
    _named(row, done, "--learning_rate")
    steps = 2       # per epoch: 8 utterances of each key, 4 in a batch
    for _ in range(count):
        bench.clear(TRAIN)
        # not in the first epoch, which has nothing before it
        struck = rng.randrange(steps, 3 * steps)
        done = bench.run(TRAIN, first=NAN.format(step=struck + 1))
        _named(row, done, f"epoch {struck // steps + 1}, batch {struck % steps + 1}:")
        row.wrong += [f"{row.what}: {name} is of no whole run" for name in bench.mixed(TRAIN)]
        done = bench.run(TRAIN)
        epoch = struck // steps
        resumed = f"epoch {epoch + 1}/" in done.out and f"epoch {epoch}/" not in done.out
        if resumed and not unlike(bench.sums(TRAIN), bench.references[TRAIN.name]):
            row.outcomes["reruns byte-identical"] += 1
        else:
            row.wrong.append(f"{row.what}: the rerun differs: {done.out[-300:]} {done.err[-300:]}")
    settle(bench, TRAIN)
    say(f"{row.what}: {row.outcomes}, {len(row.wrong)} wrong")
    return row


def _named(row: Row, done, words: str) -> None:
    row.tried += 1
    if done.code == 1 and not done.traceback(
    ) and words in done.sentence and "batch" in done.sentence:
        row.outcomes["stopped and the batch named"] += 1
    else:
        row.wrong.append(f"{row.what}: exit code {done.code}, no {words!r}: {done.err[-600:]}")


def short_memory(bench: Bench, step: Step, count: int, seed: int, say: Callable[
    [str], None] = print) -> Row:
    """Give the process a few megabytes more than its libraries take (RLIMIT_AS), at random amounts.
    """
    ready(bench, step)
    imports, options, flag = HUNGRY[step]
    rng, row = random.Random(f"{seed} {step.name}"), Row(f"out of memory in {step.name}",
                                                         "{tried} limits of address space")
    row.outcomes.update({f"told in one sentence that names {flag}": 0, "had enough": 0})
    for _ in range(count):
        more = int(2 ** rng.uniform(*RANGES[step]))
        done = bench.run(step, *options, first=MEMORY.format(imports=imports, more=more),
                         plain=True)
        row.tried += 1
        if done.code == 1 and not done.traceback(
        ) and "memory ran out" in done.sentence and flag in done.sentence:
            row.outcomes[f"told in one sentence that names {flag}"] += 1
        elif done.code == step.code and not done.traceback() and not done.sentence:
            row.outcomes["had enough"] += 1
        elif done.code == 1 and not done.traceback() and OPENBLAS in done.err:
            row.outcomes["ended by OpenBLAS in its own words, exit code 1"] += 1
        else:
            row.wrong.append(
                f"{row.what}: {more} MB: exit code {done.code}: {done.out[-200:]} {done.err[-600:]}"
            )
    settle(bench, step)
    say(f"{row.what}: {row.outcomes}, {len(row.wrong)} wrong")
    return row


# binary logarithms of MB
RANGES = {TRAIN: (6, 9), EVALUATE: (5, 8), PREPROCESS: (0, 6), INFER: (1, 6)}
