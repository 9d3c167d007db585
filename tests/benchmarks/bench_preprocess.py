"""Memory and CPU time of preprocess_data.py --low_memory against bare decoding, on an archive made from a folder of
FLAC files.

    python tests/benchmarks/bench_preprocess.py FOLDER [--work DIR] [--sizes 500 5000] [--repeats 3]

The archive holds the files of FOLDER, over and over up to the number asked for, as ASVspoof5's own do. Bare decoding is
a process that reads each member's bytes and calls soundfile.read, and does nothing with the samples; user and system
time of both processes are compared, start of Python included, the repeats in turn. Peak memory is the kernel's figure
for the process.
"""
import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BARE = """
import io, sys, soundfile
with open(sys.argv[1], "rb") as archive:
    for line in open(sys.argv[2]):
        offset, size = map(int, line.split("\\t")[7:9]) if line[0] != "u" else (0, 0)
        if size:
            archive.seek(offset)
            soundfile.read(io.BytesIO(archive.read(size)), dtype="int16")
"""


def build(folder: Path, data_dir: Path, count: int) -> tuple[Path, Path]:
    """An uncompressed tar of `count` members, and the trial list that preprocess_data.py reads; returns both paths."""
    from utils.archives.index import stamp
    from utils.trials.labels import Labels
    from utils.trials.trial import Trial, trial_list_path, write_trials
    from utils.common.files import write_json
    files = sorted(folder.rglob("*.flac"))
    archive = data_dir / "raw" / "flac_D_ab.tar"
    archive.parent.mkdir(parents=True)
    trials = []
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for number in range(count):
            path = files[number % len(files)]
            first = tar.offset + tarfile.BLOCKSIZE
            tar.add(path, f"flac_D/D_{number:010}.flac")
            attack = "-" if number % 4 == 0 else f"A{9 + number % 8:02}"
            key = "bonafide" if attack == "-" else "spoof"
            labels = Labels(speaker=f"D_{number % 50:04}", gender="F", attack=attack, key=key)
            trials.append(Trial(f"D_{number:010}", labels, "raw/flac_D_ab.tar", first,
                                path.stat().st_size))
    write_trials(trial_list_path(data_dir, "dev"), trials)
    write_json(data_dir / "protocols" / "corpus.json", {
        "name": "benchmark", "description": "files of a folder, repeated", "demo": False, "seen_attacks": [],
        "subsets": {"dev": {"partition": "dev"}}, "containers": {"raw/flac_D_ab.tar": stamp(archive)}})
    return archive, trial_list_path(data_dir, "dev")


def measure(command: list[str]) -> tuple[float, float]:
    """(user + system seconds, peak resident memory in MB) of a process that must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(error.decode())
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> int:
    """Print a table: utterances, CPU seconds of both, their ratio, peak memory of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with FLAC files of speech")
    parser.add_argument("--work", type=Path,
                        help="folder for the archive and the stores, on a real disk (default: temporary)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 5000], help="numbers of utterances")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the least CPU time counts")
    args = parser.parse_args()
    print("utterances", "bare CPU s", "preprocess CPU s", "ratio", "preprocess peak MB", "bare peak MB",
          "with workers CPU s", "peak MB", sep="\t")
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        for size in args.sizes:
            data_dir = Path(work) / str(size)
            archive, trials = build(args.folder, data_dir, size)
            script = [sys.executable, str(ROOT / "utils" / "preprocess_data.py"), "--data_dir", str(data_dir),
                      "--force"]
            runs = [(measure([sys.executable, "-c", BARE, str(archive), str(trials)]),
                     measure([*script, "--low_memory"]),
                     measure(script)) for _ in range(args.repeats)]
            bare, low, many = ([min(run[i][0] for run in runs), max(run[i][1] for run in runs)] for i in range(3))
            print(f"{size}\t{bare[0]:.2f}\t{low[0]:.2f}\t{low[0] / bare[0]:.3f}\t{low[1]:.1f}\t{bare[1]:.1f}\t"
                  f"{many[0]:.2f}\t{many[1]:.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
