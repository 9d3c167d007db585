"""Train a detector on the stores of preprocess_data.py, choose the best epoch on dev, and (--test) evaluate it on eval.

    python notebooks/aasist_training.py --small_model --epochs 5 --batch_size 16 --max_samples 500 --device cpu --test
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import time

from utils.files import CHECKPOINT_DIR, DATA_DIR, RESULTS_DIR
from utils.training.architectures import ARCHITECTURES, FRONT_ENDS, misuse


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small_model", action="store_true", help="train the small model, without graph attention (a laptop's choice)")
    parser.add_argument("--architecture", choices=ARCHITECTURES, help="which network (default: aasist)")
    parser.add_argument("--front_end", choices=FRONT_ENDS, help="what lcnn listens to (default: lfcc)")
    parser.add_argument("--components", type=positive, help="of each mixture of lfcc-gmm (default: 512, fewer for few data)")
    parser.add_argument("--encoder", type=Path, metavar="FILE.onnx", help="weights of the frozen speech encoder of --architecture encoder")
    parser.add_argument("--recipe", choices=("default", "published"), default="default",
                        help="published: AASIST's own training recipe; default: ours, balanced over classes and attacks")
    parser.add_argument("--augment", choices=("none", "speed", "rawboost", "full"), help="augmentation of both classes (default: the recipe's)")
    parser.add_argument("--epochs", type=positive, help="epochs in all, those of a resumed run included (default: the recipe's)")
    parser.add_argument("--batch_size", type=positive, help="utterances per step (default: the recipe's)")
    parser.add_argument("--learning_rate", type=rate, help="highest learning rate (default: the recipe's)")
    parser.add_argument("--max_samples", type=positive, help="use at most so many utterances of train, and of dev, drawn by key and attack")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="cpu", help="where to compute (default: cpu)")
    parser.add_argument("--test", action="store_true", help="evaluate the best epoch on the eval subset at the end")
    parser.add_argument("--seed", type=count, help="the same seed and number of threads give the same model on the CPU (default: the recipe's, 1 or as published 1234)")
    parser.add_argument("--num_workers", type=count, default=0, help="processes that read ahead (default: 0; reading is cheap)")
    parser.add_argument("--resume", action="store_true", help="go on with the run of that name; start it where there is none")
    parser.add_argument("--run_name", help="folder of the run (default: <architecture>-<n>)")
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR, help="folder that holds processed/ (default: data)")
    parser.add_argument("--checkpoint_dir", type=Path, default=CHECKPOINT_DIR, help="where models go (default: models/checkpoints)")
    parser.add_argument("--results_dir", type=Path, default=RESULTS_DIR, help="where figures go (default: results)")
    return parser


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def count(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    if (value := int(text)) < 0:
        raise ValueError(text)
    return value


def rate(text: str) -> float:
    """A positive, finite number, for argparse."""
    if not 0 < (value := float(text)) < float("inf"):
        raise ValueError(text)
    return value


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if (why := misuse(args)) is not None:
        parser.error(why)
    from utils.locks import only_run
    from utils.training.gmm import gmm_epoch
    from utils.training.session import Session
    session = Session(args)
    learn = gmm_epoch if session.architecture == "lfcc-gmm" else train_epoch
    with only_run(session.run_dir / ".lock", f"training {session.name}"):
        session.go_on()
        print(session.summary(), flush=True)
        for epoch in range(session.epochs_done, session.epochs):
            started = time.monotonic()
            loss = learn(session, epoch)
            session.finish_epoch(loss, time.monotonic() - started)
        session.finish()
        if args.test:
            session.test()
    return 0


def train_epoch(session, epoch: int) -> float:
    """One pass over the epoch's batches; the mean loss."""
    session.model.train()
    total = 0.0
    for number, (waves, labels) in enumerate(session.batches(epoch)):
        session.set_learning_rate(epoch, number)
        loss = session.loss(session.logits(waves), labels.to(session.device))
        session.check_finite(loss, epoch, number)
        session.optimizer.zero_grad()
        loss.backward()
        session.optimizer.step()
        session.after_step()
        total += loss.item()
    return total / session.steps_per_epoch


if __name__ == "__main__":
    from utils.errors import run
    run(main, "lower --batch_size or --num_workers, or train the --small_model")
