"""From a corpus to the lists in data/protocols: join, cut missing subsets, write all or nothing."""
import os
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from utils.archives.index import container_name, stamp
from utils.common.errors import InputError
from utils.common.files import disk_errors, file_sha256, read_json, write_json
from utils.common.provenance import environment
from utils.corpora.corpus import Corpus, Joined, join
from utils.trials.groups import one_speaker
from utils.trials.labels import UNKNOWN
from utils.trials.overlap import Overlap
from utils.trials.split import SplitOptions, plan_subsets, split
from utils.trials.trial import SUBSETS, Trial, trial_list_path, write_trials

MANY_ATTACKS = 20     # more are not all named on the screen
SHOWN_ATTACKS = 10

NOTHING_TO_TRAIN_ON = (
    "{} is an evaluation set: nothing here is to be trained on, so there is a list of eval alone. "
    "Run preprocess_data.py, and then evaluate_model.py with a trained model. "
    "To train, put a corpus with a train set beside it")

Say = Callable[[str], object]


def write_lists(data_dir: Path, corpus: Corpus, options: SplitOptions, say: Say = print) -> bool:
    """Write train.tsv, dev.tsv, eval.tsv and corpus.json; False where the same exist already.

    One part at a time is in memory. The lists are staged in a folder of their own. corpus.json is
    removed before they replace older ones, and written last: no later step starts without it.
    `InputError` where train shares a file with another subset, which links to folders allow.
    """
    staging = data_dir / "protocols" / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        subsets: dict[str, dict] = {}
        overlap = Overlap(data_dir) if corpus.layout == "folders" else None
        plan = plan_subsets(corpus.parts, corpus.keeps_sets)
        if "train" not in chain(*plan.values()):
            say(NOTHING_TO_TRAIN_ON.format(corpus.name))
        for part, wanted in plan.items():
            joined = join(corpus.parts[part])
            _report_part(part, joined, say)
            trained = set(subsets["train"]["attacks"]) if "train" in subsets else set()
            alike = overlap.alike(joined.trials) if overlap and len(wanted) > 1 else ()
            lists, held_out = split(part, joined.trials, wanted, options, trained, alike)
            origin = "official"
            if len(wanted) > 1:
                origin = f"split of {part}"
                say(_split_in_words(part, joined, lists, held_out, options))
            for subset, trials in lists.items():
                path = staging / f"{subset}.tsv"
                subsets[subset] = {
                    "listed": joined.listed, **_write_subset(path, trials, say),
                    "partition": part, "origin": origin, "sha256": file_sha256(path)}
                if overlap:
                    overlap.add(subset, trials, say)
        if overlap:
            overlap.compare(say)
        return _publish(data_dir, staging, _description(data_dir, corpus, subsets, options))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _report_part(part: str, joined: Joined, say: Say) -> None:
    say(f"{part}: protocol lists {joined.listed:,}, found {len(joined.trials):,}")
    if joined.enrolment:
        say(f"{part}: enrolment files, which are no trials: {joined.enrolment:,}")
    if joined.unlisted:
        say(f"{part}: ignored files that the protocol does not list: {joined.unlisted:,}")
    for note in joined.notes:
        say(f"{part}: {note}")


def _split_in_words(part: str, joined: Joined, lists: dict[str, list[Trial]], held_out: set[str],
                    options: SplitOptions) -> str:
    fold = f", fold {options.fold[0]} of {options.fold[1]}" if options.fold else ""
    return (f"{part} is split by {_unit(joined.trials, options.unit)} into {', '.join(lists)} "
            f"(seed {options.seed}{fold}){kept_apart(lists, held_out, len(joined.trials))}")


def _unit(trials: list[Trial], unit: str) -> str:
    """What no two subsets of a split share."""
    if unit == "speaker" and (alone := one_speaker(trials)):
        return f"recording (all real speech is of one speaker, {alone})"
    unknown = sum(getattr(trial.labels, unit) == UNKNOWN for trial in trials)
    if not unknown:
        return unit
    if unknown == len(trials):
        return f"file (no {unit} is known)"
    return f"{unit} (by file where none is known)"


def kept_apart(lists: dict[str, list[Trial]], held_out: set[str], found: int) -> str:
    """Which attacks only one subset of a split has, in words.

    It also says how many of the part's `found` trials that leaves out.
    """
    if "eval" not in lists:
        return ""
    attacks = {subset: set(_attacks(trials)) for subset, trials in lists.items()}
    eval_alone = sorted(held_out & attacks["eval"])      # eval's speakers may lack some of them
    if not eval_alone:
        return "; no attack is kept for eval alone"
    text = f"; attacks kept for eval alone: {', '.join(eval_alone)}"
    dev_alone = sorted(attacks["dev"] - attacks["eval"] - attacks.get("train", set()))
    if dev_alone:
        text += f"; for dev alone: {', '.join(dev_alone)}"
    left_out = found - sum(map(len, lists.values()))
    if left_out:
        text += f"; spoofed clips that this leaves out: {left_out:,}"
    return text


def _write_subset(path: Path, trials: list[Trial], say: Say) -> dict:
    """Write one list; returns its counts, as corpus.json holds them."""
    write_trials(path, trials)
    say(f"{path.stem}: {_in_words(trials)}")
    attacks = _attacks(trials)
    spoof = attacks.total()
    if not 0 < spoof < len(trials):
        raise InputError(f"{path.stem} would have one class only ({_in_words(trials)}): "
                         "add the other class")
    return {"found": len(trials), "bonafide": len(trials) - spoof, "spoof": spoof,
            "speakers": len(_known(trials, "speaker")), "attacks": dict(sorted(attacks.items()))}


def _attacks(trials: list[Trial]) -> Counter:
    return Counter(trial.labels.attack for trial in trials if not trial.labels.is_bonafide)


def _known(trials: list[Trial], label: str) -> set[str]:
    return {getattr(trial.labels, label) for trial in trials} - {UNKNOWN}


def _in_words(trials: list[Trial]) -> str:
    keys = Counter(trial.labels.key for trial in trials)
    attacks = sorted(_known(trials, "attack"))
    shown = ", ".join(attacks)
    if len(attacks) > MANY_ATTACKS:
        more = len(attacks) - SHOWN_ATTACKS
        shown = f"{', '.join(attacks[:SHOWN_ATTACKS])} and {more} more"
    speakers = len(_known(trials, "speaker"))
    sources = len(_known(trials, "source"))
    return (f"utterances {len(trials):,}, bona fide {keys['bonafide']:,}, "
            f"spoof {keys['spoof']:,}, speakers {f'{speakers:,}' if speakers else 'not known'}, "
            f"{f'sources {sources:,}, ' if sources else ''}attacks {shown or 'none'}")


def _description(data_dir: Path, corpus: Corpus, subsets: dict[str, dict],
                 options: SplitOptions) -> dict:
    containers = {container_name(data_dir, archive): stamp(archive) for archive in corpus.archives}
    unusual = {}      # what differs from the usual split
    if options.unit != SplitOptions.unit:
        unusual["split_by"] = options.unit
    if options.fold:
        unusual["fold"] = list(options.fold)
    return {"name": _name(corpus, subsets), "description": corpus.description,
            "layout": corpus.layout, "demo": corpus.demo, "seed": options.seed, **unusual,
            "subsets": {subset: subsets[subset] for subset in SUBSETS if subset in subsets},
            "containers": containers,
            "seen_attacks": list(subsets["train"]["attacks"]) if "train" in subsets else [],
            **corpus.details,
            "environment": environment()}


def _name(corpus: Corpus, subsets: dict[str, dict]) -> str:
    """The corpus' name; for folders with the sum of the first list, which tells them apart."""
    if corpus.layout != "folders":
        return corpus.name
    first = next(subsets[subset] for subset in SUBSETS if subset in subsets)
    return f"{corpus.name} {first['sha256'][:12]}"


def _publish(data_dir: Path, staging: Path, content: dict) -> bool:
    """Put the staged lists and corpus.json in place; False where the same exist already."""
    target = data_dir / "protocols" / "corpus.json"
    if target.is_file() and _same(read_json(target), content) and _unchanged(data_dir, content):
        return False
    with disk_errors(target):
        target.unlink(missing_ok=True)
        for subset in SUBSETS:
            trial_list_path(data_dir, subset).unlink(missing_ok=True)
        for subset in content["subsets"]:
            os.replace(staging / f"{subset}.tsv", trial_list_path(data_dir, subset))
    write_json(target, content)
    return True


def _unchanged(data_dir: Path, content: dict) -> bool:
    """Whether every list in place has the sum that `content` states."""
    paths = {subset: trial_list_path(data_dir, subset) for subset in content["subsets"]}
    return all(path.is_file() and file_sha256(path) == content["subsets"][subset]["sha256"]
               for subset, path in paths.items())


def _same(old: dict, new: dict) -> bool:
    """Whether two descriptions agree but for the environment that made them."""
    return {**old, "environment": None} == {**new, "environment": None}
