"""How a model does on groups of clips: the tables of EERs, false alarms and verdicts that README and model card show.

Reads what `python utils/evaluate_model.py --model M --subset S` left (scores.tsv, keys.tsv, metrics.json) and a trial list that says
more of each clip: utterance and attack, and any of speaker, category, paired, source or another column. Prints Markdown tables: EERs
in % with 95 % bootstrap intervals (by speaker where speakers are known); which real clips score below the stored threshold, and
which spoofs pass it; shares of each side of the stored band. By the score alone: the verdict is uncertain below a second of speech too.
Run: python tests/benchmarks/bench_groups.py --results results/detector --trials EVALUATION/trials.tsv --without NSF
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from utils.common.files import reading
from utils.common.errors import InputError, run
from utils.metrics.intervals import FEW_SPEAKERS, bootstrap_interval, numbered_speakers
from utils.report.key_files import align, read_keys, read_scores
from utils.metrics.metrics import eer
from utils.common.files import read_json
from utils.detector.decision import BONAFIDE, SPOOF, UNCERTAIN, Decision

NEEDED, UNKNOWN = ("utterance", "attack"), "-"


@dataclass(frozen=True)
class Clips:
    """Scored clips, their columns in the trial list, each str (N,), and the decision that the results hold."""
    scores: np.ndarray      # (N,), higher = bona fide
    real: np.ndarray        # bool (N,)
    columns: dict[str, np.ndarray]
    decision: Decision

    def only(self, which: np.ndarray) -> "Clips":
        """Those of `which` (bool (N,))."""
        return Clips(self.scores[which], self.real[which], {name: values[which] for name, values in self.columns.items()}, self.decision)


def read_trials(path: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated trial list, by column; what is empty is "-". `InputError` where it is missing or malformed."""
    if not path.is_file():
        raise InputError(f"there is no trial list {path}: check the path")
    try:
        with reading(path), open(path, encoding="utf-8-sig") as file:
            header, *lines = [line.rstrip("\n").split("\t") for line in file if line.strip()] or [[]]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    if missing := [name for name in NEEDED if name not in header]:
        raise InputError(f"{path} has no column {missing[0]} in its first line: name a trial list with columns separated by tabs")
    if wrong := next((line for line in lines if len(line) != len(header)), None):
        raise InputError(f"{path} does not have the {len(header)} columns of its first line where it lists {wrong[0]!r}: mend that line")
    return [{name: value or UNKNOWN for name, value in zip(header, line)} for line in lines]


def read_clips(results: Path, trials: Path) -> Clips:
    """The clips that were scored. `InputError` where the results are incomplete, or the list does not tell all of them."""
    keys, point = read_keys(results / "keys.tsv", "all"), read_json(results / "metrics.json")["operating_point"]
    listed, listed_often = {}, Counter()
    for row in read_trials(trials):
        listed[stem := Path(row["utterance"]).stem] = row
        listed_often[stem] += 1
    for row in keys:
        stem = Path(row.utterance).stem
        if listed_often[stem] != 1:
            raise InputError(f"{trials} lists {stem} {'more than once' if stem in listed else 'nowhere'}, which was scored as {row.utterance}: "
                             "name the list of the clips that were scored")
        if listed[stem].get("key", row.labels.key) != row.labels.key:
            raise InputError(f"{trials} says that {stem} is {listed[stem]['key']}, and {results / 'keys.tsv'} that it is {row.labels.key}: "
                             "name the list of the clips that were scored")
    rows = [listed[Path(row.utterance).stem] for row in keys]
    band = point.get("band")
    return Clips(align(read_scores(results / "scores.tsv"), keys), np.array([row.labels.is_bonafide for row in keys]),
                 {name: np.array([row[name] for row in rows], str) for name in rows[0]},
                 Decision(point["threshold"], tuple(band) if band else None, origin=point.get("origin", "")))


def speakers(clips: Clips) -> np.ndarray | None:
    """A number for each clip's speaker, for `bootstrap_interval`; None where none is known."""
    if "speaker" not in clips.columns:
        return None
    names = clips.columns["speaker"]
    return numbered_speakers(np.where(np.char.endswith(names, ":unknown"), UNKNOWN, names))


def eer_row(name: str, clips: Clips) -> str:
    """A line of the table of EERs; "-" where a class is absent."""
    real, scores, who = clips.real, clips.scores, speakers(clips)
    counted = f"| {name} | {real.sum()} | {(~real).sum()} |"
    if real.all() or not real.any():
        return f"{counted} - | - |"
    found = bootstrap_interval(scores[real], scores[~real], *((who[real], who[~real]) if who is not None else ()))
    interval = " ({:.1f} to {:.1f})".format(*(100 * edge for edge in found["eer"])) if "eer" in found else ""
    few = ", too narrow" if found["speakers"] and found["speakers"] <= FEW_SPEAKERS else ""
    return f"{counted} {100 * eer(scores[real], scores[~real])[0]:.1f}{interval} | {found['by']}{few} |"


def groups(clips: Clips) -> Iterator[tuple[str, np.ndarray]]:
    """What EERs are of: all, the paired trials, and each category's spoofs against all bona fide; bool (N,)."""
    yield "all", np.ones(len(clips.real), bool)
    if "paired" in clips.columns:
        yield "paired", clips.columns["paired"] == "1"
    for category in categories(clips):
        yield category, clips.real | (clips.columns["category"] == category)


def categories(clips: Clips) -> list[str]:
    """The categories of spoofs, the largest first."""
    return [name for name, _ in _by_size(Counter(clips.columns["category"][~clips.real].tolist()))] if "category" in clips.columns else []


def _by_size(counts: Counter) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def eer_table(clips: Clips, without: list[str]) -> Iterator[str]:
    """EER of each group; below it, where some of its spoofs are by attacks that start with `without`, of the others."""
    yield "| | bona fide | spoof | EER in % (95 % interval) | resampled |\n|---|---|---|---|---|"
    dropped = ~clips.real & np.array([attack.startswith(tuple(without)) for attack in clips.columns["attack"]], bool)
    if without and not dropped.any():
        raise InputError(f"no attack in these results starts with {' or '.join(without)}: check --without")
    for name, which in groups(clips):
        yield eer_row(name, clips.only(which))
        if (which & dropped).any():
            yield eer_row(f"{name}, without {', '.join(without)}", clips.only(which & ~dropped))


def threshold_table(clips: Clips, by: str | None, real: bool) -> Iterator[str]:
    """Which of one class lie on the other's side of the threshold, by a column of the list, the worst first; and all."""
    wrong = clips.scores < clips.decision.threshold if real else clips.scores >= clips.decision.threshold
    of = clips.real == real
    kind, side = ("real", "below") if real else ("spoofed", "at or above")
    yield f"| {kind} clips{f' by {by}' if by else ''} | clips | {side} the threshold | share |\n|---|---|---|---|"
    rows = [] if by is None else [(name, of & (clips.columns[by] == name)) for name in np.unique(clips.columns[by][of])]
    counted = [(name, int(which.sum()), int((which & wrong).sum())) for name, which in rows]
    counted.sort(key=lambda row: (-row[2] / row[1], -row[1], row[0]))
    for name, count, missed in [*counted, ("all", int(of.sum()), int((of & wrong).sum()))]:
        yield f"| {name} | {count} | {missed} | {_share(missed, count)} |"


def verdict_table(clips: Clips) -> Iterator[str]:
    """Shares of the three outcomes: bona fide, spoofs of each category, all spoofs, all."""
    outcomes = np.array([clips.decision.outcome(score) for score in clips.scores])
    yield f"| | clips | {BONAFIDE} | {UNCERTAIN} | {SPOOF} |\n|---|---|---|---|---|"
    of = [(name, ~clips.real & (clips.columns["category"] == name)) for name in categories(clips)]
    for name, which in [("bona fide", clips.real), *of, ("all spoofed", ~clips.real), ("all", np.ones(len(clips.real), bool))]:
        shares = [_share(int((outcomes[which] == side).sum()), int(which.sum())) for side in (BONAFIDE, UNCERTAIN, SPOOF)]
        yield f"| {name} | {which.sum()} | " + " | ".join(shares) + " |"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def column(clips: Clips, asked: str | None) -> str | None:
    """The column of the second table: the one asked for, else "source" where there is one. `InputError` for one that is not there."""
    if asked is not None and asked not in clips.columns:
        raise InputError(f"the trial list has no column {asked}: name one of {', '.join(clips.columns)} with --by")
    return asked or ("source" if "source" in clips.columns else None)


def main(argv: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="folder with scores.tsv, keys.tsv and metrics.json of an evaluation")
    parser.add_argument("--trials", type=Path, required=True, help="trial list with what is known of each clip, joined by the file's stem")
    parser.add_argument("--by", metavar="COLUMN", help="column by which false alarms stand apart (default: source)")
    parser.add_argument("--without", nargs="+", default=[], metavar="PREFIX", help="give EERs without attacks that start so, too")
    args = parser.parse_args(argv)
    clips = read_clips(args.results, args.trials)
    by, decision = column(clips, args.by), clips.decision
    band = "no band" if decision.band is None else "band {:.2f} to {:.2f}".format(*decision.band)
    tables = [eer_table(clips, args.without), threshold_table(clips, by, True), threshold_table(clips, by, False), verdict_table(clips)]
    print("\n\n".join("\n".join(table) for table in tables), f"\n\nThreshold {decision.threshold:.2f} ({decision.origin}), {band}.", sep="")
    return 0


if __name__ == "__main__":
    run(main)
