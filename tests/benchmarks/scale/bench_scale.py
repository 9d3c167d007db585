"""Every step on ASVspoof5 in its true shape: CPU time, peak memory and disk against its size.

    python tests/benchmarks/scale/bench_scale.py --work_dir DIR [--counts 10000 100000 1004081]

`corpus.py` builds each corpus (the largest takes 8 GB, with its stores 21 GB) and says what
it is made of. Each step runs in a process of its own. CPU time counts its start; peak memory is the
kernel's figure. Corpora that lie in DIR already are used; what the steps write is made anew.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import shutil
from dataclasses import dataclass, field

from tests.benchmarks.speed.bench_preprocess import measure
from tests.benchmarks.results_files import (Rows, add_output_options, among_earlier, markdown,
                                            read_rows, results_path, write_rows)
from tests.benchmarks.scale.corpus import KEYS, SCORES, SHAPES, WHOLE, number_of
from tests.benchmarks.scale.steps import RECORDINGS, VERDICTS
from utils.common.arguments import positive
from utils.common.errors import run
from utils.common.files import PRETRAINED_DIR, ROOT
from utils.store.replacement import discard

COUNTS = (10_000, 100_000, WHOLE)
VERDICTS_OF = 10        # a journal has a verdict for one of so many utterances, ...
REAL = 15_000           # utterances of real length in a corpus of their own
REAL_LENGTHS = "preprocess dev of real lengths, --low_memory"


@dataclass(frozen=True)
class Step:
    """One process to measure."""
    name: str
    utterances: int
    command: list[str]
    written: list[Path] = field(default_factory=list)   # removed before, measured after


def script(name: str, *options: object) -> list[str]:
    """The command of a script of this project."""
    return [sys.executable, str(ROOT / name), *map(str, options)]


def steps_of(home: Path, count: int) -> list[Step]:
    """The steps on the corpus of `count` utterances in `home`, in their order."""
    own = [sys.executable, "-m", "tests.benchmarks.scale.steps"]
    data = ["--data_dir", home]
    train, dev, evaluated = (number_of(shape, count) for shape in SHAPES)
    prepare = "utils/prepare_dataset.py"
    preprocess = "utils/preprocess_data.py"
    scores = ["--scores", home / SCORES, "--keys", home / KEYS]
    store = home / "processed"
    lists = home / "protocols"
    judge = script("utils/simplified_inference.py", "--input_file", home / RECORDINGS, "--model",
                   PRETRAINED_DIR / "detector.onnx", "--output", home / VERDICTS, "--json")
    return [
        Step("index the archives", count, [*own, "index", str(home)], [lists / "index"]),
        Step("prepare", count, script(prepare, *data),
             [lists / f"{shape.name}.tsv" for shape in SHAPES]),
        Step("split eval into three", evaluated, script(prepare, "--data_dir", home / "split"),
             [home / "split" / "protocols" / f"{shape.name}.tsv" for shape in SHAPES]),
        Step("preprocess train", train, script(preprocess, *data, "--subset", "train"),
             [store / "train"]),
        Step("preprocess dev, --low_memory", dev,
             script(preprocess, *data, "--subset", "dev", "--low_memory"), [store / "dev"]),
        Step("read an epoch of train", train, [*own, "epoch", str(home)]),
        Step("evaluate scores", evaluated, script("utils/evaluate_model.py", *scores, "--json")),
        Step("evaluate and report", evaluated,
             script("utils/evaluate_model.py", *scores, "--output", home / "results"),
             [home / "results"]),
        Step("journal of verdicts, filled", count // VERDICTS_OF, [*own, "journal", str(home)],
             [home / VERDICTS, home / f"{VERDICTS}.partial"]),
        Step("journal of verdicts, resumed", count // VERDICTS_OF, judge),
    ]


def lay_out(home: Path, count: int, real_share: float) -> None:
    """Build the corpus, the corpus of eval alone, and recordings to judge, unless they are there.

    Another process builds: a process that this one starts would inherit its peak of memory.
    """
    if not (home / SCORES).is_file():
        measure([sys.executable, "-m", "tests.benchmarks.scale.corpus", "--count", str(count),
                 "--work_dir", str(home), "--real_share", str(real_share)])
    alone = home / "split"
    recordings = home / RECORDINGS
    if recordings.is_dir():
        return
    (alone / "raw").mkdir(parents=True)
    (alone / "protocols").mkdir()
    (alone / "protocols" / "index").symlink_to((home / "protocols" / "index").resolve())
    for path in (home / "raw").iterdir():
        if path.name.startswith(("flac_E", "ASVspoof5")):
            (alone / "raw" / path.name).symlink_to(path.resolve())
    recordings.mkdir()
    clip = next((home / "clips").glob("eval spoof real*")).resolve()
    for number in range(count // VERDICTS_OF):
        (recordings / f"{number:06}.flac").symlink_to(clip)


def measured(step: Step) -> dict[str, str]:
    """The row of one step."""
    for path in step.written:
        shutil.rmtree(path, ignore_errors=True)
        discard(path)      # what a killed preprocessing would resume
        path.unlink(missing_ok=True)
    seconds, peak = measure(step.command)
    return {"step": step.name, "utterances": str(step.utterances), "CPU s": f"{seconds:.1f}",
            "ms per utterance": f"{seconds / step.utterances * 1e3:.3f}",
            "peak MB": f"{peak:.0f}", "disk MB": f"{sum(map(size, step.written)) / 1e6:.1f}"}


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 for nothing."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def at_real_length(work_dir: Path) -> Rows:
    """Preprocessing of utterances of real length, and what the whole dev and corpus would take."""
    home = work_dir / "real"
    lay_out(home, REAL, 1.0)
    every = {step.name: step for step in steps_of(home, REAL)}
    for name in ("index the archives", "prepare", "preprocess dev, --low_memory"):
        row = measured(every[name])
    rows = [row | {"step": REAL_LENGTHS}]
    for what, count in (("dev", SHAPES[1].utterances), ("the corpus", WHOLE)):
        factor = count / int(row["utterances"])
        rows.append(row | {
            "step": f"the same for all of {what}, extrapolated", "utterances": str(count),
            **{unit: f"{float(row[unit]) * factor:.0f}" for unit in ("CPU s", "disk MB")}})
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True, help="folder on a real disk")
    parser.add_argument("--counts", type=positive, nargs="+", default=COUNTS,
                        help=f"utterances in all (default: {' '.join(map(str, COUNTS))})")
    parser.add_argument("--real_share", type=float, default=0.01,
                        help="share of utterances of real length (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="WORDS",
                        help="only the steps whose names hold these words; \"real\": real lengths")
    add_output_options(parser)
    args = parser.parse_args(argv)
    path = results_path("scale", args)
    for count in args.counts:
        home = args.work_dir / str(count)
        lay_out(home, count, args.real_share)
        for step in steps_of(home, count):
            if args.only in step.name:
                add(path, [measured(step)])
    if args.only in ("", "real"):
        add(path, at_real_length(args.work_dir))
    print(markdown(read_rows(path)))
    return 0


def add(path: Path, rows: Rows) -> None:
    """Put rows into the table: by step, then by size, those that are extrapolated at the end."""
    every = among_earlier(rows, path, ("step", "utterances"))
    names = [step.name for step in steps_of(path, WHOLE)]
    order = {name: place for place, name in enumerate([*names, REAL_LENGTHS])}
    every.sort(key=lambda row: (order.get(row["step"], len(order)), int(row["utterances"])))
    write_rows(path, every)
    print(markdown(rows), file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
