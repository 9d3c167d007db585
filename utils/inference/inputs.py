"""Which recordings the inputs name: files, folders and lists of paths, each file once, in order."""
import contextlib
import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from functools import lru_cache
from glob import glob, has_magic
from itertools import chain, islice
from pathlib import Path
from urllib.parse import urlsplit

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError
from utils.common.text import (SEPARATORS, WESTERN, cells, counted, decoded, lines_of,
                               same_name, unquoted, without_ending)

STDIN = "-"         # in place of a path: what comes through a pipe
LIST_SUFFIXES = (".txt", ".lst", ".list", ".csv", ".tsv", ".scp", ".m3u", ".m3u8")
TABLES = (".csv", ".tsv")
LIST_HEAD = 4096    # bytes of a list that show whether it is text
CONTROLS = bytes({*range(32)} - {*b"\t\r\n"})     # not in text; recordings are full of them
NO_NAMES = ("#", "sep=")      # how comments begin, and what Excel writes above a table
IN_QUOTES = re.compile(r'"([^"]+)"|\'([^\']+)\'')
# of lists that are not UTF-8: what names an existing file was meant
ENCODINGS = (WESTERN, "cp850", "cp437", "mac_roman", "cp1250", "cp1251", "cp866", "gb18030",
             "shift_jis", "big5", "euc_kr")
UTF_16 = (BOM_UTF16_LE, BOM_UTF16_BE)       # also how UTF-32 begins
UNSEEN = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"    # Windows copies some
URL = re.compile(r"(?!file:)[a-z]{2,}[a-z0-9+.-]*://", re.IGNORECASE)


def expand(inputs: list[str]) -> tuple[list[str], int]:
    """(paths, left out): all recordings, and how many other files lie in the folders.

    A folder stands for the files below it with an audio or video suffix, sorted, without hidden
    ones. A folder that cannot be opened stands for itself, so its record says why it failed. A
    text file with a suffix of lists is one, a path per line, relative to the current folder or to
    the list's; a folder in it stands for its recordings. Blank lines and lines that begin with #
    are skipped. A pattern such as *.wav stands
    for what matches it. Any other path stands for itself; "-" does, and stands alone. Raises
    `InputError` for an address on the network, a folder without recordings, an empty list, and a
    list without existing files.
    """
    if STDIN in inputs:
        return [STDIN], 0
    found: dict[str, str] = {}
    left_out = 0
    given = (name for pattern in inputs for name in _matching(pattern))
    for name in (name for one in given for name in (_in_list(one) if _is_list(one) else [one])):
        chosen = [name]
        if os.path.isdir(name):
            chosen, others = _in_folder(name)
            left_out += others
        for path in chosen:
            found.setdefault(os.path.normpath(path), path)
    return list(found.values()), left_out


def _in_folder(folder: str) -> tuple[list[str], int]:
    """The recordings below a folder, and how many other files lie there."""
    refused: list[OSError] = []
    inside = sorted(_below(folder, refused))
    chosen = [path for path in inside if os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES]
    left_out = len(inside) - len(chosen)
    chosen += [str(error.filename) for error in refused]
    if not chosen:
        raise InputError(f"no recordings in {folder}: none of {counted(len(inside), 'file')} there "
                         "has an audio suffix such as .wav; to judge files with any suffix, name "
                         "each file")
    return chosen, left_out


def _below(folder: str, refused: list[OSError]) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=refused.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in files if not name.startswith("."))


def _matching(name: str) -> list[str]:
    """A path, or what a pattern stands for where the shell left it unexpanded, as cmd.exe does."""
    if URL.match(name):
        raise InputError(f"{name} is an address on the network: download it first, and name the "
                         "file")
    if os.path.exists(name) or not has_magic(name):
        return [name]
    found = sorted(glob(name, recursive=True))
    if not found:
        raise InputError(f"{name} matches no file: check the path")
    return found


def _is_list(name: str) -> bool:
    """Whether a file is a list: its suffix is one of lists, or it has none, and it is text."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix and suffix not in LIST_SUFFIXES or not os.path.isfile(name):
        return False
    try:
        with open(name, "rb") as file:
            head = file.read(LIST_HEAD)
    except OSError:
        return False
    if not suffix:
        return bool(head) and head.translate(None, delete=CONTROLS) == head
    if head.startswith(UTF_16):
        text = head[:len(head) // 4 * 4].decode("utf-16", "replace")
        return text.isascii() or any(c in text for c in "\r\n/\\.")
    without_mark = any(head) and not (any(head[::2]) and any(head[1::2]))    # of UTF-16
    return b"\0" not in head or without_mark


def _in_list(name: str) -> list[str]:
    path = Path(name)
    lines = _lines(path)
    lines = [line for _, line in lines if not line.lstrip().startswith(NO_NAMES)]
    if not lines:
        raise InputError(f"the list {path} names no files: write one path per line")
    found = [_named(path.parent, line) for line in lines]
    if not any(found):
        which = "line does not name" if len(lines) == 1 else f"{len(lines)} lines do not name"
        ascii_only = all(map(str.isascii, lines))
        advice = "check the paths" if ascii_only else "save the list as UTF-8, check the paths"
        raise InputError(f"{path} is text, so it was read as a list of recordings, one path per "
                         f"line, but its {which} any existing file: {advice}, or name the "
                         "recordings directly")
    if not found[0] and path.suffix.lower() in TABLES:      # the header
        del found[0], lines[0]
    return [name for names, line in zip(found, lines) for name in names or [line.strip()]]


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a list. Names that are not Unicode stay as the file system gives them."""
    data = path.read_bytes().rstrip(b"\x1a")       # Ctrl-Z ends texts of old
    if not data.startswith(UTF_16) and b"\0" not in data:
        return lines_of(os.fsdecode(data.removeprefix(BOM_UTF8)))
    return lines_of(decoded(data, str(path)))


def _named(folder: Path, line: str) -> list[str]:
    """The file that a line names, relative to the current folder or else to the list's.

    Several where the line is cut into values that name recordings.
    """
    if whole := _there(folder, line) or _there(folder, line.strip()):
        return [whole]
    for values in _cuts(line):
        found = [path for value in values if (path := _there(folder, value))
                 and os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES]
        if len(found) > 1:
            return found
    spellings = [*filter(None, _spellings(line))]
    exact = (path for spelling in spellings if (path := _there(folder, spelling)))
    alike = (path for spelling in spellings for name in (spelling, os.path.join(folder, spelling))
             if (path := _alike(name)))
    return [*islice(chain(exact, alike), 1)]


def _there(folder: Path, name: str) -> str | None:
    """A path that exists, as it stands or below the list's folder."""
    both = (name, os.path.join(folder, name)) if name else ()
    return next(filter(os.path.exists, both), None)


def _cuts(line: str) -> Iterator[list[str]]:
    """The values of a line: of a table, of JSON and other text in quotes, or words."""
    for mark in SEPARATORS:
        if mark in line:
            yield [cell.strip() for cell in cells(line, mark)]
    yield [one or other for one, other in IN_QUOTES.findall(line)]
    yield [word for word in line.split() if "." in word[1:]]


def _path_of(address: str) -> str:
    from urllib.request import url2pathname     # seldom needed, and loads TLS: 40 ms
    return url2pathname(urlsplit(address).path)


def _spellings(line: str) -> Iterator[str]:
    """A line as it stands, and what it names if it is an address, quoted, or a row of a table."""
    yield line
    line = line.strip().strip(UNSEEN).strip()
    *cuts, words = _cuts(line)
    for value in (line, *chain(*cuts), line.partition(" ")[2].strip(), line.rpartition(" ")[0],
                  line.partition("=")[2], *words):
        plain = unquoted(value)
        if len(plain) > 1 and plain[0] + plain[-1] in ("''", "\u201c\u201d", "\u2018\u2019"):
            plain = plain[1:-1]
        if plain.lower().startswith("file://"):
            plain = _path_of(plain)
        for text in dict.fromkeys((plain, plain.replace("\\", "/"))):
            yield text
            for encoding in () if text.isascii() else ENCODINGS:
                with contextlib.suppress(UnicodeError):
                    yield text.encode("utf-8", "surrogateescape").decode(encoding)


def _alike(name: str) -> str | None:
    """The one file whose name differs by capitals, blanks, the form of letters or the ending."""
    folder, base = os.path.split(name)
    if folder and not os.path.isdir(folder):
        folder = _alike(folder)
    if not base or folder is None or not os.path.isdir(folder or "."):
        return None
    alike, without = _inside(folder or ".")
    found = alike.get(same_name(base)) or without.get(_bare(base))
    return os.path.join(folder, found) if found else None


@lru_cache(maxsize=64)
def _inside(folder: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The names in a folder by `same_name`, and those of audio by `_bare`; None for several."""
    alike, without = {}, {}
    for name in os.listdir(folder):
        alike[same_name(name)] = None if same_name(name) in alike else name
        if without_ending(name, AUDIO_SUFFIXES) != name:
            without[_bare(name)] = None if _bare(name) in without else name
    return alike, without


def _bare(name: str) -> str:
    return without_ending(same_name(name), AUDIO_SUFFIXES)
