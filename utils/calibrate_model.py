"""Fit a model's calibration, threshold and band on a dev set, and write them into the model.

    python utils/calibrate_model.py --model LA_model.onnx --data_dir data
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse

from utils.common.arguments import Parser, positive
from utils.common.errors import InputError, run
from utils.common.files import DATA_DIR

NEAR_CHANCE = 0.4   # EER; 0.5 is chance


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE",
        help="the checkpoint (.pt) or exported model (.onnx) to calibrate, in place")
    add("--data_dir", type=Path, default=DATA_DIR,
        help="folder that holds processed/dev, of both classes (default: data)")
    add("--conditions", action="store_true",
        help="also fit the bands for noisy and telephone speech, on up to 600 utterances")
    add("--threads", type=positive, metavar="N", help="CPU cores to use (default: all, at most 4)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Calibrate the model named on the command line; returns the exit code."""
    args = build_parser().parse_args(argv)
    from utils.common.text import readable_corpora
    from utils.detector.engines import load_engine
    from utils.export.calibrating import (OTHER_SPLIT, calibrated, change_entries,
                                          split_otherwise)
    from utils.store.reader import Store
    store = Store(args.data_dir / "processed" / "dev")
    engine = load_engine(args.model, threads=args.threads)
    if split_otherwise(engine.metadata, store):
        print(f"CAREFUL: {OTHER_SPLIT}", file=sys.stderr)
    entries = calibrated(engine, store, conditions=args.conditions)
    if entries["calibration"] is None:
        raise InputError(f"{args.model} stays as it was: {entries['reason']}")
    del engine      # Windows replaces no file that is still mapped
    change_entries(args.model, entries)
    line, decision = entries["calibration"], entries["decision"]
    band = decision["band"]
    print(f"calibrated {args.model} on {len(store):,} dev utterances of "
          f"{readable_corpora(entries['calibrated_on']['corpus'])}: "
          f"EER {entries['calibrated_on']['eer']:.2%}, "
          f"Cllr {line['cllr_before']:.3f} before and {line['cllr_after']:.3f} bits after; "
          f"threshold {decision['threshold']:.2f}, "
          + (f"uncertain from {band[0]:.2f} to {band[1]:.2f}" if band else
             f"{decision['band_origin']}. Until then every verdict is uncertain"))
    if entries["calibrated_on"]["eer"] > NEAR_CHANCE:
        print(f"On {args.data_dir / 'processed' / 'dev'} its scores hardly tell real from fake: "
              "do not trust its verdicts on recordings like those.")
    return 0


if __name__ == "__main__":
    run(main, "use --threads 1, or an exported model")
