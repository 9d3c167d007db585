"""Score recordings: likely bona fide, uncertain, likely spoof, or cannot judge, and why."""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import io

from utils.common.arguments import Parser, positive, probability, rate
from utils.common.devices import DEVICES
from utils.common.errors import run
from utils.common.files import CHECKPOINT_DIR, DATA_DIR


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__, epilog=(
        "Exit codes: 0 all recordings scored, 1 some failed, 2 wrong usage, 130 interrupted."))
    add = parser.add_argument
    add("--input_file", nargs="+", action="extend", required=True, metavar="PATH",
        help="recordings, folders (with all folders below) or .txt lists with one path a line; "
             "- reads one recording from a pipe and prints a line for each window as it comes")
    add("--raw", type=positive, metavar="RATE",
        help="with --input_file -: the pipe holds bare samples at this rate in Hz (16 bits, "
             "little endian, one channel)")
    add("--model", type=Path,
        help="checkpoint (.pt) or exported model (.onnx); default: the newest in "
             "models/checkpoints that can give verdicts, else the pretrained model")
    add("--fast", action="store_true",
        help="use the small pretrained model, for many or long recordings: it costs a fraction, "
             "and errs more often")
    add("--device", choices=DEVICES, default="auto",
        help="where a .pt model runs; an exported model runs on the CPU")
    add("--force_cpu", action="store_true", help="use the CPU; the same as --device cpu")
    add("--threads", type=positive, metavar="N", help="CPU cores to use (default: all, at most 4)")
    add("--json", action="store_true",
        help="print one JSON object a line for each recording, and nothing else")
    add("--output", type=Path, metavar="FILE",
        help="also write the results to this .csv, .json or .jsonl file; "
             "the same command resumes a stopped run")
    add("--picture", type=Path, metavar="DIR",
        help="draw each recording with its scores into this folder, "
             "or one recording into this .png file")
    add("--explain", action="store_true",
        help="also show which times and frequencies moved the score (24 more scorings)")
    add("--prior", type=probability,
        help="share of spoofs among your recordings, between 0 and 1; like both costs, it sets "
             "the threshold (defaults: the model's own; ASVspoof 5's 0.05, 1 and 10 as shipped)")
    add("--cost_miss", type=rate,
        help="cost of calling a bona fide recording spoof (a miss), above 0; "
             "with a higher cost, fewer recordings are called spoof")
    add("--cost_fa", type=rate,
        help="cost of calling a spoof bona fide (a false alarm), above 0; with a higher cost, "
             "fewer recordings are called bona fide; only the ratio of both costs counts")
    add("--published_protocol", action="store_true",
        help="score as the published evaluation: bona fide logit of the first 64,600 samples; "
             "no verdict")
    add("--data_dir", type=Path, default=DATA_DIR, help=argparse.SUPPRESS)  # every step takes it
    return parser


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments, checked; exits with code 2 if they do not fit together."""
    from utils.audio.file_types import MAX_RATE, MIN_RATE
    from utils.inference.inputs import STDIN
    from utils.inference.journal import SUFFIXES
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.output and args.output.suffix not in SUFFIXES:
        parser.error(f"--output must end in one of {', '.join(SUFFIXES)}")
    if args.fast and args.model:
        parser.error("--fast and --model name two models: leave one of them out")
    costs = any(value is not None for value in (args.prior, args.cost_miss, args.cost_fa))
    if args.published_protocol and (args.explain or args.picture or costs):
        parser.error("--published_protocol gives bare scores: "
                     "leave out --explain, --picture, --prior and the costs")
    piped = STDIN in args.input_file
    if piped and (len(args.input_file) > 1 or args.explain or args.published_protocol):
        parser.error("--input_file - hears one recording once: leave out other recordings, "
                     "--explain and --published_protocol")
    if args.raw and not (piped and MIN_RATE <= args.raw <= MAX_RATE):
        parser.error(f"--raw needs --input_file - and a rate from {MIN_RATE} to {MAX_RATE} Hz")
    if args.force_cpu:
        args.device = "cpu"
    return args


def main(argv: list[str] | None = None) -> int:
    """Judge the recordings that the command line names; the exit code."""
    args = parse(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):    # print names that the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    from utils.detector import Detector
    from utils.detector.engines import passed_over
    from utils.inference.batch import judge_all
    from utils.inference.inputs import STDIN, expand
    from utils.inference.stream import judge_stdin
    paths, left_out = expand(args.input_file)
    detector = Detector.load(args.model, args.device, args.threads, fast=args.fast,
                             prior=args.prior, cost_miss=args.cost_miss, cost_fa=args.cost_fa,
                             published_protocol=args.published_protocol, explain=args.explain)
    if not (args.model or args.fast) and (newer := passed_over(CHECKPOINT_DIR)):
        print(f"not used: {newer}, the newest training run, has no threshold for verdicts: to use "
              f"it, add --model {newer}", file=sys.stderr)
    if STDIN in paths:
        return judge_stdin(detector, args.raw, as_json=args.json, output=args.output,
                           picture=args.picture)
    return judge_all(detector, paths, as_json=args.json, output=args.output, picture=args.picture,
                     left_out=left_out)


if __name__ == "__main__":
    run(main, "use --threads 1, leave out --explain and --picture, "
              "or use a model that --small_model trained")
