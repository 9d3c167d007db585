"""What prepare says of a corpus: its parts, how they are split, and the subsets."""
from collections import Counter
from collections.abc import Iterator

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


def split_in_words(part: str, joined: Joined, lists: dict[str, list[Trial]], held_out: set[str],
                   options: SplitOptions) -> str:
    """Into what a part is split, what no two subsets share, and what is left out for that."""
    fold = f", fold {options.fold[0]} of {options.fold[1]}" if options.fold else ""
    return (f"{part} is split by {_unit(joined.trials, options.unit)} into {', '.join(lists)} "
            f"(seed {options.seed}{fold}){kept_apart(lists, held_out, len(joined.trials))}")


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


def kept_apart(lists: dict[str, list[Trial]], held_out: set[str], found: int) -> str:
    """Which attacks only one subset of a split has, in words.

    It also says how many of the part's `found` trials that leaves out.
    """
    if "eval" not in lists:
        return ""
    attacks = {subset: set(attacks_of(trials)) for subset, trials in lists.items()}
    eval_alone = sorted(held_out & attacks["eval"])      # eval's speakers may lack some of them
    if not eval_alone:
        return ". No attack is in eval alone"
    text = f". Attacks in eval alone: {', '.join(eval_alone)}"
    dev_alone = sorted(attacks["dev"] - attacks["eval"] - attacks.get("train", set()))
    if dev_alone:
        text += f". Attacks in dev alone: {', '.join(dev_alone)}"
    left_out = found - sum(map(len, lists.values()))
    if left_out:
        text += f". Spoofed utterances left out for that: {left_out:,}"
    return text


def subset_in_words(trials: list[Trial]) -> str:
    """Utterances of each class, speakers, sources and attacks of a subset."""
    keys = Counter(trial.labels.key for trial in trials)
    attacks = sorted(known(trials, "attack"))
    shown = ", ".join(attacks)
    if len(attacks) > MANY_ATTACKS:
        more = len(attacks) - SHOWN_ATTACKS
        shown = f"{', '.join(attacks[:SHOWN_ATTACKS])} and {more} more"
    speakers = len(known(trials, "speaker"))
    sources = len(known(trials, "source"))
    return (f"{len(trials):,} utterances, bona fide {keys['bonafide']:,}, "
            f"spoof {keys['spoof']:,}; speakers: {f'{speakers:,}' if speakers else 'not known'}; "
            f"{f'sources: {sources:,}; ' if sources else ''}attacks: {shown or 'none'}")


def attacks_of(trials: list[Trial]) -> Counter:
    """How many spoofed utterances each attack has."""
    return Counter(trial.labels.attack for trial in trials if not trial.labels.is_bonafide)


def known(trials: list[Trial], label: str) -> set[str]:
    """The values of a label, without the unknown one."""
    return {getattr(trial.labels, label) for trial in trials} - {UNKNOWN}
