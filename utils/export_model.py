"""Export a checkpoint to ONNX. Scoring then needs no PyTorch and starts much faster.

    python utils/export_model.py --model models/checkpoints/RUN/best.pt
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse

from utils.common.arguments import Parser
from utils.common.errors import InputError, run


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, metavar="CHECKPOINT",
                        help="the .pt file to export")
    parser.add_argument("--output", type=Path, metavar="FILE.onnx",
                        help="the .onnx file to write (default: beside the checkpoint)")
    parser.add_argument("--int8", action="store_true",
                        help="8 bits for the linear layers of a self-supervised encoder: "
                             "a quarter of the size, and faster")
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
    from utils.detector.model_files import data_file
    from utils.export.export import export_onnx
    difference = export_onnx(args.model, output, args.int8)
    files = [file for file in (output, data_file(output)) if file.exists()]
    size = sum(file.stat().st_size for file in files) / 1e6
    how = "differ from the checkpoint's by up to" if args.int8 else "equal the checkpoint's within"
    print(f"exported {args.model} to {' and '.join(map(str, files))} ({size:.1f} MB); "
          f"its logits {how} {difference:.1e}")
    if args.int8:
        print(f"its scores are not calibrated: run utils/calibrate_model.py --model {output}")
    return 0


if __name__ == "__main__":
    run(main, "close other programs, or use a machine with more memory")
