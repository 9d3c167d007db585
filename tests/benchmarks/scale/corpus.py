"""ASVspoof5 in its true shape: the names, counts and columns of the release, with short speech.

    python -m tests.benchmarks.scale.corpus --count 10000 --work_dir DIR [--real_share 0.01]

DIR/raw gets ASVspoof5_protocols.tar.gz and the 18 archives; DIR gets the keys of eval, and made-up
scores of it. The speech is cut from data/examples, so a million utterances take under 10 GB.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
import soundfile

from tests.helpers.asvspoof5_archives import FOLDERS, Line, write_protocols, write_tar
from tests.helpers.audio.example_speech import example_files
from utils.common.arguments import positive
from utils.common.errors import run
from utils.corpora.asvspoof.asvspoof5 import ARCHIVES
from utils.signals import SAMPLE_RATE

SHORT = 0.3             # seconds of most utterances
CLIPS = 32              # different ones of each key and length
MIXER = 6_364_136_223   # coprime to 10^10: numbers in turn become names in no order
CODECS = ["-", *(f"C{number:02}" for number in range(1, 12))]
KEYS = "keys.tsv"
SCORES = "scores.tsv"


@dataclass(frozen=True)
class Shape:
    """A part of the release (Wang et al. 2024, and its record on Zenodo)."""
    name: str
    bonafide: int
    spoof: int
    speakers: int
    attacks: range
    gigabytes: float    # of its archives
    codecs: int = 1     # the first so many of CODECS

    @property
    def utterances(self) -> int:
        """Of both classes."""
        return self.bonafide + self.spoof

    @property
    def letter(self) -> str:
        """With which its names begin."""
        return {"train": "T", "dev": "D", "eval": "E"}[self.name]


SHAPES = (Shape("train", 18_797, 163_560, 400, range(1, 9), 37.5),
          Shape("dev", 31_334, 109_616, 785, range(9, 17), 20.0),
          Shape("eval", 138_688, 542_086, 737, range(17, 33), 84.8, len(CODECS)))
WHOLE = sum(shape.utterances for shape in SHAPES)


def number_of(shape: Shape, count: int) -> int:
    """How many utterances of a corpus of `count` are of this part."""
    return round(count * shape.utterances / WHOLE)


def lines(shape: Shape, count: int, clips: dict[str, list[Path]], real_share: float,
          seed: int = 1) -> Iterator[Line]:
    """The protocol of a part, one line at a time; equal arguments give equal lines.

    `clips`: by key; and by key and " real" those of real lengths, for `real_share` of all.
    """
    rng = random.Random(f"{seed} {shape.name}")
    total = number_of(shape, count)
    archives = [name[len("flac_"):-len(".tar")] for name in ARCHIVES[shape.name]]
    for number in range(total):
        genuine = (number + 1) * shape.bonafide // shape.utterances \
            > number * shape.bonafide // shape.utterances
        key = "bonafide" if genuine else "spoof"
        attack = "bonafide" if genuine else f"A{rng.choice(shape.attacks):02}"
        speaker = rng.randrange(shape.speakers)
        long = " real" if rng.random() < real_share else ""
        yield Line(shape.letter, f"{shape.letter}_{speaker:04}",
                   f"{shape.letter}_{number * MIXER % 10**10:010}", "MF"[speaker % 2],
                   rng.choice(CODECS[:shape.codecs]), attack, key,
                   archives[number * len(archives) // total], rng.choice(clips[key + long]))


def write_clips(folder: Path, shape: Shape) -> dict[str, list[Path]]:
    """FLAC files of a part: short ones, and ones as large as the release's are on the average."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    found: dict[str, list[Path]] = {}
    for key in ("bonafide", "spoof"):
        files = example_files(key)
        speech = np.concatenate([soundfile.read(file, dtype="int16")[0] for file in files])
        rate = sum(file.stat().st_size for file in files) / len(speech)     # bytes of a sample
        usual = shape.gigabytes * 1e9 / shape.utterances / rate
        lengths = {key: np.full(CLIPS, SHORT * SAMPLE_RATE),
                   f"{key} real": usual * rng.uniform(0.5, 1.5, CLIPS)}
        for name, samples in lengths.items():
            found[name] = [folder / f"{shape.name} {name} {n}.flac" for n in range(CLIPS)]
            for path, length in zip(found[name], samples.astype(int)):
                start = rng.integers(len(speech))
                wave = np.take(speech, range(start, start + length), mode="wrap")
                soundfile.write(path, wave, SAMPLE_RATE)
    return found


def build(work_dir: Path, count: int, real_share: float = 0.01) -> None:
    """Write the corpus of `count` utterances to `work_dir`; memory is that of the protocols."""
    raw = work_dir / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    clips = {shape: write_clips(work_dir / "clips", shape) for shape in SHAPES}
    write_protocols(raw / "ASVspoof5_protocols.tar.gz",
                    (line for shape in SHAPES
                     for line in lines(shape, count, clips[shape], real_share)))
    content = lru_cache(maxsize=None)(Path.read_bytes)
    for shape in SHAPES:
        home = FOLDERS[shape.letter] + "/"
        listed = lines(shape, count, clips[shape], real_share)
        for part, held in groupby(listed, lambda line: line.part):
            write_tar(raw / f"flac_{part}.tar",
                      ((f"{home}{line.utterance}.flac", content(line.clip)) for line in held))
    write_scores(work_dir, lines(SHAPES[-1], count, clips[SHAPES[-1]], real_share))


def write_scores(folder: Path, listed: Iterator[Line]) -> None:
    """The protocol as a key file, and a score for each line; some attacks are harder."""
    rng = random.Random(0)
    with open(folder / KEYS, "w") as keys, open(folder / SCORES, "w") as scores:
        scores.write("filename\tcm-score\n")
        for line in listed:
            mean = 2.0 if line.key == "bonafide" else 1.0 - int(line.attack[1:]) % 8 / 2
            keys.write(line.text() + "\n")
            scores.write(f"{line.utterance}\t{rng.gauss(mean, 2.0):.6f}\n")


def main(argv: list[str] | None = None) -> int:
    """Build the corpus that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=positive, default=WHOLE,
                        help="utterances in all (default: %(default)s)")
    parser.add_argument("--work_dir", type=Path, required=True, help="folder for all files")
    parser.add_argument("--real_share", type=float, default=0.01,
                        help="share of utterances of real length (default: %(default)s)")
    args = parser.parse_args(argv)
    build(args.work_dir, args.count, args.real_share)
    return 0


if __name__ == "__main__":
    run(main)
