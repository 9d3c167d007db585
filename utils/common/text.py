"""Text and tables as computers write them: UTF-8, UTF-16, UTF-32 and Windows' western letters."""
import codecs
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import reading

# the longer marks first: that of UTF-32 begins with that of UTF-16
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"),
         (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF16_LE, "utf-16-le"),
         (codecs.BOM_UTF16_BE, "utf-16-be"))
WESTERN = "cp1252"           # latin-1 and Windows' additions
SEPARATORS = ("\t", ";", "|", ",")
QUOTED = re.compile(r'"(?:[^"]|"")*"')
FOLDERS = re.compile(r"folders [0-9a-f]{12}")      # a corpus of folders, named by a checksum


def counted(count: int, what: str) -> str:
    """A number of things in words; `what` is one of them."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def readable_corpora(text: str) -> str:
    """`text` with "folders of recordings" for each corpus of folders, whose name is a checksum."""
    return FOLDERS.sub("folders of recordings", text)


def read_text(path: Path, western: bool = True) -> str:
    """The text of a file, as `decoded` reads it; `InputError` if it cannot be read."""
    with reading(path):
        return decoded(path.read_bytes(), str(path), western)


def decoded(data: bytes, name: str, western: bool = True) -> str:
    """The text of `data`, without its byte order mark; `name` stands in messages.

    Bytes that are not UTF-8 are read as western letters if `western`. `InputError` names the
    first line that is no text.
    """
    mark, encoding = next((pair for pair in MARKS if data.startswith(pair[0])), (b"", "utf-8"))
    body = data[len(mark):]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        try:
            text = "\0" if mark else body.decode(WESTERN if western else "utf-8")
        except UnicodeDecodeError:
            line = body.count(b"\n", 0, error.start) + 1
            raise InputError(f"{name}, line {line} is not UTF-8 text: "
                             "save the file as UTF-8") from error
    if (at := max(text.find("\0"), text.find("\ufeff"))) >= 0:
        line = text.count("\n", 0, at) + 1
        raise InputError(f"{name} is not a text file, as line {line} shows: "
                         "check the path, or save the file as UTF-8")
    return text


def lines_of(text: str) -> list[tuple[int, str]]:
    """The number of each line, from 1, and its text; blank lines are left out."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


@lru_cache
def _cells(separator: str) -> re.Pattern:
    mark = re.escape(separator)
    return re.compile(rf"({QUOTED.pattern}(?={mark})|[^{mark}]*){mark}")


def cells(line: str, separator: str | None) -> list[str]:
    """The values of a line; quotes as Excel writes them are undone. None: blanks and tabs."""
    if separator is None:
        return re.findall(r"[^ \t]+", line)
    # one more separator, so that every value ends in one
    return [unquoted(value) for value in _cells(separator).findall(line + separator)]


def unquoted(value: str) -> str:
    """A value without the quotes that Excel puts round it; other values are returned unchanged."""
    return value[1:-1].replace('""', '"') if QUOTED.fullmatch(value) else value


def quoted(value: str) -> str:
    """A value written so that `unquoted` returns it."""
    return '"' + value.replace('"', '""') + '"' if unquoted(value) != value else value


def fits_in_line(name: str) -> bool:
    """Whether a name has no control characters and no ends of lines; other blanks are allowed."""
    return not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)


def same_name(name: str) -> str:
    """What equal names share: composed letters, plain blanks, "/", small letters, no "./"."""
    plain = "".join(" " if unicodedata.category(c) == "Zs" else c for c in name)
    plain = unicodedata.normalize("NFC", plain).replace("\\", "/").strip().lower()
    return plain.removeprefix("./")


def without_ending(name: str, endings: Collection[str]) -> str:
    """A name without its ending, if that is one of `endings` (".wav")."""
    stem, dot, ending = name.rpartition(".")
    return stem if (dot + ending).lower() in endings else name
