"""Lists of recordings, and other ways to name them, handed to the inference."""
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.robustness.everyday.making.case import Case, Check, Seen, ends, says
from tests.robustness.everyday.making.sound import MODEL, fake, real, written

INFER = "utils/simplified_inference.py"
JUDGE = ("--json", "--threads", "1", "--model", str(MODEL), "--input_file")
NAMES = ("real.wav", "fake.wav")


def cases() -> Iterator[Case]:
    yield from _encodings()
    yield from _spellings()
    yield from _kinds_of_lists()
    yield from _arguments()


def judged(*names: str) -> Check:
    """Exactly these files are judged."""
    def holds(seen: Seen) -> bool:
        records = [json.loads(line) for line in seen.out.splitlines() if line.startswith("{")]
        return sorted(Path(record["file"]).name for record in records
                      if record["score"] is not None) == sorted(names)
    return Check(f"{len(names)} judged", holds)


def _recordings(folder: Path, names: tuple[str, ...] = NAMES) -> None:
    for name, wave in zip(names, (real(), fake())):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(wave))


def _list(content: bytes | Callable[[Path], str], name: str = "list.txt",
          files: tuple[str, ...] = NAMES) -> Callable[[Path], list[str]]:
    """Makes recordings and a list of them."""
    def make(folder: Path) -> list[str]:
        _recordings(folder, files)
        written_list = content if isinstance(content, bytes) else content(folder).encode()
        (folder / name).write_bytes(written_list)
        return [*JUDGE, name]
    return make


def _case(name: str, make: Callable[[Path], list[str]], *checks: Check, row: str = "",
          wish: bool = False) -> Case:
    return Case("lists", name, make, checks, row, wish, INFER)


def _encodings() -> Iterator[Case]:
    both = (ends(0), judged(*NAMES))
    text = "real.wav\nfake.wav\n"
    for name, content, row in (
            ("UTF-16, little-endian", text.encode("utf-16"), "76"),
            ("UTF-16, big-endian", b"\xfe\xff" + text.encode("utf-16-be"), "76"),
            ("UTF-8 with mark", b"\xef\xbb\xbf" + text.encode(), ""),
            ("ends of lines of Windows", text.replace("\n", "\r\n").encode(), ""),
            ("ends of lines of old Macs", text.replace("\n", "\r").encode(), ""),
            ("no end of the last line", text[:-1].encode(), ""),
            ("comments and blank lines", f"# all\n\n{text}\n".encode(), "")):
        yield _case(name, _list(content), *both, row=row)
    accented = ("real.wav", "st\u00e9.wav")
    yield _case("UTF-16 with an accent", _list("real.wav\nst\u00e9.wav\n".encode("utf-16"),
                                               files=accented), ends(0), judged(*accented))
    yield _case("latin-1", _list("real.wav\nst\u00e9.wav\n".encode("latin-1"), files=accented),
                ends(0), judged(*accented), row="78", wish=True)
    for name, encoding in (("UTF-32", "utf-32"), ("UTF-16 without its mark", "utf-16-le")):
        yield _case(name, _list(text.encode(encoding)), Check(
            "read, or told to save it as UTF-8",
            lambda seen: judged(*NAMES).holds(seen) or "UTF-8" in seen.said))


    for encoding, name in (("cp850", "gr\u00fc\u00dfe"), ("cp437", "st\u00e9"),
                           ("mac_roman", "st\u00e9"), ("cp1250", "g\u0142os"),
                           ("cp1251", "\u0433\u043e\u043b\u043e\u0441"),
                           ("cp866", "\u0433\u043e\u043b\u043e\u0441"),
                           ("gb18030", "\u5f55\u97f3"), ("big5", "\u9304\u97f3"),
                           ("shift_jis", "\u97f3\u58f0"), ("euc_kr", "\uc74c\uc131")):
        files = ("real.wav", f"{name}.wav")
        yield _case(encoding, _list("".join(f"{file}\n" for file in files).encode(encoding),
                                    files=files), ends(0), judged(*files))
    yield _case("a name in no known encoding", _list(b"\xff\xfe\xfd.wav\n", "list.lst"), ends(1),
                says("UTF-8|not audio", "told to save the list as UTF-8"))
    yield _case("the end mark of old texts", _list(text.encode() + b"\x1a"), *both)


def _spellings() -> Iterator[Case]:
    both = (ends(0), judged(*NAMES))
    for name, line, row in ((".\\ in front", ".\\{}", "78"), ("./ in front", "./{}", ""),
                            ("quotes", '"{}"', ""), ("single quotes", "'{}'", ""),
                            ("quotes of a word processor", "\u201c{}\u201d", ""),
                            ("no-break space at the end", "{}\u00a0", "78"),
                            ("blanks around", "  {}\t", ""), ("comma at the end", "{},", "")):
        yield _case(name, _list(lambda folder, line=line: "".join(
            line.format(file) + "\n" for file in NAMES)), *both, row=row, wish=row == "78")
    for name, content in (
            ("several on a line, commas", "real.wav, fake.wav\n"),
            ("several on a line, blanks", "real.wav fake.wav\n"),
            ("several on a line, quotes", "['real.wav', 'fake.wav']\n"),
            ("two columns of files", "enrolled|tested|same\nreal.wav|fake.wav|no\n"),
            ("a manifest in JSON", '{"audio_filepath": "real.wav", "duration": 3.5}\n'
                                   '{"audio_filepath": "fake.wav", "duration": 4.1}\n'),
            ("Excel's line above a table", "sep=;\nfile;label\nreal.wav;x\nfake.wav;y\n")):
        yield _case(name, _list(content.encode(), "list.csv"), *both)
    below = ("a b/real.wav", "a b/fake.wav")
    yield _case("backslashes between folders", _list(lambda folder: "".join(
        file.replace("/", "\\") + "\n" for file in below), files=below), *both, wish=True)
    yield _case("file://", _list(lambda folder: "".join(
        (folder / file).as_uri() + "\n" for file in NAMES)), *both, row="78", wish=True)
    yield _case("absolute paths", _list(lambda folder: "".join(
        f"{folder / file}\n" for file in NAMES)), *both)
    yield _case("a word behind", _list(b"real.wav bonafide\nfake.wav spoof\n"), *both)
    yield _case("marks that nobody sees", _list("\u202areal.wav\u202c\n\u200bfake.wav\n".encode()),
                *both)
    yield _case("a folder", _list(b"deep\n", files=("deep/real.wav", "deep/fake.wav")), *both)
    yield _case("the same in other words", _list(b"real.wav\n./real.wav\nfake.wav\n"), *both)
    yield _case("a line that names nothing", _list(b"real.wav\ngone.wav\n"), ends(1),
                judged("real.wav"), says("gone.wav", "the missing file named"))


def _kinds_of_lists() -> Iterator[Case]:
    told = Check("read, or told that lists end in .txt",
                 lambda seen: judged(*NAMES).holds(seen) or ".txt" in seen.said)
    for name, content, row in (("list.csv", "file,label\nreal.wav,x\nfake.wav,y\n", "79"),
                               ("list.scp", "u1 real.wav\nu2 fake.wav\n", "79"),
                               ("list.m3u", "#EXTM3U\nreal.wav\nfake.wav\n", "79"),
                               ("list.lst", "real.wav\nfake.wav\n", "79"),
                               ("list.m3u8", "#EXTM3U\nreal.wav\nfake.wav\n", ""),
                               ("list.tsv", "real.wav\tx\nfake.wav\ty\n", ""),
                               ("list", "real.wav\nfake.wav\n", ""),
                               ("LIST.TXT", "real.wav\nfake.wav\n", "")):
        yield _case(name, _list(content.encode(), name), told, row=row, wish=bool(row))


def _arguments() -> Iterator[Case]:
    def named(*words: str, files: tuple[str, ...] = NAMES) -> Callable[[Path], list[str]]:
        def make(folder: Path) -> list[str]:
            _recordings(folder, files)
            return [*JUDGE, *words]
        return make
    both = (ends(0), judged(*NAMES))
    yield _case("*.wav, as cmd.exe leaves it", named("*.wav"), *both, row="80", wish=True)
    yield _case("a folder and *", named("deep/*/*.wav", files=("deep/a/real.wav",
                                                               "deep/b/fake.wav")), *both,
                wish=True)
    yield _case("a star that matches nothing", named("*.mp3"), ends(1))
    yield _case("a name that has brackets", named("a[1].wav", files=("a[1].wav", "b.wav")), ends(0),
                judged("a[1].wav"))
    yield _case("https://", named("https://example.org/a.wav"), ends(1),
                says("download", "told to download it"), row="80", wish=True)
    yield _case("a folder with an end in a slash", named("deep/", files=(
        "deep/a/real.wav", "deep/b/fake.wav")), *both)
    yield _case("U+202F in the name", named("3.05\u202fPM.wav", files=("3.05\u202fPM.wav",
                                                                      "b.wav")), ends(0),
                judged("3.05\u202fPM.wav"))
