"""A missing subset is cut from another part: speakers disjoint, classes and attacks alike."""
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass

from utils.common.errors import InputError
from utils.trials.groups import Groups, groups_of, one_speaker
from utils.trials.labels import KEYS, UNKNOWN, Labels
from utils.trials.trial import SUBSETS, Trial

SHARES = {"train": 0.6, "dev": 0.2, "eval": 0.2}
HELD_OUT_ONE_IN = 4      # of the attacks: kept for eval alone where one part gives all subsets
# which part a missing subset is cut from: the first of these that was found
DONORS = {"train": ("dev", "eval"), "dev": ("train", "eval"), "eval": ("dev", "train")}
# where the user or a challenge set eval apart: it is never trained on, and dev stays whole
KEPT_DONORS = {"train": ("dev",), "dev": ("train",), "eval": ("train", "dev")}

Strata = dict[str, Counter]      # of each group: how many utterances by (key, attack, gender)


def plan_subsets(parts: Iterable[str], kept: bool = False) -> dict[str, list[str]]:
    """The subsets to make of each part; its own alone where no subset is missing.

    dev alone gives all three; train and dev give eval from dev; train and eval give dev from train.
    If the sets are `kept`, eval comes from train, and eval alone gives no other subset.
    """
    found = [subset for subset in SUBSETS if subset in set(parts)]
    plan = {part: [part] for part in found}
    donors = KEPT_DONORS if kept else DONORS
    for subset in SUBSETS:
        donor = next((part for part in donors[subset] if part in plan), None)
        if subset not in plan and donor:
            plan[donor].append(subset)
    return {part: sorted(subsets, key=SUBSETS.index) for part, subsets in plan.items()}


@dataclass(frozen=True)
class SplitOptions:
    """How a part is split."""
    seed: int = 1
    unit: str = "speaker"                    # no two subsets share one: "speaker" or "source"
    fold: tuple[int, int] | None = None      # (k, n): the k-th of n folds is eval


def split(part: str, trials: list[Trial], subsets: list[str], options: SplitOptions,
          trained: Set[str] = frozenset(), alike: Iterable[list[Trial]] = (),
          ) -> dict[str, list[Trial]]:
    """The trials of each subset.

    Speakers are dealt about 60 / 20 / 20, so that key, attack and gender have the same shares in
    each subset, and each has both classes. Where an attack has too few speakers for that, the keys
    have the same shares. An utterance of an unknown speaker counts as a speaker.
    Speakers that share a recording, as `alike` says, count as one.

    Where eval is one of several subsets, some attacks are kept for it alone, so that a second
    result shows how the model does on attacks that neither train nor dev has. If the part also
    gives train, a quarter of its attacks (of four or more) is kept. If only dev and eval are cut,
    it is half of the attacks that the other part's train lacks (`trained` are those it has), and
    the other half is left to dev alone. By source, no attack is kept: most have one source anyway.

    With folds, fold k of n is eval, the next one is dev, and all others are train. Over all k,
    each utterance is in eval once. `InputError` where there are too few speakers, and by source
    where none is known: by file, speakers would be in two subsets.
    """
    if options.fold and set(subsets) != set(SUBSETS):
        raise InputError("--fold cuts train, dev and eval from one part, "
                         "but data/raw holds more than one: leave --fold out")
    if len(subsets) == 1:
        return {subsets[0]: trials}
    if options.unit == "source" and all(trial.labels.source == UNKNOWN for trial in trials):
        raise InputError(f"--split_by source: no list of the {part} part names a source. Leave it "
                         "out, so that the split is by speaker")
    groups = groups_of(trials, options.unit, alike)
    strata: Strata = defaultdict(Counter)
    for trial in trials:
        strata[groups[trial.utterance]][_stratum(trial.labels)] += 1
    if options.fold:
        balanced = _balanced(strata, options.fold[1])
        return _collect(trials, subsets, _fold_homes(balanced, options), groups)
    return _split_by_shares(part, trials, subsets, options, strata, groups, trained)


def _split_by_shares(part: str, trials: list[Trial], subsets: list[str], options: SplitOptions,
                     strata: Strata, groups: Groups, trained: Set[str],
                     ) -> dict[str, list[Trial]]:
    attacks = {trial.labels.attack for trial in trials if not trial.labels.is_bonafide}
    held_out: set[str] = set()
    if options.unit == "speaker":
        held_out = _held_out_attacks(attacks, subsets, options.seed, trained)
    kept = _kept(attacks, subsets, held_out, trained)
    teams = _teams(strata, kept)
    if len(teams) < len(subsets):
        kept = _kept(attacks, subsets, set(), trained)
        teams = _teams(strata, kept)
    if len(teams) < len(subsets):
        raise InputError(_too_few(part, trials, len(strata), subsets, options.unit))
    home = _of_one_subset(strata, kept)
    home |= {group: subset for team, subset in zip(teams, subsets) for group in team}
    _deal_rest(_balanced(strata, len(subsets)), {subset: SHARES[subset] for subset in subsets},
               home, options.seed)
    lists = _collect(trials, subsets, home, groups)
    return {subset: [trial for trial in found
                     if trial.labels.is_bonafide or trial.labels.attack in kept[subset]]
            for subset, found in lists.items()}


def _collect(trials: list[Trial], subsets: list[str], home: dict[str, str],
             groups: Groups) -> dict[str, list[Trial]]:
    return {subset: [trial for trial in trials if home[groups[trial.utterance]] == subset]
            for subset in subsets}


def _stratum(labels: Labels) -> tuple[str, str, str]:
    return labels.key, labels.attack, labels.gender


def _balanced(strata: Strata, parts: int) -> Strata:
    """The strata to spread over `parts`: by key alone where fewer groups than parts hold one.

    Such is an attack of one voice or of one source.
    """
    holders = Counter(stratum for counts in strata.values() for stratum in counts)
    found: Strata = {group: Counter() for group in strata}
    for group, counts in strata.items():
        for stratum, count in counts.items():
            found[group][stratum if holders[stratum] >= parts else stratum[:1]] += count
    return found


def deal_folds(strata: Strata, folds: int, seed: int) -> dict[str, int]:
    """The fold of each group, from 1; folds are as alike as the groups allow."""
    dealt: dict[str, str] = {}
    _deal_rest(strata, {str(k): 1 / folds for k in range(1, folds + 1)}, dealt, seed)
    return {group: int(fold) for group, fold in dealt.items()}


def _fold_homes(strata: Strata, options: SplitOptions) -> dict[str, str]:
    """The subset of each group where one fold is eval, the next dev and the rest train."""
    number, folds = options.fold
    if len(strata) < folds:
        raise InputError(f"the number of {options.unit}s is {len(strata)}, too few for {folds} "
                         "folds: choose fewer with --fold")
    role = {number: "eval", number % folds + 1: "dev"}
    dealt = deal_folds(strata, folds, options.seed)
    return {group: role.get(fold, "train") for group, fold in dealt.items()}


def _held_out_attacks(attacks: set[str], subsets: list[str], seed: int,
                      trained: Set[str]) -> set[str]:
    """The attacks for eval alone; where train is of another part, dev keeps at least one."""
    if "eval" not in subsets or "dev" not in subsets:
        return set()
    if "train" in subsets:
        new = sorted(attacks)
        count = len(new) // HELD_OUT_ONE_IN
    else:
        new = sorted(attacks - trained)
        count = (len(new) + bool(attacks & trained)) // 2
    return set(random.Random(f"attacks {seed}").sample(new, count))


def _kept(attacks: set[str], subsets: list[str], held_out: set[str],
          trained: Set[str]) -> dict[str, set[str]]:
    """The attacks that each subset keeps."""
    for_eval = attacks
    if held_out and "train" not in subsets:
        for_eval = held_out | (attacks & trained)
    return {subset: for_eval if subset == "eval" else attacks - held_out for subset in subsets}


def _too_few(part: str, trials: list[Trial], groups: int, subsets: list[str], unit: str) -> str:
    keys = Counter(trial.labels.key for trial in trials)
    if {getattr(trial.labels, unit) for trial in trials} == {UNKNOWN} or (
            unit == "speaker" and one_speaker(trials)):
        unit = "recording"
    return (f"the {part} part (bona fide {keys['bonafide']:,}, spoof {keys['spoof']:,}, "
            f"{unit}s {groups:,}) cannot be split into {', '.join(subsets)} with both classes in "
            f"each and no {unit} in two: add {unit}s until each subset can have one of both "
            "classes, or add the missing subsets")


def _of_one_subset(strata: Strata, kept: dict[str, set[str]]) -> dict[str, str]:
    """The groups that hold nothing but attacks of one subset, which would be left out elsewhere."""
    homes = defaultdict(list)
    for subset, attacks in kept.items():
        for attack in attacks:
            homes[attack].append(subset)
    found = {}
    for group, counts in strata.items():
        subsets = {tuple(homes[attack]) for _, attack, _ in counts}     # none for bona fide
        if len(subsets) == 1 and len(only := subsets.pop()) == 1:
            found[group] = only[0]
    return found


def _teams(strata: Strata, kept: dict[str, set[str]]) -> list[list[str]]:
    """For each subset, one speaker with both classes, or else two with one class each.

    The smallest speakers go first. There are fewer teams than subsets where speakers run out.
    """
    free = sorted(strata, key=lambda group: (strata[group].total(), group))
    teams = []
    for attacks in kept.values():
        kinds: dict[frozenset, list[str]] = defaultdict(list)
        for group in free:
            kinds[_classes(strata[group], attacks)].append(group)
        pairs = zip(kinds[frozenset(["bonafide"])], kinds[frozenset(["spoof"])])
        both = kinds[frozenset(KEYS)]
        team = both[:1] or list(next(pairs, ()))
        if team:
            teams.append(team)
        free = [group for group in free if group not in team]
    return teams


def _classes(counts: Counter, attacks: set[str]) -> frozenset[str]:
    """The classes that a speaker has, if of all attacks only these are kept."""
    return frozenset(key for key, attack, _ in counts if key == "bonafide" or attack in attacks)


def _deal_rest(strata: Strata, shares: dict[str, float], home: dict[str, str], seed: int) -> None:
    """Give each group without a subset one, largest first: where its strata are missing most.

    After iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011), with groups as examples.
    """
    total: Counter = sum(strata.values(), Counter())
    weight = sum(shares.values())
    have: dict[str, Counter] = {subset: Counter() for subset in shares}
    for group, subset in home.items():
        have[subset].update(strata[group])
    rest = sorted(set(strata) - set(home))
    random.Random(f"speakers {seed}").shuffle(rest)
    for group in sorted(rest, key=lambda group: -strata[group].total()):
        counts = strata[group]
        gains = {subset: _gain(counts, have[subset], total, share / weight)
                 for subset, share in shares.items()}
        home[group] = max(gains, key=gains.__getitem__)
        have[home[group]].update(counts)


def _gain(counts: Counter, have: Counter, total: Counter, share: float) -> float:
    """How much nearer to its share of each stratum these counts bring a subset (squared error)."""
    return sum(count * (share - (have[stratum] + count / 2) / total[stratum])
               / (share * total[stratum]) for stratum, count in counts.items())
