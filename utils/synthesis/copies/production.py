"""Makes the files of a vocoded corpus: bonafide/SPEAKER/x.flac and spoof/ATTACK/SPEAKER/x.flac.

Both classes pass through `last_stage`. No file is half-written, and existing files are kept. A
stopped run, started again, gives the same files as a run without a stop.
"""
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.common.generators import generator
from utils.signals.levels import speech_level
from utils.signals.wave_files import pcm_file
from utils.synthesis.vocoders.catalogue import Spec, Vocoder, open_vocoder
from utils.synthesis.copies.clips import SILENT, Clip, read_crop
from utils.synthesis.copies.last_stage import FLOOR, LEVEL, last_stage

GROUP = 8              # clips in one job of a vocoder that copies clips one by one
MAX_LEFT_OUT = 0.1     # the step stops if a larger share of the clips is unusable
FEW = 3                # but so many may be left out of any folder, as long as one is used


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings behind every sample, apart from the clips and the vocoders."""
    source: Path
    output: Path
    seed: int
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """Clips that one vocoder copies together, in this order. Without a vocoder: bona fide clips."""
    spec: Spec | None
    clips: tuple[Clip, ...]

    @property
    def attack(self) -> str:
        """The attack's name in the trial list; "-" for bona fide."""
        return self.spec.attack if self.spec else "-"


def relative_path(clip: Clip, spec: Spec | None) -> str:
    """The path of a clip's file, relative to the output."""
    return f"bonafide/{clip.name}.flac" if spec is None else f"spoof/{spec.attack}/{clip.name}.flac"


def jobs_for(spec: Spec | None, clips: list[Clip]) -> list[Job]:
    """The clips in groups.

    Groups do not depend on finished work, because some vocoders copy a whole group together.
    """
    size = open_vocoder(spec).batch if spec else GROUP
    size = max(size, GROUP)
    return [Job(spec, tuple(clips[start:start + size])) for start in range(0, len(clips), size)]


@lru_cache(maxsize=2)
def _vocoder(spec: Spec) -> Vocoder:
    import torch
    # one thread per process gives the same order of additions on every machine
    torch.set_num_threads(1)
    return open_vocoder(spec)


def write_flac(path: Path, samples: np.ndarray) -> None:
    """Write int16 (n,) at 16 kHz as a FLAC file, atomically."""
    with atomic_write(path, "wb") as file:
        file.write(pcm_file(samples, "FLAC"))


def work(job: Job, setting: Setting) -> dict[str, str]:
    """Make the missing files of a job; returns {clip name: reason} for the clips that failed."""
    missing = {clip.name for clip in job.clips
               if not (setting.output / relative_path(clip, job.spec)).is_file()}
    if not missing:
        return {}
    needed = [clip for clip in job.clips if clip.name in missing]
    if job.spec is None:
        return _bona_fide(needed, setting)
    together = list(job.clips) if _vocoder(job.spec).batch > 1 else needed
    return _copies(job.spec, together, missing, setting)


def _bona_fide(clips: list[Clip], setting: Setting) -> dict[str, str]:
    failed = {}
    for clip in clips:
        try:
            crop = read_crop(setting.source, clip, setting.max_seconds, setting.seed)
        except InputError as error:
            failed[clip.name] = str(error)
            continue
        _finish(clip, None, crop, speech_level(crop), setting)
    return failed


def _copies(spec: Spec, clips: list[Clip], missing: set[str], setting: Setting) -> dict[str, str]:
    crops = [read_crop(setting.source, clip, setting.max_seconds, setting.seed) for clip in clips]
    levels = [speech_level(crop) for crop in crops]
    rngs = [generator(setting.seed, clip.name, spec.attack) for clip in clips]
    vocoder, failed = _vocoder(spec), {}
    # Without batches one by one, so a kill loses only one copy.
    parts = [slice(None)] if vocoder.batch > 1 else [slice(i, i + 1) for i in range(len(clips))]
    for part in parts:
        loud = [crop * (LEVEL / level) for crop, level in zip(crops[part], levels[part])]
        for clip, level, copy in zip(clips[part], levels[part], vocoder.copies(loud, rngs[part])):
            if not np.isfinite(copy).all() or speech_level(copy) < SILENT:
                failed[clip.name] = f"{spec.attack} made only silence from {clip.source}"
            elif clip.name in missing:
                _finish(clip, spec, copy, level, setting)
    return failed


def _finish(clip: Clip, spec: Spec | None, samples: np.ndarray, level: float,
            setting: Setting) -> None:
    """Write one file: a clip and its copies share the noise floor's depth, not the noise."""
    path = relative_path(clip, spec)
    depth = generator(setting.seed, clip.name, "floor").uniform(*FLOOR)
    write_flac(setting.output / path,
               last_stage(samples, level, depth, generator(setting.seed, path, "noise")))


def _count(job: Job, setting: Setting) -> int:
    return sum((setting.output / relative_path(clip, job.spec)).is_file() for clip in job.clips)


def produce(jobs: list[Job], setting: Setting,
            workers: int) -> Iterator[tuple[Job, int, dict[str, str]]]:
    """Do the jobs; yields (job, number of its files now, reasons of failures) for each.

    The result does not depend on `workers`.
    """
    if workers == 1:
        for job in jobs:
            failed = work(job, setting)
            yield job, _count(job, setting), failed
        return
    with ProcessPoolExecutor(min(workers, max(1, len(jobs))),
                             mp_context=get_context("spawn")) as pool:
        running = {pool.submit(work, job, setting): job for job in jobs}
        try:
            for done in as_completed(running):
                yield running[done], _count(running[done], setting), done.result()
        except BrokenProcessPool as error:
            raise InputError("a worker process was killed, perhaps for lack of memory: run the "
                             "same command again with fewer --workers") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_jobs(what: str, jobs: list[Job], setting: Setting,
             workers: int) -> tuple[int, dict[str, dict[str, str]]]:
    """Do the jobs under a progress bar.

    Returns the number of files, and the failures as {attack: {clip: reason}}; bona fide is "-".
    Raises `InputError` as soon as one attack fails for too large a share of its clips.
    """
    there, tried, whole, failed = 0, Counter(), Counter(), {}
    for job in jobs:
        whole[job.attack] += len(job.clips)
    with (tqdm(total=whole.total(), desc=what, unit="clip", disable=None) as bar,
          closing(produce(jobs, setting, workers)) as results):
        for job, count, reasons in results:
            there += count
            tried[job.attack] += len(job.clips)
            if reasons:
                failed.setdefault(job.attack, {}).update(reasons)
                _refuse_many(job.attack, list(failed[job.attack].values()), tried[job.attack],
                             whole[job.attack], setting)
            bar.update(count + len(reasons))
    return there, failed


def _refuse_many(attack: str, failed: list[str], tried: int, whole: int, setting: Setting) -> None:
    """Raise `InputError` if too many of `whole` recordings failed; `tried` are done so far."""
    if len(failed) <= max(FEW, MAX_LEFT_OUT * whole) and len(failed) < whole:
        return
    if attack == "-":
        raise InputError(f"{len(failed):,} of {tried:,} recordings in {setting.source} cannot be "
                         f"used, one because {failed[0]}: remove them, or choose another folder")
    raise InputError(f"{attack} failed to copy {len(failed):,} of {tried:,} recordings, one "
                     f"because {failed[0]}: check its weights, or leave it out and delete "
                     f"{setting.output / 'spoof' / attack}")
