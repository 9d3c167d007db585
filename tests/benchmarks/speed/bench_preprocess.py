"""Memory and CPU time of preprocess_data.py against bare decoding.

    python tests/benchmarks/speed/bench_preprocess.py FOLDER [--work DIR] [--sizes 500 5000]

The archive holds the FLAC files of FOLDER, repeated up to the number of utterances, as ASVspoof5's
archives do. Bare decoding reads each member's bytes, calls soundfile.read and drops the samples.
User and system time of both processes count, the start of Python included; both take turns.
Peak memory is the kernel's figure for the process.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import os
import subprocess
import tarfile
import tempfile

from tests.benchmarks.results_files import add_output_options, publish
from utils.archives.index import stamp
from utils.common.arguments import positive
from utils.common.errors import InputError, run
from utils.common.files import ROOT, write_json
from utils.trials.labels import Labels
from utils.trials.trial import Trial, trial_list_path, write_trials

BARE = """
import io, sys, soundfile
with open(sys.argv[1], "rb") as archive:
    for line in open(sys.argv[2]):
        offset, size = map(int, line.split("\\t")[7:9]) if line[0] != "u" else (0, 0)
        if size:
            archive.seek(offset)
            soundfile.read(io.BytesIO(archive.read(size)), dtype="int16")
"""
CONTAINER = "raw/flac_D_ab.tar"
MAXRSS_PER_MB = 1e6 if sys.platform == "darwin" else 1e3


def build(folder: Path, data_dir: Path, count: int) -> tuple[Path, Path]:
    """Make an uncompressed tar of `count` members and its trial list; returns both paths.

    `InputError` if the folder holds no FLAC file.
    """
    files = sorted(folder.rglob("*.flac"))
    if not files:
        raise InputError(f"there is no FLAC file in {folder}: name a folder with FLAC files")
    archive = data_dir / CONTAINER
    archive.parent.mkdir(parents=True)
    trials = []
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for number in range(count):
            path = files[number % len(files)]
            first = tar.offset + tarfile.BLOCKSIZE
            tar.add(path, f"flac_D/D_{number:010}.flac")
            trials.append(Trial(f"D_{number:010}", made_up_labels(number), CONTAINER, first,
                                path.stat().st_size))
    write_trials(trial_list_path(data_dir, "dev"), trials)
    write_json(data_dir / "protocols" / "corpus.json", {
        "name": "benchmark", "description": "files of a folder, repeated", "demo": False,
        "seen_attacks": [], "subsets": {"dev": {"partition": "dev"}},
        "containers": {CONTAINER: stamp(archive)}})
    return archive, trial_list_path(data_dir, "dev")


def made_up_labels(number: int) -> Labels:
    """Labels of utterance `number`: one in four bona fide, eight attacks, 50 speakers."""
    speaker = f"D_{number % 50:04}"
    if number % 4 == 0:
        return Labels(speaker=speaker, gender="F", key="bonafide")
    return Labels(speaker=speaker, gender="F", key="spoof", attack=f"A{9 + number % 8:02}")


def measure(command: list[str]) -> tuple[float, float]:
    """(user + system seconds, peak resident memory in MB) of a process that must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise InputError(f"{command[1]} failed: {error.decode(errors='replace').strip()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MAXRSS_PER_MB


def compare(folder: Path, data_dir: Path, count: int, repeats: int) -> dict[str, str]:
    """The row of one number of utterances: least CPU time and highest peak of the repeats."""
    archive, trials = build(folder, data_dir, count)
    script = [sys.executable, str(ROOT / "utils" / "preprocess_data.py"), "--force",
              "--data_dir", str(data_dir)]
    commands = {"bare": [sys.executable, "-c", BARE, str(archive), str(trials)],
                "low": [*script, "--low_memory"], "workers": script}
    runs = [{name: measure(command) for name, command in commands.items()} for _ in range(repeats)]
    cpu = {name: min(run[name][0] for run in runs) for name in commands}
    peak = {name: max(run[name][1] for run in runs) for name in commands}
    return {"utterances": str(count), "CPU s": f"{cpu['low']:.2f}", "peak MB": f"{peak['low']:.1f}",
            "bare decoding CPU s": f"{cpu['bare']:.2f}", "bare decoding MB": f"{peak['bare']:.1f}",
            "CPU time of bare decoding = 1": f"{cpu['low'] / cpu['bare']:.2f}",
            "with workers CPU s": f"{cpu['workers']:.2f}",
            "with workers MB": f"{peak['workers']:.1f}"}


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with FLAC files of speech")
    parser.add_argument("--work", type=Path,
                        help="folder for archive and stores, on a real disk (default: temporary)")
    parser.add_argument("--sizes", type=positive, nargs="+", default=[500, 5000],
                        help="numbers of utterances (default: 500 5000)")
    parser.add_argument("--repeats", type=positive, default=3, help="runs of each (default: 3)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        rows = [compare(args.folder, Path(work) / str(size), size, args.repeats)
                for size in args.sizes]
    publish("preprocess-low-memory", rows, args)
    return 0


if __name__ == "__main__":
    run(main)
