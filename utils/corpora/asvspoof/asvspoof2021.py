"""ASVspoof2021: its three evaluation sets with their keys, beside train and dev of 2019.

The challenge has no training data of its own. Its rules name that of ASVspoof2019.
"""
import re
from dataclasses import dataclass, replace
from pathlib import Path

from utils.corpora.asvspoof import asvspoof2019
from utils.corpora.corpus import Corpus, Request
from utils.corpora.release import Release, Subset

KEYS = "https://www.asvspoof.org/asvspoof2021"


@dataclass(frozen=True)
class Task:
    """An evaluation set, and the corpus that the rules train on."""
    kind: str                             # LA, DF or PA
    record: int                           # of Zenodo
    trained_on: asvspoof2019.Access

    @property
    def release(self) -> Release:
        """The evaluation set, which may lie in several folders, beside its key or apart."""
        kind = self.kind
        return Release(
            f"ASVspoof2021 {kind}", f"asvspoof2021_{kind.lower()}",
            (Subset("eval", "trial_metadata.txt", f"ASVspoof2021_{kind}_eval/flac"),),
            f"download the audio from https://zenodo.org/records/{self.record} and the keys from "
            f"{KEYS}/{kind}-keys-full.tar.gz, and unpack both into this folder",
            re.compile(rf"\S+ {kind}_E_\d+ .* (?:bonafide|spoof) .*"), ending=".flac", apart=True,
            not_in="ASV", keeps_sets=True)

    def is_there(self, raw_dir: Path) -> list[Path]:
        """The folders of audio of this set in data/raw; none where it is not there."""
        return self.release.is_there(raw_dir)

    def find(self, request: Request) -> Corpus:
        """This set as eval, and train and dev of ASVspoof2019 where data/raw holds them.

        `InputError` where the audio or its key is missing.
        """
        corpus = self.release.find(request)
        if not self.trained_on.is_there(request.raw_dir):
            return corpus
        earlier = self.trained_on.find(request)
        parts = {part: found for part, found in earlier.parts.items() if part != "eval"}
        if not parts:
            return corpus
        return replace(
            corpus, parts=parts | corpus.parts, archives=earlier.archives,
            description=f"{corpus.name} with {' and '.join(parts)} of {earlier.name}",
            found=f"{corpus.found}, and {' and '.join(parts)} of {earlier.name}")


LA = Task("LA", 4837263, asvspoof2019.LA)
DF = Task("DF", 4835108, asvspoof2019.LA)
PA = Task("PA", 4834716, asvspoof2019.PA)
