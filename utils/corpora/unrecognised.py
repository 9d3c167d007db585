"""What data/raw holds that no corpus has recognised."""
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from utils.common.text import counted
from utils.corpora.tree import files_in, folders_below, has_audio_suffix

# archives, parts of them (.z01, .001, .aa), downloads that have not ended, and tables with sound
ARCHIVE = re.compile(r".*\.(zip|tar|gz|tgz|bz2|tbz2|xz|txz|zst|7z|rar|part|crdownload|download|"
                     r"[zr]?\d{2,3}|(zip|tar|gz|7z|rar)\.?[a-z]{2}|parquet|arrow|tfrecord|h5|hdf5)",
                     re.IGNORECASE)
SHOWN = 4      # folders, and archives, that a message names
LAYOUTS = ("folders called bonafide and spoof (or real and fake), also in train, dev and eval; "
           "folders with a trials.tsv; and as published ASVspoof5, ASVspoof2021, ASVspoof2019, "
           "In-the-Wild, Fake-or-Real, WaveFake, MLAAD, DECRO, SpoofCeleb and Codecfake "
           "(data/README.md describes them)")


@dataclass
class Leftover:
    """Audio, counted by folder, and archives."""
    sounds: Counter = field(default_factory=Counter)
    archives: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sounds or self.archives)

    def __str__(self) -> str:
        found = []
        if self.sounds:
            folders = [f"{count:,} in {where}/" for where, count in self.sounds.most_common(SHOWN)]
            found.append(f"{counted(self.sounds.total(), 'audio file')} "
                         f"({_first(folders, len(self.sounds), 'folders')})")
        if self.archives:
            found.append(f"{counted(len(self.archives), 'archive')} "
                         f"({_first(self.archives[:SHOWN], len(self.archives), 'archives')})")
        return " and ".join(found)

    @property
    def advice(self) -> str:
        """What to do, so that it is recognised."""
        unpack = "Unpack the archives. " if self.archives else ""
        return f"{unpack}Recognised are {LAYOUTS}."


def leftover(raw_dir: Path, recognised: Iterable[Path] = ()) -> Leftover:
    """The user's audio and archives in data/raw that lie in none of the recognised places."""
    known = {*recognised}
    left = Leftover()
    for folder in folders_below(raw_dir):
        if known & {folder, *folder.parents}:
            continue
        where = folder.relative_to(raw_dir.parent).as_posix()
        for name in files_in(folder):
            if folder / name in known:
                continue
            if has_audio_suffix(name):
                left.sounds[where] += 1
            elif ARCHIVE.fullmatch(name):
                left.archives.append(f"{where}/{name}")
    return left


def _first(names: list[str], count: int, what: str) -> str:
    more = f" and {count - SHOWN:,} more {what}" if count > SHOWN else ""
    return ", ".join(names) + more
