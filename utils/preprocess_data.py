"""Step 2: decode the utterances of the trial lists, into one store of 16 kHz waves per subset."""
import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse

from utils.common.arguments import Parser, count, positive
from utils.common.errors import run
from utils.common.files import DATA_DIR


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    parser = Parser(description=__doc__)
    parser.add_argument("--subset", choices=("train", "dev", "eval", "all"), default="all",
                        help="the subset to store, with all that were cut from the same part "
                             "(default: all)")
    parser.add_argument("--limit", type=positive, metavar="N",
                        help="at most N utterances per subset; every key and attack keeps its "
                             "share (default: all)")
    parser.add_argument("--low_memory", action="store_true",
                        help="use one worker and small blocks, so memory stays constant")
    parser.add_argument("--workers", type=positive, metavar="N",
                        help="decoding threads (default: one per core, at most 8)")
    parser.add_argument("--force", action="store_true",
                        help="decode again even if a complete store exists")
    parser.add_argument("--seed", type=count, default=0,
                        help="seed of the choice for --limit (default: %(default)s)")
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR,
                        help="folder with raw/, protocols/ and processed/ (default: data)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Write the store of every subset that --subset names; returns 0, or raises `InputError`."""
    args = build_parser().parse_args(argv)
    from utils.archives.index import check_containers
    from utils.store.build import BuildOptions, build_store, remove_others
    from utils.store.equal_sound import check_stores
    from utils.trials.trial import read_corpus
    from utils.trials.trial_index import subsets_of
    corpus = read_corpus(args.data_dir)
    check_containers(args.data_dir, corpus)
    for subset in remove_others(args.data_dir, corpus):
        print(f"removed the store of {subset}: the prepared corpus has no {subset}")
    subsets = subsets_of(args.subset, corpus)
    if args.subset != "all" and subsets != [args.subset]:
        print(f"{args.subset} was split into {', '.join(subsets)}: storing all of these")
    options = BuildOptions(args.limit, args.seed, args.workers, args.low_memory, args.force)
    for subset in subsets:
        build_store(args.data_dir, subset, corpus, options)
    check_stores(args.data_dir, corpus)
    return 0


if __name__ == "__main__":
    run(main, "use --low_memory, or lower --workers")
