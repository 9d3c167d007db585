"""Train a detector on the stores of preprocess_data.py, and choose its best epoch on dev.

    python notebooks/aasist_training.py --small_model --epochs 5 --max_samples 500 --test
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import time

from utils.common.arguments import count, positive, rate, seeds, share
from utils.common.devices import DEVICES
from utils.common.files import CHECKPOINT_DIR, DATA_DIR, RESULTS_DIR
from utils.training.architectures import ARCHITECTURES, FRONT_ENDS, misuse

# Of each option: its name, type (or choices), default, and what it does. None as default: the
# recipe of the architecture decides, see utils/training/recipes.py.
OPTIONS = {
    "network": (
        ("architecture", tuple(ARCHITECTURES), None, "which network (default: aasist)"),
        ("front_end", FRONT_ENDS, None, "features that lcnn reads (default: lfcc)"),
        ("components", positive, None, "of each mixture of lfcc-gmm (default: 512 or fewer)"),
        ("encoder", Path, None, "ONNX file with the weights of the frozen speech encoder"),
        ("init_from", Path, None, "start from the weights of this checkpoint (.pt)"),
        ("freeze", str, None, "parts that do not learn, separated by commas: names of modules, "
                              "a number of blocks, or norm (all batch-norm statistics)")),
    "learning": (
        ("recipe", ("default", "published"), "default", "published: AASIST's own recipe"),
        ("teacher", Path, None, "learn this detector's scores (.pt or .onnx) beside the labels"),
        ("distil_weight", share, None, "weight of the teacher, 0 to 1 (default: 0.5)"),
        ("distil_temperature", rate, None, "of the teacher's probabilities (default: 2)"),
        ("augment", ("none", "speed", "rawboost", "full"), None, "augmentation of both classes"),
        ("balance", ("none", "class", "attack", "source"), None,
         "how batches are drawn: shuffled, or half bona fide and evenly over each class, over "
         "attacks, or over sources (default: the recipe's, attack)"),
        ("source_power", share, None, "n recordings of a source count like n^P (default: 0.5, "
                                      "hybrid 0.75)"),
        ("ridge", rate, None, "penalty of ridge regression per unit of squared weight"),
        ("label_smoothing", share, None, "share of a label spread over both classes (default: 0)"),
        ("averaging", ("none", "moving", "swa-on-dev-improvement"), None, "of weights"),
        ("crop_seconds", rate, None, "length of training crops (default: 4.0375)"),
        ("early_stop", positive, None, "stop after so many epochs without a lower dev EER"),
        ("epochs", positive, None, "epochs in all, those of a resumed run included"),
        ("batch_size", positive, None, "utterances per step"),
        ("learning_rate", rate, None, "the highest learning rate")),
    "run": (
        ("max_samples", positive, None, "at most so many utterances of train, and of dev"),
        ("device", DEVICES, "cpu", "where to compute"),
        ("seed", count, None, "same seed and threads, same model on the CPU (default: 1)"),
        ("seeds", seeds, None, "one run for each of these, as 1,2,3; mean and spread"),
        ("num_workers", count, 0, "processes that read ahead"),
        ("run_name", str, None, "folder of the run (default: <architecture>-<n>)"),
        ("data_dir", Path, DATA_DIR, "folder that holds processed/"),
        ("checkpoint_dir", Path, CHECKPOINT_DIR, "where models go"),
        ("results_dir", Path, RESULTS_DIR, "where figures go")),
}
SWITCHES = {"small_model": "train the small network, which suits a laptop",
            "test": "evaluate the best epoch on eval at the end",
            "resume": "continue the run of that name, or start it",
            "more_data": "with --resume: the stores may hold other data than before"}


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, text in SWITCHES.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    for title, options in OPTIONS.items():
        group = parser.add_argument_group(title)
        for name, kind, default, text in options:
            typed = {"choices": kind} if isinstance(kind, tuple) else {"type": kind}
            group.add_argument(f"--{name}", default=default, help=text, **typed)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Train one run, or one for each of --seeds; 0."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if (why := misuse(args)) is not None:
        parser.error(why)
    from utils.parallel.join import join
    from utils.training.seeds import run_seeds
    processes = join(args.device)       # this one alone, or among those that torchrun started
    try:
        if args.seeds:
            run_seeds(args, processes, train)
        else:
            train(args, processes)
    finally:
        processes.close()
    return 0


def train(args: argparse.Namespace, processes) -> dict:
    """One run from its next epoch to its export and its test; returns its figures."""
    from utils.training.best_model import export_best, test
    from utils.training.dev_scoring import score_dev
    from utils.training.learners.gradient import Gradient
    from utils.training.saving import out_of_patience, resume, save_epoch
    from utils.training.seeds import in_figures
    from utils.training.setup import alone_in_its_folder, describe, open_run
    run = open_run(args, processes)
    learn = train_epoch if isinstance(run.learner, Gradient) else run.learner.epoch
    with alone_in_its_folder(run):
        resume(run)
        print(describe(run), flush=True)
        for epoch in range(len(run.history), run.epochs):
            if out_of_patience(run):
                print(f"stopped early: {args.early_stop} epochs without a lower dev EER")
                break
            started = time.monotonic()
            loss = learn(run, epoch)
            seconds = time.monotonic() - started
            save_epoch(run, loss, score_dev(run, run.learner.scored), seconds)
        dev_eer = export_best(run)
        return in_figures(run, dev_eer, test(run) if args.test else None)


def train_epoch(run, epoch: int) -> float:
    """One pass over the epoch's batches by gradients; the mean loss."""
    from utils.training.batches import batches
    from utils.training.saving import check_finite
    learner = run.learner
    network, optimizer = learner.network, learner.optimizer
    learner.training_mode()
    total = 0.0
    for step, batch in enumerate(batches(run, epoch)):
        learner.set_rate(epoch, step)
        waves, masks = batch.waves.to(run.processes.device), learner.masks()
        with run.processes.whole_batch(run.order.batch_size):   # one process: nothing to do
            _, logits = network(waves, **masks)                 # (B, 2): spoof, bona fide
        loss = learner.loss(logits, batch)
        mean = run.processes.mean(loss)                         # one process: the loss itself
        check_finite(run, mean.item(), epoch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        learner.after_step()
        total += mean.item()
    return total / len(run.order)


if __name__ == "__main__":
    from utils.common.errors import run
    run(main, "lower --batch_size or --num_workers, or train the --small_model")
