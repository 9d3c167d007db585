"""Compare settings of the small model's training on the text-to-speech part of a prepared corpus.

    python utils/prepare_dataset.py --size 600
    python tests/benchmarks/speed/bench_training.py --work WORK --conditions 600-clips-seeds1-3

WORK gets the trial lists of --data_dir, cut to bona fide speech and --attacks, their stores, and
the runs. A stopped benchmark continues. Results: front-ends-CONDITIONS.csv, and with --balance
balance-CONDITIONS.csv.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import contextlib
import json
import statistics
import time

from notebooks import aasist_training
from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils import preprocess_data
from utils.common.arguments import seeds
from utils.common.errors import InputError, run
from utils.common.files import DATA_DIR, ROOT, file_sha256, read_json, write_json

SHORT = ("--small_model", "--epochs", "14", "--batch_size", "8", "--crop_seconds", "1.5",
         "--averaging", "none", "--test", "--resume")
EXAMPLES = ROOT / "notebooks" / "front_ends"
FRONT_ENDS = {
    "log spectrogram (the small model's own)": (),
    "LFCC": ("--front_end", "lfcc"),
    "log-mel": ("--front_end", "logmel"),
    "constant-Q transform": ("--front_end", f"{EXAMPLES / 'cqt.py'}:CQT"),
    "modulation spectrum": ("--front_end", f"{EXAMPLES / 'modulation.py'}:Modulation")}
# by name of the run, as the front ends' are
BALANCES = {
    "front-end-0": ("batches half bona fide, attacks in equal shares (`--balance attack`, the "
                    "default)", "whole", ()),
    "none": ("shuffled (`--balance none`)", "whole", ("--balance", "none")),
    "under": ("undersampled to as many bona fide as spoof, shuffled", "under",
              ("--balance", "none"))}


def cut_lists(source: Path, target: Path, attacks: list[str], undersample: bool) -> None:
    """Copy the trial lists, cut to bona fide speech and `attacks`.

    `undersample`: train keeps only as many bona fide utterances, evenly chosen, as spoofs.
    Raises `InputError` where the source is not prepared.
    """
    if not (source / "protocols" / "corpus.json").is_file():
        raise InputError(f"{source} holds no trial lists: run python utils/prepare_dataset.py")
    (target / "protocols").mkdir(parents=True, exist_ok=True)
    if not (target / "raw").exists():
        (target / "raw").symlink_to((source / "raw").resolve())
    corpus = read_json(source / "protocols" / "corpus.json")
    for subset in ("train", "dev", "eval"):
        head, *lines = (source / "protocols" / f"{subset}.tsv").read_text().splitlines()
        place = head.split("\t").index("attack")
        real = [line for line in lines if line.split("\t")[place] == "-"]
        fake = [line for line in lines if line.split("\t")[place] in attacks]
        if undersample and subset == "train":
            real = [real[n * len(real) // len(fake)] for n in range(len(fake))]
        path = target / "protocols" / f"{subset}.tsv"
        path.write_text("\n".join([head, *sorted(real + fake)]) + "\n")
        corpus["subsets"][subset]["sha256"] = file_sha256(path)
    write_json(target / "protocols" / "corpus.json", corpus)


def figures(data: Path, work: Path, name: str, seed: int, options: tuple[str, ...]) -> dict:
    """The metrics of one run, trained now if it was not finished before."""
    path = work / "results" / name / "metrics.json"
    if not path.is_file():
        arguments = [*SHORT, *options, "--seed", str(seed), "--run_name", name, "--data_dir",
                     str(data), "--checkpoint_dir", str(work / "checkpoints"), "--results_dir",
                     str(work / "results")]
        began = time.process_time()
        with contextlib.redirect_stdout(sys.stderr):
            aasist_training.main(arguments)
        (work / "results" / name / "seconds").write_text(f"{time.process_time() - began:.1f}")
    found = json.loads(path.read_text())
    parts = {f"{part} eer": 100 * found[part]["eer"] for part in ("seen", "unseen")}
    return {"eer": 100 * found["eer"], "act_dcf": found["act_dcf"], "cllr": found["cllr"],
            "seconds": float((work / "results" / name / "seconds").read_text()), **parts}


def row(first: dict[str, str], columns: dict[str, str], runs: list[dict]) -> dict[str, str]:
    """A row of means and standard deviations: `columns` name the figures."""
    cells = dict(first)
    for column, name in columns.items():
        values = [run[name] for run in runs]
        digits = 1 if "eer" in name else 2
        cells[column] = f"{statistics.fmean(values):.{digits}f}"
        cells[f"{column} sd"] = f"{statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return cells


def compare(work: Path, title: str, settings: dict[str, tuple[str, str, tuple[str, ...]]],
            columns: dict[str, str], seeds: list[int]) -> Rows:
    """A row for each setting: its words, its lists and its options, by the name of its run.

    Trained seed by seed, so that a stop leaves whole seeds.
    """
    found = {(name, seed): figures(work / lists, work, f"{name}-seed{seed}", seed, options)
             for seed in seeds for name, (_, lists, options) in settings.items()}
    rows = []
    for name, (words, _, _) in settings.items():
        runs = [found[name, seed] for seed in seeds]
        seconds = statistics.median(run["seconds"] for run in runs)
        rows.append(row({title: words}, columns, runs) | {"CPU s": f"{seconds:.0f}"})
    return rows


def main(argv: list[str] | None = None) -> int:
    """Train all settings and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output_options(parser)
    parser.add_argument("--data_dir", type=Path, default=DATA_DIR, help="a prepared corpus")
    parser.add_argument("--work", type=Path, required=True, help="folder for lists and runs")
    parser.add_argument("--attacks", default="A01,A02,A03,A10,A13",
                        help="attacks to keep (default: the text-to-speech systems)")
    parser.add_argument("--seeds", type=seeds, default=[1, 2, 3], help="default: 1,2,3")
    parser.add_argument("--balance", action="store_true", help="also compare ways to draw batches")
    args = parser.parse_args(argv)
    for name in ("whole", "under"):
        if not (args.work / name / "processed" / "eval").is_dir():
            cut_lists(args.data_dir, args.work / name, args.attacks.split(","), name == "under")
            with contextlib.redirect_stdout(sys.stderr):
                preprocess_data.main(["--data_dir", str(args.work / name), "--workers", "1"])
    front_ends = {f"front-end-{number}": (words, "whole", options)
                  for number, (words, options) in enumerate(FRONT_ENDS.items())}
    publish("front-ends", compare(args.work, "front end", front_ends,
                                  {"EER": "eer", "seen": "seen eer", "unseen": "unseen eer"},
                                  args.seeds), args)
    if args.balance:
        columns = {"EER": "eer", "actDCF": "act_dcf", "Cllr": "cllr"}
        publish("balance", compare(args.work, "batches", BALANCES, columns, args.seeds), args)
    return 0


if __name__ == "__main__":
    run(main)
