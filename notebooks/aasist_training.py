"""Train a detector on the stores of preprocess_data.py, and choose its best epoch on dev.

    python notebooks/aasist_training.py --small_model --epochs 5 --max_samples 500 --test
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import time

from utils.common.arguments import Parser, add_groups
from utils.training.setup.options import GROUPS, misuse


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    parser = Parser(prog=Path(__file__).name, description=__doc__.split("\n")[0])
    add_groups(parser, GROUPS)
    return parser


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The arguments, checked; exits with code 2 if they do not fit together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if (why := misuse(args)) is not None:
        parser.error(why)
    return args


def main(argv: list[str] | None = None) -> int:
    """Train one run, or one for each of --seeds; 0."""
    args = parse(argv)
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
    from utils.training.setup.opening import alone_in_its_folder, describe, open_run
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
