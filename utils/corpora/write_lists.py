"""From a corpus to the lists in data/protocols: join, cut missing subsets, write all or nothing."""
import os
import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from utils.archives.index import container_name, stamp
from utils.common.errors import InputError
from utils.common.files import disk_errors, file_sha256, read_json, write_json
from utils.common.provenance import environment
from utils.corpora.corpus import Corpus, join
from utils.corpora.in_words import (NOTHING_TO_TRAIN_ON, attacks_of, kept_apart, known,
                                    part_in_words, split_in_words, subset_in_words)
from utils.detector.fitting import too_few_for_verdicts
from utils.trials.overlap import Overlap
from utils.trials.split import SplitOptions, plan_subsets, split
from utils.trials.trial import SUBSETS, Trial, trial_list_path, write_trials

Say = Callable[[str], object]


def write_lists(data_dir: Path, corpus: Corpus, options: SplitOptions, say: Say = print) -> bool:
    """Write train.tsv, dev.tsv, eval.tsv and corpus.json; False where the same exist already.

    One part at a time is in memory. The lists are staged in a folder of their own. corpus.json is
    removed before they replace older ones, and written last: no later step starts without it.
    `InputError` where train shares a recording with another subset.
    """
    staging = data_dir / "protocols" / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        subsets = _stage(data_dir, staging, corpus, options, say)
        return _publish(data_dir, staging, _description(data_dir, corpus, subsets, options))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _stage(data_dir: Path, staging: Path, corpus: Corpus, options: SplitOptions,
           say: Say) -> dict[str, dict]:
    """Write the lists to `staging`; returns each subset as corpus.json describes it."""
    subsets: dict[str, dict] = {}
    overlap = Overlap(data_dir) if corpus.layout == "folders" else None
    plan = plan_subsets(corpus.parts, corpus.keeps_sets)
    if "train" not in chain(*plan.values()):
        say(NOTHING_TO_TRAIN_ON)
    for part, wanted in plan.items():
        joined = join(corpus.parts[part])
        for sentence in part_in_words(part, joined):
            say(sentence)
        trained = set(subsets["train"]["attacks"]) if "train" in subsets else set()
        alike = overlap.alike(joined.trials) if overlap and len(wanted) > 1 else ()
        lists = split(part, joined.trials, wanted, options, trained, alike)
        if len(wanted) > 1:
            say(split_in_words(part, joined, lists, options))
        origin = "official" if len(wanted) == 1 else f"split of {part}"
        for subset, trials in lists.items():
            path = staging / f"{subset}.tsv"
            subsets[subset] = {
                "listed": joined.listed, **_write_subset(path, trials, say),
                "partition": part, "origin": origin, "sha256": file_sha256(path)}
            if overlap:
                overlap.add(subset, trials, say)
    if len(plan[subsets["eval"]["partition"]]) > 1:
        say(kept_apart({subset: found["attacks"] for subset, found in subsets.items()}))
    if overlap:
        overlap.compare(say)
    if (dev := subsets.get("dev")) and (why := too_few_for_verdicts(dev["bonafide"], dev["spoof"])):
        say(why)
    return subsets


def _write_subset(path: Path, trials: list[Trial], say: Say) -> dict:
    """Write one list; returns its counts, as corpus.json holds them."""
    write_trials(path, trials)
    say(f"{path.stem}: {subset_in_words(trials)}")
    attacks = attacks_of(trials)
    spoof = attacks.total()
    if not 0 < spoof < len(trials):
        raise InputError(f"{path.stem} would have one class only ({subset_in_words(trials)}): "
                         "add the other class")
    return {"found": len(trials), "bonafide": len(trials) - spoof, "spoof": spoof,
            "speakers": len(known(trials, "speaker")), "attacks": dict(sorted(attacks.items()))}


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
