"""What lies in data/raw where no corpus was recognised: nothing else is taken instead of it."""
from collections import Counter
from pathlib import Path

from utils.corpora.tree import files_in, folders_below, has_audio_suffix

ARCHIVE_SUFFIXES = frozenset(".zip .tar .gz .tgz .bz2 .tbz2 .xz .txz .zst .7z .rar .part "
                             ".crdownload".split())
SHOWN = 4      # folders, and archives, that the message names
LAYOUTS = ("folders called bonafide and spoof (or real and fake), also in train, dev and eval; "
           "folders with a trials.tsv; ASVspoof5, ASVspoof2019 LA and In-the-Wild as published. "
           "data/README.md describes them")


def unrecognised(raw_dir: Path) -> str | None:
    """What the user's audio and archives in data/raw are, and what to do; None without any."""
    sounds = Counter()
    archives = []
    for folder in folders_below(raw_dir):
        where = folder.relative_to(raw_dir.parent).as_posix()
        for name in files_in(folder):
            if has_audio_suffix(name):
                sounds[where] += 1
            elif Path(name).suffix.lower() in ARCHIVE_SUFFIXES:
                archives.append(f"{where}/{name}")
    if not sounds and not archives:
        return None
    found = [_audio_in_words(sounds)] if sounds else []
    found += [_archives_in_words(archives)] if archives else []
    unpack = "Unpack the archives. " if archives else ""
    return (f"no dataset was recognised in {raw_dir}, but it holds {' and '.join(found)}. {unpack}"
            f"Recognised are {LAYOUTS}. To use the default corpus instead, add --corpus default")


def _audio_in_words(sounds: Counter) -> str:
    folders = [f"{count:,} in {where}/" for where, count in sounds.most_common(SHOWN)]
    return f"{_number(sounds.total(), 'audio file')} ({_first(folders, len(sounds), 'folders')})"


def _archives_in_words(archives: list[str]) -> str:
    return f"{_number(len(archives), 'archive')} ({_first(archives, len(archives), 'archives')})"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _first(names: list[str], count: int, what: str) -> str:
    more = f" and {count - SHOWN:,} more {what}" if count > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
