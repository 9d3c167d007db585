"""Export a checkpoint to ONNX. Scoring then needs no PyTorch and starts much faster.

    python utils/export_model.py --model models/checkpoints/RUN/best.pt
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse

from utils.common.errors import InputError, run


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, metavar="CHECKPOINT",
                        help="the .pt file to export")
    parser.add_argument("--output", type=Path, metavar="FILE.onnx",
                        help="the .onnx file to write (default: beside the checkpoint)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Export the checkpoint named on the command line; returns the exit code."""
    args = build_parser().parse_args(argv)
    output = args.output or args.model.with_suffix(".onnx")
    if output.suffix != ".onnx":
        raise InputError(f"--output {output} must end in .onnx: "
                         "the other steps recognise an exported model by its suffix")
    if args.model.suffix == ".onnx":
        raise InputError(f"{args.model} is already exported: "
                         "name the checkpoint (.pt) that it was made from")
    from utils.export.export import export_onnx
    difference = export_onnx(args.model, output)
    print(f"exported {args.model} to {output} ({output.stat().st_size / 1e6:.1f} MB); "
          f"its logits equal the checkpoint's within {difference:.1e}")
    return 0


if __name__ == "__main__":
    run(main, "close other programs, or use a machine with more memory")
