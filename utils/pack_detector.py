"""The model in the box: put a trained hybrid into models/pretrained (pack), or turn it back into a training checkpoint (unpack).

    python utils/pack_detector.py pack --model models/checkpoints/hybrid-1/best.pt --description "..."
    python utils/pack_detector.py unpack --output models/checkpoints/box/best.pt

The box holds the exported model, detector.onnx, and detector.pt: the checkpoint without the speech encoder's weights,
which detector.onnx has, exactly.
"""
import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import tempfile

from utils.common.errors import InputError
from utils.common.files import PRETRAINED_DIR

NAME, PART = "detector", "encoder."
MOST_BYTES = 20e6    # of both files: what a checkout can bear


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    pack_parser = commands.add_parser("pack", help="put a trained hybrid into the box")
    pack_parser.add_argument("--model", type=Path, required=True, metavar="FILE.pt", help="its checkpoint")
    pack_parser.add_argument("--description", required=True, help="what it was trained on, in a few words for every verdict")
    pack_parser.add_argument("--box", type=Path, default=PRETRAINED_DIR, help="the folder (default: models/pretrained)")
    unpack_parser = commands.add_parser("unpack", help="make a whole checkpoint of what is in the box")
    unpack_parser.add_argument("--box", type=Path, default=PRETRAINED_DIR, help="the folder (default: models/pretrained)")
    unpack_parser.add_argument("--output", type=Path, required=True, metavar="FILE.pt", help="the checkpoint to write")
    return parser


def pack(model: Path, box: Path, description: str) -> str:
    """Write both files; `InputError`, and nothing written, where the model is no hybrid or too large. Returns what was done."""
    from utils.detector.checkpoint import load_checkpoint, save_checkpoint
    from utils.export.export import export_onnx
    checkpoint = load_checkpoint(model)
    if checkpoint["architecture"] != "hybrid":
        raise InputError(f"{model} is of architecture {checkpoint['architecture']}: the box holds a hybrid")
    checkpoint.pop("training", None)
    checkpoint["trained_on"] |= {"description": description}
    lean = {name: value for name, value in checkpoint["state_dict"].items() if not name.startswith(PART)}
    box.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=box.parent) as folder:
        exported, part = Path(folder) / f"{NAME}.onnx", Path(folder) / f"{NAME}.pt"
        save_checkpoint(part, checkpoint)
        difference = export_onnx(part, exported)
        save_checkpoint(part, checkpoint | {"state_dict": lean})
        size = exported.stat().st_size + part.stat().st_size
        if size > MOST_BYTES:
            raise InputError(f"the two files would take {size / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f}: the encoder's weights are not "
                             "such as float16 holds exactly")
        for path in (exported, part):
            path.replace(box / path.name)
    return f"{box}: {NAME}.onnx and {NAME}.pt, {size / 1e6:.1f} MB (logits equal to {difference:.0e})"


def unpack(box: Path, output: Path) -> str:
    """Write the whole checkpoint; `InputError` where the box does not hold it. Returns what was done."""
    from models import build_model
    from utils.detector.checkpoint import check_metadata, check_weights, metadata, read_pickle, save_checkpoint
    from utils.detector.engines import load_engine
    from utils.training.encoder_weights import load_encoder_weights
    source, exported = box / f"{NAME}.pt", box / f"{NAME}.onnx"
    checkpoint = read_pickle(source)
    check_metadata(checkpoint, source)
    if metadata(checkpoint) != load_engine(exported).metadata:
        raise InputError(f"{source.name} and {exported.name} in {box} do not belong together: pack the model again")
    whole = build_model(checkpoint["config"])
    load_encoder_weights(whole.encoder, exported)
    encoder = {PART + name: value for name, value in whole.encoder.state_dict().items()}
    check_weights(checkpoint["config"], checkpoint["state_dict"] | encoder, source)
    save_checkpoint(output, checkpoint | {"state_dict": checkpoint["state_dict"] | encoder})
    return f"wrote {output}: {checkpoint['origin']}"


def main(argv: list[str] | None = None) -> int:
    """Pack or unpack; 0, or 1 by `InputError`."""
    args = build_parser().parse_args(argv)
    if args.command == "unpack" and args.output.suffix != ".pt":
        raise InputError(f"--output {args.output} must end in .pt, by which the scoring steps know a checkpoint")
    print(pack(args.model, args.box, args.description) if args.command == "pack" else unpack(args.box, args.output))
    return 0


if __name__ == "__main__":
    from utils.common.errors import run
    run(main)
