"""Folders of the user's with a trial list: which of their files each line means."""
from pathlib import Path, PurePosixPath

from utils.archives.index import Place, container_name
from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError
from utils.common.text import same_name, without_ending
from utils.corpora.corpus import Files
from utils.corpora.tree import audio
from utils.trials.tables import LIST, Condition, read_table


def add_listed(files: Files, folder: Path, prefix: str, data_dir: Path,
               conditions: tuple[Condition, ...]) -> None:
    """Add the files of a folder with a list, which may name them with or without the ending.

    `prefix` precedes each utterance. `InputError` where two files have one name.
    """
    container = container_name(data_dir, folder)
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


def _named(folder: Path, listed: set[str]) -> dict[str, str]:
    """The utterance of each audio file of a folder: its name in the list, else without its ending.

    Files that no line names exactly are then compared without capitals, the form of letters and
    blanks, the kind of slash, a path that ends in the folder, and last the ending.
    """
    stems = {found.name: str(PurePosixPath(found.name).with_suffix("")) for found in audio(folder)}
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
