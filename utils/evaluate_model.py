"""Evaluate a detector: score a stored subset with a model, or read score and key files.

    python utils/evaluate_model.py --subset eval
    python utils/evaluate_model.py --scores S.tsv --keys K.tsv --json

Score and key files have any official format of ASVspoof 2019, 2021 or 5.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
from collections.abc import Callable

from utils.common.arguments import count, positive, recorded
from utils.common.errors import run
from utils.common.files import CHECKPOINT_DIR, DATA_DIR, RESULTS_DIR


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser.add_argument_group("score a stored subset").add_argument)
    add_files(parser.add_argument_group("or read scores").add_argument)
    add_figures(parser.add_argument)
    add = parser.add_argument
    add("--data_dir", type=Path, default=DATA_DIR,
        help="folder that holds processed/ (default: data)")
    add("--checkpoint_dir", type=Path, default=CHECKPOINT_DIR,
        help="folder of trained models (default: models/checkpoints)")
    add("--results_dir", type=Path, default=RESULTS_DIR,
        help="folder of results (default: results)")
    return parser


def add_model(add: Callable) -> None:
    """What scores a stored subset, and how."""
    add("--model", type=Path, help="checkpoint (.pt) or exported model (.onnx) "
                                   "(default: the newest trained model, else the pretrained one)")
    add("--subset", choices=("train", "dev", "eval"), default="eval",
        help="subset to score (default: eval)")
    add("--batch_size", type=positive, default=16, help="windows scored at a time (default: 16)")
    add("--device", choices=("cpu", "cuda", "mps"), default="cpu",
        help="where the model runs (default: cpu)")
    add("--threads", type=positive, help="CPU threads (default: the library's choice)")
    add("--published_protocol", action="store_true", help="score as the published AASIST "
        "evaluation: bona fide logit of the first 64,600 samples")


def add_files(add: Callable) -> None:
    """The files that replace a model."""
    add("--scores", type=Path, help="score file of any system, instead of a model")
    add("--keys", type=Path, help="key or protocol file for --scores")
    add("--asv_scores", type=Path,
        help="the organisers' speaker verification scores of ASVspoof 2019 "
             "(source, target/nontarget/spoof, score), for the min t-DCF of that corpus")
    add("--phase", default="eval", help="which trials of an ASVspoof 2021 key file to use: "
                                        "eval (default), progress, hidden or all")


def add_figures(add: Callable) -> None:
    """Costs, intervals, and where the figures go."""
    add("--prior", type=float, help="prior of spoof (default: the model's, else 0.05)")
    for name, what, usual in (("miss", "rejecting bona fide", 1), ("fa", "accepting spoofed", 10)):
        add(f"--cost_{name}", type=float,
            help=f"cost of {what} speech (default: the model's, else {usual})")
    add("--seen_attacks", nargs="*", help="attacks known from training; they and all others get "
        "figures of their own (default: the model's)")
    add("--replicates", type=count, default=1000,
        help="bootstrap replicates; 0: no intervals (default: 1000)")
    add("--seed", type=count, default=0, help="seed of the bootstrap (default: 0)")
    add("--json", action="store_true", help="print all figures as one JSON object, nothing else")
    add("--output", type=Path,
        help="folder for scores, metrics, pictures and report (default: results/<run>; "
             "with --scores, files are written only if it is given)")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments, checked; exits with code 2 where they do not fit together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.scores and args.model:
        parser.error("--scores reads scores and --model makes them: give one of the two")
    if args.keys and not args.scores:
        parser.error("--keys needs --scores")
    return args


def options(args: argparse.Namespace) -> dict:
    """The options of `utils.report.evaluation.evaluate` that both ways of evaluating share."""
    found = {"prior_spoof": args.prior, "cost_miss": args.cost_miss, "cost_fa": args.cost_fa,
             "seen_attacks": args.seen_attacks, "replicates": args.replicates, "seed": args.seed,
             "arguments": recorded(args)}
    if args.asv_scores:
        from utils.metrics.metrics import asv_error_rates
        from utils.report.key_files import read_asv_scores
        found["asv"] = asv_error_rates(*read_asv_scores(args.asv_scores))
    return found


def evaluate_store(args: argparse.Namespace) -> dict | None:
    """Figures of a stored subset, written to --output; None in all processes but number 0."""
    from utils.detector.engines import load_engine
    from utils.report.stored import evaluate_stored, model_for, result_name
    from utils.store.reader import Store
    model = args.model or model_for(args.device, args.checkpoint_dir)
    store = Store(args.data_dir / "processed" / args.subset)
    engine = load_engine(model, args.device, args.threads)
    print(f"scoring {len(store):,} utterances of {args.subset} with {model}", file=sys.stderr)
    if not args.output:
        name = result_name(model, args.subset, args.published_protocol)
        args.output = args.results_dir / name
    return evaluate_stored(engine, model, store, args.output, batch_size=args.batch_size,
                           published_protocol=args.published_protocol, subset=args.subset,
                           **options(args))


def main(argv: list[str] | None = None) -> int:
    """Evaluate what the command line names; the exit code."""
    args = parse(argv)
    if args.scores:
        from utils.report.results import evaluate_score_files
        result = evaluate_score_files(args.scores, args.keys, args.phase, args.output,
                                      **options(args))
    else:
        result = evaluate_store(args)
    if result is None:      # process number 0 reports
        return 0
    if args.json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
        return 0
    from utils.report.words import headline
    print("\n".join(headline(result)))
    if args.output:
        print(f"scores, metrics, pictures and report: {args.output}")
    return 0


if __name__ == "__main__":
    run(main, "lower --batch_size, or use a model that --small_model trained")
