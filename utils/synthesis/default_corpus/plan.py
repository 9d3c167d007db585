"""The plan: speaker, attack, length, source, text and references of every clip, from the seed."""
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import scipy.special

from utils.common.errors import InputError
from utils.synthesis.default_corpus.attacks import ATTACKS, Attack
from utils.synthesis.default_corpus.debian_speech import Source
from utils.synthesis.tts.texts import SENTENCES, draw_text
from utils.trials.trial import SUBSETS

PREFIX = {"train": "T", "dev": "D", "eval": "E"}
# seconds that a source must have beyond the wanted length, for the silence around the speech
MARGIN = 0.3
MINIMUM_SPEAKERS = 2    # per subset


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers of clips, and the distribution of their lengths in seconds.

    Bona fide clips are counted per subset, spoofed clips per attack and subset.
    """
    bonafide: dict[str, int]
    seen: dict[str, int]
    unseen: int
    median: float
    shortest: float
    longest: float


DEFAULT = Size({"train": 960, "dev": 220, "eval": 400}, {"train": 130, "dev": 26, "eval": 34}, 50,
               2.3, 1.2, 5.0)
TINY = Size({"train": 56, "dev": 20, "eval": 32}, {"train": 13, "dev": 5, "eval": 5}, 8, 0.8, 0.5,
            1.6)


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance to make.

    A bona fide clip has no attack. Speech made from text has a text, all else a source.
    """
    utterance: str
    subset: str
    speaker: str
    gender: str
    attack: str
    seconds: float
    source: str
    coding: str
    text: str
    language: str
    reference: str   # the recording that lends its room to an engine's output
    common: str      # the recording that lends its spectrum to the final stage


def _count(attack: "Attack | None", subset: str, size: Size) -> int:
    """The number of clips of an attack (None: bona fide) in a subset."""
    if attack is None:
        return size.bonafide[subset]
    if subset not in attack.subsets:
        return 0
    count = size.unseen if attack.subsets == ("eval",) else size.seen[subset]
    return count if subset == "eval" else max(2, round(count * attack.share))


def planned_clips(size: Size, attacks: Iterable[Attack]) -> int:
    """The number of clips in a corpus of this size with these attacks."""
    return sum(_count(attack, subset, size) for attack in (None, *attacks) for subset in SUBSETS)


def scaled(clips: int) -> Size:
    """The default's proportions with about `clips` clips in all, if no attack is missing."""
    whole = planned_clips(DEFAULT, ATTACKS)

    def part(count: int) -> int:
        return max(4, round(count * clips / whole))

    return Size({subset: part(count) for subset, count in DEFAULT.bonafide.items()},
                {subset: part(count) for subset, count in DEFAULT.seen.items()},
                part(DEFAULT.unseen), DEFAULT.median, DEFAULT.shortest, DEFAULT.longest)


def stream(seed: int, *names: object) -> np.random.Generator:
    """A random generator for these names, independent of all other draws."""
    digest = hashlib.sha256("|".join(map(str, (seed, *names))).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def _lengths(count: int, size: Size, rng: np.random.Generator) -> np.ndarray:
    """Log-normal lengths (count,) in seconds, one from each of `count` equal parts of the law.

    So every attack gets the same spread of lengths.
    """
    normal = scipy.special.ndtri((np.arange(count) + rng.random(count)) / count)
    return np.clip(size.median * np.exp(0.4 * normal), size.shortest, size.longest)


class _Supply:
    """The recordings of one subset; gives out a long enough one, from each speaker in turn."""

    def __init__(self, sources: list[Source], rng: np.random.Generator) -> None:
        self.rng = rng
        self.by_speaker: dict[str, list[Source]] = defaultdict(list)
        for source in sources:
            self.by_speaker[source.speaker].append(source)
        self.used: Counter = Counter()
        self.taken: set[str] = set()

    def take(self, seconds: float) -> Source:
        """An unused recording of at least `seconds`, from the least used speaker possible.

        If none is long enough, the longest unused one.
        """
        speakers = sorted(self.by_speaker, key=lambda name: (self.used[name], self.rng.random()))
        for speaker in speakers:
            fitting = [s for s in self.by_speaker[speaker]
                       if s.path not in self.taken and s.seconds >= seconds + MARGIN]
            if fitting:
                return self._hand_out(fitting[int(self.rng.integers(len(fitting)))])
        left = [s for sources in self.by_speaker.values()
                for s in sources if s.path not in self.taken]
        if not left:
            self.taken.clear()
            return self.take(seconds)
        return self._hand_out(max(left, key=lambda s: (s.seconds, s.path)))

    def _hand_out(self, source: Source) -> Source:
        self.used[source.speaker] += 1
        self.taken.add(source.path)
        return source


def _sentences(captions: dict[str, list[str]], language: str) -> tuple[str, list[str]]:
    """The language to synthesise and its sentences; English if a language has no sentences."""
    own = captions.get(language) or list(SENTENCES.get(language, ()))
    return (language, own) if own else ("en", captions.get("en") or list(SENTENCES["en"]))


def _clips(subset: str, attack: "Attack | None", count: int, sources: list[Source], captions: dict,
           size: Size, seed: int) -> list[dict]:
    name = attack.tag if attack else "bonafide"
    rng = stream(seed, "plan", subset, name)
    supply, room = _Supply(sources, rng), _Supply(sources, rng)
    rows = []
    # the longest first, because few recordings are long enough
    for seconds in sorted(_lengths(count, size, rng), reverse=True):
        source, common = supply.take(seconds), room.take(size.shortest)
        row = {
            "subset": subset, "speaker": source.speaker, "gender": source.gender,
            "attack": attack.tag if attack else "-", "seconds": round(float(seconds), 3),
            "source": source.path, "coding": source.coding, "text": "",
            "language": source.language, "reference": "", "common": common.path,
        }
        if attack and attack.kind == "tts":
            wanted = "en" if attack.name == "flite" else source.language
            language, sentences = _sentences(captions, wanted)
            row |= {"reference": source.path, "source": "", "language": language,
                    "text": draw_text(sentences, seconds + 0.5, rng)}
        rows.append(row)
    return rows


def make_plan(sources: list[Source], attacks: list[Attack], captions: dict[str, list[str]],
              size: Size, seed: int) -> list[Clip]:
    """All clips of the corpus. Random utterance numbers keep the class secret.

    Raises `InputError` if a subset has too few speakers.
    """
    plan = []
    for subset in SUBSETS:
        own = [source for source in sources if source.subset == subset]
        if len({source.speaker for source in own}) < MINIMUM_SPEAKERS:
            raise InputError(f"the {subset} subset of the default corpus would have fewer than "
                             f"{MINIMUM_SPEAKERS} speakers: give real speech of more speakers, one "
                             "folder for each")
        rows = []
        for attack in (None, *(attack for attack in attacks if subset in attack.subsets)):
            rows += _clips(subset, attack, _count(attack, subset, size), own, captions, size, seed)
        numbers = stream(seed, "numbers", subset).permutation(len(rows))
        dealt = sorted(zip(map(int, numbers), rows, strict=True), key=lambda pair: pair[0])
        plan += [Clip(utterance=f"{PREFIX[subset]}_{number:010d}", **row) for number, row in dealt]
    return plan


def fingerprint(plan: list[Clip], seed: int) -> str:
    """A sum over the whole plan: two builds with the same sum make the same clips."""
    digest = hashlib.sha256(str(seed).encode())
    for clip in plan:
        digest.update(repr(sorted(asdict(clip).items())).encode())
    return digest.hexdigest()
