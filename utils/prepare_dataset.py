"""Step 1: find the dataset in data/raw, say what is there, and write one trial list per subset to data/protocols."""
import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse

from utils.common.arguments import fold
from utils.common.errors import InputError
from utils.common.files import DATA_DIR

SEED = 1
CORPORA = ("asvspoof5", "asvspoof2019", "folders", "default")      # in the order in which auto prefers them


def condition(text: str):
    """A condition on the rows of trial lists, for argparse."""
    from utils.trials.tables import condition
    return condition(text)


def build_parser() -> argparse.ArgumentParser:
    """The command line of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR, help="folder with raw/, protocols/ and processed/")
    parser.add_argument("--corpus", choices=("auto", *CORPORA), default="auto",
                        help="the corpus to take (default: the first of these that data/raw holds, else the last)")
    parser.add_argument("--extract", action="store_true", help="unpack archives (by default they are read in place)")
    parser.add_argument("--md5", action="store_true", help="compare the downloads' check sums, reading all of them")
    parser.add_argument("--seed", type=int, help=f"seed of splits and of the default corpus (default: {SEED})")
    parser.add_argument("--where", action="append", default=[], type=condition, metavar="[PART:]COLUMN=VALUE",
                        help="of folders with a trials.tsv: only rows with that value; COLUMN!=VALUE: all others; values separated by "
                             "commas; may be repeated; a list without that column is taken whole")
    parser.add_argument("--split_by", choices=("speaker", "source"), default="speaker",
                        help="what no two subsets share where missing ones are cut from a part (default: speaker)")
    parser.add_argument("--fold", type=fold, metavar="K/N",
                        help="cut by folds: the K-th of N is eval, the next one dev, the rest train (default: 60/20/20)")
    parser.add_argument("--force", action="store_true", help="read archives anew although their indexes are there")
    default = parser.add_argument_group("the default corpus, built where data/raw has no dataset")
    default.add_argument("--workers", type=int, default=2, help="processes that build it (default: 2)")
    default.add_argument("--size", help='"default", "tiny" (for tests) or a number of clips')
    default.add_argument("--attacks", help="attacks to build it with, separated by commas (default: all)")
    default.add_argument("--bonafide_dir", type=Path,
                         help="folder of your own real speech: at least six folders, one per speaker; all of it is taken as "
                              "English, and as never coded lossily")
    return parser


def find_corpus(args: argparse.Namespace):
    """The corpus asked for, or the first that is there, or the default corpus; says which others are there."""
    from utils.corpora import default as embedded
    from utils.corpora import asvspoof5, asvspoof2019, folders
    from utils.corpora.asvspoof5_checksums import check_md5
    from utils.corpora.corpus import Request
    request = Request(args.data_dir, args.extract, args.force, tuple(args.where))
    modules = dict(zip(CORPORA, (asvspoof5, asvspoof2019, folders)))
    there = [name for name, module in modules.items() if module.is_there(request.raw_dir)]
    chosen = args.corpus if args.corpus != "auto" else there[0] if there else "default"
    if others := [name for name in there if name != chosen]:
        print(f"{request.raw_dir} also holds {', '.join(others)}: choose with --corpus")
    if args.md5:
        checked = check_md5(asvspoof5.downloads(request.raw_dir)) if chosen == "asvspoof5" else 0
        print(f"md5 sums that agree with the published ones: {checked}; nothing else has a known sum")
    if args.where and chosen != "folders":
        raise InputError(f"--where chooses rows of folders with a trials.tsv, and the corpus taken is {chosen}: leave it out, or add "
                         "--corpus folders")
    if chosen != "default":
        return modules[chosen].find(request)
    if args.corpus == "auto":
        how = "which is there" if embedded.is_there(request.raw_dir) else "built in some minutes, with 290 MB of downloads; Ctrl-C stops it"
        print(f"no other dataset in {request.raw_dir}: the embedded default corpus is taken ({how})")
    return embedded.find(request, lambda raw_dir: build_default(raw_dir, args))


def build_default(raw_dir: Path, args: argparse.Namespace) -> None:
    """Build or complete the default corpus; one that is whole stays as it is where no option asks for another."""
    from utils.corpora import default as embedded
    asked = {name: getattr(args, name) for name in ("seed", "size", "attacks", "bonafide_dir")}
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked and embedded.is_there(raw_dir):
        return
    from utils.synthesis.default_corpus import build_default_corpus
    if asked.get("size", "").isdecimal():
        asked["size"] = int(asked["size"])
    if "attacks" in asked:
        asked["attacks"] = [name.strip() for name in asked["attacks"].split(",")]
    build_default_corpus(raw_dir, workers=args.workers, **{"seed": SEED, **asked})


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.data_dir.exists() and not args.data_dir.is_dir():
        raise InputError(f"--data_dir {args.data_dir} is not a folder: name one")
    from utils.corpora.write_lists import write_lists
    from utils.trials.split import SplitOptions
    from utils.common.locks import only_run
    with only_run(args.data_dir / "protocols" / ".prepare.lock", f"preparing {args.data_dir}"):
        corpus = find_corpus(args)
        print(f"found in {args.data_dir / 'raw'}: {corpus.name}: {corpus.found}")
        changed = write_lists(args.data_dir, corpus, SplitOptions(SEED if args.seed is None else args.seed, args.split_by, args.fold))
    print(f"trial lists of {corpus.name} {'written to' if changed else 'unchanged in'} {args.data_dir / 'protocols'}")
    return 0


if __name__ == "__main__":
    from utils.common.errors import run
    run(main, "lower --workers")
