"""Folders of the user's audio, at any depth below data/raw.

A pair is two folders whose names say the key, such as bonafide/ and spoof/ or real/ and fake/,
or a published corpus of one class, such as LibriSpeech or WaveFake.
A folder with a trial list (trials.tsv) names its own files. Pairs and lists are one corpus.
Folders above them called train, val or test say the subset; so do folders directly in a pair.
"""
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from utils.archives.index import Place, container_name
from utils.common.errors import InputError, printable
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.corpora.folder_names import (key_of, labels_of, published_key, speaker_of,
                                        subsets_of)
from utils.corpora.tree import (audio, files_in, folders_below, has_audio_suffix, subfolders,
                                walk)
from utils.corpora.user_lists import add_listed
from utils.trials.labels import KEYS
from utils.trials.releases import ProtocolLine
from utils.trials.tables import LIST, Condition, columns_of, has_list, read_table
from utils.trials.trial import SUBSETS

WHAT_TO_GET = ("put real speech into bonafide/SPEAKER/ and spoofed speech into spoof/ATTACK/ in "
               f"this folder, or a folder of audio with its {LIST}")
UNDIVIDED = "train"      # the part that folders of no subset count as; others are cut from it
SHOWN = 8                # suffixes that a message names
MLAAD = "*/*/meta.csv"   # below fake/: its folders are LANGUAGE/ATTACK
CALLED = {"bonafide": "bonafide or real",
          "spoof": "spoof or fake (utils/make_vocoded.py makes some of your real speech)"}


@dataclass(frozen=True)
class Source:
    """A folder with a list, or half of a pair."""
    folder: Path
    prefix: str          # precedes its utterances, so that those of two sources differ
    part: str | None     # the subset that its folders say
    key: str | None      # None for a folder with a list


def is_there(raw_dir: Path) -> list[Path]:
    """The folders with a list and the halves of pairs in data/raw."""
    return [source.folder for source in _search(raw_dir, raw_dir, None, frozenset())]


def find(request: Request) -> Corpus:
    """The folders in data/raw. `InputError` where there are none, or half of a pair is missing."""
    raw = request.raw_dir
    everything = list(_search(raw, raw, None, frozenset()))
    divided = _by_part(everything)
    if not divided:
        raise InputError(f"no folder pair was found in {raw}: {WHAT_TO_GET}")
    chosen = [source for found in divided.values() for source in found]
    _check_conditions(request.where, [source.folder for source in chosen if not source.key])
    parts = {}
    notes = _left_out(everything, chosen)
    for part, found in divided.items():
        _check_pair(part, found, everything)
        where = tuple(condition for condition in request.where if condition.part in (None, part))
        parts[part] = Part(f"the folders of {part} in {raw}", partial(_lines, found, where),
                           partial(_files, found, request.data_dir, where, notes))
        notes = ()
    names = [source.folder.relative_to(raw.parent).as_posix() + ("/" if source.key else f"/{LIST}")
             for source in chosen]
    where = [condition.text for condition in request.where]
    return Corpus("folders", _description(raw, chosen, where), "folders", ", ".join(names), parts,
                  keeps_sets=True, details={"where": where} if where else {})


def _search(raw: Path, folder: Path, part: str | None, above: frozenset[str]) -> Iterator[Source]:
    """All folders with a list and all halves of pairs in a folder that says `part`."""
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():      # `above`: a link may lead to where it lies in
        return
    if has_list(folder):
        yield Source(folder, _prefix(raw, folder), part, None)
        return
    children = subfolders(folder)
    subsets = subsets_of(child.name for child in children)
    for child in children:
        key = None if has_list(child) else _key(child)
        subset = subsets.get(child.name, part)
        if key is None:
            yield from _search(raw, child, subset, above | {real})
        else:
            yield from (Source(half, _prefix(raw, half), said, key)
                        for half, said in _halves(child, subset))


def _key(folder: Path) -> str | None:
    """The key of everything in a folder, by its own name, unless names in it say a key."""
    if key := key_of(folder.name):
        return None if any(_is_pair(inner) for inner in folders_below(folder)) else key
    key = published_key(folder.name)
    inner = subfolders(folder) if key else []
    return None if any(key_of(one.name) or published_key(one.name) for one in inner) else key


def _is_pair(folder: Path) -> bool:
    """Whether the names of the folders in a folder say both keys."""
    return {*KEYS} <= {key_of(child.name) for child in subfolders(folder)}


def _halves(folder: Path, part: str | None) -> list[tuple[Path, str | None]]:
    """A folder of one key, or the folders in it that say a subset, where they say several.

    A single one counts where nothing lies beside it.
    """
    inner = [child for child in subfolders(folder) if published_key(child.name) is None]
    said = subsets_of(child.name for child in inner)
    alone = len(said) == len(subfolders(folder)) and not any(map(has_audio_suffix,
                                                                 files_in(folder)))
    if part is None and said and (alone or len({*said.values()}) > 1):
        return [(child, said[child.name]) for child in inner if child.name in said]
    return [(folder, part)]


def _prefix(raw: Path, folder: Path) -> str:
    """The path of a folder below data/raw or below its train/, dev/ or eval/."""
    names = folder.relative_to(raw).parts
    return "".join(f"{name}/" for name in (names[1:] if names[:1] and names[0] in SUBSETS
                                           else names))


def _by_part(found: list[Source]) -> dict[str, list[Source]]:
    """The sources of each subset; those of no subset count only where no other says one."""
    divided = {part: [source for source in found if source.part == part] for part in SUBSETS}
    divided = {part: there for part, there in divided.items() if there}
    return divided or ({UNDIVIDED: found} if found else {})


def _left_out(everything: list[Source], chosen: list[Source]) -> tuple[str, ...]:
    """A note for each folder that says no subset, beside others that do."""
    return tuple(f"{source.folder} is left out: it lies in no folder that says a subset, but "
                 "others do. Move it into train, dev or eval to use it"
                 for source in everything if source not in chosen)


def _check_pair(part: str, found: list[Source], everything: list[Source]) -> None:
    """`InputError` where half of a pair is empty, or missing while no list replaces it."""
    for source in found:
        if source.key and next(audio(source.folder), None) is None:
            raise InputError(f"{source.folder} holds no audio files: put audio into both folders "
                             "of a pair, such as bonafide and spoof")
    keys = {source.key for source in found}
    for key in KEYS:
        if None not in keys and key not in keys:
            count = sum(1 for source in found for _ in audio(source.folder))
            raise InputError(f"{part} has one class only: {count:,} recordings in "
                             f"{found[0].folder}. {_other_class(key, everything)}")


def _other_class(key: str, everything: list[Source]) -> str:
    """Where the speech of a key is, or may be put."""
    undivided = [source.folder for source in everything if (source.key, source.part) == (key, None)]
    if undivided:
        return (f"The other class, in {undivided[0]}, lies in no folder that says a subset: put "
                "it into folders called train, dev or eval too")
    return f"Put speech of the other class into a folder called {CALLED[key]} beside it"


def _check_conditions(conditions: tuple[Condition, ...], lists: list[Path]) -> None:
    known = sorted({column for folder in lists for column in columns_of(folder)})
    for condition in conditions:
        if condition.column not in known:
            raise InputError(f"--where {condition.text}: no trial list here has a column "
                             f"{condition.column}; the columns are "
                             f"{', '.join(known) or 'none, since there is no trial list'}")


def _description(raw: Path, chosen: list[Source], where: list[str]) -> str:
    names = sorted({source.folder.name for source in chosen if not source.key})
    names = names or [f"{name}/" for name in dict.fromkeys(
        source.folder.name for source in chosen)]
    conditions = "".join(f", {text}" for text in where)
    return f"the user's own recordings in {raw.name}/ ({', '.join(names)}){conditions}"


def _lines(found: list[Source], conditions: tuple[Condition, ...]) -> Iterator[ProtocolLine]:
    """What the lists and the folders say, as protocol lines.

    bonafide/SPEAKER/x.wav has a speaker, bonafide/x.wav none. spoof/ATTACK/x.wav has an attack,
    and spoof/ATTACK/SPEAKER/x.wav a speaker too; spoof/x.wav has the attack "spoof". So has
    spoof/SPEAKER/x.wav, where bonafide/ has a folder of that name.
    In MLAAD, fake/LANGUAGE/ATTACK/x.wav has an attack.
    """
    speakers = {speaker_of(file.parts[:-1], source.folder.name) for source in found
                if source.key == "bonafide" for file in audio(source.folder)}
    for source in found:
        if source.key is None:
            for line in read_table(source.folder, conditions):
                yield replace(line, utterance=source.prefix + line.utterance)
            continue
        attack_at = 1 if next(source.folder.glob(MLAAD), None) else 0
        for file in audio(source.folder):
            labels = labels_of(source.key, source.folder.name, file.parts, attack_at, speakers)
            yield ProtocolLine(source.prefix + file.name, labels)


def _files(found: list[Source], data_dir: Path, conditions: tuple[Condition, ...],
           notes: tuple[str, ...]) -> Files:
    files = Files(notes=list(notes))
    for source in found:
        if source.key is None:
            add_listed(files, source.folder, source.prefix, data_dir, conditions)
        else:
            _add_half(files, source, container_name(data_dir, source.folder))
    return files


def _add_half(files: Files, source: Source, container: str) -> None:
    ignored: Counter[str] = Counter()
    for file in walk(source.folder):
        if file.is_audio:
            size = (source.folder / file.name).stat().st_size
            files.places[source.prefix + file.name] = Place(f"{container}/{file.name}", 0, size)
        else:
            ignored[Path(file.name).suffix or Path(file.name).name] += 1
    if ignored:
        kinds = ", ".join(printable(kind) for kind, _ in ignored.most_common(SHOWN))
        files.notes.append(f"left out of {source.folder}: files that are no audio, or have control "
                           f"characters in their names: {ignored.total():,} ({kinds})")
