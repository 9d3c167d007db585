"""Score recordings with a trained model: likely bona fide, uncertain, likely spoof, or cannot judge, and why."""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import io
from typing import TYPE_CHECKING

from utils.common.errors import InputError
from utils.common.files import CHECKPOINT_DIR, DATA_DIR, file_sha256

if TYPE_CHECKING:
    from utils.detector.record import Job

GPU_BATCH = 16  # windows at once on a graphics processor; on a CPU one by one is as fast and takes the least memory


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit codes: 0 all analysed, 1 some failed, 2 wrong "
                                                                 "usage, 130 interrupted.")
    add = parser.add_argument
    add("--input_file", nargs="+", action="extend", required=True, metavar="PATH",
        help="recordings, folders (searched through) or .txt lists of paths, one per line")
    add("--model", type=Path,
        help="checkpoint (.pt) or exported model (.onnx); default: the newest in models/checkpoints that can give "
             "verdicts, else the one in models/pretrained")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto",
        help="where a .pt model runs (exported models: the CPU)")
    add("--force_cpu", action="store_true", help="use the CPU whatever else there is; the same as --device cpu")
    add("--threads", type=int, metavar="N", help="CPU cores to use (default: all)")
    add("--json", action="store_true", help="one JSON object per recording and line on stdout, nothing else")
    add("--output", type=Path, metavar="FILE",
        help="also write the results to this .csv, .json or .jsonl file; a stopped run goes on where it was")
    add("--picture", type=Path, metavar="DIR",
        help="draw each recording with its scores into this folder, or one recording into this .png file")
    add("--explain", action="store_true",
        help="also tell which times and frequencies moved the score (two dozen more scorings)")
    add("--prior", type=float,
        help="share of spoofs among the recordings you meet, between 0 and 1; sets the threshold, as the two costs do "
             "(default for each of the three: what the model was given, 0.05, 1 and 10 unless trained otherwise)")
    add("--cost_miss", type=float,
        help="what it costs to call a bona fide recording spoofed (a miss), above 0: higher calls fewer recordings spoofed")
    add("--cost_fa", type=float,
        help="what it costs to let a spoofed recording pass as bona fide (a false alarm), above 0: higher calls more "
             "recordings spoofed; only the ratio of the two costs counts, 10 to 1 by default")
    add("--published_protocol", action="store_true",
        help="score as the published evaluation does: bona fide logit of the first 64,600 samples; no verdict")
    add("--data_dir", type=Path, default=DATA_DIR, help=argparse.SUPPRESS)  # every step takes it
    return parser


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments, checked; exits with code 2 where they do not fit together."""
    from utils.inference.journal import SUFFIXES
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.output and args.output.suffix not in SUFFIXES:
        parser.error(f"--output must end in one of {', '.join(SUFFIXES)}")
    if args.published_protocol and (args.explain or args.picture
                                    or any(v is not None for v in (args.prior, args.cost_miss, args.cost_fa))):
        parser.error("--published_protocol gives bare scores: leave out --explain, --picture, --prior and the costs")
    if args.threads is not None and args.threads < 1:
        parser.error("--threads must be at least 1")
    return args


def find_model(args: argparse.Namespace) -> Path:
    """The model to use; `InputError` says how to get one where there is none."""
    from utils.detector.engines import default_model
    model = args.model or default_model(CHECKPOINT_DIR)
    if model is None:
        raise InputError(f"there is no trained model in {CHECKPOINT_DIR}: run ./run.sh (Windows: run.bat) to make one "
                         "from nothing, python notebooks/aasist_training.py on prepared data, or name one with --model")
    return model


def device_for(args: argparse.Namespace, model: Path) -> str:
    """cpu, cuda or mps. PyTorch is only asked where it runs the model anyway."""
    if args.force_cpu or (args.device == "auto" and model.suffix == ".onnx"):
        return "cpu"
    if args.device != "auto":
        return args.device
    from utils.common.devices import choose_device
    return choose_device().type


def provenance(args: argparse.Namespace, model: Path, digest: str) -> dict:
    """Which model file makes the records and, in files, its sum and the version of the code."""
    file = {"model_file": f"{model.resolve().parent.name}/{model.name}"}
    if not (args.json or args.output):
        return file
    from utils.common.provenance import environment     # asks git, which takes a moment
    return file | {"model_sha256": digest, "version": environment()["commit"]}


def make_job(args: argparse.Namespace, model: Path) -> "tuple[Job, dict]":
    """The job, and the settings that its results depend on."""
    from utils.detector.record import Job
    from utils.detector.engines import load_engine
    from utils.detector.verdict import decision_for
    device = device_for(args, model)
    engine = load_engine(model, device, args.threads)
    decision = None if args.published_protocol else decision_for(engine.metadata, args.prior, args.cost_miss,
                                                                 args.cost_fa)
    digest = file_sha256(model)
    job = Job(engine, decision, args.published_protocol, args.explain, 1 if device == "cpu" else GPU_BATCH,
              provenance(args, model, digest))
    settings = {"format": 2, "model": digest, "published_protocol": args.published_protocol, "explain": args.explain,
                "threshold": decision.threshold if decision else None}
    return job, settings


def main(argv: list[str] | None = None) -> int:
    """Analyse what the command line names; the exit code."""
    args = parse(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show must not stop the run
    from utils.inference.inputs import expand
    from utils.inference.batch import Session
    paths, left_out = expand(args.input_file)
    job, settings = make_job(args, find_model(args))
    return Session(job, paths, args.json, args.output, settings, args.picture).run(left_out)


if __name__ == "__main__":
    from utils.common.errors import run
    run(main, "use --threads 1, leave out --explain and --picture, or use a model that --small_model trained")
