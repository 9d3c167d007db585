"""Step 1: find the dataset in data/raw and write one trial list per subset to data/protocols."""
import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
from typing import TYPE_CHECKING

from utils.common.arguments import Parser, fold
from utils.common.errors import InputError, run
from utils.common.files import DATA_DIR
from utils.common.locks import only_run

if TYPE_CHECKING:
    from utils.corpora.corpus import Corpus

SEED = 1


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    from utils.corpora.choice import CORPORA
    from utils.trials.tables import condition
    parser = Parser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR,
                        help="folder with raw/, protocols/ and processed/ (default: data)")
    parser.add_argument("--corpus", choices=("auto", *CORPORA), default="auto", metavar="NAME",
                        help=f"the corpus to use: {', '.join(CORPORA)} (default: the first of "
                             "these in data/raw; the last only where it holds no audio)")
    parser.add_argument("--extract", action="store_true",
                        help="unpack archives (default: read them in place)")
    parser.add_argument("--md5", action="store_true",
                        help="compare the downloads with their published md5 sums; reads all")
    parser.add_argument("--seed", type=int,
                        help=f"seed of splits and of the default corpus (default: {SEED})")
    parser.add_argument("--where", action="append", default=[], type=condition,
                        metavar="[PART:]COLUMN=VALUE",
                        help="for folders with a trials.tsv: use only rows with that value; "
                             "COLUMN!=VALUE uses all others; separate several values by commas; "
                             "may be repeated; a list without that column is used as a whole")
    parser.add_argument("--split_by", choices=("speaker", "source"), default="speaker",
                        help="what no two subsets share where they are cut from one part "
                             "(default: speaker)")
    parser.add_argument("--fold", type=fold, metavar="K/N",
                        help="split into N folds: the K-th is eval, the next one dev, the rest "
                             "train (default: 60/20/20)")
    parser.add_argument("--eval_only", action="store_true",
                        help="prepare eval alone, for a model that you have; all of a corpus "
                             "that has no subsets")
    parser.add_argument("--force", action="store_true",
                        help="read archives again although they have an index")
    corpus = parser.add_argument_group("the default corpus, built where data/raw is empty")
    corpus.add_argument("--workers", type=int, default=2,
                        help="processes that build it (default: 2)")
    corpus.add_argument("--size", help='"default", "tiny" (for tests) or a number of clips')
    corpus.add_argument("--attacks", help="attacks in it, separated by commas (default: all)")
    corpus.add_argument("--bonafide_dir", type=Path,
                        help="folder of your own real speech: at least six folders, one per "
                             "speaker; it is treated as English, never coded lossily")
    return parser


def find_corpus(args: argparse.Namespace) -> "Corpus":
    """The corpus asked for, or the first in data/raw, or the default corpus."""
    from utils.corpora.asvspoof import asvspoof5
    from utils.corpora.asvspoof.asvspoof5_checksums import check_md5
    from utils.corpora.choice import CORPORA, choose
    from utils.corpora.corpus import Request
    request = Request(args.data_dir, args.extract, args.force, tuple(args.where),
                      build=lambda raw_dir: build_default(raw_dir, args))
    chosen = choose(request.raw_dir, args.corpus)
    if args.md5:
        paths = asvspoof5.downloads(request.raw_dir) if chosen == "asvspoof5" else []
        print(f"verified md5 sums: {check_md5(paths)}; no other sum is published")
    if args.where and chosen != "folders":
        raise InputError(f"--where needs folders with a trials.tsv, but the corpus is {chosen}: "
                         "leave --where out, or add --corpus folders")
    corpus = CORPORA[chosen].find(request)
    return corpus.eval_alone() if args.eval_only else corpus


def build_default(raw_dir: Path, args: argparse.Namespace) -> None:
    """Build or complete the default corpus, unless a complete one fits the options."""
    from utils.corpora import default
    asked = {name: getattr(args, name) for name in ("seed", "size", "attacks", "bonafide_dir")}
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked and default.is_there(raw_dir):
        return
    if asked.get("size", "").isdecimal():
        asked["size"] = int(asked["size"])
    if "attacks" in asked:
        asked["attacks"] = [name.strip() for name in asked["attacks"].split(",")]
    from utils.synthesis.default_corpus import build_default_corpus     # imports torch
    build_default_corpus(raw_dir, workers=args.workers, **{"seed": SEED, **asked})


def check_data_dir(args: argparse.Namespace) -> None:
    """Raise `InputError` where a data folder was named in which nothing can lie."""
    folder = args.data_dir
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--data_dir {folder} is not a folder: name a folder")
    usual = folder.resolve() == DATA_DIR.resolve()
    if not (usual or args.corpus == "default" or (folder / "raw").is_dir()):
        state = "holds no folder raw" if folder.is_dir() else "does not exist"
        raise InputError(f"--data_dir {folder} {state}: name the folder above raw, or add "
                         "--corpus default to build the default corpus there")


def main(argv: list[str] | None = None) -> int:
    """Write the trial lists; returns 0, or raises `InputError`."""
    from utils.corpora.write_lists import write_lists
    from utils.trials.split import SplitOptions
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.eval_only and args.fold:
        parser.error("--fold cuts three subsets, and --eval_only makes one: give one of the two")
    check_data_dir(args)
    lists = args.data_dir / "protocols"
    options = SplitOptions(SEED if args.seed is None else args.seed, args.split_by, args.fold)
    with only_run(lists / ".prepare.lock", f"preparing {args.data_dir}"):
        corpus = find_corpus(args)
        print(f"found in {args.data_dir / 'raw'}: {corpus.name}: {corpus.found}")
        changed = write_lists(args.data_dir, corpus, options)
    where = "written to" if changed else "unchanged in"
    print(f"trial lists of {corpus.name} {where} {lists}")
    return 0


if __name__ == "__main__":
    run(main, "lower --workers")
