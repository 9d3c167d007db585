"""From a corpus to the lists in data/protocols: join, split what is missing, write all of it or nothing."""
import os
import shutil
from collections import Counter
from pathlib import Path

from utils.archives.index import container_name, stamp
from utils.corpora.corpus import Corpus, Joined, join
from utils.trials.overlap import Overlap
from utils.trials.split import SplitOptions, plan_subsets, split
from utils.trials.trial import SUBSETS, Trial, trial_list_path, write_trials
from utils.common.errors import InputError
from utils.common.files import disk_errors, file_sha256, read_json, write_json
from utils.common.provenance import environment


def write_lists(data_dir: Path, corpus: Corpus, how: SplitOptions, say=print) -> bool:
    """Write train.tsv, dev.tsv, eval.tsv and corpus.json; False where they are there already, byte for byte.

    Parts are read one after another, so that one at a time is in memory. The lists are staged in a folder of their own;
    corpus.json is removed before they replace older ones and written last: without it no later step begins. Folders may be
    linked into several subsets: `InputError` where train shares a file with another (archives name each file once).
    """
    staging = data_dir / "protocols" / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        subsets: dict[str, dict] = {}
        overlap = Overlap(data_dir) if corpus.layout == "folders" else None
        for part, wanted in plan_subsets(corpus.parts).items():
            joined = join(corpus.parts[part])
            _report_part(part, corpus, joined, say)
            trained = set(subsets["train"]["attacks"]) if "train" in subsets else set()
            subsets |= _write_part(staging, part, wanted, joined, how, trained, overlap, say)
        return _publish(data_dir, staging, _description(data_dir, corpus, subsets, how))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_part(staging: Path, part: str, wanted: list[str], joined: Joined, how: SplitOptions, trained: set[str],
                overlap: Overlap | None, say) -> dict[str, dict]:
    lists, held_out = split(part, joined.trials, wanted, how, trained)
    if len(wanted) > 1:
        fold = f", fold {how.fold[0]} of {how.fold[1]}" if how.fold else ""
        say(f"{part} is split by {_unit(joined.trials, how.unit)} into {', '.join(wanted)} (seed {how.seed}{fold})"
            f"{kept_apart(lists, held_out, len(joined.trials))}")
    subsets = {}
    for subset, trials in lists.items():
        write_trials(staging / f"{subset}.tsv", trials)
        subsets[subset] = _summary(part, wanted, joined, trials) | {"sha256": file_sha256(staging / f"{subset}.tsv")}
        say(f"{subset}: {_in_words(trials)}")
        if not 0 < subsets[subset]["bonafide"] < len(trials):
            raise InputError(f"{subset} would have one class only ({_in_words(trials)}): add the other class")
        if overlap:
            overlap.add(subset, trials, say)
    return subsets


def _unit(trials: list[Trial], unit: str) -> str:
    """What stays together in a split."""
    unknown = sum(getattr(trial.labels, unit) == "-" for trial in trials)
    return unit if not unknown else f"file (no {unit} is known)" if unknown == len(trials) else \
        f"{unit} (by file where none is known)"


def kept_apart(lists: dict[str, list[Trial]], held_out: set[str], found: int) -> str:
    """Which attacks one subset alone of a split has, and how many of the part's `found` trials that leaves out, in words."""
    if "eval" not in lists:
        return ""
    attacks = {subset: {trial.labels.attack for trial in trials if not trial.labels.is_bonafide} for subset, trials in lists.items()}
    eval_alone = sorted(held_out & attacks["eval"])      # a held-out attack may be of other speakers than eval's
    if not eval_alone:
        return "; no attack is kept for eval alone"
    dev_alone = sorted(attacks["dev"] - attacks["eval"] - attacks.get("train", set()))
    left_out = found - sum(map(len, lists.values()))
    return (f"; attacks kept for eval alone: {', '.join(eval_alone)}"
            + (f"; for dev alone: {', '.join(dev_alone)}" if dev_alone else "")
            + (f"; spoofed clips that this leaves out: {left_out:,}" if left_out else ""))


def _report_part(part: str, corpus: Corpus, joined: Joined, say) -> None:
    say(f"{part}: protocol lists {joined.listed:,}, found {len(joined.trials):,}")
    if joined.enrolment:
        say(f"{part}: enrolment files, which are no trials: {joined.enrolment:,}")
    if joined.unlisted:
        say(f"{part}: files that the protocol does not list, passed over: {joined.unlisted:,}")
    for note in joined.notes:
        say(f"{part}: {note}")


def _in_words(trials: list[Trial]) -> str:
    keys, attacks = Counter(trial.labels.key for trial in trials), sorted({trial.labels.attack for trial in trials} - {"-"})
    shown = ", ".join(attacks) if len(attacks) <= 20 else f"{', '.join(attacks[:10])} and {len(attacks) - 10} more"
    speakers = len({trial.labels.speaker for trial in trials} - {"-"})
    sources = len({trial.labels.source for trial in trials} - {"-"})
    return (f"utterances {len(trials):,}, bona fide {keys['bonafide']:,}, spoof {keys['spoof']:,}, "
            f"speakers {f'{speakers:,}' if speakers else 'not known'}, {f'sources {sources:,}, ' if sources else ''}"
            f"attacks {shown or 'none'}")


def _summary(part: str, wanted: list[str], joined: Joined, trials: list[Trial]) -> dict:
    attacks = Counter(trial.labels.attack for trial in trials if not trial.labels.is_bonafide)
    spoof = attacks.total()
    return {"listed": joined.listed, "found": len(trials), "bonafide": len(trials) - spoof, "spoof": spoof,
            "speakers": len({trial.labels.speaker for trial in trials} - {"-"}), "attacks": dict(sorted(attacks.items())),
            "partition": part, "origin": "official" if len(wanted) == 1 else f"split of {part}"}


def _description(data_dir: Path, corpus: Corpus, subsets: dict[str, dict], how: SplitOptions) -> dict:
    containers = {container_name(data_dir, archive): stamp(archive) for archive in corpus.archives}
    return {"name": _name(corpus, subsets), "description": corpus.description, "layout": corpus.layout, "demo": corpus.demo,
            "seed": how.seed, **_asked(how), "subsets": {subset: subsets[subset] for subset in SUBSETS}, "containers": containers,
            "seen_attacks": list(subsets["train"]["attacks"]), **corpus.details, "environment": environment()}


def _name(corpus: Corpus, subsets: dict[str, dict]) -> str:
    """The corpus' name; one of folders is known by its train list too, for an attack of the same name elsewhere is another."""
    return f"{corpus.name} {subsets['train']['sha256'][:12]}" if corpus.layout == "folders" else corpus.name


def _asked(how: SplitOptions) -> dict:
    """What of a split is not as it comes."""
    return ({"split_by": how.unit} if how.unit != SplitOptions.unit else {}) | ({"fold": list(how.fold)} if how.fold else {})


def _publish(data_dir: Path, staging: Path, content: dict) -> bool:
    """Put the staged lists and corpus.json in place; False where the same are there."""
    target = data_dir / "protocols" / "corpus.json"
    if target.is_file() and _same(read_json(target), content) and all(
            (path := trial_list_path(data_dir, subset)).is_file()
            and file_sha256(path) == content["subsets"][subset]["sha256"] for subset in SUBSETS):
        return False
    with disk_errors(target):
        target.unlink(missing_ok=True)
        for subset in SUBSETS:
            os.replace(staging / f"{subset}.tsv", trial_list_path(data_dir, subset))
    write_json(target, content)
    return True


def _same(old: dict, new: dict) -> bool:
    """Whether two descriptions are of the same lists: what made them may differ."""
    return {**old, "environment": None} == {**new, "environment": None}
