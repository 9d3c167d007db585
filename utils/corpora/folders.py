"""Folders of the user's audio in data/raw, or in its train/, dev/ and eval/.

A home is such a place. It holds a pair of folders bonafide/ and spoof/, or any number of folders
with a trial list (trials.tsv) in each. A pair and lists beside each other are one corpus.
"""
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from utils.archives.index import Place, container_name
from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError
from utils.common.text import fits_in_line, same_name, without_ending
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.trials.labels import KEYS, UNKNOWN, Labels
from utils.trials.releases import ProtocolLine
from utils.trials.tables import LIST, Condition, columns_of, has_list, read_table
from utils.trials.trial import SUBSETS

WHAT_TO_GET = ("put real speech into bonafide/SPEAKER/ and spoofed speech into spoof/ATTACK/ in "
               f"this folder, or a folder of audio with its {LIST}")
UNDIVIDED = "train"      # the part that data/raw itself counts as; missing subsets are cut from it
ONE_ATTACK = "spoof"     # the attack of files that lie in spoof/ itself


def is_there(raw_dir: Path) -> bool:
    """Whether data/raw, or its train/, dev/ or eval/, is a home."""
    return bool(_homes(raw_dir))


def find(request: Request) -> Corpus:
    """The folders in data/raw. `InputError` where there are none, or half of a pair is missing."""
    raw = request.raw_dir
    homes = _homes(raw)
    if not homes:
        raise InputError(f"no folder pair was found in {raw}: {WHAT_TO_GET}")
    lists = [folder for home in homes.values() for folder in listed_folders(home)]
    _check_conditions(request.where, lists)
    parts = {}
    for part, home in homes.items():
        _check_pair(home)
        where = tuple(condition for condition in request.where if condition.part in (None, part))
        parts[part] = Part(f"the folders of {home}", partial(_lines, home, where),
                           partial(_files, home, request.data_dir, where))
    found = [f"{home.name}/{key}/" for home in homes.values() for key in _keys_of(home)]
    found += [f"{folder.relative_to(raw.parent).as_posix()}/{LIST}" for folder in lists]
    where = [condition.text for condition in request.where]
    return Corpus("folders", _description(raw, lists, where), "folders", ", ".join(found), parts,
                  details={"where": where} if where else {})


def _description(raw: Path, lists: list[Path], where: list[str]) -> str:
    names = sorted({folder.name for folder in lists}) or [f"{key}/" for key in KEYS]
    conditions = "".join(f", {text}" for text in where)
    return f"the user's own recordings in {raw.name}/ ({', '.join(names)}){conditions}"


def listed_folders(home: Path) -> list[Path]:
    """The folders with a trial list: `home` itself, or those in it (links too), sorted."""
    if has_list(home):
        return [home]
    return sorted(path for path in home.iterdir() if has_list(path)) if home.is_dir() else []


def _keys_of(home: Path) -> tuple[str, ...]:
    """The halves of a pair in `home`; none where a list in `home` itself lists all of its audio."""
    return () if has_list(home) else tuple(key for key in KEYS if (home / key).is_dir())


def _check_pair(home: Path) -> None:
    """`InputError` where half of a pair is empty, or missing while no list replaces it."""
    for key in _keys_of(home) if listed_folders(home) else KEYS:
        if next(_audio(home / key), None) is None:
            raise InputError(f"{home / key} holds no audio files: put audio into both "
                             f"{home / 'bonafide'} and {home / 'spoof'}")


def _check_conditions(conditions: tuple[Condition, ...], lists: list[Path]) -> None:
    known = sorted({column for folder in lists for column in columns_of(folder)})
    for condition in conditions:
        if condition.column not in known:
            raise InputError(f"--where {condition.text}: no trial list here has a column "
                             f"{condition.column}; the columns are "
                             f"{', '.join(known) or 'none, since there is no trial list'}")


def _homes(raw_dir: Path) -> dict[str, Path]:
    homes = {part: raw_dir / part for part in SUBSETS if _is_home(raw_dir / part)}
    return homes or ({UNDIVIDED: raw_dir} if _is_home(raw_dir) else {})


def _is_home(folder: Path) -> bool:
    return any((folder / key).is_dir() for key in KEYS) or bool(listed_folders(folder))


@dataclass(frozen=True)
class _Found:
    """A file below a folder."""
    parts: tuple[str, ...]      # its path relative to the folder

    @property
    def name(self) -> str:
        return "/".join(self.parts)

    @property
    def is_audio(self) -> bool:
        """Whether its suffix is one of audio, and its name fits in one line of a trial list."""
        return Path(self.parts[-1]).suffix.lower() in AUDIO_SUFFIXES and fits_in_line(self.name)


def _walk(folder: Path) -> Iterator[_Found]:
    """All files below a folder, sorted, without hidden ones and links to folders."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        above = Path(here).relative_to(folder).parts
        yield from (_Found((*above, name)) for name in sorted(names) if not name.startswith("."))


def _audio(folder: Path) -> Iterator[_Found]:
    return (found for found in _walk(folder) if found.is_audio)


def _prefix(home: Path, folder: Path) -> str:
    """What precedes the utterances of a list, so that those of two lists differ."""
    return "" if folder == home else f"{folder.name}/"


def _lines(home: Path, conditions: tuple[Condition, ...]) -> Iterator[ProtocolLine]:
    """What the lists and the folders of a home say, as protocol lines.

    bonafide/SPEAKER/x.wav has a speaker, bonafide/x.wav none. spoof/ATTACK/x.wav has an attack,
    and spoof/ATTACK/SPEAKER/x.wav a speaker too; spoof/x.wav has the attack "spoof".
    """
    for folder in listed_folders(home):
        for line in read_table(folder, conditions):
            yield replace(line, utterance=_prefix(home, folder) + line.utterance)
    for key in _keys_of(home):
        for found in _audio(home / key):
            yield ProtocolLine(f"{key}/{found.name}", _labels(key, found.parts[:-1]))


def _labels(key: str, above: tuple[str, ...]) -> Labels:
    """The labels of a file of a pair, by the folders it lies in."""
    if key == "bonafide":
        return Labels(key=key, speaker=above[0] if above else UNKNOWN)
    attack = above[0] if above else ONE_ATTACK
    return Labels(key=key, attack=attack, speaker=above[1] if len(above) > 1 else UNKNOWN)


def _files(home: Path, data_dir: Path, conditions: tuple[Condition, ...]) -> Files:
    container = container_name(data_dir, home)
    files = Files()
    for folder in listed_folders(home):
        _add_listed(folder, _prefix(home, folder), container_name(data_dir, folder), conditions,
                    files)
    for key in _keys_of(home):
        ignored = 0
        for found in _walk(home / key):
            if found.is_audio:
                name = f"{key}/{found.name}"
                files.places[name] = Place(f"{container}/{name}", 0, (home / name).stat().st_size)
            else:
                ignored += 1
        if ignored:
            files.notes.append(f"{ignored:,} files in {home / key} are ignored: their extension is "
                               "not one of audio, or their name has control characters")
    return files


def _named(folder: Path, listed: set[str]) -> dict[str, str]:
    """The utterance of each audio file of a folder: its name in the list, else without its ending.

    Files that no line names exactly are then compared without capitals, the form of letters and
    blanks, the kind of slash, a path that ends in the folder, and last the ending.
    """
    stems = {found.name: str(PurePosixPath(found.name).with_suffix(""))
             for found in _audio(folder)}
    named = {name: name if name in listed else stem for name, stem in stems.items()}
    absent = listed - {*named.values()}
    for form in (same_name, lambda name: without_ending(same_name(name), AUDIO_SUFFIXES)):
        above = (f"{same_name(str(folder.absolute()))}/", f"{same_name(folder.name)}/")
        lines = {form(line).removeprefix(above[0]).removeprefix(above[1]): line
                 for line in sorted(absent)}
        for name, utterance in named.items():
            if absent and utterance not in listed and (line := lines.pop(form(name), None)):
                named[name] = line
        absent -= {*named.values()}
    return named


def _add_listed(folder: Path, prefix: str, container: str, conditions: tuple[Condition, ...],
                files: Files) -> None:
    """Add the files of a folder with a list, which may name them with or without the ending."""
    listed = {line.utterance for line in read_table(folder)}
    chosen = listed
    if conditions:
        chosen = {line.utterance for line in read_table(folder, conditions)}
    named = _named(folder, listed)
    for name, utterance in named.items():
        if utterance in listed and utterance not in chosen:
            continue
        if prefix + utterance in files.places:
            raise InputError(f"{folder} holds two files called {utterance}, and its {LIST} does "
                             "not say which one is meant: list them with their endings")
        size = (folder / name).stat().st_size
        files.places[prefix + utterance] = Place(f"{container}/{name}", 0, size)
    absent = chosen - {*named.values()}
    if len(chosen) < len(listed):
        files.notes.append(f"{len(listed) - len(chosen):,} of the {len(listed):,} trials of "
                           f"{folder / LIST} are left out by --where")
    if absent:
        files.notes.append(f"{len(absent):,} of the {len(chosen):,} trials of {folder / LIST} have "
                           f"no audio file, {min(absent)} first")
