"""A plain folder pair: bonafide/ and spoof/ with audio in them, in data/raw or in its train/, dev/ and eval/."""
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from utils.corpora.archive_index import container_name
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.corpora.protocol import ProtocolLine
from utils.corpora.trials import KEYS, SUBSETS
from utils.errors import InputError

AUDIO = frozenset(".wav .wave .flac .ogg .oga .opus .mp3 .mp2 .m4a .mp4 .aac .ac3 .webm .mka .mkv .amr .3gp .wma .aif "
                  ".aiff .aifc .au .snd .caf .w64 .rf64 .sph .wv .ape .tta".split())
WHAT_TO_GET = "put real speech into bonafide/SPEAKER/ and spoofed speech into spoof/ATTACK/ in this folder"
UNDIVIDED = "train"      # what a pair without parts counts as: the part that missing subsets are cut from
ONE_ATTACK = "spoof"     # the attack of files that lie in spoof/ itself


def is_there(raw_dir: Path) -> bool:
    """Whether data/raw has a folder bonafide/ or spoof/, by itself or below train/, dev/ or eval/."""
    return bool(_homes(raw_dir))


def find(request: Request) -> Corpus:
    """The folder pairs in data/raw. `InputError` where there are none, or one of a pair is missing or without audio."""
    raw, homes = request.raw_dir, _homes(request.raw_dir)
    if not homes:
        raise InputError(f"no folder pair was found in {raw}: {WHAT_TO_GET}")
    parts = {}
    for part, home in homes.items():
        for key in KEYS:
            if next(_audio(home / key), None) is None:
                raise InputError(f"{home / key} holds no audio files: a folder pair needs both {home / 'bonafide'} and "
                                 f"{home / 'spoof'}")
        parts[part] = Part(f"the folders of {home}", partial(_lines, home), partial(_files, home, request.data_dir))
    found = ", ".join(f"{home.name}/{key}/" for home in homes.values() for key in KEYS)
    return Corpus("folders", f"the user's own recordings in {raw.name}/ (bonafide/, spoof/)", "folders", found, parts)


def _homes(raw_dir: Path) -> dict[str, Path]:
    homes = {part: raw_dir / part for part in SUBSETS if _has_one(raw_dir / part)}
    return homes or ({UNDIVIDED: raw_dir} if _has_one(raw_dir) else {})


def _has_one(home: Path) -> bool:
    return any((home / key).is_dir() for key in KEYS)


def _walk(folder: Path) -> Iterator[tuple[str, ...]]:
    """All files below a folder as paths relative to it, sorted; hidden ones and links to folders are passed over."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        above = Path(here).relative_to(folder).parts
        yield from ((*above, name) for name in sorted(names) if not name.startswith("."))


def _audio(folder: Path) -> Iterator[tuple[str, ...]]:
    return (path for path in _walk(folder) if Path(path[-1]).suffix.lower() in AUDIO and _fits("/".join(path)))


def _fits(name: str) -> bool:
    """Whether a name fits in a trial list: one line of UTF-8 text without tabs."""
    return name.isprintable()


def _lines(home: Path) -> Iterator[ProtocolLine]:
    """The folders' say as protocol lines.

    bonafide/SPEAKER/x.wav has a speaker, bonafide/x.wav none. spoof/ATTACK/x.wav has an attack, and
    spoof/ATTACK/SPEAKER/x.wav a speaker too; spoof/x.wav has the attack "spoof".
    """
    for key in KEYS:
        for path in _audio(home / key):
            above = path[:-1]
            attack = "-" if key == "bonafide" else above[0] if above else ONE_ATTACK
            speakers = above if key == "bonafide" else above[1:]
            yield ProtocolLine(speakers[0] if speakers else "-", "/".join((key, *path)), "-", "-", attack, key)


def _files(home: Path, data_dir: Path) -> Files:
    container, files = container_name(data_dir, home), Files()
    for key in KEYS:
        passed = 0
        for path in _walk(home / key):
            name = "/".join((key, *path))
            if Path(path[-1]).suffix.lower() in AUDIO and _fits(name):
                files.places[name] = (f"{container}/{name}", 0, (home / name).stat().st_size)
            else:
                passed += 1
        if passed:
            files.notes.append(f"{passed:,} files in {home / key} are passed over: no audio by their extension, or "
                               "a name that fits in no list")
    return files
