"""Train a detector on the stores of preprocess_data.py, choose the best epoch on dev, and (--test) evaluate it on eval.

    python notebooks/aasist_training.py --small_model --epochs 5 --batch_size 16 --max_samples 500 --device cpu --test
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import time

from utils.common.arguments import count, positive, rate, seeds, share
from utils.common.files import CHECKPOINT_DIR, DATA_DIR, RESULTS_DIR
from utils.training.architectures import ARCHITECTURES, FRONT_ENDS, misuse


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small_model", action="store_true", help="train the small model, without graph attention (a laptop's choice)")
    parser.add_argument("--architecture", choices=ARCHITECTURES, help="which network (default: aasist)")
    parser.add_argument("--front_end", choices=FRONT_ENDS, help="what lcnn listens to (default: lfcc)")
    parser.add_argument("--components", type=positive, help="of each mixture of lfcc-gmm (default: 512, fewer for few data)")
    parser.add_argument("--encoder", type=Path, metavar="FILE.onnx", help="weights of the frozen speech encoder of --architecture encoder and hybrid")
    parser.add_argument("--init_from", type=Path, metavar="FILE.pt", help="start from the weights of this checkpoint, of the same architecture (hybrid: of an AASIST or a hybrid)")
    parser.add_argument("--freeze", metavar="PART[,PART]", help="parts that do not learn: names of modules (encoder.0), or the first N blocks "
                                                                "and what is before them (2); norm: all batch-norm statistics")
    parser.add_argument("--teacher", type=Path, metavar="FILE", help="learn this detector's scores (.pt or .onnx) beside the labels")
    parser.add_argument("--distil_weight", type=share, help="what the teacher weighs, 0 to 1 (default: 0.5)")
    parser.add_argument("--distil_temperature", type=rate, help="temperature of its probabilities (default: 2)")
    parser.add_argument("--recipe", choices=("default", "published"), default="default",
                        help="published: AASIST's own training recipe; default: ours, balanced over classes and attacks")
    parser.add_argument("--augment", choices=("none", "speed", "rawboost", "full"), help="augmentation of both classes (default: the recipe's)")
    parser.add_argument("--balance", choices=("none", "class", "attack", "source"),
                        help="how batches are drawn: none (shuffled), or half bona fide, and each class evenly (class), the spoofs by attack "
                             "(attack), both by where they came from (source) (default: the recipe's, attack)")
    parser.add_argument("--source_power", type=share, metavar="P", help="with --balance source: n recordings of a source count like n^P; hybrid: n of a source by one attack (default: 0.5, hybrid: 0.75)")
    parser.add_argument("--ridge", type=rate, metavar="R", help="of hybrid: penalty per unit of squared weight (default: 0.004; smaller suits more data)")
    parser.add_argument("--label_smoothing", type=share, help="share of a label that is spread over both classes (default: 0)")
    parser.add_argument("--averaging", choices=("none", "moving", "swa-on-dev-improvement"), help="of weights (default: the recipe's, moving)")
    parser.add_argument("--crop_seconds", type=rate, help="length of training crops (default: 4.0375); dev and eval windows stay")
    parser.add_argument("--early_stop", type=positive, metavar="N", help="stop after N epochs without a lower dev EER")
    parser.add_argument("--epochs", type=positive, help="epochs in all, those of a resumed run included (default: the recipe's)")
    parser.add_argument("--batch_size", type=positive, help="utterances per step (default: the recipe's)")
    parser.add_argument("--learning_rate", type=rate, help="highest learning rate (default: the recipe's)")
    parser.add_argument("--max_samples", type=positive, help="use at most so many utterances of train, and of dev, drawn by key and attack")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="cpu", help="where to compute (default: cpu)")
    parser.add_argument("--test", action="store_true", help="evaluate the best epoch on the eval subset at the end")
    parser.add_argument("--seed", type=count, help="the same seed and number of threads give the same model on the CPU (default: the recipe's, 1 or as published 1234)")
    parser.add_argument("--seeds", type=seeds, metavar="1,2,3", help="one run for each seed, <run_name>-seed1 and so on; mean and spread of their figures")
    parser.add_argument("--num_workers", type=count, default=0, help="processes that read ahead (default: 0; reading is cheap)")
    parser.add_argument("--resume", action="store_true", help="go on with the run of that name; start it where there is none")
    parser.add_argument("--more_data", action="store_true", help="with --resume: the stores may hold other data than before")
    parser.add_argument("--run_name", help="folder of the run (default: <architecture>-<n>)")
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR, help="folder that holds processed/ (default: data)")
    parser.add_argument("--checkpoint_dir", type=Path, default=CHECKPOINT_DIR, help="where models go (default: models/checkpoints)")
    parser.add_argument("--results_dir", type=Path, default=RESULTS_DIR, help="where figures go (default: results)")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if (why := misuse(args)) is not None:
        parser.error(why)
    from utils.parallel.group import join
    from utils.training.seeds import run_seeds
    group = join(args.device)       # this process alone, or its place among those that torchrun started
    try:
        if args.seeds:
            run_seeds(args, group, train_run)
        else:
            train_run(args, group)
    finally:
        group.close()
    return 0


def train_run(args: argparse.Namespace, group) -> dict:
    """One run from its first (or next) epoch to its export; its figures."""
    from utils.training.finish import figures, finish, test
    from utils.training.learners.em import gmm_epoch
    from utils.training.learners.ridge import ridge_epoch
    from utils.training.session import Session
    from utils.training.summary import summary
    session = Session(args, group)
    learn = {"lfcc-gmm": gmm_epoch, "hybrid": ridge_epoch}.get(session.architecture, train_epoch)
    with session.alone_on_its_folder():
        session.go_on()
        print(summary(session), flush=True)
        for epoch in session.epochs_ahead:
            if session.patience_is_over:
                print(f"stopped early: {args.early_stop} epochs without a lower dev EER")
                break
            started = time.monotonic()
            loss = learn(session, epoch)
            session.finish_epoch(loss, time.monotonic() - started)
        dev_eer = finish(session)
        return figures(session, dev_eer, test(session) if args.test else None)


def train_epoch(session, epoch: int) -> float:
    """One pass over the epoch's batches; the mean loss."""
    session.training_mode()
    total = 0.0
    for number, (waves, labels) in enumerate(session.batches(epoch)):
        session.set_learning_rate(epoch, number)
        loss = session.loss(session.logits(waves), labels, number)
        mean = session.group.mean(loss)      # over the processes; of one alone its own
        session.check_finite(mean, epoch, number)
        session.optimizer.zero_grad()
        loss.backward()
        session.optimizer.step()
        session.after_step()
        total += mean.item()
    return total / session.steps_per_epoch


if __name__ == "__main__":
    from utils.common.errors import run
    run(main, "lower --batch_size or --num_workers, or train the --small_model")
