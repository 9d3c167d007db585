"""ASVspoof2019, logical (LA) and physical access (PA): unpacked, or in a zip read in place."""
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from utils.archives import zip as zips
from utils.archives.index import container_name
from utils.common.errors import InputError
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.corpora.release import Release, Subset, describe
from utils.corpora.tree import folders_below
from utils.trials.protocols import read_protocol
from utils.trials.releases import ProtocolLine

DOWNLOAD = "https://datashare.ed.ac.uk/handle/10283/3336"
LISTS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}


@dataclass(frozen=True)
class Access:
    """One of the two corpora; a copy of it may lie at any depth below data/raw."""
    kind: str       # LA or PA
    layout: str

    @property
    def release(self) -> Release:
        """The unpacked corpus."""
        kind = self.kind
        return Release(
            f"ASVspoof2019 {kind}", self.layout,
            tuple(Subset(part, self._list(part), f"ASVspoof2019_{kind}_{part}/flac")
                  for part in LISTS),
            f"download {self.archive} from {DOWNLOAD} and unpack all of it into this folder",
            re.compile(r".*"), ending=".flac", apart=True)

    @property
    def archive(self) -> str:
        """The name of the published archive."""
        return f"{self.kind}.zip"

    def is_there(self, raw_dir: Path) -> list[Path]:
        """The folders of audio and the archive in data/raw; none where it is not there."""
        return [*self.release.is_there(raw_dir), *self._archives(raw_dir)]

    def find(self, request: Request) -> Corpus:
        """The corpus in data/raw: its folders, or else its archive.

        `InputError` where there is none, where audio has no protocol, and for compressed audio.
        """
        archive = next(iter(self._archives(request.raw_dir)), None)
        if archive is not None and request.extract:
            zips.extract(archive, self._is_wanted, archive.parent)
        if archive is None or self.release.is_there(request.raw_dir):
            return self.release.find(request)
        return self._from_zip(request, archive)

    def _archives(self, raw_dir: Path) -> list[Path]:
        paths = (folder / self.archive for folder in folders_below(raw_dir))
        return [path for path in paths if path.is_file()]

    def _list(self, part: str) -> str:
        return (f"ASVspoof2019_{self.kind}_cm_protocols/"
                f"ASVspoof2019.{self.kind}.cm.{LISTS[part]}.txt")

    @property
    def _audio(self) -> re.Pattern[str]:
        kind = self.kind
        return re.compile(rf"(?:{kind}/)?ASVspoof2019_{kind}_(train|dev|eval)/flac/"
                          rf"({kind}_[TDE]_\d{{7}})\.flac")

    def _is_list(self, name: str, part: str) -> bool:
        return name.endswith(self._list(part))

    def _is_wanted(self, name: str) -> bool:
        return self._audio.fullmatch(name) is not None or any(
            self._is_list(name, part) for part in LISTS)

    def _from_zip(self, request: Request, archive: Path) -> Corpus:
        places = zips.stored_places(archive, self._audio,
                                    container_name(request.data_dir, archive))
        if not places:
            raise InputError(f"{archive} holds no audio of {self.release.name}: "
                             f"download it again from {DOWNLOAD}")
        parts = {}
        for part in (part for part in LISTS if part in places):
            member = zips.find(archive, partial(self._is_list, part=part))
            if member is None:
                raise InputError(f"{archive} lacks the protocol {self._list(part)}: "
                                 f"download it again from {DOWNLOAD}")
            table = f"{archive} ({member})"
            parts[part] = Part(table, partial(_read_zipped, table, archive, member),
                               partial(Files, places[part]))
        name = self.release.name
        return Corpus(name, describe(name, parts, LISTS), self.layout, archive.name, parts,
                      (archive,))


def _read_zipped(name: str, archive: Path, member: str) -> Iterator[ProtocolLine]:
    yield from read_protocol(name, io.BytesIO(zips.content(archive, member)))


LA = Access("LA", "asvspoof2019")
PA = Access("PA", "asvspoof2019_pa")
