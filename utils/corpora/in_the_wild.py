"""In-the-Wild: recordings beside a meta.csv with the columns file, speaker and label."""
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from utils.archives.index import Place, container_name
from utils.common.errors import InputError
from utils.common.text import cells, lines_of, read_text
from utils.corpora.corpus import Corpus, Files, Part, Request
from utils.corpora.tree import files_in, folders_below, has_audio_suffix
from utils.trials.labels import UNKNOWN, Labels
from utils.trials.releases import ProtocolLine

DOWNLOAD = "https://deepfake-total.com/in_the_wild"
LIST = "meta.csv"
HEADER = ["file", "speaker", "label"]
KEYS = {"bona-fide": "bonafide", "spoof": "spoof"}
ATTACK = "spoof"      # its systems are unknown


def is_there(raw_dir: Path) -> bool:
    """Whether a folder of data/raw, at any depth, holds a meta.csv with In-the-Wild's columns."""
    return _home(raw_dir) is not None


def find(request: Request) -> Corpus:
    """The In-the-Wild in data/raw, as one part. `InputError` where there is none."""
    home = _home(request.raw_dir)
    if home is None:
        raise InputError(f"no {LIST} with the columns {', '.join(HEADER)} was found in "
                         f"{request.raw_dir}: download In-the-Wild from {DOWNLOAD} and unpack it "
                         "into this folder")
    part = Part(str(home / LIST), partial(_lines, home / LIST),
                partial(_files, home, container_name(request.data_dir, home)))
    found = f"{home.relative_to(request.data_dir).as_posix()}/{LIST}"
    return Corpus("In-the-Wild", "In-the-Wild", "in_the_wild", found, {"train": part})


def _home(raw_dir: Path) -> Path | None:
    return next((folder for folder in folders_below(raw_dir) if _is_home(folder)), None)


def _is_home(folder: Path) -> bool:
    if not (folder / LIST).is_file():
        return False
    with open(folder / LIST, "rb") as file:
        first = file.readline(200).removeprefix(b"\xef\xbb\xbf")
    return cells(first.decode("latin-1").strip(), ",") == HEADER


def _lines(path: Path) -> Iterator[ProtocolLine]:
    for number, line in lines_of(read_text(path))[1:]:
        row = cells(line, ",")
        if len(row) != len(HEADER) or row[2] not in KEYS:
            raise InputError(f"{path}, line {number} is not FILE,SPEAKER,bona-fide or "
                             "FILE,SPEAKER,spoof: download it again")
        name, speaker, label = row
        attack = ATTACK if label == "spoof" else UNKNOWN
        yield ProtocolLine(name, Labels(speaker=speaker or UNKNOWN, key=KEYS[label],
                                        attack=attack))


def _files(home: Path, container: str) -> Files:
    return Files({name: Place(f"{container}/{name}", 0, (home / name).stat().st_size)
                  for name in files_in(home) if has_audio_suffix(name)})
