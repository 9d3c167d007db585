"""Bad and odd files through the inference script, one by one and all at once; the five FLAC files
that libsndfile refuses.
"""
import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.helpers.audio.audio_zoo import REFUSED, Kind, example, kinds
from tests.robustness.bench.compare import remove
from tests.robustness.bench.harness import Bench, ended
from tests.robustness.bench.records import Row, Step
from tests.robustness.bench.steps import INFER, SCORING, ready
from utils.common.errors import shown

HARD = Path("reference") / "hard-audio"


def audio_zoo(bench: Bench, count: int | None = None, say: Callable[
    [str], None] = print) -> list[Row]:
    """Every kind (or `count` evenly chosen ones) alone, then the whole folder: outcome, words and
    exit code as they should be.
    """
    ready(bench, INFER)
    chosen, wave = kinds(), example()
    chosen = chosen[::-(-len(chosen) // count)] if count else chosen
    paths = {kind.name: kind.write(bench.home / "zoo", wave) for kind in chosen}
    formats = len({kind.format for kind in chosen})
    alone = Row("audio zoo, one by one", f"{{tried}} kinds, {formats} formats")
    for kind in chosen:
        _alone(bench, kind, paths[kind.name], alone)
    say(f"{alone.what}: {dict(alone.outcomes)}, {len(alone.wrong)} wrong")
    together = _together(bench, chosen, paths)
    say(f"{together.what}: {dict(together.outcomes)}, {len(together.wrong)} wrong")
    # links to nowhere and pipes: nothing that later faults could copy
    remove(bench.home / "zoo")
    return [_tail(alone), _tail(together)]


def _tail(row: Row) -> Row:
    """The row with what did not happen said too."""
    row.outcomes.update({"tracebacks": 0, "wrong exit codes": 0})
    return row


def _infer(bench: Bench, *options: str):
    return ended(bench.fork(Step("zoo", INFER.script, (*SCORING, *options), ())))


def _alone(bench: Bench, kind: Kind, path: Path, row: Row) -> None:
    row.tried += 1
    done = _infer(bench, "--json", "--input_file", str(path))
    records = [json.loads(line) for line in done.out.splitlines()]
    came = kind.came_out(records[0]) if records else REFUSED if done.sentence else "nothing said"
    row.outcomes[came if came == kind.outcome else "other than expected"] += 1
    _judge(row, kind.name, done, came, kind.outcome, int(kind.outcome == REFUSED))


def _judge(row: Row, name: str, done, came: str, expected: str, code: int) -> None:
    if came != expected:
        row.wrong.append(f"{row.what}: {name} came out as {came}, not {expected}")
    if done.traceback():
        row.outcomes["tracebacks"] += 1
        row.wrong.append(f"{row.what}: {name}: {done.err[-600:]}")
    if done.code != code:
        row.outcomes["wrong exit codes"] += 1
        row.wrong.append(
            f"{row.what}: {name} ended with {done.code}, not {code}: {done.err[-300:]}")


def _together(bench: Bench, chosen: list[Kind], paths: dict[str, Path]) -> Row:
    row = Row("audio zoo, as one folder", "{tried} files")
    table = bench.home / "zoo.jsonl"
    done = _infer(bench, "--input_file", "zoo", "--output", table.name)
    records = {record["file"]: record for record in map(json.loads, table.read_text().splitlines())}
    expected = dict(_in_folder(bench, chosen, paths))
    if records.keys() != expected.keys():
        row.wrong.append(
            f"{row.what}: not accounted for: {sorted(records.keys() ^ expected.keys())}")
    for name, record in records.items():
        if name in expected:
            row.tried += 1
            came = expected[name].came_out(record)
            row.outcomes[came] += 1
            if came != expected[name].outcome:
                row.wrong.append(f"{row.what}: {expected[name].name} came out as {came}")
    _judge(row, "the folder", done, "", "", 1)
    table.unlink()
    return row


def _in_folder(bench: Bench, chosen: list[Kind], paths: dict[str,
                                                             Path]) -> Iterator[tuple[str, Kind]]:
    """What a search of the folder finds: files with an audio suffix."""
    for kind in chosen:
        path = paths[kind.name]
        if os.path.lexists(path) and not path.is_dir() and path.suffix:
            yield shown(os.path.join("zoo", os.path.relpath(path, bench.home / "zoo"))), kind


def hard_files(bench: Bench, shared: Path, say: Callable[[str], None] = print) -> Row:
    """Real FLAC files that libsndfile refuses: their samples have the recorded sum, and they score.
    """
    from utils.audio.decode import load_audio
    ready(bench, INFER)
    folder = shared / HARD
    with open(folder / "expected.tsv", encoding="utf-8", newline="") as file:
        expected = {line["file"]: line["sha256_of_pcm_by_ffmpeg"] for line in csv.DictReader(
            file, delimiter="\t")}
    row = Row("FLAC files that libsndfile refuses", "{tried} files")
    row.outcomes = Counter({"with the recorded sum of their samples": 0, "scored": 0})
    for name, recorded in expected.items():
        row.tried += 1
        if hashlib.sha256(load_audio(folder / name).tobytes()).hexdigest() == recorded:
            row.outcomes["with the recorded sum of their samples"] += 1
        else:
            row.wrong.append(f"{row.what}: {name} has other samples")
        done = _infer(bench, "--json", "--input_file", str(folder / name))
        if done.code == 0 and json.loads(done.out)["score"] is not None:
            row.outcomes["scored"] += 1
        else:
            row.wrong.append(f"{row.what}: {name} ended with {done.code}: {done.out[-300:]}")
    say(f"{row.what}: {dict(row.outcomes)}, {len(row.wrong)} wrong")
    return row
