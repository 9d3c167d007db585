"""A subset that the download lacks is cut from a part that is there: speakers disjoint, classes and attacks alike."""
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass

from utils.trials.labels import KEYS, Labels
from utils.trials.trial import SUBSETS, Trial
from utils.common.errors import InputError

SHARES = {"train": 0.6, "dev": 0.2, "eval": 0.2}
HELD_OUT_ONE_IN = 4      # of the attacks, kept for eval alone where train, dev and eval are cut from one part
# which part a missing subset is cut from: the first that is there
DONORS = {"train": ("dev", "eval"), "dev": ("train", "eval"), "eval": ("dev", "train")}


def plan_subsets(parts: Iterable[str]) -> dict[str, list[str]]:
    """For each part that is there, the subsets to make of it; its own alone where nothing is missing.

    dev alone gives all three; train and dev give eval from dev; train and eval give dev from train.
    """
    there = [subset for subset in SUBSETS if subset in set(parts)]
    plan = {part: [part] for part in there}
    for subset in SUBSETS:
        if subset not in plan:
            plan[next(part for part in DONORS[subset] if part in plan)].append(subset)
    return {part: sorted(subsets, key=SUBSETS.index) for part, subsets in plan.items()}


@dataclass(frozen=True)
class How:
    """How a part is split: by seed; what stays together ("speaker" or "source"); and (k, n) for the k-th of n folds."""
    seed: int = 1
    unit: str = "speaker"
    fold: tuple[int, int] | None = None


def split(part: str, trials: list[Trial], subsets: list[str], how: How,
          trained: Set[str] = frozenset()) -> tuple[dict[str, list[Trial]], set[str]]:
    """Deal the speakers of `trials` to `subsets`, about 60 / 20 / 20, the like of key, attack and gender in each.

    Every subset gets bona fide and spoof. Where eval is one of several, some attacks are kept for it alone, so that those
    it has beyond train's were met neither in training nor in selection and calibration on dev; they are the second result.
    Train, dev and eval of one part: a quarter of the attacks (of four or more). Dev and eval of one part: half of the
    attacks that train, which is of another part, lacks (`trained` are those it has); the other half is left to dev alone.
    An utterance of unknown speaker ("-") stands for itself. `InputError` where there are too few speakers.
    By source, whole sources are dealt instead of speakers, and no attack is kept apart: most are of one source anyway.
    Fold k of n is eval, the one after it dev, and all others train: over k, each utterance is in eval once.
    """
    if how.fold and set(subsets) != set(SUBSETS):
        raise InputError("--fold makes train, dev and eval of one part, and more than one is there: leave it out")
    if len(subsets) == 1:
        return {subsets[0]: trials}, set()
    attacks = {trial.labels.attack for trial in trials if not trial.labels.is_bonafide}
    held_out = _held_out_attacks(attacks, subsets, how.seed, trained) if how == How(how.seed) else set()
    strata: dict[str, Counter] = defaultdict(Counter)
    for trial in trials:
        strata[_group(trial, how.unit)][_stratum(trial.labels)] += 1
    if how.fold:
        home = _fold_homes(strata, how)
        return {subset: [trial for trial in trials if home[_group(trial, how.unit)] == subset] for subset in subsets}, set()
    teams = _teams(strata, kept := _kept(attacks, subsets, held_out, trained))
    if len(teams) < len(subsets):
        held_out = set()
        teams = _teams(strata, kept := _kept(attacks, subsets, held_out, trained))
    if len(teams) < len(subsets):
        raise InputError(_too_few(part, trials, len(strata), subsets, how.unit))
    home = {group: subset for team, subset in zip(teams, subsets) for group in team}
    if how.unit == "source":      # few attacks are of more than one source: they cannot be spread
        strata = {group: _by_key(counts) for group, counts in strata.items()}
    _deal_rest(strata, {subset: SHARES[subset] for subset in subsets}, home, how.seed)
    return {subset: [trial for trial in trials if home[_group(trial, how.unit)] == subset
                     and (trial.labels.is_bonafide or trial.labels.attack in kept[subset])] for subset in subsets}, held_out


def _stratum(labels: Labels) -> tuple[str, str, str]:
    return labels.key, labels.attack, labels.gender


def _by_key(counts: Counter) -> Counter:
    """Strata (key, attack, gender) counted by key alone."""
    found: Counter = Counter()
    for (key, *_), count in counts.items():
        found[key] += count
    return found


def deal_folds(strata: dict[str, Counter], folds: int, seed: int) -> dict[str, int]:
    """The fold, from 1, of each group, given the group's counts by (key, attack, gender): alike as groups allow."""
    dealt: dict[str, str] = {}
    _deal_rest(strata, {str(k): 1 / folds for k in range(1, folds + 1)}, dealt, seed)
    return {group: int(fold) for group, fold in dealt.items()}


def _fold_homes(strata: dict[str, Counter], how: How) -> dict[str, str]:
    """The subset of each group where one fold is eval, the next dev and the rest train."""
    number, folds = how.fold
    if len(strata) < folds:
        raise InputError(f"{len(strata)} of a kind ({how.unit}) cannot be dealt to {folds} folds: ask for fewer with --fold")
    role = {number: "eval", number % folds + 1: "dev"}
    return {group: role.get(fold, "train") for group, fold in deal_folds(strata, folds, how.seed).items()}


def _held_out_attacks(attacks: set[str], subsets: list[str], seed: int, trained: Set[str]) -> set[str]:
    """The attacks for eval alone; where train is of another part, dev keeps one at least."""
    if "eval" not in subsets:
        return set()
    new = sorted(attacks if "train" in subsets else attacks - trained)
    count = len(new) // HELD_OUT_ONE_IN if "train" in subsets else (len(new) + bool(attacks & trained)) // 2
    return set(random.Random(f"attacks {seed}").sample(new, count))


def _kept(attacks: set[str], subsets: list[str], held_out: set[str], trained: Set[str]) -> dict[str, set[str]]:
    """The attacks that each subset keeps."""
    for_eval = held_out | (attacks & trained) if held_out and "train" not in subsets else attacks
    return {subset: for_eval if subset == "eval" else attacks - held_out for subset in subsets}


def _too_few(part: str, trials: list[Trial], groups: int, subsets: list[str], unit: str) -> str:
    keys = Counter(trial.labels.key for trial in trials)
    return (f"the {part} part (bona fide {keys['bonafide']:,}, spoof {keys['spoof']:,}, {unit}s {groups:,}) "
            f"cannot be split into {', '.join(subsets)}, both classes in each and no {unit} in two: "
            f"add {unit}s, or the missing subsets themselves")


def _group(trial: Trial, unit: str) -> str:
    name = trial.labels.source if unit == "source" else trial.labels.speaker
    return f"utterance {trial.utterance}" if name == "-" else f"{unit} {name}"


def _teams(strata: dict[str, Counter], kept: dict[str, set[str]]) -> list[list[str]]:
    """For each subset one speaker with both classes, or two with one each, the smallest ones first; fewer where none are left."""
    free = sorted(strata, key=lambda group: (strata[group].total(), group))
    teams = []
    for attacks in kept.values():
        kinds: dict[frozenset, list[str]] = defaultdict(list)
        for group in free:
            kinds[frozenset(key for key, attack, _ in strata[group] if key == "bonafide" or attack in attacks)].append(group)
        pairs = zip(kinds[frozenset(["bonafide"])], kinds[frozenset(["spoof"])])
        team = next(([group] for group in kinds[frozenset(KEYS)]), None) or list(next(pairs, ()))
        if team:
            teams.append(team)
        free = [group for group in free if group not in team]
    return teams


def _deal_rest(strata: dict[str, Counter], shares: dict[str, float], home: dict[str, str], seed: int) -> None:
    """Deal those without a home, largest first, each to where it brings the strata nearest to their shares.

    The idea is that of iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011), with speakers for examples.
    """
    total: Counter = sum(strata.values(), Counter())
    weight = sum(shares.values())
    have: dict[str, Counter] = {subset: Counter() for subset in shares}
    for group, subset in home.items():
        have[subset].update(strata[group])
    rest = sorted(set(strata) - set(home))
    random.Random(f"speakers {seed}").shuffle(rest)
    for group in sorted(rest, key=lambda group: -strata[group].total()):
        def gain(subset: str) -> float:      # how much the squared distance from the shares shrinks
            share = shares[subset] / weight
            return sum(count * (share - (have[subset][stratum] + count / 2) / total[stratum]) / (share * total[stratum])
                       for stratum, count in strata[group].items())
        home[group] = max(shares, key=gain)
        have[home[group]].update(strata[group])
