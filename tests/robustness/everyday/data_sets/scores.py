"""Score and key files of others, and our own read again."""
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.robustness.everyday.making.case import Case, Check, Seen, ends, says, silent_about
from utils.metrics.metrics import eer

EVALUATE = "utils/evaluate_model.py"
COUNT = 40
KEYS = ["bonafide", "spoof"] * (COUNT // 2)
VALUES = [f"{value + (2 if key == 'bonafide' else -2):.4f}" for key, value in zip(
    KEYS, 3 * np.random.default_rng(5).standard_normal(COUNT))]
NAMES = [f"LA_E_{1000000 + number}" for number in range(COUNT)]


def cases() -> Iterator[Case]:
    yield from _our_own()
    yield from _official_keys()
    yield from _other_scores()
    yield from _other_keys()


def reference_eer() -> float:
    """The EER of the trials, in percent."""
    wanted = {key: np.array([float(value) for value, own in zip(VALUES, KEYS) if own == key])
              for key in ("bonafide", "spoof")}
    return eer(wanted["bonafide"], wanted["spoof"])[0]


def read() -> tuple[Check, ...]:
    """Read, with every trial and the right EER."""
    def holds(seen: Seen) -> bool:
        try:
            figures = json.loads(seen.out)
        except ValueError:
            return False
        return abs(figures["eer"] - reference_eer()) < 1e-6
    return ends(0), Check("the right EER", holds)


def _files(scores: str | bytes, keys: str | bytes | None) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        words = ["--json", "--replicates", "0"]
        for name, content in (("scores", scores), ("keys", keys)):
            if content is not None:
                path = folder / f"{name}.txt"
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
                words += [f"--{name}", str(path)]
        return words
    return make


def _lines(*columns: list[str], head: str = "", between: str = " ") -> str:
    return "".join(f"{line}\n" for line in ([head] if head else []) + [
        between.join(values) for values in zip(*columns)])


SCORES = _lines(NAMES, VALUES)
PLAIN_KEYS = _lines(NAMES, KEYS)


def _case(name: str, make: Callable[[Path], list[str]], *checks: Check, row: str = "",
          wish: bool = False) -> Case:
    return Case("scores", name, make, checks, row, wish, EVALUATE)


def _our_own() -> Iterator[Case]:
    """scores.tsv and keys.tsv as this project writes them, of every legal name."""
    for name, pattern in (("plain names", "x{}"), ("names with blanks", "spoof/my voice {}.wav"),
                          ("U+202F", "3.05.{}\u202fPM"), ("no-break spaces", "a\u00a0{}"),
                          ("quotes", 'a "{}"'), ("a number sign first", "#{}"),
                          ("commas", "a, {}"), ("a quote first", "\"{}"),
                          ("ideographic space", "\u5f55\u3000{}")):
        names = [pattern.format(number) for number in range(COUNT)]
        yield _case(f"our own: {name}", _files(
            _lines(names, VALUES, head="filename\tcm-score", between="\t"),
            _lines(names, KEYS, head="filename\tcm-label", between="\t")), *read(),
                    row="108" if "blanks" in name else "")


def _official_keys() -> Iterator[Case]:
    speakers, many = ["LA_0001"] * COUNT, [[word] * COUNT for word in "- A07 notrim eval".split()]
    dash, attack, trim, phase = many

    def column(word: str) -> list[str]:
        return [word] * COUNT
    tails = {
        "2019 LA": (speakers, NAMES, dash, attack, KEYS),
        "2019 PA": (speakers, NAMES, column("aaa"), column("AA"), KEYS),
        "2021 LA": (speakers, NAMES, column("alaw"), column("ita_tx"), attack, KEYS, trim, phase),
        "2021 DF": (speakers, NAMES, column("nocodec"), column("asvspoof"), attack, KEYS, trim,
                    phase, column("traditional_vocoder"), dash, dash, dash, dash),
        "2021 PA": (speakers, NAMES, *map(column, "R3 M3 d4 r1 m1 s4 c4".split()), KEYS, trim,
                    phase),
        "Codecfake": (NAMES, [{"spoof": "fake"}.get(key, "real") for key in KEYS], column("1")),
        "ASVspoof 5": (speakers, NAMES, column("F"), dash, dash, dash, column("AC1"), attack, KEYS,
                       dash)}
    for name, columns in tails.items():
        yield _case(f"keys of {name}", _files(SCORES, _lines(*columns)), *read(),
                    row="111" if name == "2021 PA" else "")


def _other_scores() -> Iterator[Case]:
    paths = [f"flac/{name}.flac" for name in NAMES]
    differ = Check("read, or told that the names differ", lambda seen: all(
        check.holds(seen) for check in read()) or bool(seen.code == 1 and (
            "differ" in seen.err or "ending" in seen.err)))
    for name, names, row in (("names with .flac", [f"{name}.flac" for name in NAMES], "115"),
                             ("names with a path", paths, "115"),
                             ("names with .wav", [f"{name}.wav" for name in NAMES], ""),
                             ("names in small letters", [name.lower() for name in NAMES], ""),
                             ("names with backslashes", [f"flac\\{name}" for name in NAMES], "")):
        yield _case(name, _files(_lines(names, VALUES), PLAIN_KEYS), differ, row=row,
                    wish=bool(row))
    yield _case("commas", _files(_lines(NAMES, VALUES, between=","), PLAIN_KEYS), Check(
        "read, or told", lambda seen: all(check.holds(seen) for check in read())
        or "comma" in seen.err), row="116", wish=True)
    yield _case("commas and a header", _files(_lines(
        NAMES, VALUES, head="filename,score", between=","), PLAIN_KEYS), Check(
            "read, or told", lambda seen: all(check.holds(seen) for check in read())
            or "comma" in seen.err or "header" in seen.err), wish=True)
    negative = [f"{-float(value):.4f}" for value in VALUES]
    refused = (ends(1), silent_about("Traceback", "no traceback"))
    yield _case("two scores a line", _files(_lines(NAMES, negative, VALUES), PLAIN_KEYS), *refused,
                row="117", wish=True)
    yield _case("three columns with another word", _files(_lines(
        NAMES, ["x"] * COUNT, VALUES), PLAIN_KEYS), *refused, row="117", wish=True)
    yield _case("decimal commas", _files(_lines(
        NAMES, [value.replace(".", ",") for value in VALUES]), PLAIN_KEYS), Check(
            "read, or told", lambda seen: all(check.holds(seen) for check in read())
            or "comma" in seen.err))
    for head in ("utterance_id score", "ID cm_score", "audio_path score", "clip llr"):
        yield _case(f"the header {head}", _files(_lines(NAMES, VALUES, head=head), PLAIN_KEYS),
                    *read())
    yield _case("a number and a name", _files(_lines(
        list(map(str, range(COUNT))), NAMES, VALUES, head="id,filename,score", between=","),
        PLAIN_KEYS), *read())
    yield _case("name, score and key", _files(_lines(NAMES, VALUES, KEYS), None), *read())
    yield _case("name, score and key, beside keys", _files(_lines(NAMES, VALUES, KEYS), PLAIN_KEYS),
                *read())
    for name, change in (("a comment at the top", "# made by a program\n{}".format),
                         ("commas at the ends", lambda text: text.replace(" ", ",").replace(
                             "\n", ",\n")),
                         ("tabs at the ends", lambda text: text.replace("\n", "\t\n"))):
        yield _case(name, _files(change(SCORES), change(PLAIN_KEYS)), *read())
    yield _case("a header of other names", _files(_lines(
        NAMES, VALUES, head="file score_cm"), PLAIN_KEYS), Check(
            "read, or told", lambda seen: all(check.holds(seen) for check in read())
            or "header" in seen.err or "column" in seen.err))
    for name, encoding in (("UTF-16", "utf-16"), ("UTF-8 with BOM", "utf-8-sig")):
        yield _case(name, _files(SCORES.encode(encoding), PLAIN_KEYS.encode(encoding)), *read(),
                    row="76" if encoding == "utf-16" else "")
    yield _case("speaker verification scores of 2021", _asv, Check(
        "read, or told that the form of 2019 is read", lambda seen: not seen.code
        or "2019" in seen.err), row="112", wish=True)
    yield _case("a score missing", _files(_lines(NAMES[1:], VALUES[1:]), PLAIN_KEYS), ends(1),
                says(NAMES[0], "the trial named"))
    yield _case("not a number", _files(_lines(NAMES, ["nan", *VALUES[1:]]), PLAIN_KEYS), ends(1))


def _asv(folder: Path) -> list[str]:
    (folder / "asv.txt").write_text(_lines(
        [f"LA_00{number % 9}-alaw-ita_tx" for number in range(COUNT)],
        [f"{name}-alaw-ita_tx" for name in NAMES], VALUES))
    return [*_files(SCORES, PLAIN_KEYS)(folder), "--asv_scores", str(folder / "asv.txt")]


def _other_keys() -> Iterator[Case]:
    read_or_told = Check("read, or told the words", lambda seen: all(
        check.holds(seen) for check in read()) or bool(
            seen.code == 1 and "bonafide" in seen.err and "spoof" in seen.err))
    for words, row in ((("1", "0"), "116"), (("real", "fake"), "116"), (("bona-fide", "spoof"), ""),
                       (("Bonafide", "Spoof"), ""), (("human", "spoof"), ""),
                       (("genuine", "spoof"), ""), (("Human", "AI"), ""),
                       (("natural", "synthetic"), ""), (("original", "deepfake"), "")):
        keys = [words[key == "spoof"] for key in KEYS]
        yield _case(f"keys {words[0]} and {words[1]}", _files(SCORES, _lines(NAMES, keys)),
                    read_or_told, row=row, wish=bool(row))
