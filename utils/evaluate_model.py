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

from utils.common.arguments import Parser, add_groups, count, positive, probability, rate, recorded
from utils.common.errors import run
from utils.common.files import CHECKPOINT_DIR, DATA_DIR, RESULTS_DIR


GROUPS = {
    "score a stored subset": (
        ("model", Path, None, "checkpoint or export (default: newest trained, else pretrained)"),
        ("subset", ("train", "dev", "eval"), "eval", "default: eval"),
        ("batch_size", positive, 16, "windows scored at a time (default: 16)"),
        ("device", ("cpu", "cuda", "mps"), "cpu", "default: cpu"),
        ("threads", positive, None, "CPU threads (default: the library's choice)"),
        ("published_protocol", bool, False, "score as the published AASIST evaluation: bona fide "
                                            "logit of the first 64,600 samples")),
    "or read scores": (
        ("scores", Path, None, "score file of any system, instead of a model"),
        ("keys", Path, None, "key or protocol file for --scores"),
        ("asv_scores", Path, None, "speaker verification scores of ASVspoof 2019 or 2021, for "
                                   "the min t-DCF; those of 2021 need their keys beside them"),
        ("phase", str, "eval", "trials of an ASVspoof 2021 key file: eval (default), progress, "
                               "hidden or all")),
    "figures": (
        ("prior", probability, None, "prior of spoof (default: the model's, else 0.05)"),
        ("cost_miss", rate, None, "cost of rejecting bona fide (default: the model's, else 1)"),
        ("cost_fa", rate, None, "cost of accepting spoof (default: the model's, else 10)"),
        ("seen_attacks", list, None, "attacks known from training; they and all others get "
                                     "figures of their own (default: the model's)"),
        ("replicates", count, 1000, "bootstrap replicates; 0: no intervals (default: 1000)"),
        ("seed", count, 0, "seed of the bootstrap (default: 0)")),
    "results": (
        ("json", bool, False, "print all figures as one JSON object, nothing else"),
        ("output", Path, None, "folder of the results (default: results/<run>; with --scores, "
                               "files are written only if it is given)"),
        ("data_dir", Path, DATA_DIR, "folder that holds processed/ (default: data)"),
        ("checkpoint_dir", Path, CHECKPOINT_DIR, "trained models (default: models/checkpoints)"),
        ("results_dir", Path, RESULTS_DIR, "folder of all results (default: results)")),
}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_groups(parser, GROUPS)
    return parser


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments, checked; exits with code 2 if they do not fit together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.scores and args.model:
        parser.error("--scores reads scores and --model makes them: give one of the two")
    if args.keys and not args.scores:
        parser.error("--keys needs --scores")
    return args


def options(args: argparse.Namespace) -> dict:
    """The options of `utils.report.evaluation.evaluate` that both ways of evaluating share."""
    from utils.report.asv_scores import read_asv_rates
    return {"prior_spoof": args.prior, "cost_miss": args.cost_miss, "cost_fa": args.cost_fa,
            "seen_attacks": args.seen_attacks, "replicates": args.replicates, "seed": args.seed,
            "asv": read_asv_rates(args.asv_scores, args.phase), "arguments": recorded(args)}


def evaluate_store(args: argparse.Namespace) -> dict | None:
    """Figures of a stored subset, written to --output; None in all processes but number 0."""
    from utils.common.text import counted
    from utils.detector.engines import load_engine
    from utils.report.results import evaluate_stored, model_for, result_name
    from utils.store.reader import Store
    model = args.model or model_for(args.device, args.checkpoint_dir)
    store = Store(args.data_dir / "processed" / args.subset)
    engine = load_engine(model, args.device, args.threads)
    print(f"scoring {counted(len(store), 'utterance')} of {args.subset} with {model}",
          file=sys.stderr)
    name = result_name(model, args.subset, args.published_protocol)
    args.output = args.output or args.results_dir / name
    return evaluate_stored(engine, model, store, args.output, batch_size=args.batch_size,
                           published_protocol=args.published_protocol, subset=args.subset,
                           **options(args))


def main(argv: list[str] | None = None) -> int:
    """Evaluate what the command line names; the exit code."""
    args = parse(argv)
    from utils.report.results import evaluate_score_files
    from utils.report.words import headline
    if args.scores:
        result = evaluate_score_files(args.scores, args.keys, args.phase, args.output,
                                      **options(args))
    else:
        result = evaluate_store(args)
    if result is None:      # process number 0 reports
        return 0
    if args.json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join(headline(result)))
        if args.output:
            print(f"scores, metrics, pictures and report: {args.output}")
    return 0


if __name__ == "__main__":
    run(main, "lower --batch_size, or use a model that --small_model trained")
