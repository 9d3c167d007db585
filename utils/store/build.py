"""Makes a store from a trial list: decoding in order, alone or in one of several processes."""
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from utils.store.read_ahead import decode_in_order
from utils.common.errors import InputError
from utils.common.locks import only_run
from utils.common.provenance import environment
from utils.common.text import counted
from utils.parallel.processes import Processes, job_name, place, wait_for
from utils.store.merge import merge, part_path, remove
from utils.store.reader import DESCRIPTION, SAMPLE
from utils.store.replacement import bytes_written, difference, discard, recover
from utils.store.writer import MERGED, StoreWriter
from utils.trials.trial import SUBSETS, trial_list_path
from utils.trials.trial_index import TrialIndex

MAX_SKIPPED = 0.05    # the step stops if a larger share of a subset's utterances is unreadable
SHOWN = 10            # unreadable utterances to name on the screen; store.json names all
MOST_WORKERS = 8      # by default


class TooManySkipped(InputError):
    """More utterances are unreadable than MAX_SKIPPED allows."""


@dataclass(frozen=True)
class BuildOptions:
    """The user's options. Only `limit` and `seed` change the bytes of the store."""
    limit: int | None = None       # utterances
    seed: int = 0                  # of the random choice for `limit`
    workers: int | None = None     # decoding threads; None: one per core, at most 8
    low_memory: bool = False       # no threads, small blocks
    force: bool = False            # decode again even if a complete store exists

    @property
    def threads(self) -> int:
        """Decoding threads besides the main one."""
        return 0 if self.low_memory else self.workers or min(os.cpu_count() or 1, MOST_WORKERS)


@dataclass(frozen=True)
class Task:
    """Everything that one store is made from."""
    path: Path
    description: dict          # the content of store.json before the store is filled
    data_dir: Path
    trials: TrialIndex
    rows: np.ndarray           # numbers of the chosen trials, over all processes
    options: BuildOptions


def build_store(data_dir: Path, subset: str, corpus: dict, options: BuildOptions) -> None:
    """Write data/processed/<subset>, unless it exists.

    With several processes (RANK and WORLD_SIZE in the environment), each decodes its share, and
    process 0 merges them. Raises `InputError` if too many utterances are unreadable.
    """
    here = Processes(*place())
    path = data_dir / "processed" / subset
    lock = path if here.lead else part_path(path, here.rank, here.size)
    with only_run(lock.with_name(f"{lock.name}.lock"), f"writing {lock}"):
        trials = TrialIndex(trial_list_path(data_dir, subset))
        description = describe(subset, corpus, trials.sha256, options)
        if here.lead:
            recover(path)
        reason = difference(path, description)
        if here.lead and (options.force or reason is None):
            discard(path)
        if reason is None and not options.force:
            print(f"{subset}: already complete in {path}")
            return
        if path.exists():
            print(f"{subset}: storing again ({reason or '--force'}); "
                  "the old store stays until the new one is complete")
        rows = trials.select(options.limit, options.seed)
        task = Task(path, description, data_dir, trials, rows, options)
        info = decode(task, path, description) if here.size == 1 else build_in_parts(task, here)
        if info:
            print(in_words(info, path))


def remove_others(data_dir: Path, corpus: dict) -> list[str]:
    """Remove complete stores of subsets that the corpus lacks, since nothing may be trained on
    them; returns these subsets.
    """
    if not Processes(*place()).lead:
        return []
    folders = {subset: data_dir / "processed" / subset for subset in SUBSETS}
    others = [subset for subset, folder in folders.items()
              if subset not in corpus["subsets"] and (folder / DESCRIPTION).is_file()]
    for subset in others:
        with only_run(folders[subset].with_name(f"{subset}.lock"), f"writing {subset}"):
            shutil.rmtree(folders[subset])
    return others


def describe(subset: str, corpus: dict, sha256: str, options: BuildOptions) -> dict:
    """The content of store.json before the store is filled."""
    names = ("name", "description", "demo", "seen_attacks")
    return {"subset": subset, "settings": {"limit": options.limit, "seed": options.seed},
            "corpus": {name: corpus.get(name) for name in names},
            "trial_list_sha256": sha256, "environment": environment()}


def decode(task: Task, path: Path, description: dict, share: slice = slice(None)) -> dict:
    """Write the store `path` with the task's rows in `share`; returns its store.json."""
    rows = task.rows[share]
    try:
        with StoreWriter(path, description) as writer:
            if writer.done:
                print(f"{path.name}: resuming after {writer.done:,} of {len(rows):,} utterances")
            _decode_rows(task, writer, rows)
            return writer.finish()
    except TooManySkipped:
        discard(path)      # after the files are repaired, all of them are read again
        raise


def _decode_rows(task: Task, writer: StoreWriter, rows: np.ndarray) -> None:
    """Decode, in order, the trials that `writer` still lacks."""
    items = ((trial, (os.path.join(task.data_dir, trial.container), trial.offset, trial.size),
              trial.size) for trial in task.trials.trials(rows[writer.done:]))
    with tqdm(total=len(rows), initial=writer.done, unit="utt", desc=writer.path.name,
              mininterval=0.5) as bar:
        for trial, decoding in decode_in_order(items, task.options.threads):
            reason = writer.add(trial.utterance, trial.labels, decoding.blocks(), decoding.rate)
            bar.update(1)
            if reason and writer.skipped <= SHOWN:
                tqdm.write(f"skipped {trial.utterance}: {reason}", file=sys.stderr)
            refuse_many_skipped(writer, len(task.rows), reason)


def refuse_many_skipped(writer: StoreWriter, total: int, last: str | None) -> None:
    """Raise `TooManySkipped` above a share of MAX_SKIPPED; `last` is the last reason."""
    if writer.skipped > MAX_SKIPPED * total:
        raise TooManySkipped(
            f"{writer.skipped} of the first {writer.done:,} utterances of {writer.path.name} are "
            f"unreadable (the last: {last}), more than {MAX_SKIPPED:.0%} of all {total:,}: remove "
            "such files or download them again, run python utils/prepare_dataset.py, then this "
            "step again; an older store stays until then")


def build_in_parts(task: Task, here: Processes) -> dict | None:
    """Decode this process' share; process 0 then merges all parts and returns the store.json.

    Complete parts of a killed run are used again, except with --force. With --force, the job's
    name in the settings separates the parts of this run from older ones.
    """
    parts = _describe_parts(task, here.size)
    own = list(parts)[here.rank]
    if task.options.force:
        discard(own)
        remove([own])
    if difference(own, parts[own]) is not None:
        decode(task, own, parts[own], here.share(len(task.rows)))
    print(f"{task.path.name}: part {here} is decoded", flush=True)
    if not here.lead:
        return None
    wait_for(lambda: all(difference(part, parts[part]) is None for part in parts),
             f"the other parts of {task.path.name}", lambda: list(map(bytes_written, parts)))
    return _merge_parts(task, list(parts))


def _describe_parts(task: Task, size: int) -> dict[Path, dict]:
    """The description of each process' part, by the part's path."""
    forced = {"forced_by": job_name()} if task.options.force else {}
    parts = {}
    for number in range(size):
        settings = task.description["settings"] | {"part": [number, size]} | forced
        path = part_path(task.path, number, size)
        parts[path] = task.description | {"settings": settings}
    return parts


def _merge_parts(task: Task, parts: list[Path]) -> dict:
    discard(task.path)
    try:
        with StoreWriter(task.path, task.description | {MERGED: len(parts)}) as writer:
            merge(writer, parts)
            refuse_many_skipped(writer, len(task.rows), "in another part")
            info = writer.finish()
    except TooManySkipped:
        discard(task.path)
        remove(parts)      # after the files are repaired, all of them are read again
        raise
    remove(parts)
    return info


def in_words(info: dict, path: Path) -> str:
    """One line about the stored utterances."""
    counts = info["counts"]
    hours = counts["samples"] / 16000 / 3600
    megabytes = counts["samples"] * SAMPLE.itemsize / 1e6
    skipped = ""
    if counts["skipped"]:
        skipped = f"; {counts['skipped']:,} skipped, named in {path / DESCRIPTION}"
    return (f"{info['subset']}: {counted(counts['stored'], 'utterance')} "
            f"({counts['bonafide']:,} bona fide, {counts['spoof']:,} spoof, {hours:.2f} h, "
            f"{megabytes:,.0f} MB) in {path}{skipped}")
