"""The build: fetch the sources, plan from the seed, make clips in parallel, write the lists."""
import contextlib
import multiprocessing
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import atomic_write, disk_errors, read_json, write_json
from utils.synthesis.default_corpus.attacks import ATTACKS, TINY_ATTACKS, Attack, missing_needs
from utils.synthesis.default_corpus.attribution import attribution, corpus_info
from utils.synthesis.default_corpus.debian_packages import fetch_flite, fetch_voices
from utils.synthesis.default_corpus.debian_speech import list_sources, list_user_sources
from utils.synthesis.default_corpus.plan import (DEFAULT, TINY, Clip, Size, fingerprint, make_plan,
                                                 scaled)
from utils.synthesis.default_corpus.speakers import FULL_VOICES, TINY_VOICES
from utils.synthesis.tts.texts import read_captions
from utils.trials.trial import SUBSETS

NAME = "default_corpus"
PROTOCOLS = {"train": "ASVspoof5.train.tsv", "dev": "ASVspoof5.dev.track_1.tsv",
             "eval": "ASVspoof5.eval.track_1.tsv"}
MOST_SKIPPED = 0.05       # share of the planned clips; above it an engine is broken
FREE_SPACE = 1_500_000_000  # bytes that a full build needs (downloads, unpacked sources, clips)
CHUNK = 8                   # clips that a process makes before it returns


def _size(size: "str | int") -> Size:
    if size == "default":
        return DEFAULT
    if size == "tiny":
        return TINY
    if isinstance(size, int) and size >= 100:
        return scaled(size)
    raise InputError(f"the size of the default corpus cannot be {size!r}: use 'default', 'tiny' or "
                     "a number of clips of at least 100")


def _choose_attacks(wanted: "list[str] | None",
                    tiny: bool) -> tuple[list[Attack], dict[str, list[str]]]:
    """The attacks to build, and the attacks left out with their missing needs."""
    names = {name.lower() for name in wanted} if wanted else None
    known = {name for attack in ATTACKS for name in (attack.tag.lower(), attack.name)}
    if unknown := (names or set()) - known:
        raise InputError(f"unknown attack {', '.join(sorted(unknown))}: choose among "
                         f"{', '.join(a.name for a in ATTACKS)}")
    chosen, absent = [], {}
    for attack in ATTACKS:
        by_default = not tiny or attack.tag in TINY_ATTACKS
        if not (names & {attack.tag.lower(), attack.name} if names else by_default):
            continue
        if lacking := missing_needs(attack):
            absent[attack.tag] = lacking
        else:
            chosen.append(attack)
    return chosen, absent


def _start_worker() -> None:
    """Use one thread per process: equal sums on every machine, and no contention for cores."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    # otherwise torch keeps working memory for every length: 2.7 GB
    os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _make_clips(clips: list[Clip], corpus: Path, speech: Path, work: Path,
                seed: int) -> list[tuple[str, str]]:
    """Make a group of clips; returns the utterances that failed, with the reasons."""
    from utils.synthesis.default_corpus.make_clip import make_clip
    if any(clip.attack in ("A04", "A08") for clip in clips):
        import torch
        torch.set_num_threads(1)
    skipped = [(clip.utterance, make_clip(clip, corpus, speech, work, seed)) for clip in clips]
    return [(utterance, reason) for utterance, reason in skipped if reason]


def _chunks(plan: list[Clip]) -> Iterator[list[Clip]]:
    """Yields groups of clips of one attack, the costly attacks first.

    A process loads an engine once per group.
    """
    order = {"A04": 0, "A08": 0, "A10": 1, "A02": 2}
    ordered = sorted(plan, key=lambda clip: (order.get(clip.attack, 9), clip.attack))
    start = 0
    while start < len(ordered):
        end = start + 1
        while (end < len(ordered) and end < start + CHUNK
               and ordered[end].attack == ordered[start].attack):
            end += 1
        yield ordered[start:end]
        start = end


def _make_all(plan: list[Clip], corpus: Path, speech: Path, work: Path, seed: int,
              pool: ProcessPoolExecutor) -> dict[str, str]:
    """Make every missing clip; returns {utterance: reason} for the clips that failed.

    Recordings lie in `speech` (a user's folder, or `work`). Engines from packages lie in `work`.
    """
    from tqdm import tqdm
    for half_written in corpus.glob("flac_*/.*.tmp"):
        half_written.unlink()
    skipped: dict[str, str] = {}
    with tqdm(total=len(plan), desc="default corpus", unit="clip", file=sys.stderr,
              smoothing=0.05) as bar:
        jobs = {pool.submit(_make_clips, chunk, corpus, speech, work, seed): len(chunk)
                for chunk in _chunks(plan)}
        for job in as_completed(jobs):
            skipped |= dict(job.result())
            bar.update(jobs[job])
    if len(skipped) > MOST_SKIPPED * len(plan):
        reason, count = Counter(skipped.values()).most_common(1)[0]
        raise InputError(f"{len(skipped)} of {len(plan)} clips of the default corpus failed (most "
                         f"often, {count} times: {reason}): check the installed engines, or choose "
                         "other attacks")
    return dict(sorted(skipped.items()))


@contextlib.contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each. An error or an interrupt cancels the work not yet started."""
    pool = ProcessPoolExecutor(max(1, count), multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield pool
    except KeyboardInterrupt:
        print("\nstopping: the clips in progress are finished first", file=sys.stderr, flush=True)
        raise
    except BrokenProcessPool as error:
        raise InputError("a process that builds the default corpus was killed (probably out of "
                         "memory): run the same command again with fewer workers; what was "
                         "finished is kept") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _write_protocols(corpus: Path, plan: list[Clip], skipped: dict[str, str]) -> None:
    labels = {attack.tag: attack.label for attack in ATTACKS}
    for subset in SUBSETS:
        with atomic_write(corpus / PROTOCOLS[subset]) as file:
            for clip in plan:
                if clip.subset == subset and clip.utterance not in skipped:
                    ending = "- bonafide bonafide -"
                    if clip.attack != "-":
                        ending = f"{labels[clip.attack]} {clip.attack} spoof -"
                    file.write(f"{clip.speaker} {clip.utterance} {clip.gender} - - - {ending}\n")


def _clear_other_build(corpus: Path, sum_of_plan: str) -> None:
    """Remove the clips of another plan (seed, size, attacks, sources); keep the downloads."""
    mark = corpus / ".plan.json"
    if mark.is_file() and read_json(mark) == {"plan": sum_of_plan}:
        return
    for name in ("flac_T", "flac_D", "flac_E_eval"):
        shutil.rmtree(corpus / name, ignore_errors=True)
    for name in (*PROTOCOLS.values(), "corpus_info.json", "ATTRIBUTION.md"):
        (corpus / name).unlink(missing_ok=True)
    write_json(mark, {"plan": sum_of_plan})


def _working_attacks(chosen: list[Attack], absent: dict[str, list[str]], work: Path,
                     pool: ProcessPoolExecutor) -> list[Attack]:
    """The attacks whose engine works on this machine; the others are added to `absent`."""
    from utils.synthesis.default_corpus.make_clip import try_engine
    trials = {attack: pool.submit(try_engine, attack.tag, work)
              for attack in chosen if attack.tag not in absent}
    for attack, trial in trials.items():
        if reason := trial.result():
            absent[attack.tag] = [reason]
    for tag in sorted(attack.tag for attack in ATTACKS if attack.tag in absent):
        print(f"default corpus: attack {tag} is left out ({', '.join(absent[tag])})",
              file=sys.stderr)
    working = [attack for attack in chosen if attack.tag not in absent]
    for subset in SUBSETS:
        if not any(subset in attack.subsets for attack in working):
            raise InputError(f"no spoofing engine works for the {subset} subset of the default "
                             "corpus: pip install -r requirements.txt, or choose other attacks")
    return working


def _build(request: dict, corpus: Path, workers: int) -> None:
    """Fetch, plan and make what `request` asks for, and write the lists."""
    seed = request["seed"]
    size = _size(request["size"])
    tiny = request["size"] == "tiny"
    chosen, absent = _choose_attacks(request["attacks"], tiny)
    own_speech = Path(request["bonafide_dir"]) if request["bonafide_dir"] else None
    voices = () if own_speech else TINY_VOICES if tiny else FULL_VOICES
    work = corpus / ".sources"
    minimum = size.shortest + 0.1
    sources = list_user_sources(own_speech, minimum) if own_speech else []
    with _workers(workers) as pool:
        voices = fetch_voices(work, corpus / ".downloads", voices, absent, pool)
        if any(attack.name == "flite" for attack in chosen):
            fetch_flite(work, corpus / ".downloads", absent)
        chosen = _working_attacks(chosen, absent, work, pool)
        sources = sources or list_sources(work, voices, minimum)
        captions = read_captions(work / "tuxpaint-stamps-default",
                                 {source.language for source in sources} | {"en"})
        plan = make_plan(sources, chosen, captions, size, seed)
        _clear_other_build(corpus, fingerprint(plan, seed))
        skipped = _make_all(plan, corpus, own_speech or work, work, seed, pool)
    _write_protocols(corpus, plan, skipped)
    with atomic_write(corpus / "ATTRIBUTION.md") as file:
        file.write(attribution(voices, chosen))
    write_json(corpus / "corpus_info.json",
               corpus_info(request, corpus, plan, skipped, chosen, absent))
    shutil.rmtree(work, ignore_errors=True)


def build_default_corpus(raw_dir: Path, seed: int = 1, workers: int = 2,
                         size: "str | int" = "default", bonafide_dir: "Path | None" = None,
                         attacks: "list[str] | None" = None) -> Path:
    """Build the default corpus in `raw_dir/default_corpus`; returns that folder.

    Its layout is that of ASVspoof5. Real speech comes from Debian packages, or from
    `bonafide_dir`: one folder per speaker, at least six, treated as English that was never coded
    lossily. Spoofs come from the installed engines; `attacks` chooses some by tag or name. `size`
    is "default" (`plan.DEFAULT`), "tiny" (`plan.TINY`: short clips from one small package) or a
    number of clips. A missing package or engine is named and left out. The same seed gives the
    same clips with any number of `workers`. After a kill, the next call resumes.
    Raises `InputError` if speech, engines or disk space are missing.
    """
    _size(size)     # these two refuse a wrong request before any download
    _choose_attacks(attacks, size == "tiny")
    corpus = raw_dir / NAME
    request = {"seed": seed, "size": size, "attacks": attacks,
               "bonafide_dir": str(bonafide_dir.resolve()) if bonafide_dir else None}
    info = corpus / "corpus_info.json"
    if info.is_file() and read_json(info).get("request") == request:
        return corpus
    with disk_errors(corpus):
        corpus.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(corpus).free < FREE_SPACE and size != "tiny":
        raise InputError(f"the default corpus needs {FREE_SPACE / 1e9:.1f} GB of free disk space "
                         f"in {corpus}: free some space and run the same command again")
    _build(request, corpus, workers)
    return corpus
