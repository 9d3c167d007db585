"""Decode the utterances of the trial lists into one store of 16 kHz waveforms per subset."""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import os

from utils.common.errors import InputError
from utils.common.files import DATA_DIR

MAX_SKIPPED = 0.05  # share of a subset's utterances that may be unreadable before the step stops
SHOWN = 10          # unreadable utterances named on the screen; store.json names all


class TooManySkipped(InputError):
    """More utterances cannot be read than MAX_SKIPPED allows."""


def build_parser() -> argparse.ArgumentParser:
    """The options of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subset", choices=("train", "dev", "eval", "all"), default="all",
                        help="the corpus' own partition and every subset cut from it (default: all)")
    parser.add_argument("--limit", type=int, metavar="N",
                        help="at most N utterances per subset, every key and attack in its share (default: all)")
    parser.add_argument("--low_memory", action="store_true",
                        help="one worker, small blocks: constant memory whatever N")
    parser.add_argument("--workers", type=int, metavar="N", help="decoding threads (default: one per core, at most 8)")
    parser.add_argument("--force", action="store_true", help="decode again even where a complete store is there")
    parser.add_argument("--seed", type=int, default=0, help="of the draw that --limit makes (default: %(default)s)")
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR,
                        help="holds raw, protocols and processed (default: data)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Store every subset that --subset stands for; 0, or 1 by `InputError`."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.limit is not None and args.limit < 1 or args.workers is not None and args.workers < 1 or args.seed < 0:
        parser.error("--limit and --workers begin at 1, --seed at 0")
    from utils.archives.index import check_containers
    from utils.trials.trial_index import subsets_of
    from utils.trials.trial import read_corpus
    corpus = read_corpus(args.data_dir)
    check_containers(args.data_dir, corpus)
    subsets = subsets_of(args.subset, corpus)
    if args.subset != "all" and subsets != [args.subset]:
        print(f"{args.subset} was split into {', '.join(subsets)}: storing all of these")
    for subset in subsets:
        store_subset(subset, corpus, args)
    return 0


def store_subset(subset: str, corpus: dict, args: argparse.Namespace) -> None:
    """Write data/processed/<subset>, unless it is there; raises `InputError` where too much cannot be read.

    Of several processes (RANK and WORLD_SIZE in the environment) each decodes its share; number 0 merges them.
    """
    from utils.store.merge import part_path
    from utils.store.writer import difference, discard, recover
    from utils.trials.trial_index import TrialIndex
    from utils.trials.trial import trial_list_path
    from utils.common.locks import only_run
    from utils.parallel.ranks import ranks
    here, path = ranks(), args.data_dir / "processed" / subset
    lock = path if here.lead else part_path(path, here.rank, here.size)
    with only_run(lock.with_name(f"{lock.name}.lock"), f"writing {lock}"):
        trials = TrialIndex(trial_list_path(args.data_dir, subset))
        description = describe(subset, corpus, trials.sha256, args)
        if here.lead:
            recover(path)
        reason = difference(path, description)
        if here.lead and (args.force or reason is None):
            discard(path)
        if reason is None and not args.force:
            print(f"{subset}: already complete in {path}")
            return
        if path.exists():
            print(f"{subset}: storing again ({reason or '--force'}); the old store stays until the new one is complete")
        rows = trials.select(args.limit, args.seed)
        if here.size == 1:
            report(decode(path, description, trials, rows, len(rows), args), path)
        else:
            store_shares(here, path, description, trials, rows, args)


def decode(path: Path, description: dict, trials, rows, total: int, args: argparse.Namespace) -> dict:
    """Write the store `path` of the trials numbered `rows`, of `total` in all; its store.json."""
    from utils.store.writer import StoreWriter, discard
    try:
        with StoreWriter(path, description) as writer:
            if writer.done:
                print(f"{path.name}: going on after {writer.done:,} of {len(rows):,} utterances")
            decode_all(writer, trials.trials(rows[writer.done:]), len(rows), total, args)
            return writer.finish()
    except TooManySkipped:
        discard(path)  # when the files are mended, all are read again
        raise


def store_shares(here, path: Path, description: dict, trials, rows, args: argparse.Namespace) -> None:
    """Write this process' part of the store `path`; number 0 then waits for the others and merges the parts.

    A complete part of a killed run is taken; by --force it is not, and the job's name tells the parts of this run from those.
    """
    from utils.store.merge import merge, part_path, remove
    from utils.store.writer import MERGED, StoreWriter, difference, discard, written
    from utils.parallel.ranks import job, wait_for
    parts, forced = {}, {"forced_by": job()} if args.force else {}
    for number in range(here.size):
        settings = description["settings"] | {"part": [number, here.size]} | forced
        parts[part_path(path, number, here.size)] = description | {"settings": settings}
    own = list(parts)[here.rank]
    if args.force:
        discard(own)
        remove([own])
    if difference(own, parts[own]) is not None:
        decode(own, parts[own], trials, rows[here.share(len(rows))], len(rows), args)
    print(f"{path.name}: part {here} is decoded", flush=True)
    if not here.lead:
        return
    wait_for(lambda: all(difference(part, parts[part]) is None for part in parts), f"the other parts of {path.name}",
             lambda: list(map(written, parts)))
    discard(path)
    try:
        with StoreWriter(path, description | {MERGED: here.size}) as writer:
            merge(writer, list(parts))
            refuse_many(writer, len(rows), "another part's")
            info = writer.finish()
    except TooManySkipped:
        discard(path)
        remove(list(parts))      # when the files are mended, all are read again
        raise
    remove(list(parts))
    report(info, path)


def describe(subset: str, corpus: dict, sha256: str, args: argparse.Namespace) -> dict:
    """What store.json says of a store before it is filled. What changes no byte (workers, memory) is no setting."""
    from utils.common.provenance import environment
    return {"subset": subset, "settings": {"limit": args.limit, "seed": args.seed},
            "corpus": {key: corpus.get(key) for key in ("name", "description", "demo", "seen_attacks")},
            "trial_list_sha256": sha256, "environment": environment()}


def decode_all(writer, trials, count: int, total: int, args: argparse.Namespace) -> None:
    """Decode `count` trials in order into `writer`; stops where more than MAX_SKIPPED of `total` cannot be read."""
    from tqdm import tqdm

    from utils.audio.read_ahead import decode_in_order
    workers = 0 if args.low_memory else args.workers or min(os.cpu_count() or 1, 8)
    items = ((trial, (os.path.join(args.data_dir, trial.container), trial.offset, trial.size), trial.size)
             for trial in trials)
    with tqdm(total=count, initial=writer.done, unit="utt", desc=writer.path.name, mininterval=0.5) as bar:
        for trial, decoding in decode_in_order(items, workers):
            reason = writer.add(trial.utterance, trial.labels, decoding.blocks(), decoding.rate)
            bar.update(1)
            if reason and writer.skipped <= SHOWN:
                tqdm.write(f"skipped {trial.utterance}: {reason}", file=sys.stderr)
            refuse_many(writer, total, reason)


def refuse_many(writer, total: int, last: str | None) -> None:
    """`TooManySkipped` where more than MAX_SKIPPED of `total` could not be read, the last one for the reason `last`."""
    if writer.skipped > MAX_SKIPPED * total:
        raise TooManySkipped(
            f"{writer.skipped} of the first {writer.done:,} utterances of {writer.path.name} cannot be read "
            f"(the last: {last}), more than {MAX_SKIPPED:.0%} of all {total:,}: check the download, then run "
            "python utils/prepare_dataset.py and this again")


def report(info: dict, path: Path) -> None:
    """One line on what was stored."""
    counts, hours = info["counts"], info["counts"]["samples"] / 16000 / 3600
    skipped = f"; {counts['skipped']:,} skipped, named in {path / 'store.json'}" if counts["skipped"] else ""
    print(f"{info['subset']}: {counts['stored']:,} utterances ({counts['bonafide']:,} bona fide, "
          f"{counts['spoof']:,} spoof, {hours:.2f} h, {counts['samples'] * 2 / 1e6:,.0f} MB) in {path}{skipped}")


if __name__ == "__main__":
    from utils.common.errors import run
    run(main, "use --low_memory, or lower --workers")
