"""Folders that people have: their own words and sets, and real speech of published corpora."""
from collections.abc import Iterator

from tests.robustness.everyday.making.case import Case, Check, ends, says
from tests.robustness.everyday.data_sets.data import (PREPARE, Fill, Tree, every_subset, filled,
                                                      has_labels, in_all, in_subset, not_instead,
                                                      stops, used_or_told, zipped)

WORDS = (("real", "fake", "82"), ("Bonafide", "Spoof", "90"), ("genuine", "spoofed", "90"),
         ("human", "ai", "90"), ("Real", "Fake", ""), ("REAL", "FAKE", ""),
         ("bona-fide", "spoof", ""), ("bona_fide", "spoof", ""), ("genuine", "deepfake", ""),
         ("original", "generated", ""), ("authentic", "synthetic", ""))
RARE_WORDS = (("human", "tts"), ("real", "cloned"), ("Real_Audio", "Fake_Audio"),
              ("reals", "fakes"), ("real_voices", "fake_voices"), ("bonafide", "synthesized"),
              ("0_real", "1_fake"), ("RealVoices", "FakeVoices"), ("realaudio", "fakeaudio"))
MANY = 12


def cases() -> Iterator[Case]:
    yield from _words()
    yield from _unknown()
    yield from _kept()
    yield from _joined()
    yield from _speakers()


def _case(kind: str, name: str, fill: Fill, *checks: Check, row: str = "",
          wish: bool = False) -> Case:
    return Case(kind, name, filled(fill), checks, row, wish, PREPARE)


def _pair(real: str, fake: str, below: str = "", ending: str = "wav") -> Fill:
    def fill(tree: Tree) -> None:
        tree.many("bonafide", f"{below}{real}/r{{}}.{ending}", MANY)
        tree.many("spoof", f"{below}{fake}/f{{}}.{ending}", MANY)
    return fill


def _words() -> Iterator[Case]:
    checks = (ends(0), in_all(MANY, MANY), every_subset())
    for real, fake, row in WORDS:
        yield _case("own folders", f"{real}/ and {fake}/", _pair(real, fake), *checks, row=row)
    for real, fake in RARE_WORDS:
        yield _case("own folders", f"{real}/ and {fake}/", _pair(real, fake), used_or_told())
    for below in ("mydata/", "dataset/audio/", "a b/c/d/", "deepfake/", "AI/", "Fake Audio/v2/"):
        yield _case("own folders", f"{below}real/ and {below}fake/", _pair("real", "fake", below),
                    *checks)
    yield _case("own folders", "real/SPEAKER/ and fake/SYSTEM/", lambda tree: (
        tree.many("bonafide", "real/p{s}/{}.flac", 24),
        tree.many("spoof", "fake/system{s}/{}.flac", 24)), *(ends(0), in_all(24, 24)))
    yield _case("own folders", "a ZIP archive of macOS, unpacked", lambda tree: (
        _pair("real", "fake")(tree), *(tree.put(f"__MACOSX/real/._r{number}.wav", b"\0\5\x16\7")
                                       for number in range(MANY))), *checks)
    yield _case("own folders", "REAL/ and FAKE/ with .WAV", lambda tree: (
        tree.many("bonafide", "REAL/{}.WAV", MANY), tree.many("spoof", "FAKE/{}.WAV", MANY)),
                *checks)


def _unknown() -> Iterator[Case]:
    """Nothing else is taken where data/raw holds sound of an unknown layout."""
    told = (stops(r"\b12\b|\b24\b", "stops and tells the number of files"),
            says("bonafide", "says what would be recognised"))
    yield _case("not recognised", "only real/", lambda tree: tree.many(
        "bonafide", "real/{}.wav", MANY), stops("fake|spoof", "stops: the other half is missing"),
                row="90")
    yield _case("not recognised", "only spoof/", lambda tree: tree.many(
        "spoof", "spoof/{}.wav", MANY), stops("bonafide|real", "stops: the other half is missing"))
    yield _case("not recognised", "loose files", lambda tree: tree.many(
        "bonafide", "{}.wav", MANY), *told, row="90")
    yield _case("not recognised", "folders of other words", lambda tree: (
        tree.many("bonafide", "cats/{}.wav", MANY), tree.many("spoof", "dogs/{}.wav", MANY)), *told)
    yield _case("not recognised", "one deep file", lambda tree: tree.speech(
        "bonafide", "a/b/c/d/e/f.mp3"), stops(r"\b(1|one)\b", "stops and tells of one file"))
    yield _case("not recognised", "a zip", lambda tree: (
        _pair("real", "fake")(tree), zipped(tree, "dataset.zip")),
                stops("zip|unpack", "stops: unpack the archive"), row="90")
    for name in ("dataset.tar.gz", "dataset.rar", "dataset.7z", "a/b/archive.tar", "LA.zip.001",
                 "LA.z01", "train-00000-of-00001.parquet"):
        yield _case("not recognised", name, lambda tree, name=name: tree.put(name, bytes(2000)),
                    stops("tar|rar|7z|unpack|archive", "stops: unpack the archive"))
    yield _case("not recognised", "a video", lambda tree: tree.put("film.mkv", bytes(2000)),
                stops("1|one", "stops"))
    yield _case("not recognised", "an empty folder", lambda tree: None, Check(
        "the default corpus is taken", lambda seen: "default corpus" in seen.out))
    yield _case("not recognised", "only notes", lambda tree: tree.put("notes.txt", "no sound"),
                Check("the default corpus is taken", lambda seen: "default corpus" in seen.out))


def _kept() -> Iterator[Case]:
    """Sets that the user made are kept."""
    for train, dev, test in (("train", "val", "test"), ("train", "dev", "test"),
                             ("train", "validation", "test"), ("training", "validation", "testing"),
                             ("Train", "Val", "Test"), ("train", "valid", "eval"),
                             ("train_set", "val_set", "Test Set"),
                             ("training_data", "validation_data", "testing_data"),
                             ("1_train", "2_dev", "3_test"), ("trainset", "valset", "testset"),
                             ("train1", "val1", "test1"), ("TrainData", "ValData", "TestData"),
                             ("my-train", "my-val", "my-test"), ("trains", "vals", "tests")):
        for real, fake in (("bonafide", "spoof"), ("real", "fake")):
            yield _case("own sets", f"{train}/{real}, {dev}/, {test}/", _sets(
                {train: 8, dev: 4, test: 6}, real, fake), ends(0), in_subset("train", 8, 8),
                in_subset("dev", 4, 4), in_subset("eval", 6, 6),
                row="92" if real == "bonafide" and dev == "val" else "")
    yield _case("own sets", "train/ and test/", _sets({"train": 12, "test": 6}, "bonafide",
                                                      "spoof"), ends(0), in_subset("eval", 6, 6),
                in_all(18, 18), row="92")
    yield _case("own sets", "train/ and val/", _sets({"train": 12, "val": 6}, "real", "fake"),
                ends(0), in_subset("dev", 6, 6), in_all(18, 18))
    yield _case("own sets", "only test/", _sets({"test": 12}, "real", "fake"), not_instead(), Check(
        "eval: 12 and 12, or a stop", lambda seen: seen.code == 1 or in_subset(
            "eval", 12, 12).holds(seen)))
    yield _case("own sets", "real/train, real/test, fake/train, fake/test", _three("{word}/{part}"),
                ends(0), in_subset("train", 10, 10), in_subset("eval", 6, 6))
    yield _case("own sets", "a pair beside train/ and test/", lambda tree: (
        _sets({"train": 8, "test": 4}, "bonafide", "spoof")(tree),
        tree.many("bonafide", "bonafide/x{}.wav", 4), tree.many("spoof", "spoof/x{}.wav", 4)),
                says("beside|also|ignored|not used|left out", "the pair beside them is told"))
    yield _case("own sets", "mydata/train, mydata/test", _sets(
        {"mydata/train": 12, "mydata/test": 6}, "real", "fake"), ends(0), in_subset("eval", 6, 6))


def _joined() -> Iterator[Case]:
    """The set and the key in one name, or the sets below the key, beside other files."""
    kept = (ends(0), in_subset("train", 10, 10), in_subset("dev", 4, 4), in_subset("eval", 6, 6))
    for pattern in ("{part}_{word}", "{word}-{part}", "deepfake/{part}/{word}", "{word}/{part}set",
                    "deepfake detection/v1/{part}_{word}"):
        yield _case("own sets", pattern, _three(pattern), *kept)
    for name in ("README.txt", "Thumbs.db", "desktop.ini"):
        yield _case("own sets", f"real/{name} beside real/train", lambda tree, name=name: (
            _three("{word}/{part}")(tree), tree.put(f"real/{name}", "no sound")), *kept)
    yield _case("own sets", "real/more beside real/train", lambda tree: (
        _three("{word}/{part}")(tree), tree.many("bonafide", "real/more/{}.wav", 2)), *kept,
                says("2 audio files", "the two files told"))
    yield _case("own sets", "loose files beside real/train", lambda tree: (
        _three("{word}/{part}")(tree), tree.many("bonafide", "real/{}.wav", 2)), *kept,
                says("2 audio files", "the two files told"))
    yield _case("own sets", "real/train and real/test, but fake/", lambda tree: (
        tree.many("bonafide", "real/train/{}.wav", 12),
        tree.many("bonafide", "real/test/t{}.wav", 6), tree.many("spoof", "fake/{}.wav", 12)),
                stops("fake, lies in no folder", "fake/ is named"))
    yield _case("own sets", "train/, test_seen/ and test_unseen/", _sets(
        {"train": 12, "test_seen": 4, "test_unseen": 3}, "real", "fake"), ends(0),
                in_subset("eval", 7, 7), in_all(19, 19))


def _three(pattern: str) -> Fill:
    """Ten, four and six recordings of each key for train, val and test."""
    def fill(tree: Tree) -> None:
        for part, count in (("train", 10), ("val", 4), ("test", 6)):
            for key, word in (("bonafide", "real"), ("spoof", "fake")):
                tree.many(key, f"{pattern.format(part=part, word=word)}/{part}{{}}.wav", count)
    return fill


def _sets(parts: dict[str, int], real: str, fake: str) -> Fill:
    def fill(tree: Tree) -> None:
        for part, count in parts.items():
            name = part.replace("/", "-")
            tree.many("bonafide", f"{part}/{real}/{name}{{}}.wav", count)
            tree.many("spoof", f"{part}/{fake}/{name}{{}}.wav", count)
    return fill


def _speakers() -> Iterator[Case]:
    """Real speech of published corpora below bonafide/: the speaker is the right folder."""
    spoof = "spoof/system/{}.flac"
    six = tuple(f"{84 + number}" for number in range(6))
    for name, pattern, speakers in (
            ("LibriSpeech", "LibriSpeech/dev-clean/8{t}/12{s}/8{t}-12{s}-00{}.flac", six),
            ("LibriTTS", "LibriTTS/train-clean-100/8{t}/12{s}/8{t}_12{s}_00_{}.wav", six),
            ("VCTK", "VCTK-Corpus-0.92/wav48_silence_trimmed/p22{s}/p22{s}_0{}_mic1.flac",
             tuple(f"p22{number}" for number in range(6))),
            ("VCTK, wav48", "VCTK-Corpus/wav48/p22{s}/p22{s}_0{}.wav",
             tuple(f"p22{number}" for number in range(6)))):
        def fill(tree: Tree, pattern: str = pattern) -> None:
            for number in range(24):
                tree.speech("bonafide", "bonafide/" + pattern.format(
                    number, s=number % 6, t=4 + number % 6))
            tree.many("spoof", spoof, 24)
        yield _case("speakers", name, fill, ends(0), in_all(24, 24),
                    Check("six speakers", lambda seen, speakers=speakers: has_labels(
                        "speaker", "-", *speakers).holds(seen)), row="94")

    def two(tree: Tree) -> None:
        for number in range(24):
            tree.speech("bonafide", f"bonafide/LibriSpeech/dev-clean/8{number % 3}/1/{number}.flac"
                        if number % 2 else f"bonafide/VCTK/wav48/p22{number % 3}/{number}.wav")
        tree.many("spoof", spoof, 24)
    yield _case("speakers", "two corpora", two, ends(0), in_all(24, 24), row="94")
