"""Published corpora, unpacked as people unpack them."""
from collections.abc import Iterator

from tests.robustness.everyday.making.case import Case, Check, ends, says
from tests.robustness.everyday.data_sets.data import (PREPARE, Fill, Tree, every_subset, filled,
                                                      has_labels, in_all, in_subset, stops)

MANY = 12
PARTS = ("train", "dev", "eval")
LA = "LA_000{s} LA_E_{n} alaw ita_tx {a} {k} notrim eval"      # a line of its key


def _case(name: str, fill: Fill, *checks: Check, row: str = "") -> Case:
    return Case("published layouts", name, filled(fill), checks, row, False, PREPARE)


def cases() -> Iterator[Case]:
    def whole(count: int = MANY, spoof: int = MANY) -> tuple[Check, ...]:
        return ends(0), in_all(count, spoof)
    yield _case("In-the-Wild", in_the_wild, *whole(), every_subset(),
                row="83")
    yield _case("In-the-Wild, at the top", lambda tree: in_the_wild(
        tree, ""), *whole(), every_subset())
    yield _case("Fake-or-Real", fake_or_real, ends(0),
                in_subset("train", 6, 6), in_subset("dev", 3, 3), in_subset("eval", 4, 4), row="84")
    yield _case("WaveFake with LJSpeech", wavefake, *whole(24, 24), row="85")
    yield _case("MLAAD with M-AILABS", mlaad, *whole(24, 24), row="85")
    for part, line, row in (("LA", LA, "86"),
                            ("DF", "LA_000{s} DF_E_{n} nocodec asvspoof {a} {k} notrim eval "
                                   "traditional_vocoder - - - -", "86"),
                            ("PA", "PA_000{s} PA_E_{n} R3 M3 d4 r1 m1 s4 c4 {k} notrim eval", "")):
        for where in (f"ASVspoof2021_{part}_eval/", f"{part}/ASVspoof2021_{part}_eval/"):
            yield _case(f"ASVspoof2021 {part}, {where}",
                        lambda tree, part=part, line=line, where=where: asvspoof2021(
                            tree, part, line, where), *whole(24, 24), row=row)
    yield _case("ASVspoof2021 LA without its keys", lambda tree: tree.many(
        "bonafide", "ASVspoof2021_LA_eval/flac/LA_E_100{}.flac", 9), stops(
            "keys?", "stops and names the keys"))
    for kind, row in (("PA", "87"), ("LA", "")):
        for where in ("", f"{kind}/", f"{kind}/{kind}/", f"ASVspoof2019/{kind}/{kind}/"):
            yield _case(f"ASVspoof2019 {kind}, in {where or 'data/raw'}",
                        lambda tree, kind=kind, where=where: asvspoof2019(tree, kind, where),
                        ends(0), *(in_subset(part, 6, 6) for part in ("train", "dev", "eval")),
                        row=row)


    for where in ("", "DECRO-dataset/"):
        yield _case(f"DECRO, in {where or 'data/raw'}", lambda tree, where=where: decro(
            tree, where), ends(0), *(in_subset(part, 8, 8) for part in PARTS))
    for dev in ("dev", "val"):
        yield _case(f"Codecfake with {dev}", lambda tree, dev=dev: codecfake(tree, dev), ends(0),
                    in_subset("train", 6, 6), in_subset("dev", 4, 4), in_subset("eval", 8, 8))
    yield _case("SpoofCeleb", spoofceleb, ends(0), *(in_subset(part, 6, 6) for part in PARTS),
                has_labels("attack", "-", "a06"))
    yield _case("ASVspoof2021 LA beside ASVspoof2019 LA", lambda tree: (
        asvspoof2019(tree, "LA", "LA/LA/"), _again(tree), asvspoof2021(
            tree, "LA", LA, "ASVspoof2021_LA_eval/")), ends(0), in_subset("train", 6, 6),
                in_subset("dev", 6, 6), in_subset("eval", 24, 24))
    for real, pattern, row in (
            ("LibriSpeech", "LibriSpeech/dev-clean/8{s}/12/8{s}-12-00{}.flac", "94"),
            ("VCTK", "VCTK-Corpus-0.92/wav48_silence_trimmed/p22{s}/p22{s}_0{}_mic1.flac", "94")):
        yield _case(f"{real} and fake/", lambda tree, pattern=pattern: (
            tree.many("bonafide", pattern, 24), tree.many("spoof", "fake/{}.wav", 24)),
                    *whole(24, 24), every_subset(), row=row)
        yield _case(f"{real} alone", lambda tree, pattern=pattern: tree.many(
            "bonafide", pattern, 24), stops("spoof|fake", "stops: there is no synthetic speech"))
    yield _case("an unknown folder beside ASVspoof2019 LA", lambda tree: (
        asvspoof2019(tree, "LA", ""), _again(tree), tree.many("spoof", "mine/{}.wav", 12)),
                says("12 audio files|12 in", "the 12 files told"))
    yield _case("one unknown file beside ASVspoof2019 LA", lambda tree: (
        asvspoof2019(tree, "LA", ""), tree.speech("spoof", "mine.wav")), ends(0),
                says("1 audio file", "the file told"))


def _again(tree: Tree) -> None:
    """Begin with the first pieces of speech again: another corpus may have them too."""
    tree.used = dict.fromkeys(tree.used, 0)


def in_the_wild(tree: Tree, below: str = "release_in_the_wild/") -> None:
    tree.many("bonafide", below + "{}.wav", MANY)
    for number in range(MANY, 2 * MANY):
        tree.speech("spoof", f"{below}{number}.wav")
    lines = [f"{number}.wav,Speaker {number % 6},{'bona-fide' if number < MANY else 'spoof'}"
             for number in range(2 * MANY)]
    tree.put(below + "meta.csv", "\n".join(["file,speaker,label", *lines]) + "\n")


def fake_or_real(tree: Tree) -> None:
    for part, count in (("training", 6), ("validation", 3), ("testing", 4)):
        tree.many("bonafide", f"for-norm/{part}/real/{part}{{}}.wav_16k.wav_norm.wav", count)
        tree.many("spoof", f"for-norm/{part}/fake/{part}{{}}.wav_16k.wav_norm.wav", count)


def wavefake(tree: Tree) -> None:
    tree.many("bonafide", "LJSpeech-1.1/wavs/LJ001-00{}.wav", 24)
    tree.put("LJSpeech-1.1/metadata.csv", "LJ001-000|a|a\n")
    for number in range(24):
        system = ("ljspeech_melgan", "ljspeech_hifiGAN", "ljspeech_waveglow")[number % 3]
        tree.speech("spoof", f"generated_audio/{system}/LJ001-00{number}_gen.wav")


def mlaad(tree: Tree) -> None:
    lines = []
    for number in range(24):
        model = f"tts_models_en_model{number % 3}"
        name = f"fake/en/{model}/clip_{number}.wav"
        tree.speech("spoof", f"MLAAD/{name}")
        lines.append((model, f"./{name}|en_US/by_book/male/a/b/wavs/b_{number}.wav|en|True|1.5|"
                             f"ljspeech|{model}|VITS|Some words."))
        tree.speech("bonafide",
                    f"M-AILABS/en_US/by_book/female/reader_{number % 6}/book/wavs/b_{number}.wav")
    head = ("path|original_file|language|is_original_language|duration|training_data|model_name|"
            "architecture|transcript")
    for model in sorted({model for model, _ in lines}):
        tree.put(f"MLAAD/fake/en/{model}/meta.csv", "\n".join(
            [head, *(line for name, line in lines if name == model)]) + "\n")


def asvspoof2021(tree: Tree, part: str, line: str, where: str) -> None:
    lines = []
    for number in range(48):
        key = ("bonafide", "spoof")[number % 2]
        name = f"{9000000 + number}"
        tree.speech(key, f"{where}flac/{part}_E_{name}.flac")
        attack = f"A{7 + number // 2 % 3:02}" if number % 2 else "bonafide" if part == "LA" else "-"
        lines.append(line.format(s=number // 2 % 6, n=name, a=attack, k=key))
    tree.put(f"keys/{part}/CM/trial_metadata.txt", "\n".join(lines) + "\n")


def asvspoof2019(tree: Tree, kind: str, where: str) -> None:
    for part, list_name, letter in (("train", "train.trn", "T"), ("dev", "dev.trl", "D"),
                                    ("eval", "eval.trl", "E")):
        lines = []
        for number in range(12):
            key = ("bonafide", "spoof")[number % 2]
            name = f"{kind}_{letter}_{1000000 + number}"
            tree.speech(key, f"{where}ASVspoof2019_{kind}_{part}/flac/{name}.flac")
            attack = "-" if key == "bonafide" else "A01" if kind == "LA" else "AA"
            room = "-" if kind == "LA" else "aaa"
            columns = (room, attack) if kind == "PA" else ("-", attack)
            lines.append(f"{kind}_00{number // 2:02} {name} {' '.join(columns)} {key}")
        tree.put(f"{where}ASVspoof2019_{kind}_cm_protocols/ASVspoof2019.{kind}.cm.{list_name}.txt",
                 "\n".join(lines) + "\n")




def decro(tree: Tree, where: str) -> None:
    for part in PARTS:
        for language in ("en", "ch"):
            lines = []
            for number in range(8):
                key = ("bonafide", "spoof")[number % 2]
                tree.speech(key, f"{where}{language}_{part}/{number}.wav")
                attack = "-" if key == "bonafide" else "hifigan"
                lines.append(f"{language}{number // 2} {number} - {attack} {key}")
            tree.put(f"{where}{language}_{part}.txt", "\n".join(lines) + "\n")


def codecfake(tree: Tree, dev: str) -> None:
    for folder, count in (("train", 6), (dev, 4), ("test/C1", 4), ("test/A1", 4)):
        lines = []
        for number in range(count):
            name = f"p31{number}_0{len(folder)}.wav"
            tree.speech("bonafide", f"Codecfake/{folder}/{name}")
            tree.speech("spoof", f"Codecfake/{folder}/F01_{name}")
            lines += [f"{name} real 0", f"F01_{name} fake 1"]
        tree.put(f"Codecfake/label/{folder.removeprefix('test/')}.txt", "\n".join(lines) + "\n")


def spoofceleb(tree: Tree) -> None:
    for part in ("train", "development", "evaluation"):
        lines = ["file,speaker,attack"]
        for number in range(12):
            key, attack = (("bonafide", "a00"), ("spoof", "a06"))[number % 2]
            name = f"{attack}/id10{number // 2}/x{len(part)}-{number}.flac"
            tree.speech(key, f"spoofceleb/flac/{part}/{name}")
            lines.append(f"{name},id10{number // 2},{attack}")
        tree.put(f"spoofceleb/metadata/{part}.csv", "\n".join(lines) + "\n")
