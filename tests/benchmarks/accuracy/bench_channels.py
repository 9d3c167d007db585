"""EER and verdicts when the clips of an evaluation come through channels that people use.

    python tests/benchmarks/accuracy/bench_channels.py \
        --model detector.onnx --clips POOL --where split=dev

Both classes go through the same channel. The clips are those of sources that hold both classes, in
a folder with a trials.tsv (columns utterance, key, source); --per_source draws some of them. Each
changed clip is judged from a 16-bit WAV file. One row per channel: the EER with its interval over
sources, the shares of the verdicts, and how many stretches of real speech are called likely spoof
in an hour of it. What a channel draws follows from the seed and the clip.
A second table groups the clips that were cut short by their seconds of speech, and tells what the
score alone would say of them: below `SURE_SECONDS` no verdict is sure.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soundfile
from scipy.signal import butter, sosfilt
from tqdm import tqdm

from tests.benchmarks.accuracy.bench_levels import record_of
from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.arguments import positive
from utils.common.errors import InputError, run
from utils.common.generators import generator
from utils.detector.decision import BONAFIDE, SPOOF, Decision
from utils.detector.detector import Detector
from utils.metrics.intervals import bootstrap_interval
from utils.metrics.metrics import eer
from utils.signals import SAMPLE_RATE
from utils.signals.codecs import coded_at, telephone
from utils.signals.levels import add_at_snr, within_full_scale
from utils.signals.rooms import coloured_noise, convolve, room_response

CLIPPED = 0.01              # share of the samples, by "clipping"
SHORT_SECONDS = 1.25, 1.5, 2.0
SPEECH_SECONDS = 0.75, 1.0, 1.25, 1.5, 2.0      # edges of the second table's groups
LOUDSPEAKER_HZ = (180, 7000)
WORDS = ("real", True), ("fake", False)
Channel = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _clipped(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    limit = np.quantile(np.abs(wave), 1 - CLIPPED)
    return np.clip(wave / max(limit, 1e-9), -1, 1) * 0.999


def _loudspeaker(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small loudspeaker in a room, recorded a metre away; noise 35 dB below."""
    band = butter(2, LOUDSPEAKER_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    played = np.tanh(sosfilt(band, wave) * 2) / 2
    heard = convolve(played, room_response(rng, (0.2, 0.5), (0, 8)))
    return add_at_snr(heard, coloured_noise(len(heard), rng, 1), 35)


def _street(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that falls with frequency and swells as cars pass, 15 dB below."""
    time = np.arange(len(wave)) / SAMPLE_RATE
    swell = 1 + 0.7 * np.sin(2 * np.pi * (rng.uniform(0.1, 0.4) * time + rng.random()))
    return add_at_snr(wave, coloured_noise(len(wave), rng, 1.3) * swell, 15)


CHANNELS: dict[str, Channel] = {
    "as it is": lambda w, r: w,
    "telephone band, AMR 12.2 kbit/s": lambda w, r: coded_at(telephone(w, False), "amr", 12200),
    "telephone band, G.711": lambda w, r: telephone(w),
    "Opus, 16 kbit/s": lambda w, r: coded_at(w, "opus", 16000),
    "MP3, 64 kbit/s": lambda w, r: coded_at(w, "mp3", 64000),
    "AAC, 64 kbit/s": lambda w, r: coded_at(w, "aac", 64000),
    "loudspeaker and room": _loudspeaker,
    "street noise, 15 dB": _street,
    "30 dB softer": lambda w, r: w * 10 ** (-30 / 20),
    "1 % of the samples clipped": _clipped,
    **{f"its first {cut:g} s": lambda w, r, cut=cut: w[:int(cut * SAMPLE_RATE)]
       for cut in SHORT_SECONDS}}


@dataclass(frozen=True)
class Clip:
    """One clip of the list."""
    path: Path
    bonafide: bool
    source: str


def chosen(folder: Path, where: str, per_source: int | None, seed: int) -> list[Clip]:
    """The clips with COLUMN=VALUE of sources that hold both classes; at most `per_source` of each
    class of each."""
    with open(folder / "trials.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    column, _, value = where.partition("=")
    if missing := [name for name in (column, "source") if name not in rows[0]]:
        raise InputError(f"{folder / 'trials.tsv'} has no column {missing[0]}: correct the list "
                         "or --where")
    groups = defaultdict(list)
    for row in rows:
        if row[column] == value:
            groups[row["source"], row["key"]].append(Path(row["utterance"]).stem)
    both = {source for source, key in groups
            if {(source, "bonafide"), (source, "spoof")} <= groups.keys()}
    clips = []
    for (source, key), names in sorted(groups.items()):
        if source in both:
            names = sorted(names, key=lambda name: generator(seed, name).random())[:per_source]
            clips += [Clip(folder / f"{name}.flac", key == "bonafide", source) for name in names]
    if not clips:
        raise InputError(f"no source in {folder / 'trials.tsv'} has clips of both classes where "
                         f"{where}: name another column or value")
    return clips


def measure(detector: Detector, clips: list[Clip], channels: dict[str, Channel],
            seed: int) -> tuple[Rows, list[tuple[dict, bool]]]:
    """A row for each channel, and the records of clips cut short, each with "real" or not.

    A clip that cannot be judged counts in the shares alone.
    """
    real = np.array([clip.bonafide for clip in clips])
    sources = np.unique([clip.source for clip in clips], return_inverse=True)[1]
    rows, short = [], []
    for name, channel in channels.items():
        found = [_record(detector, clip, name, channel, seed) for clip in tqdm(clips, name)]
        scores = np.array([np.nan if one["score"] is None else one["score"] for one in found])
        rows.append({"channel": name, "bona fide": str(real.sum()), "spoof": str((~real).sum()),
                     **_eer(scores, real, sources),
                     **_shares(np.array([one["verdict"] for one in found]), real),
                     "false stretches per hour": _false_stretches(
                         [one for one, clip in zip(found, clips) if clip.bonafide])})
        if name.startswith("its first"):
            short += zip(found, real)
    return rows, short


def by_speech(records: list[tuple[dict, bool]], decision: Decision) -> Rows:
    """Shares of wrong "likely" by the score alone, for groups of records by seconds of speech."""
    rows = []
    for low, high in pairwise(SPEECH_SECONDS):
        group = [(decision.outcome(one["score"]), real) for one, real in records
                 if one["score"] is not None and low <= one["speech_seconds"] < high]
        wrong = {True: SPOOF, False: BONAFIDE}
        told = {real: [said == wrong[real] for said, is_real in group if is_real == real]
                for real in wrong}
        rows.append({"seconds of speech": f"{low:g} to {high:g}"}
                    | {f"{word} clips": str(len(told[real])) for word, real in WORDS}
                    | {f"{word} called {wrong[real]} %": f"{100 * np.mean(told[real]):.1f}"
                       if told[real] else "-" for word, real in WORDS})
    return rows


def _record(detector: Detector, clip: Clip, name: str, channel: Channel, seed: int) -> dict:
    wave = soundfile.read(clip.path)[0]
    sent = np.asarray(channel(wave, generator(seed, clip.path.stem, name)), np.float64)
    return record_of(detector, within_full_scale(sent) * 0.999)


def _eer(scores: np.ndarray, real: np.ndarray, sources: np.ndarray) -> dict[str, str]:
    heard = np.isfinite(scores)
    bonafide = heard & real
    spoof = heard & ~real
    found = bootstrap_interval(scores[bonafide], scores[spoof], sources[bonafide], sources[spoof])
    low, high = (f"{100 * edge:.1f}" for edge in found["eer"])
    return {"EER": f"{100 * eer(scores[bonafide], scores[spoof])[0]:.1f}", "EER low": low,
            "EER high": high}


def _shares(verdicts: np.ndarray, real: np.ndarray) -> dict[str, str]:
    return {f"{word} called {verdict} %": f"{100 * np.mean(verdicts[which] == verdict):.1f}"
            for word, which in (("real", real), ("fakes", ~real)) for verdict in (BONAFIDE, SPOOF)}


def _false_stretches(records: list[dict]) -> str:
    """Of real speech: stretches that are likely spoof, in an hour."""
    hours = sum(record["seconds"] for record in records) / 3600
    count = sum(part["outcome"] == SPOOF for record in records for part in record["stretches"])
    return f"{count / hours:.0f}"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=Path, required=True, help="a checkpoint or exported model")
    add("--clips", type=Path, required=True, metavar="FOLDER",
        help="16 kHz mono FLAC files and trials.tsv")
    add("--where", required=True, metavar="COLUMN=VALUE", help="which rows of trials.tsv")
    add("--channels", nargs="+", choices=CHANNELS, default=list(CHANNELS), metavar="NAME",
        help="channels to measure (default: all)")
    add("--per_source", type=positive, metavar="N",
        help="at most N clips of each class of each source (default: all)")
    add("--seed", type=int, default=1, help="of all draws (default: 1)")
    add_output_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    args = build_parser().parse_args(argv)
    detector = Detector.load(args.model, threads=1)
    clips = chosen(args.clips, args.where, args.per_source, args.seed)
    channels = {name: CHANNELS[name] for name in args.channels}
    rows, short = measure(detector, clips, channels, args.seed)
    publish("channels", rows, args)
    if short:
        publish("speech", by_speech(short, detector.decision), args)
    return 0


if __name__ == "__main__":
    run(main)
