"""Make a model smaller: prune channels and let it recover, use 8-bit numbers, compare, and write.

    python utils/compress_model.py --model best.pt --prune 0.5 --recover 3 --quantise \\
        --output small.onnx -- --learning_rate 0.0005

Options of the training follow after --. The compressed model is scored beside the original on dev
and eval. It is not written if it errs too often on dev.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import hashlib
import shutil
import subprocess

from utils.common.arguments import Parser, add_groups, count, positive, share, weight
from utils.common.errors import InputError, run
from utils.common.files import DATA_DIR, ROOT

TRAINING = ROOT / "notebooks" / "aasist_training.py"
# Options of the training that this step sets itself, or that do not fit it.
OWNED = ("architecture", "small_model", "init_from", "epochs", "seed", "seeds", "run_name",
         "resume", "more_data", "test", "data_dir", "checkpoint_dir", "results_dir")
WRONG_USAGE = 2


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser("options of the training follow after --", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE",
        help="the checkpoint (.pt) or exported model (.onnx) to compress")
    add("--output", type=Path, required=True, metavar="FILE",
        help="the .onnx file to write; or .pt, which only --prune can give")
    add("--prune", type=share, metavar="SHARE",
        help="remove this share of the channels inside of residual blocks, 0 to 1")
    add("--recover", type=count, metavar="EPOCHS",
        help="train the pruned network for so many epochs on train (default: 1)")
    add("--quantise", action="store_true", help="8-bit numbers for the layers that bear them")
    add("--at_most", type=weight, default=0.5, metavar="POINTS",
        help="largest rise of the dev EER, in percentage points (default: 0.5)")
    add("--data_dir", type=Path, default=DATA_DIR,
        help="folder that holds processed/ with train, dev and perhaps eval (default: data)")
    add("--max_samples", type=positive, metavar="N",
        help="score at most so many utterances of dev, and of eval (default: all)")
    add("--seed", type=count, default=1, help="seed of all draws (default: 1)")
    add("training", nargs="*", metavar="-- OPTIONS", help="options of aasist_training.py")
    return parser


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments, checked; exits with code 2 if they do not fit together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.prune is None and not args.quantise:
        parser.error("nothing to do: add --prune SHARE, --quantise, or both")
    if args.prune is None and args.recover is not None:
        parser.error("--recover needs --prune")
    args.recover = 1 if args.recover is None else args.recover
    if args.training and not trains(args):
        parser.error(f"{args.training[0]} is an option of the training, which needs --prune and "
                     "--recover")
    if owned := owned_options(args.training):
        parser.error(f"--{owned[0]} after -- is set by this step: leave it out")
    return args


def trains(args: argparse.Namespace) -> bool:
    """Whether a recovery training is part of the steps."""
    return args.prune is not None and args.recover > 0


def owned_options(training: list[str]) -> list[str]:
    """Which of `OWNED` are among options of the training; exits with code 2 if one is wrong."""
    from utils.training.setup.options import GROUPS
    parser = Parser(prog=TRAINING.name)
    add_groups(parser, GROUPS)
    given = parser.parse_args(training, argparse.Namespace(**dict.fromkeys(OWNED)))
    return [name for name in OWNED if getattr(given, name) is not None]


def check_names(args: argparse.Namespace) -> None:
    """Raise `InputError` if the files cannot be what their names say."""
    wanted = (".onnx",) if args.quantise else (".onnx", ".pt")
    if args.output.suffix not in wanted:
        raise InputError(f"--output {args.output} must end in {' or '.join(wanted)}: "
                         "the other steps recognise a model by its suffix")
    if args.prune is not None and args.model.suffix == ".onnx":
        raise InputError(f"{args.model} is exported, and only a checkpoint can be pruned: "
                         "name the .pt file that it was made from")
    if args.output.resolve() == args.model.resolve():
        raise InputError(f"--output {args.output} is the model itself: name another file")


def recovered(pruned: Path, args: argparse.Namespace) -> Path:
    """The checkpoint that training makes of a pruned one; a stopped training goes on.

    With other options it begins anew. Wrong ones, which the training names, exit with code 2.
    """
    from utils.common.files import file_sha256
    from utils.detector.checkpoint import load_checkpoint
    architecture = load_checkpoint(pruned)["architecture"]
    settings = ["--architecture", architecture, "--epochs", args.recover, "--seed", args.seed,
                *args.training]
    asked = " ".join(map(str, [file_sha256(pruned), *settings]))
    name = f"recovery-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"
    command = [sys.executable, TRAINING, "--init_from", pruned, "--data_dir", args.data_dir,
               "--checkpoint_dir", pruned.parent, "--results_dir", pruned.parent / "results",
               "--run_name", name, "--resume", *settings]
    code = subprocess.run(list(map(str, command))).returncode
    if code == WRONG_USAGE:
        raise SystemExit(code)
    if code:
        raise InputError(f"the recovery training ended with exit code {code}: see above, "
                         "and repeat this command to continue it")
    return pruned.parent / name / "best.pt"


def compressed(args: argparse.Namespace, train, folder: Path) -> tuple[Path, list[dict]]:
    """The compressed model in `folder`, without its notes, and the notes on each step."""
    from utils.detector.model_files import data_file
    from utils.export import compression
    target = folder / args.output.name
    for left in (target, data_file(target)):        # by a command that was stopped
        left.unlink(missing_ok=True)
    model, steps = args.model, []
    if args.prune is not None:
        pruned = folder / "pruned.pt"
        steps.append(compression.prune(model, pruned, args.prune, train, args.seed))
        model = pruned
        if trains(args):
            model = recovered(pruned, args)
            steps.append({"step": "recovered", "epochs": args.recover, "options": args.training})
    if args.quantise:
        steps.append(compression.quantise(model, target, train, args.seed))
    else:
        if target.suffix == ".onnx":
            model = compression.as_exported(model, folder)
        shutil.copyfile(model, target)
    return target, steps


def main(argv: list[str] | None = None) -> int:
    """Compress the model named on the command line; returns the exit code."""
    args = parse(argv)
    check_names(args)
    from utils.common.locks import work_folder
    from utils.detector.engines import load_engine
    from utils.export.calibrating import check_not_trained_on
    from utils.export.compression import finish, told
    from utils.store.reader import Store
    stores = {name: Store(args.data_dir / "processed" / name) for name in ("train", "dev")}
    if (args.data_dir / "processed" / "eval").is_dir():
        stores["eval"] = Store(args.data_dir / "processed" / "eval")
    check_not_trained_on(load_engine(args.model).metadata, stores["dev"])
    with work_folder(args.output, f"making {args.output}", keep=trains(args)) as folder:
        model, steps = compressed(args, stores["train"], folder)
        print("\n".join(told(steps)), flush=True)
        compared, scores = judged(args, model, stores, folder)
        print(finish(model, args.model, args.output, steps, compared, scores))
    if trains(args):
        print(f"the files in {folder} that the training named are removed")
    return 0


def judged(args: argparse.Namespace, model: Path, stores: dict, folder: Path) -> tuple[dict, tuple]:
    """`model` compared with the original, and the dev part with its raw scores.

    Raises `InputError` if it errs too often on dev; eval is scored for a model that passes.
    """
    from utils.export.comparison import compare_costs, lines
    from utils.export.compression import as_exported, compare
    models = [as_exported(path, folder) for path in (args.model, model)]
    compared = {}
    compared["dev"], scores = compare(models, stores["dev"], args.max_samples, args.seed)
    if 100 * compared["dev"]["rise"]["value"] > args.at_most:
        print("\n".join(lines(compared)), flush=True)
        kept = f" ({folder} keeps the recovered weights for that)" if trains(args) else ""
        raise InputError(f"{args.output} is not written: its EER on dev would rise by more than "
                         f"{args.at_most:g} points; {advice(args)}, or raise --at_most{kept}")
    if "eval" in stores:
        compared["eval"] = compare(models, stores["eval"], args.max_samples, args.seed)[0]
    compared |= compare_costs(models)
    print("\n".join(lines(compared)), flush=True)
    return compared, scores


def advice(args: argparse.Namespace) -> str:
    """What may help a model that errs too often, for the steps that were asked for."""
    if args.prune is None:
        return "keep the original"
    if args.quantise:
        return "prune less, let it recover longer, leave out --quantise"
    return "prune less, let it recover longer"


if __name__ == "__main__":
    run(main, "use a smaller model")
