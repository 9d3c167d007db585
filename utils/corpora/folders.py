"""Folders of audio in data/raw, or in its train/, dev/ and eval/: a plain pair bonafide/ and spoof/, or any number of folders
with a trial list (trials.tsv) in each; a pair and lists beside each other are one corpus."""
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.archives.index import container_name
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.trials.releases import ProtocolLine
from utils.trials.tables import LIST, Condition, columns_of, has_list, read_table
from utils.trials.labels import KEYS, Labels
from utils.trials.trial import SUBSETS
from utils.common.errors import InputError

WHAT_TO_GET = ("put real speech into bonafide/SPEAKER/ and spoofed speech into spoof/ATTACK/ in this folder, or a folder of audio "
               f"with its {LIST}")
UNDIVIDED = "train"      # what a pair without parts counts as: the part that missing subsets are cut from
ONE_ATTACK = "spoof"     # the attack of files that lie in spoof/ itself


def is_there(raw_dir: Path) -> bool:
    """Whether data/raw has bonafide/, spoof/ or a folder with a trial list, by itself or below train/, dev/ or eval/."""
    return bool(_homes(raw_dir))


def find(request: Request) -> Corpus:
    """The folders in data/raw. `InputError` where there are none, or one of a pair is missing or without audio."""
    raw, homes = request.raw_dir, _homes(request.raw_dir)
    if not homes:
        raise InputError(f"no folder pair was found in {raw}: {WHAT_TO_GET}")
    lists = [folder for home in homes.values() for folder in listed_folders(home)]
    _check_conditions(request.where, lists)
    parts = {}
    for part, home in homes.items():
        _check_pair(home)
        where = tuple(condition for condition in request.where if condition.part in (None, part))
        parts[part] = Part(f"the folders of {home}", partial(_lines, home, where), partial(_files, home, request.data_dir, where))
    found = [f"{home.name}/{key}/" for home in homes.values() for key in _keys_of(home)]
    found += [folder.relative_to(raw.parent).as_posix() + "/" + LIST for folder in lists]
    where = [condition.text for condition in request.where]
    names = [f"{key}/" for key in KEYS] if not lists else sorted({folder.name for folder in lists})
    described = f"the user's own recordings in {raw.name}/ ({', '.join(names)}){''.join(f', {text}' for text in where)}"
    return Corpus("folders", described, "folders", ", ".join(found), parts, details={"where": where} if where else {})


def listed_folders(home: Path) -> list[Path]:
    """The folders with a trial list: `home` itself, or else those in it (links to folders too), sorted."""
    if has_list(home):
        return [home]
    return sorted(path for path in home.iterdir() if has_list(path)) if home.is_dir() else []


def _keys_of(home: Path) -> tuple[str, ...]:
    """The halves of a pair in `home`; none where a list there speaks for all that lies below it."""
    return () if has_list(home) else tuple(key for key in KEYS if (home / key).is_dir())


def _check_pair(home: Path) -> None:
    """`InputError` where a half of a pair is empty, or there is but one half and no list that could make up for it."""
    for key in _keys_of(home) if listed_folders(home) else KEYS:
        if next(_audio(home / key), None) is None:
            raise InputError(f"{home / key} holds no audio files: a folder pair needs both {home / 'bonafide'} and "
                             f"{home / 'spoof'}")


def _check_conditions(conditions: tuple[Condition, ...], lists: list[Path]) -> None:
    known = sorted({column for folder in lists for column in columns_of(folder)})
    for condition in conditions:
        if condition.column not in known:
            raise InputError(f"--where {condition.text}: no trial list here has a column {condition.column}, only "
                             f"{', '.join(known) or 'none: there is no trial list'}")


def _homes(raw_dir: Path) -> dict[str, Path]:
    homes = {part: raw_dir / part for part in SUBSETS if _has_one(raw_dir / part)}
    return homes or ({UNDIVIDED: raw_dir} if _has_one(raw_dir) else {})


def _has_one(home: Path) -> bool:
    return any((home / key).is_dir() for key in KEYS) or bool(listed_folders(home))


def _walk(folder: Path) -> Iterator[tuple[str, ...]]:
    """All files below a folder as paths relative to it, sorted; hidden ones and links to folders are passed over."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        above = Path(here).relative_to(folder).parts
        yield from ((*above, name) for name in sorted(names) if not name.startswith("."))


def _audio(folder: Path) -> Iterator[tuple[str, ...]]:
    return (path for path in _walk(folder) if Path(path[-1]).suffix.lower() in AUDIO_SUFFIXES and _fits("/".join(path)))


def _fits(name: str) -> bool:
    """Whether a name fits in a trial list: one line of UTF-8 text without tabs."""
    return name.isprintable()


def _prefix(home: Path, folder: Path) -> str:
    """What stands before the names of a list's utterances, so that those of two lists differ."""
    return "" if folder == home else f"{folder.name}/"


def _lines(home: Path, conditions: tuple[Condition, ...]) -> Iterator[ProtocolLine]:
    """What the lists and the folders of a home say, as protocol lines.

    bonafide/SPEAKER/x.wav has a speaker, bonafide/x.wav none. spoof/ATTACK/x.wav has an attack, and
    spoof/ATTACK/SPEAKER/x.wav a speaker too; spoof/x.wav has the attack "spoof".
    """
    for folder in listed_folders(home):
        for line in read_table(folder, conditions):
            yield replace(line, utterance=_prefix(home, folder) + line.utterance)
    for key in _keys_of(home):
        for path in _audio(home / key):
            above = path[:-1]
            attack = "-" if key == "bonafide" else above[0] if above else ONE_ATTACK
            speakers = above if key == "bonafide" else above[1:]
            labels = Labels(speaker=speakers[0] if speakers else "-", key=key, attack=attack)
            yield ProtocolLine("/".join((key, *path)), labels)


def _files(home: Path, data_dir: Path, conditions: tuple[Condition, ...]) -> Files:
    container, files = container_name(data_dir, home), Files()
    for folder in listed_folders(home):
        _listed_files(folder, _prefix(home, folder), container_name(data_dir, folder), conditions, files)
    for key in _keys_of(home):
        passed = 0
        for path in _walk(home / key):
            name = "/".join((key, *path))
            if Path(path[-1]).suffix.lower() in AUDIO_SUFFIXES and _fits(name):
                files.places[name] = (f"{container}/{name}", 0, (home / name).stat().st_size)
            else:
                passed += 1
        if passed:
            files.notes.append(f"{passed:,} files in {home / key} are passed over: no audio by their extension, or "
                               "a name that fits in no list")
    return files


def _listed_files(folder: Path, prefix: str, container: str, conditions: tuple[Condition, ...], files: Files) -> None:
    """Add the files of a folder with a list: each is listed by its path there, with or without the ending."""
    listed = {line.utterance for line in read_table(folder)}
    taken = {line.utterance for line in read_table(folder, conditions)} if conditions else listed
    absent = set(taken)
    for path in _audio(folder):
        name = "/".join(path)
        stem = name.removesuffix(Path(path[-1]).suffix)
        utterance = name if name in listed else stem
        if utterance in listed and utterance not in taken:
            continue
        if prefix + utterance in files.places:
            raise InputError(f"{folder} holds two files called {stem}, and its {LIST} does not say which: list them with "
                             "their endings")
        files.places[prefix + utterance] = (f"{container}/{name}", 0, (folder / name).stat().st_size)
        absent.discard(utterance)
    if len(taken) < len(listed):
        files.notes.append(f"{len(listed) - len(taken):,} of the {len(listed):,} trials of {folder / LIST} are left out by --where")
    if absent:
        files.notes.append(f"{len(absent):,} of the {len(taken):,} trials of {folder / LIST} have no audio file, {min(absent)} first")
