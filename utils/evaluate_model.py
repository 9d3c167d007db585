"""Evaluate a detector: score a stored subset with a checkpoint, or read any system's score and key files.

    python utils/evaluate_model.py --subset eval
    python utils/evaluate_model.py --scores S.tsv --keys K.tsv --json

Score and key files in the official formats of ASVspoof 2019, 2021 and 5 are told apart by their columns.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
from typing import Any

from utils.common.errors import run
from utils.common.files import CHECKPOINT_DIR, DATA_DIR, RESULTS_DIR, ROOT


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("score a stored subset")
    model.add_argument("--model", type=Path, help="checkpoint (.pt or .onnx) to score with (default: the newest trained model, else the one in models/pretrained)")
    model.add_argument("--subset", choices=("train", "dev", "eval"), default="eval", help="subset to score (default: eval)")
    model.add_argument("--batch_size", type=int, default=16, help="windows scored at a time (default: 16)")
    model.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="where to score (default: cpu)")
    model.add_argument("--threads", type=int, help="CPU threads (default: the library's choice)")
    model.add_argument("--published_protocol", action="store_true",
                       help="score as the published AASIST evaluation does: bona fide logit of the first 64,600 samples")
    files = parser.add_argument_group("or read scores")
    files.add_argument("--scores", type=Path, help="score file of any system, instead of a model")
    files.add_argument("--keys", type=Path, help="key or protocol file that goes with --scores")
    files.add_argument("--asv_scores", type=Path, help="the organisers' speaker verification scores (ASVspoof 2019: source, "
                                                       "target/nontarget/spoof, score), for the min t-DCF of that corpus")
    files.add_argument("--phase", default="eval", help="trials of an ASVspoof 2021 key file to take: eval (default), progress, "
                                                       "hidden or all")
    parser.add_argument("--prior", type=float, help="prior of spoof (default: the model's, else 0.05)")
    parser.add_argument("--cost_miss", type=float, help="cost of rejecting bona fide speech (default: the model's, else 1)")
    parser.add_argument("--cost_fa", type=float, help="cost of accepting spoofed speech (default: the model's, else 10)")
    parser.add_argument("--seen_attacks", nargs="*", help="attacks known from training, to give seen and unseen apart (default: "
                                                          "the model's)")
    parser.add_argument("--replicates", type=int, default=1000, help="bootstrap replicates; 0: no intervals (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default: 0)")
    parser.add_argument("--json", action="store_true", help="print every figure as one JSON object, and nothing else, on stdout")
    parser.add_argument("--output", type=Path, help="folder for scores, metrics, pictures and report (default: results/<run>; "
                                                    "with --scores nothing is written unless given)")
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR, help="folder that holds processed/ (default: data)")
    parser.add_argument("--checkpoint_dir", type=Path, default=CHECKPOINT_DIR,
                        help="holds the models (default: models/checkpoints)")
    parser.add_argument("--results_dir", type=Path, default=RESULTS_DIR, help="where results go (default: results)")
    return parser


def common(args: argparse.Namespace) -> dict:
    """The arguments that both ways of evaluating pass on."""
    return {"prior_spoof": args.prior, "cost_miss": args.cost_miss, "cost_fa": args.cost_fa, "seen_attacks": args.seen_attacks,
            "replicates": args.replicates, "seed": args.seed, "arguments": arguments(args), **asv_rates(args.asv_scores)}


def arguments(args: argparse.Namespace) -> dict:
    """What this run was asked for, as JSON takes it, and the number of threads that it really uses."""
    torch = sys.modules.get("torch")
    used = args.threads or (torch.get_num_threads() if torch else os.cpu_count())
    asked = {name: shown(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    return asked | {"threads": used}


def shown(path: Path) -> str:
    """A path as it was given; inside the project, from its root."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def asv_rates(path: Path | None) -> dict:
    """The error rates of the speaker verification system whose scores are in `path`; empty without one."""
    if path is None:
        return {}
    from utils.report.key_files import read_asv_scores
    from utils.metrics.metrics import asv_error_rates
    return {"asv": asv_error_rates(*read_asv_scores(path))}


def evaluate_files(args: argparse.Namespace) -> dict:
    """Figures of a score file against a key file; written to --output where given."""
    from utils.report import key_files
    from utils.report.results import LOCK, evaluate, write_results
    from utils.common.locks import only_run
    keys = key_files.read_keys(args.keys, args.phase) if args.keys else key_files.read_keyed_scores(args.scores)
    by_name = key_files.read_scores(args.scores)
    scores = key_files.align(by_name, keys)
    if len(by_name) > len(keys):
        print(f"{len(by_name) - len(keys):,} scores have no trial in the key file and are left out", file=sys.stderr)
    if args.output:
        with only_run(args.output / LOCK, f"writing {args.output}"):
            return write_results(args.output, keys, scores, subset=args.scores.stem, **common(args))
    return evaluate(keys, scores, {}, subset=args.scores.stem, **common(args))


def choose_model(args: argparse.Namespace) -> Path:
    """The model asked for, or the newest one."""
    from utils.detector.engines import PRETRAINED, default_model
    model = args.model or default_model(args.checkpoint_dir)
    if args.model is None and args.device != "cpu" and model != PRETRAINED:
        return model.with_suffix(".pt")     # its exported twin runs on the CPU only
    return model


def score(args: argparse.Namespace, engine: Any, store: Any) -> tuple[Any, dict]:
    """The scores of a store in its order, and the model's metadata as far as it goes with such scores."""
    from utils.detector.scoring import published_score, score_store
    if not args.published_protocol:
        return score_store(engine, store, args.batch_size), engine.metadata
    import numpy as np
    from tqdm import tqdm
    scores = [published_score(engine, iter([store.read(i)])) for i in tqdm(range(len(store)), "scoring", unit="utterance")]
    return np.array(scores, dtype=float), {**engine.metadata, "calibration": None, "decision": None}


def result_name(model: Path, args: argparse.Namespace) -> str:
    """The run's name, and what sets this evaluation apart from that of training."""
    name = model.resolve().parent.name if model.stem in ("best", "last") else model.stem
    return name + f"-{args.subset}" * (args.subset != "eval") + "-published" * args.published_protocol


def score_all(args: argparse.Namespace, engine: Any, store: Any, model: Path) -> tuple[Any, dict]:
    """As `score`, shared by the processes of a job; all but number 0 get None as scores."""
    import hashlib

    from utils.parallel.by_files import FileProcesses
    from utils.store.reader import StorePart
    what = (model.read_bytes(), json.dumps(store.info, sort_keys=True).encode(),
            str(args.published_protocol).encode())
    sums = b"".join(hashlib.sha256(item).digest() for item in what)
    processes = FileProcesses(args.output, hashlib.sha256(sums).hexdigest()[:16])
    own = range(len(store))[processes.share(len(store))]
    scores, metadata = score(args, engine, StorePart(store, list(own)))
    return processes.gather(scores), metadata


def evaluate_store(args: argparse.Namespace) -> dict | None:
    """Score a stored subset with a checkpoint, and write its results; None for all processes of a job but number 0."""
    from utils.store.reader import Store
    from utils.report.results import LOCK, write_results
    from utils.common.locks import only_run
    from utils.parallel.processes import Processes, place
    from utils.detector.engines import load_engine
    model = choose_model(args)
    store = Store(args.data_dir / "processed" / args.subset)
    engine = load_engine(model, args.device, args.threads)
    print(f"scoring {len(store):,} utterances of {args.subset} with {model}", file=sys.stderr)
    args.output = args.output or args.results_dir / result_name(model, args)
    if not Processes(*place()).lead:
        return score_all(args, engine, store, model)[0]
    with only_run(args.output / LOCK, f"writing {args.output}"):
        scores, metadata = score_all(args, engine, store, model)
        return write_results(args.output, store.rows, scores, metadata, subset=args.subset, store=store, **common(args))


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.scores and args.model:
        parser.error("--scores reads the scores of a system, --model makes them: give one of the two")
    if args.keys and not args.scores:
        parser.error("--keys goes with --scores")
    if args.replicates < 0 or args.seed < 0:
        parser.error("--replicates and --seed cannot be negative")
    if args.batch_size < 1 or (args.threads is not None and args.threads < 1):
        parser.error("--batch_size and --threads must be at least 1")
    result = evaluate_files(args) if args.scores else evaluate_store(args)
    if result is None:      # another process of the job tells
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
