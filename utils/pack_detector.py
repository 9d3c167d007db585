"""Pack a trained model as the pretrained one or as its student, or unpack the pretrained model.

    python utils/pack_detector.py pack --model models/checkpoints/hybrid-1/best.pt \\
        --description "openly licensed speech"
    python utils/pack_detector.py unpack --output models/checkpoints/pretrained/best.pt

A hybrid becomes two files of models/pretrained: detector.onnx is the exported model, and
detector.pt its checkpoint without the speech encoder's weights. detector.onnx holds those weights
exactly. A shallow model becomes student.onnx, which --fast takes.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import tempfile

from utils.common.arguments import Parser
from utils.common.errors import InputError, run
from utils.common.files import PRETRAINED_DIR

NAME = "detector"
STUDENT = "student.onnx"
ENCODER = "encoder."    # prefix of the names of the speech encoder's weights
MAX_BYTES = 20e6        # limit for both files together, which suits a repository
MAX_STUDENT_BYTES = 1.5e6


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="make a trained hybrid the pretrained model, or a "
                                                 "shallow model its student")
    packing.add_argument("--model", type=Path, required=True, metavar="FILE.pt",
                         help="the checkpoint of the hybrid or of the shallow model")
    packing.add_argument("--description", required=True,
                         help="a few words on its training data; every verdict shows them")
    unpacking = commands.add_parser("unpack", help="write the pretrained model as a checkpoint")
    unpacking.add_argument("--output", type=Path, required=True, metavar="FILE.pt",
                           help="the checkpoint to write")
    for command in (packing, unpacking):
        command.add_argument("--box", type=Path, default=PRETRAINED_DIR, metavar="DIR",
                             help="folder of the pretrained model (default: models/pretrained)")
    return parser


def pack(model: Path, folder: Path, description: str) -> str:
    """Write the files of a model into `folder`; returns a sentence about them.

    Raises `InputError`, and writes nothing, for another network or a model that is too large.
    """
    from utils.detector.checkpoint import load_checkpoint
    checkpoint = load_checkpoint(model)
    packers = {"hybrid": (_write, MAX_BYTES), "shallow": (_write_student, MAX_STUDENT_BYTES)}
    if checkpoint["architecture"] not in packers:
        raise InputError(f"{model} has architecture {checkpoint['architecture']}: name a hybrid, "
                         "or a shallow model")
    write, most = packers[checkpoint["architecture"]]
    checkpoint.pop("training", None)
    checkpoint["trained_on"] |= {"description": description}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=folder.parent) as staging:
        files, difference = write(checkpoint, Path(staging))
        size = sum(file.stat().st_size for file in files)
        if size > most:
            raise InputError(f"the packed model would need {size / 1e6:.1f} MB, more than "
                             f"{most / 1e6:.1f}: of a hybrid, float16 does not hold the weights of "
                             "the encoder exactly; use an encoder file with float16 weights")
        for file in files:
            file.replace(folder / file.name)
    names = " and ".join(file.name for file in files)
    return f"{folder}: {names}, {size / 1e6:.1f} MB (logits equal to {difference:.0e})"


def _write_student(checkpoint: dict, folder: Path) -> tuple[list[Path], float]:
    """The file of the exported model, its weights in float16; the logits' largest difference."""
    from utils.detector.checkpoint import save_checkpoint
    from utils.export.export import export_onnx
    weights = checkpoint["state_dict"]
    checkpoint["state_dict"] = weights | {name: value.half().float()
                                          for name, value in weights.items() if "conv" in name}
    save_checkpoint(folder / "student.pt", checkpoint)
    difference = export_onnx(folder / "student.pt", folder / STUDENT)
    return [folder / STUDENT], difference


def _write(checkpoint: dict, folder: Path) -> tuple[list[Path], float]:
    """The files of the exported model and the small checkpoint; the largest logit difference."""
    from utils.detector.checkpoint import save_checkpoint
    from utils.export.export import export_onnx
    exported, lean = folder / f"{NAME}.onnx", folder / f"{NAME}.pt"
    save_checkpoint(lean, checkpoint)
    difference = export_onnx(lean, exported)
    kept = {name: value for name, value in checkpoint["state_dict"].items()
            if not name.startswith(ENCODER)}
    save_checkpoint(lean, checkpoint | {"state_dict": kept})
    return [exported, lean], difference


def unpack(folder: Path, output: Path) -> str:
    """Write the whole checkpoint; returns a sentence. Raises `InputError` if a part is missing."""
    from models import build_model
    from utils.detector.checkpoint import (check_metadata, check_weights, metadata, read_pickle,
                                           save_checkpoint)
    from utils.detector.engines import load_engine
    from utils.training.setup.weights import load_encoder_weights
    lean, exported = folder / f"{NAME}.pt", folder / f"{NAME}.onnx"
    checkpoint = read_pickle(lean)
    check_metadata(checkpoint, lean)
    if metadata(checkpoint) != load_engine(exported).metadata:
        raise InputError(f"{lean.name} and {exported.name} in {folder} do not belong together: "
                         "pack the model again")
    model = build_model(checkpoint["config"])
    load_encoder_weights(model.encoder, exported)
    encoder = {ENCODER + name: value for name, value in model.encoder.state_dict().items()}
    checkpoint["state_dict"] = checkpoint["state_dict"] | encoder
    check_weights(checkpoint["config"], checkpoint["state_dict"], lean)
    save_checkpoint(output, checkpoint)
    return f"wrote {output}: {checkpoint['origin']}"


def main(argv: list[str] | None = None) -> int:
    """Pack or unpack; returns the exit code."""
    args = build_parser().parse_args(argv)
    if args.command == "pack":
        print(pack(args.model, args.box, args.description))
        return 0
    if args.output.suffix != ".pt":
        raise InputError(f"--output {args.output} must end in .pt: "
                         "the other steps recognise a checkpoint by its suffix")
    print(unpack(args.box, args.output))
    return 0


if __name__ == "__main__":
    run(main)
