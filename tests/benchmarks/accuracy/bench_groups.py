"""How a model does on groups of clips: EERs, errors at the threshold, verdicts.

    python tests/benchmarks/accuracy/bench_groups.py --results results/detector \\
        --trials EVALUATION/trials.tsv --without NSF

It reads scores.tsv, keys.tsv and metrics.json of an evaluation (evaluate_model.py), and a trial
list with the columns utterance, attack, and any of speaker, category, paired, source or another.
Five tables: EERs in % with 95 % bootstrap intervals (by speaker if speakers are known, or by
another column); real clips below the stored threshold; spoofs at or above it; shares of the
verdicts by the stored band; how far "likely" holds. The last columns of the second and third are
shares of wrong verdicts.
With --across, each source's verdicts come from a fit without it. Verdicts are judged by the score
alone. In use, less than 1.5 seconds of speech is uncertain too.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.errors import InputError, run
from utils.common.files import read_json, reading
from utils.detector.decision import (BONAFIDE, SPOOF, UNCERTAIN, Calibration, Decision,
                                     fit_on_dev)
from utils.metrics.intervals import FEW_SPEAKERS, bootstrap_interval, numbered_speakers
from utils.metrics.metrics import eer
from utils.report.key_files import align, read_keys, read_scores

NEEDED = ("utterance", "attack")    # columns of a trial list
UNKNOWN = "-"
RENAMED = "name the list of the clips that were scored"
# at most so many % of real clips are called likely spoof: in all, and in a source of both classes
SPOOF_LIMITS = 3.0, 15.0
# and of fakes likely bona fide: in all, and in a category or a year
BONAFIDE_LIMITS = 5.0, 10.0


@dataclass(frozen=True)
class Clips:
    """Scored clips, their columns in the trial list, and the decision that the results hold."""
    scores: np.ndarray                  # (N,), higher = bona fide
    real: np.ndarray                    # bool (N,)
    columns: dict[str, np.ndarray]      # each str (N,)
    decision: Decision
    verdicts: np.ndarray                # str (N,)

    def only(self, which: np.ndarray) -> "Clips":
        """Those of `which` (bool (N,))."""
        columns = {name: values[which] for name, values in self.columns.items()}
        return Clips(self.scores[which], self.real[which], columns, self.decision,
                     self.verdicts[which])


def read_trials(path: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated trial list, by column; empty cells become "-".

    `InputError` if the list is missing or malformed.
    """
    if not path.is_file():
        raise InputError(f"there is no trial list {path}: check the path")
    try:
        with reading(path), open(path, encoding="utf-8-sig") as file:
            lines = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    header, *rows = lines or [[]]
    if missing := [name for name in NEEDED if name not in header]:
        raise InputError(f"{path} has no column {missing[0]} in its first line: name a trial list "
                         "with columns separated by tabs")
    for row in rows:
        if len(row) != len(header):
            raise InputError(f"{path} does not have the {len(header)} columns of its first line in "
                             f"the line of {row[0]!r}: correct that line")
    return [{name: value or UNKNOWN for name, value in zip(header, row)} for row in rows]


def read_clips(results: Path, trials: Path, across: str | None = None) -> Clips:
    """The clips that were scored; `across`: see `verdicts_across`.

    `InputError` if the list does not hold each of them once.
    """
    keys = read_keys(results / "keys.tsv", "all")
    point = read_json(results / "metrics.json")["operating_point"]
    listed = read_trials(trials)
    by_stem = {Path(row["utterance"]).stem: row for row in listed}
    often = Counter(Path(row["utterance"]).stem for row in listed)
    rows = []
    for scored in keys:
        stem = Path(scored.utterance).stem
        if often[stem] != 1:
            times = "more than once" if stem in by_stem else "nowhere"
            raise InputError(f"{trials} lists {stem} {times}, which was scored as "
                             f"{scored.utterance}: {RENAMED}")
        row = by_stem[stem]
        if row.get("key", scored.labels.key) != scored.labels.key:
            raise InputError(f"{trials} says that {stem} is {row['key']}, and "
                             f"{results / 'keys.tsv'} that it is {scored.labels.key}: {RENAMED}")
        rows.append(row)
    columns = {name: np.array([row[name] for row in rows], str) for name in rows[0]}
    real = np.array([scored.labels.is_bonafide for scored in keys])
    scores = align(read_scores(results / "scores.tsv"), keys)
    decision = Decision.from_dict({"origin": ""} | point)
    if across:
        column(columns, across)
    verdicts = (verdicts_across(scores, real, columns[across]) if across else
                np.array([decision.outcome(score) for score in scores]))
    return Clips(scores, real, columns, decision, verdicts)


def verdicts_across(scores: np.ndarray, real: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Each group's verdicts, str (N,), by a calibration and a band that all others gave."""
    verdicts = np.full(len(scores), UNCERTAIN, object)
    for group in np.unique(groups):
        own = groups == group
        fitted = fit_on_dev(scores[~own], real[~own], sources=groups[~own])
        decision = Decision.from_dict(fitted["decision"])
        llrs = Calibration.from_dict(fitted["calibration"]).apply(scores[own])
        verdicts[own] = [decision.outcome(llr) for llr in llrs]
    return verdicts.astype(str)


def speakers(clips: Clips, column: str = "speaker") -> np.ndarray | None:
    """A number for each clip's speaker, for `bootstrap_interval`; None if no speaker is known."""
    if column not in clips.columns:
        return None
    names = clips.columns[column]
    return numbered_speakers(np.where(np.char.endswith(names, ":unknown"), UNKNOWN, names))


def of_both_classes(clips: Clips, name: str) -> Clips:
    """The clips whose value of a column occurs in both classes."""
    values = clips.columns[name]
    both = np.intersect1d(values[clips.real], values[~clips.real])
    return clips.only(np.isin(values, both))


def eer_cell(clips: Clips) -> str:
    """The EER in %; "-" if a class is absent."""
    real, scores = clips.real, clips.scores
    if real.all() or not real.any():
        return "-"
    return f"{100 * eer(scores[real], scores[~real])[0]:.1f}"


def eer_row(name: str, clips: Clips, resampled: str = "speaker") -> dict[str, str]:
    """A row of the table of EERs; "-" if a class is absent."""
    real = clips.real
    counted = {"clips": name, "bona fide": str(real.sum()), "spoof": str((~real).sum())}
    found_eer = eer_cell(clips)
    if found_eer == "-":
        return counted | {"EER": "-", "EER low": "", "EER high": "", "resampled": "-"}
    scores = clips.scores
    who = speakers(clips, resampled)
    by_class = () if who is None else (who[real], who[~real])
    found = bootstrap_interval(scores[real], scores[~real], *by_class)
    low, high = (f"{100 * edge:.1f}" for edge in found["eer"]) if "eer" in found else ("", "")
    too_few = found["speakers"] and found["speakers"] <= FEW_SPEAKERS
    return counted | {"EER": found_eer, "EER low": low, "EER high": high,
                      "resampled": found["by"].replace("speaker", resampled)
                      + (", too narrow" if too_few else "")}


def groups(clips: Clips) -> Iterator[tuple[str, np.ndarray]]:
    """Groups as bool (N,): all, the paired trials, each category's spoofs with all bona fide."""
    yield "all", np.ones(len(clips.real), bool)
    if "paired" in clips.columns:
        yield "paired", clips.columns["paired"] == "1"
    for name, which in kinds(clips).items():
        yield name, clips.real | which


def kinds(clips: Clips) -> dict[str, np.ndarray]:
    """Spoofs as bool (N,): of each category, the largest first, and of each year that is known."""
    spoof = ~clips.real
    category = clips.columns.get("category", np.array([]))
    year = clips.columns.get("year", np.array([]))
    largest = Counter(category[spoof[:len(category)]].tolist()).most_common()
    years = sorted({*year[spoof[:len(year)]].tolist()} - {UNKNOWN})
    return ({name: spoof & (category == name) for name, _ in largest}
            | {f"systems of {name}": spoof & (year == name) for name in years})


def eer_table(clips: Clips, without: list[str], resampled: str = "speaker",
              beside: dict[str, Clips] | None = None) -> Rows:
    """EER of each group and, below it, without the attacks that start with `without`.

    `beside`: other systems' scores of the same clips in the same order; each gets a column.
    """
    unwanted = [attack.startswith(tuple(without)) for attack in clips.columns["attack"]]
    dropped = ~clips.real & np.array(unwanted, bool)
    if without and not dropped.any():
        raise InputError(f"no attack in these results starts with {' or '.join(without)}: "
                         "check --without")
    shown = []
    for name, which in groups(clips):
        shown.append((name, which))
        if (which & dropped).any():
            shown.append((f"{name}, without {', '.join(without)}", which & ~dropped))
    return [eer_row(name, clips.only(which), resampled)
            | {system: eer_cell(other.only(which)) for system, other in (beside or {}).items()}
            for name, which in shown]


def system(text: str) -> tuple[str, Path]:
    """(name, folder) from "NAME=FOLDER"."""
    name, is_there, folder = text.partition("=")
    if not (name and is_there and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, Path(folder)


def read_beside(systems: list[tuple[str, Path]], trials: Path, clips: Clips) -> dict[str, Clips]:
    """Other systems' scores of the same clips. `InputError` if they scored others."""
    found = {name: read_clips(folder, trials) for name, folder in systems}
    for name, other in found.items():
        if not np.array_equal(other.columns["utterance"], clips.columns["utterance"]):
            raise InputError(f"{name} scored other clips, or in another order: "
                             "evaluate it on the same subset")
    return found


def threshold_table(clips: Clips, by: str | None, real: bool) -> Rows:
    """Clips of one class on the threshold's wrong side, by a column, the worst first; and all."""
    threshold = clips.decision.threshold
    wrong = clips.scores < threshold if real else clips.scores >= threshold
    said = SPOOF if real else BONAFIDE
    sure = clips.verdicts == said
    of_class = clips.real == real
    names = [] if by is None else np.unique(clips.columns[by][of_class])
    counted = [_counted(name, of_class & (clips.columns[by] == name), wrong, sure)
               for name in names]
    counted.sort(key=lambda row: (-row[2] / row[1], -row[1], row[0]))
    title = f"{'real' if real else 'spoofed'} clips" + (f" by {by}" if by else "")
    side = f"{'below' if real else 'at or above'} the threshold"
    return [{title: name, "clips": str(count), side: str(missed), "share %": _share(missed, count),
             f"{said} %": _share(told, count)}
            for name, count, missed, told in [*counted, _counted("all", of_class, wrong, sure)]]


def _counted(name: str, which: np.ndarray, *kinds: np.ndarray) -> tuple[str, int, ...]:
    return name, int(which.sum()), *(int((which & kind).sum()) for kind in kinds)


def verdict_table(clips: Clips) -> Rows:
    """Shares of the verdicts: of bona fide, of each category of spoofs, of all spoofs, of all."""
    verdicts = clips.verdicts
    spoof = ~clips.real
    groups = {"bona fide": clips.real}
    groups |= kinds(clips) | {"all spoofed": spoof, "all": np.ones(len(spoof), bool)}
    return [{"clips": name, "number": str(which.sum())}
            | {f"{verdict} %": _share(int((verdicts[which] == verdict).sum()), int(which.sum()))
               for verdict in (BONAFIDE, UNCERTAIN, SPOOF)}
            for name, which in groups.items()]


def promise_table(clips: Clips) -> Rows:
    """How often a sure verdict is wrong, and may be: in all, and in the worst group."""
    accused = clips.verdicts == SPOOF
    cleared = clips.verdicts == BONAFIDE
    every, worst_source = SPOOF_LIMITS
    every_fake, worst_kind = BONAFIDE_LIMITS
    source = clips.columns.get("source")
    shared = [] if source is None else np.intersect1d(source[clips.real], source[~clips.real])
    of_source = {str(name): clips.real & (source == name) for name in shared}
    of_real = f"real clips called {SPOOF}"
    of_fakes = f"fakes called {BONAFIDE}"
    return [row for row in (
        _promise(of_real, {"all": clips.real}, accused, every),
        _promise(f"{of_real}, worst source with both classes", of_source, accused, worst_source),
        _promise(of_fakes, {"all": ~clips.real}, cleared, every_fake),
        _promise(f"{of_fakes}, worst category or year", kinds(clips), cleared, worst_kind)) if row]


def _promise(name: str, groups: dict[str, np.ndarray], wrong: np.ndarray,
             limit: float) -> dict[str, str]:
    """A row of the group with the largest share of `wrong`; empty without a clip."""
    groups = {group: which for group, which in groups.items() if which.any()}
    if not groups:
        return {}
    worst = max(groups, key=lambda group: wrong[groups[group]].mean())
    share = 100 * wrong[groups[worst]].mean()
    return {"verdicts": name, "of": worst, "clips": str(groups[worst].sum()),
            "at most %": f"{limit:g}", "found %": f"{share:.1f}",
            "holds": "yes" if share <= limit else "no"}


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def column(columns: dict[str, np.ndarray], asked: str | None) -> str | None:
    """The column of the second and third table: the one asked for, else "source" if it exists.

    `InputError` if the list lacks the column asked for.
    """
    if asked is not None and asked not in columns:
        raise InputError(f"the trial list has no column {asked}: name one of "
                         f"{', '.join(columns)} with --by")
    return asked or ("source" if "source" in columns else None)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True,
                        help="folder with scores.tsv, keys.tsv and metrics.json of an evaluation")
    parser.add_argument("--trials", type=Path, required=True,
                        help="trial list with more columns; clips are joined by the file's stem")
    parser.add_argument("--by", metavar="COLUMN",
                        help="column by which errors are listed (default: source)")
    parser.add_argument("--resample", metavar="COLUMN", default="speaker",
                        help="what the intervals resample (default: speaker)")
    parser.add_argument("--both_classes", metavar="COLUMN",
                        help="EERs of those clips alone whose value of it occurs in both classes")
    parser.add_argument("--across", metavar="COLUMN",
                        help="verdicts by a calibration and a band fitted to the clips with other "
                             "values of it, for results on the data that calibrated the model")
    parser.add_argument("--beside", metavar="NAME=FOLDER", nargs="+", type=system, default=[],
                        help="results of other systems on the same clips: their EERs are columns")
    parser.add_argument("--without", nargs="+", default=[], metavar="PREFIX",
                        help="also give EERs without attacks that start with one of these")
    add_output_options(parser, "results")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the five tables."""
    args = build_parser().parse_args(argv)
    clips = read_clips(args.results, args.trials, args.across)
    by = column(clips.columns, args.by)
    for asked in (args.resample, args.both_classes):
        if asked != "speaker":
            column(clips.columns, asked)

    def paired(scored: Clips) -> Clips:
        return of_both_classes(scored, args.both_classes) if args.both_classes else scored
    beside = {name: paired(other)
              for name, other in read_beside(args.beside, args.trials, clips).items()}
    publish("groups-eer", eer_table(paired(clips), args.without, args.resample, beside), args)
    publish("groups-real-below-threshold", threshold_table(clips, by, True), args)
    publish("groups-spoof-above-threshold", threshold_table(clips, by, False), args)
    publish("groups-verdicts", verdict_table(clips), args)
    publish("groups-promises", promise_table(clips), args)
    decision = clips.decision
    band = "no band" if decision.band is None else "band {:.2f} to {:.2f}".format(*decision.band)
    print(f"Threshold {decision.threshold:.2f} ({decision.origin}), {band}.")
    return 0


if __name__ == "__main__":
    run(main)
