"""What prepare says of a corpus: its parts, how they are split, and the subsets."""
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set

from utils.common.text import counted
from utils.corpora.corpus import Joined
from utils.trials.groups import one_speaker
from utils.trials.labels import UNKNOWN
from utils.trials.split import SplitOptions
from utils.trials.trial import Trial

MANY_ATTACKS = 20     # more are not all named on the screen
SHOWN_ATTACKS = 10
NOTHING_TO_TRAIN_ON = (
    "There is only a set for evaluation, and nothing to train on: only eval.tsv is written. "
    "Run preprocess_data.py, and then evaluate_model.py with a trained model. "
    "To train, put a train set beside it")


def part_in_words(part: str, joined: Joined) -> Iterator[str]:
    """What was found of a part, and what was left out, one sentence at a time."""
    yield f"{part}: {len(joined.trials):,} of {joined.listed:,} listed utterances found"
    if joined.enrolment:
        yield f"{part}: files for enrolment left out: {joined.enrolment:,}"
    if joined.unlisted:
        yield f"{part}: files left out since no list names them: {joined.unlisted:,}"
    yield from (f"{part}: {note}" for note in joined.notes)


def split_in_words(part: str, joined: Joined, lists: dict[str, list[Trial]],
                   options: SplitOptions) -> str:
    """Into what a part is split, what no two subsets share, and what is left out for that."""
    fold = f", fold {options.fold[0]} of {options.fold[1]}" if options.fold else ""
    left_out = len(joined.trials) - sum(map(len, lists.values()))
    return (f"{part} is split by {_unit(joined.trials, options.unit)} into {', '.join(lists)} "
            f"(seed {options.seed}{fold})" + (
                ". Left out, since their attack is kept for another subset than their speaker: "
                f"{left_out:,} spoofed utterances" if left_out else ""))


def _unit(trials: list[Trial], unit: str) -> str:
    """What no two subsets of a split share."""
    if unit == "speaker" and (alone := one_speaker(trials)):
        return f"recording (all real speech is of one speaker, {alone})"
    unknown = sum(getattr(trial.labels, unit) == UNKNOWN for trial in trials)
    if not unknown:
        return unit
    if unknown == len(trials):
        return f"file (no {unit} is known)"
    return f"{unit} (by file where none is known)"


def kept_apart(attacks: Mapping[str, Iterable[str]]) -> str:
    """Which of each subset's attacks only eval or only dev has, in words."""
    text = []
    for subset in ("eval", "dev"):
        others = {attack for name, found in attacks.items() if name != subset for attack in found}
        if alone := {*attacks.get(subset, ())} - others:
            text.append(f"Attacks in {subset} alone: {_named(alone)}")
        elif subset == "eval":
            text.append("No attack is in eval alone")
    return ". ".join(text)


def _named(attacks: Set[str]) -> str:
    """The attacks, or the first of many."""
    names = sorted(attacks)
    more = len(names) - SHOWN_ATTACKS
    return ", ".join(names) if len(names) <= MANY_ATTACKS else (
        f"{', '.join(names[:SHOWN_ATTACKS])} and {more:,} more")


def subset_in_words(trials: list[Trial]) -> str:
    """Utterances of each class, speakers, sources and attacks of a subset."""
    keys = Counter(trial.labels.key for trial in trials)
    attacks = known(trials, "attack")
    speakers = len(known(trials, "speaker"))
    sources = len(known(trials, "source"))
    return (f"{counted(len(trials), 'utterance')}, bona fide {keys['bonafide']:,}, "
            f"spoof {keys['spoof']:,}; speakers: {f'{speakers:,}' if speakers else 'not known'}; "
            f"{f'sources: {sources:,}; ' if sources else ''}attacks: {_named(attacks) or 'none'}")


def attacks_of(trials: list[Trial]) -> Counter:
    """How many spoofed utterances each attack has."""
    return Counter(trial.labels.attack for trial in trials if not trial.labels.is_bonafide)


def known(trials: list[Trial], label: str) -> set[str]:
    """The values of a label, without the unknown one."""
    return {getattr(trial.labels, label) for trial in trials} - {UNKNOWN}
