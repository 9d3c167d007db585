"""Protocols as people damage them, behind ASVspoof5's archive of audio."""
from collections.abc import Callable
from pathlib import Path

from tests.helpers.asvspoof5_archives import PROTOCOLS
from tests.helpers.hostile.case import ACCEPTED, REFUSED, Case, Material
from tests.helpers.hostile.archives import PROTOCOL, prepare

SPOOF = "D_0001 D_0009999999 F - - - AC1 A09 spoof -"
HEADER = "speaker_id flac_file_name gender codec q s t attack key tmp\n"


def _table(stuff: Material) -> list[str]:
    """The lines of the sound protocol."""
    import tarfile
    with tarfile.open(stuff.raw / PROTOCOL) as archive:
        return archive.extractfile(PROTOCOLS["D"]).read().decode().splitlines()


def _written(change: Callable[[list[str]], str | bytes]) -> Callable:
    """data/raw with the protocol as a file of its own, changed."""
    def make(stuff: Material, folder: Path) -> list[str]:
        command = prepare(stuff, folder)
        content = change(_table(stuff))
        raw = folder / "data" / "raw"
        (raw / PROTOCOL).unlink()
        content = content if isinstance(content, bytes) else content.encode()
        (raw / PROTOCOLS["D"]).write_bytes(content)
        return command
    return make


def _more(*lines: str) -> Callable:
    return _written(lambda table: "\n".join([*table, *lines]) + "\n")


def _saved(line_end: str = "\n", between: str = " ", mark: bytes = b"") -> Callable:
    def change(table: list[str]) -> bytes:
        return mark + (line_end.join(table) + line_end).replace(" ", between).encode()
    return _written(change)


def cases() -> list[Case]:
    """The cases of this module."""
    refused = [
        ("nine columns", _more("T_1 T_2 F - - - AC3 A05 spoof"), "has 9 columns"),
        ("number of columns changes", _more("D_0001 D_0009999999 F - A09 spoof"),
         "but earlier lines have 10"),
        ("unknown key", _more(SPOOF.replace("spoof", "fake")), "has the key 'fake'"),
        ("key in capitals", _more(SPOOF.replace("spoof", "SPOOF")), "has the key 'SPOOF'"),
        ("utterance twice", _written(lambda table: "\n".join([*table, table[0]])),
         "repeats the utterance"),
        ("bona fide with an attack", _more(SPOOF.replace("spoof", "bonafide")), "a contradiction"),
        ("spoof without an attack", _more(SPOOF.replace("A09", "-")), "a contradiction"),
        ("path as a name", _more(SPOOF.replace("D_0009999999", "../../etc/passwd")),
         "is not a valid name"),
        ("one class only",
         _written(lambda table: "\n".join(line for line in table if "spoof" in line)),
         "one class|cannot be split"),
        ("no line", _written(lambda table: ""), "lists no utterances"),
        ("blank lines only", _written(lambda table: "\n\n \n"), "lists no utterances"),
        ("header only", _written(lambda table: HEADER), "lists no utterances"),
        ("UTF-16", _written(lambda table: "\n".join(table).encode("utf-16")), "not UTF-8"),
        ("Latin-1", _written(lambda table: "\n".join(table).replace("D_0001", "Zo\xeb", 1)
                             .encode("latin-1")), "not UTF-8"),
        ("NUL byte", _more(SPOOF.replace("D_0009999999", "D_\0")), "is not a valid name"),
        ("line of a megabyte", _written(lambda table: "x" * (1 << 20)), "longer than"),
        ("comma-separated", _saved(between=","), "has 1 columns"),
        ("no file of it exists", _written(lambda table: "\n".join(table).replace(" D_0", " D_9")),
         "of the same release"),
    ]
    found = "36 of 36 listed utterances found"
    accepted = [("CRLF", _saved(line_end="\r\n"), found),
                ("byte order mark", _saved(mark=b"\xef\xbb\xbf"), found),
                ("tabs", _saved(between="\t"), found),
                ("CRLF, tabs and a byte order mark", _saved("\r\n", "\t", b"\xef\xbb\xbf"),
                 found),
                ("one missing file", _more(SPOOF), "36 of 37 listed utterances found")]
    return ([Case("protocol", name, make, REFUSED, words) for name, make, words in refused]
            + [Case("protocol", name, make, ACCEPTED, words) for name, make, words in accepted])
