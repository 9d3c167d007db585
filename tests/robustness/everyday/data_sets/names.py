"""Lists and names as computers write them, and the same sound twice."""
import contextlib
import io
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.robustness.everyday.making.case import Case, Check, ends, says
from tests.robustness.everyday.data_sets.data import (PREPARE, Fill, Tree, every_subset, filled,
                                                      in_all, stops)
from utils import prepare_dataset

NNBSP, NBSP = "\u202f", "\u00a0"
HEAD = ("utterance", "key", "attack")


def cases() -> Iterator[Case]:
    yield from _listed()
    yield from _named()
    yield from _twice()


def _case(kind: str, name: str, fill: Fill, *checks: Check, row: str = "",
          wish: bool = False) -> Case:
    return Case(kind, name, filled(fill), checks, row, wish, PREPARE)


def _list(write: Callable[[str], str] = str, file: Callable[[int], str] = "x{}.flac".format,
          encoding: str = "utf-8", separator: str = "\t", end: str = "\n") -> Fill:
    """data/raw/mine/trials.tsv with 24 lines; `write` changes each name of `file`."""
    def fill(tree: Tree) -> None:
        lines = [separator.join(HEAD)]
        for number in range(24):
            key = ("bonafide", "spoof")[number % 2]
            tree.speech(key, f"mine/{file(number)}")
            lines.append(separator.join((write(file(number)), key, "-" if number % 2 == 0
                                         else "A1")))
        tree.put("mine/trials.tsv", (end.join(lines) + end).encode(encoding))
    return fill


def _listed() -> Iterator[Case]:
    whole = (ends(0), in_all(12, 12), every_subset())
    below = "sub/x{}.flac".format
    for name, fill, row in (
            ("backslashes", _list(lambda name: name.replace("/", "\\"), below), "100"),
            ("./ in front", _list("./{}".format), "100"),
            (".\\ in front", _list(".\\{}".format), ""),
            ("folder's own name in front", _list("mine/{}".format), ""),
            ("other ending", _list(lambda name: name.replace(".flac", ".wav")), ""),
            ("other case", _list(str.upper), ""),
            ("UTF-16", _list(encoding="utf-16"), "76"),
            ("UTF-8 with BOM", _list(encoding="utf-8-sig"), ""),
            ("commas", _list(separator=","), ""), ("semicolons", _list(separator=";"), ""),
            ("ends of lines of Windows", _list(end="\r\n"), ""),
            ("Excel's quotes", _list(lambda name: '"' + name.replace('"', '""') + '"',
                                     'John, "the voice" {}.flac'.format), "106"),
            ("Excel's quotes, commas", _list('"{}"'.format, "John, {}.flac".format, separator=","),
             ""),
            ("blanks in names", _list(file="my voice {}.flac".format), ""),
            ("no-break space at the end", _list(lambda name: name + NBSP), ""),
            ("U+202F in names", _list(file=f"Recording 3.05.{{}}{NNBSP}PM.flac".format), "103"),
            ("letters composed, listed decomposed", _list(
                lambda name: unicodedata.normalize("NFD", name), "vo\u00efx{}.flac".format), ""),
            ("letters decomposed, listed composed", _list(
                lambda name: unicodedata.normalize("NFC", name), "voi\u0308x{}.flac".format), "")):
        yield _case("own lists", name, fill, *whole, row=row)

    yield _case("own lists", "latin-1", _list(
        file="st\u00e9{}.flac".format, encoding="latin-1"), stops("UTF-8", "told to save as UTF-8"))

    def absolute(tree: Tree) -> None:
        _list(lambda name: str(tree.raw / "mine" / name))(tree)
    yield _case("own lists", "absolute paths", absolute, *whole)
    yield _case("own lists", "a line that names nothing", lambda tree: (
        _list()(tree), tree.put("mine/trials.tsv", (tree.raw / "mine/trials.tsv").read_text()
                                + "gone.flac\tspoof\tA1\n")),
                ends(0), in_all(12, 12), says("gone", "the missing file named"))


def _named() -> Iterator[Case]:
    whole = (ends(0), in_all(12, 12))
    for name, file in (("U+202F, as macOS names recordings", f"Recording 3.05.{{}}{NNBSP}PM.wav"),
                       ("no-break spaces", f"a{NBSP}{{}}.wav"), ("decomposed", "e\u0301{}.wav"),
                       ("emoji", "\U0001f600{}.wav"), ("quotes and commas", "a, \"b\" {}.wav"),
                       ("Chinese", "\u5f55\u97f3{}.wav"), ("percent", "100%{}.wav"),
                       ("leading dash", "-{}.wav"), ("zero-width space", "a\u200b{}.wav")):
        yield _case("names", name, lambda tree, file=file: (
            tree.many("bonafide", f"bonafide/{file}", 12), tree.many("spoof", f"spoof/{file}", 12)),
                    *whole, row="103" if "U+202F" in name else "")


def _twice() -> Iterator[Case]:
    """Recordings of equal content are found wherever they lie."""
    same = says("same|equal|identical|duplicate|twice", "the copies told")

    def under_both(tree: Tree) -> None:
        tree.many("bonafide", "bonafide/r{}.wav", 12)
        tree.many("spoof", "spoof/f{}.wav", 12)
        tree.put("spoof/copy.wav", (tree.raw / "bonafide/r0.wav").read_bytes())
    yield _case("twice", "under both keys", under_both, same, row="96")

    def in_sets(tree: Tree, count: int = 6) -> None:
        for part in ("train", "dev", "eval"):
            tree.many("bonafide", f"{part}/bonafide/{part}{{}}.wav", 6)
            tree.many("spoof", f"{part}/spoof/{part}{{}}.wav", 6)
        for number in range(count):
            source = tree.raw / f"train/spoof/train{number}.wav"
            tree.put(f"eval/spoof/other name {number}.wav", source.read_bytes())
    yield _case("twice", "train and eval share six", in_sets, same, stops("eval", "refused"),
                row="96")
    yield _case("twice", "train and eval share one", lambda tree: in_sets(tree, 1), same,
                stops("eval", "refused"))

    def all_three(tree: Tree) -> None:
        for part in ("train", "val", "test"):
            tree.used = dict.fromkeys(tree.used, 0)
            tree.many("bonafide", f"{part}/real/{part}{{}}.wav", 8)
            tree.many("spoof", f"{part}/fake/{part}{{}}.wav", 8)
    yield _case("twice", "the same in all three sets", all_three, same, ends(1), row="96")

    def other_container(tree: Tree) -> None:
        tree.many("bonafide", "train/bonafide/{}.wav", 8)
        tree.many("spoof", "train/spoof/{}.wav", 8)
        tree.used["spoof"] = 0
        tree.many("bonafide", "test/bonafide/{}.wav", 4)
        tree.many("spoof", "test/spoof/{}.flac", 4)

    def prepared(folder: Path) -> list[str]:
        command = filled(other_container)(folder)
        with contextlib.redirect_stdout(io.StringIO()):
            prepare_dataset.main(command)
        return [*command, "--workers", "1"]
    yield Case("twice", "as WAV in train, as FLAC in test: when they are decoded", prepared, (
        same, ends(1)), command="utils/preprocess_data.py")

    def within(tree: Tree) -> None:
        tree.many("bonafide", "bonafide/r{}.wav", 12)
        tree.many("spoof", "spoof/f{}.wav", 12)
        for number in range(3):
            tree.put(f"bonafide/copy{number}.wav", (tree.raw / "bonafide/r0.wav").read_bytes())
    yield _case("twice", "copies in one pair", within, ends(0), same)
