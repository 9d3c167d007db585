"""Published corpora that differ in little but the columns and the folders of their lists."""
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from utils.common.errors import InputError
from utils.common.text import cells, lines_of, read_text
from utils.corpora.release import Release, Subset
from utils.trials.labels import UNKNOWN, Labels
from utils.trials.releases import ProtocolLine

PARTS = ("train", "dev", "eval")
KEYS = {"bona-fide": "bonafide", "spoof": "spoof", "real": "bonafide", "fake": "spoof"}
ONE_ATTACK = "spoof"         # where the systems are unknown
REAL = "a00"                 # SpoofCeleb's word for real speech in place of an attack
CODECFAKE_TESTS = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "A1", "A2", "A3")
# Codecfake names its files after those of VCTK and AISHELL-3, a fake one with F01_ to F07_ before
CODECFAKE_SPEAKER = re.compile(r"(?:F\d\d_)?(p\d{3}|SSB\d{4})")

Describe = Callable[..., Labels | None]


def _read(describe: Describe, separator: str | None, header: bool,
          path: Path) -> Iterator[ProtocolLine]:
    """The utterances of a list of three columns, which `describe` turns into labels, or None."""
    for number, line in lines_of(read_text(path))[header:]:
        values = cells(line, separator)
        labels = describe(*values) if len(values) == 3 else None
        if labels is None:
            raise InputError(f"{path}, line {number} is not like the others: {line[:80]!r}. "
                             "Download the list again")
        yield ProtocolLine(values[0], labels)


def _in_the_wild(_: str, speaker: str, label: str) -> Labels | None:
    if label not in KEYS:
        return None
    attack = ONE_ATTACK if label == "spoof" else UNKNOWN
    return Labels(speaker=speaker or UNKNOWN, key=KEYS[label], attack=attack)


def _spoofceleb(_: str, speaker: str, attack: str) -> Labels:
    if attack == REAL:
        return Labels(speaker=speaker, key="bonafide")
    return Labels(speaker=speaker, key="spoof", attack=attack)


def _codecfake(name: str, label: str, codec: str) -> Labels | None:
    if label not in KEYS:
        return None
    speaker = match[1] if (match := CODECFAKE_SPEAKER.match(name)) else UNKNOWN
    attack = UNKNOWN if label == "real" else f"C{codec}" if codec.isdecimal() else codec
    return Labels(speaker=speaker, key=KEYS[label], attack=attack)


IN_THE_WILD = Release(
    "In-the-Wild", "in_the_wild", (Subset("train", "meta.csv", "."),),
    "download In-the-Wild from https://deepfake-total.com/in_the_wild and unpack it into this "
    "folder", re.compile(r'"?file"?,"?speaker"?,"?label"?'),
    partial(_read, _in_the_wild, ",", True))
DECRO = Release(
    "DECRO", "decro", tuple(Subset(part, f"{language}_{part}.txt", f"{language}_{part}")
                            for part in PARTS for language in ("en", "ch", "zh")),
    "download DECRO from https://zenodo.org/records/7603208 and unpack it into this folder",
    re.compile(r"\S+ \S+ \S+ \S+ (?:bonafide|spoof)"), ending=".wav", prefixed=True)
SPOOFCELEB = Release(
    "SpoofCeleb", "spoofceleb",
    tuple(Subset(part, f"metadata/{name}.csv", f"flac/{name}")
          for part, name in zip(PARTS, ("train", "development", "evaluation"))),
    "download SpoofCeleb from https://jungjee.github.io/spoofceleb and unpack it into this folder",
    re.compile("file,speaker,attack"), partial(_read, _spoofceleb, ",", True))
CODECFAKE = Release(
    "Codecfake", "codecfake",
    (Subset("train", "label/train.txt", "train"), Subset("dev", "label/dev.txt", "dev"),
     Subset("dev", "label/val.txt", "val"),
     *(Subset("eval", f"label/{name}.txt", f"test/{name}") for name in CODECFAKE_TESTS)),
    "download Codecfake as https://github.com/xieyuankun/Codecfake says, with its labels",
    re.compile(r"\S+ (?:real|fake) \S+"), partial(_read, _codecfake, None, False),
    prefixed=True)
