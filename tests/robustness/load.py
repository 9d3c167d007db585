"""A folder of many recordings with one in twenty broken: all accounted for, memory flat, good files
as fast as without.
"""
import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.helpers.audio.audio_zoo import REFUSED, example, kinds
from tests.robustness.bench.harness import Bench, child_seconds, ended
from tests.robustness.bench.records import Row, Step
from tests.robustness.bench.steps import INFER, SCORING, ready

EVERY = 20          # one file in so many is broken
EARLY = 200         # files after which memory is looked at first
GROWTH = 10.0       # MB that it may grow from there to the end
SLOWER = 0.10       # share by which a good file may take longer among broken ones
BLOCKS = 4          # runs that clean and broken sets take in turns


def load(bench: Bench, count: int, say: Callable[[str], None] = print) -> list[Row]:
    """Score `count` files in one run, then the same in blocks, in turns with blocks that hold the
    good ones alone.
    """
    ready(bench, INFER)
    folders = _write(bench, count)
    rows = [_whole(bench, count)]
    say(f"{rows[0].what}: {rows[0].outcomes}, {len(rows[0].wrong)} wrong")
    if count > EARLY:
        rows.append(_throughput(bench, folders))
        say(f"{rows[1].what}: {rows[1].outcomes}, {len(rows[1].wrong)} wrong")
    return rows


def _write(bench: Bench, count: int) -> list[Path]:
    """The folders load/0, load/1, ... with good and broken files, and clean/0, clean/1, ... with
    links to the good ones.
    """
    clips = sorted((bench.home / "audio").glob("0*.flac"))
    broken = [kind for kind in kinds() if kind.outcome == REFUSED and kind.place is None]
    # those for the second decoder first: from then on it is loaded
    broken.sort(key=lambda kind: kind.format != "M4A")
    wave, folders = example(), []
    for number in range(count):
        folder = bench.home / "load" / str(number * BLOCKS // count)
        folder.mkdir(parents=True, exist_ok=True)
        if number % EVERY == EVERY // 2:
            kind = broken[number // EVERY % len(broken)]
            name = f"{number:05} {kind.name}{Path(kind.file).suffix or '.wav'}".replace("/", "-")
            (folder / name).write_bytes(kind.content(wave))
        else:
            good = folder / f"{number:05}.flac"
            good.write_bytes(clips[number % len(clips)].read_bytes())
            twin = bench.home / "clean" / folder.name / good.name
            twin.parent.mkdir(parents=True, exist_ok=True)
            twin.hardlink_to(good)
        if folder not in folders:
            folders.append(folder)
    return folders


def _step(folder: str) -> Step:
    return Step("load", INFER.script, (*SCORING, "--input_file", folder, "--output", "load.jsonl"),
                ())


def _whole(bench: Bench, count: int) -> Row:
    bad = len(range(EVERY // 2, count, EVERY))
    row = Row("folder inference", f"{{tried}} files, {bad:,} of them broken")
    # subprocess.DEVNULL: nobody empties a pipe meanwhile
    process = bench.start(bench.command(_step("load")), out=-3)
    early, peak = _watch(bench.home / "load.jsonl.partial", process, min(EARLY, count // 2))
    done = ended(process)
    records = [json.loads(line) for line in (bench.home / "load.jsonl").read_text().splitlines()]
    row.tried = len({record["file"] for record in records})
    failed = [record for record in records if record["error"]]
    row.outcomes.update({"scored": len(records) - len(failed), "refused": len(failed)})
    row.outcomes.update({f"MB at {min(EARLY, count // 2):,} files": round(early),
                         "MB at the end": round(peak)})
    if len({record["file"]
            for record in records
            }) != count or len(failed) != bad or done.code != 1 or done.traceback():
        row.wrong.append(f"{row.what}: {len(records)} records, {len(failed)} failed, "
                         f"exit code {done.code}: {done.err[-600:]}")
    if count > EARLY and peak - early > GROWTH:
        row.wrong.append(f"{row.what}: memory grew from {early:.1f} to {peak:.1f} MB")
    (bench.home / "load.jsonl").unlink()
    return row


def _watch(journal: Path, process, count: int) -> tuple[float, float]:
    """(MB, MB): the peak of the process' memory as first seen with `count` records kept, and until
    its end.
    """
    early, peak = None, 0.0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) / 1024)
            kept = journal.read_bytes().count(b"\n") if journal.exists() else 0
        except (OSError, IndexError, ValueError):
            break
        if early is None and kept >= count:
            early = peak
        time.sleep(0.02)
    return peak if early is None else early, peak


def _throughput(bench: Bench, folders: list[Path]) -> Row:
    row, spent, good = Row("CPU time per good file, one in twenty broken against none",
                           "{tried} runs in turns"), [0.0, 0.0], 0
    for number, folder in enumerate(folders):
        good += len(list((bench.home / "clean" / folder.name).iterdir()))
        turn = ("load", "clean") if number % 2 else ("clean", "load")
        for kind in turn:
            before = child_seconds()
            ended(bench.start(bench.command(_step(f"{kind}/{folder.name}")), out=-3))
            row.tried += 1
            spent[kind == "load"] += child_seconds() - before
    ratio = spent[1] / spent[0]
    row.how += f", {good:,} good files each"
    clean, mixed = (1000 * used / good for used in spent)
    row.outcomes.update({f"ms without, {mixed:.2f} ms among broken ones, ratio {ratio:.3f}": round(
        clean, 2)})
    if ratio > 1 + SLOWER:
        row.wrong.append(f"{row.what}: {ratio:.3f}")
    return row
