"""Missing subsets: cut by speaker, balanced, seeded, with attacks that only eval has."""
from collections import Counter

import pytest

from utils.common.errors import InputError
from utils.corpora.in_words import attacks_of, kept_apart
from utils.detector.fitting import too_few_for_verdicts
from utils.trials.labels import Labels
from utils.trials.split import SplitOptions, plan_subsets, split
from utils.trials.trial import SUBSETS, Trial

ALL = list(SUBSETS)


def trial(number: int, speaker: str, attack: str = "-", gender: str = "F") -> Trial:
    key = "bonafide" if attack == "-" else "spoof"
    labels = Labels(speaker=speaker, gender=gender, attack=attack, key=key)
    return Trial(f"D_{number:010}", labels, "a.tar", 512, 9)


def trials(speakers: int, utterances: int, attacks: int = 8) -> list[Trial]:
    """Every third utterance is bona fide, the others of one attack after another.

    Speakers differ in how many they have.
    """
    made = []
    for speaker in range(speakers):
        for turn in range(utterances + speaker % 5):
            attack = "-" if turn % 3 == 0 else f"A{9 + (turn + speaker) % attacks:02}"
            made.append(trial(len(made), f"D_{speaker:04}", attack, "FM"[speaker % 2]))
    return made


def speakers_of(lists: dict[str, list[Trial]]) -> list[set[str]]:
    return [{trial.labels.speaker for trial in subset} for subset in lists.values()]


@pytest.mark.parametrize("there, plan", [
    (["dev"], {"dev": ALL}), (["train"], {"train": ALL}), (["eval"], {"eval": ALL}),
    (["train", "dev"], {"train": ["train"], "dev": ["dev", "eval"]}),
    (["train", "eval"], {"train": ["train", "dev"], "eval": ["eval"]}),
    (["dev", "eval"], {"dev": ["train", "dev"], "eval": ["eval"]}),
    (ALL, {subset: [subset] for subset in ALL})])
def test_every_choice_of_parts_gives_all_three_subsets(there, plan):
    assert plan_subsets(there) == plan


def test_a_part_that_is_one_subset_stays_as_it_is():
    part = trials(4, 6)
    assert split("dev", part, ["dev"], SplitOptions(0)) == {"dev": part}


@pytest.mark.parametrize("subsets", [ALL, ["dev", "eval"], ["train", "dev"]])
def test_no_speaker_is_in_two_subsets(subsets):
    lists = split("dev", trials(40, 9), subsets, SplitOptions(0))
    assert sum(map(len, speakers_of(lists))) == len(set.union(*speakers_of(lists))) == 40


def test_the_shares_are_60_20_20_for_each_key_attack_and_gender():
    part = trials(100, 30)
    lists = split("dev", part, ALL, SplitOptions(0))
    attacks = {subset: set(attacks_of(found)) for subset, found in lists.items()}
    held_out = attacks["eval"] - attacks["train"]
    strata = [(t.labels.key, t.labels.attack, t.labels.gender) for t in part]
    found = {subset: Counter((t.labels.key, t.labels.attack, t.labels.gender) for t in trials)
             for subset, trials in lists.items()}
    for stratum, total in Counter(strata).items():
        if stratum[1] not in held_out:
            for subset, share in (("train", 0.6), ("dev", 0.2), ("eval", 0.2)):
                assert found[subset][stratum] / total == pytest.approx(share, abs=0.05)


def test_a_quarter_of_the_attacks_is_for_eval_alone():
    lists = split("dev", trials(40, 30), ALL, SplitOptions(0))
    attacks = {subset: set(attacks_of(found)) for subset, found in lists.items()}
    assert attacks["train"] == attacks["dev"] < attacks["eval"]
    assert len(attacks["dev"]) == 6 and len(attacks["eval"]) == 8


@pytest.mark.parametrize("trained, eval_alone, dev_alone", [
    (set(), 4, 4), ({"A01", "A02"}, 4, 4), ({"A09", "A10"}, 3, 3), ({"A09"}, 4, 3),
    ({f"A{n:02}" for n in range(9, 16)}, 1, 0)])
def test_where_dev_is_halved_attacks_new_to_train_are_in_one_half(trained, eval_alone, dev_alone):
    lists = split("dev", trials(40, 30), ["dev", "eval"], SplitOptions(0), trained)
    attacks = {subset: set(attacks_of(found)) for subset, found in lists.items()}
    assert attacks["eval"] - attacks["dev"] == attacks["eval"] - trained
    assert len(attacks["eval"] - attacks["dev"]) == eval_alone
    assert attacks["eval"] & attacks["dev"] == {f"A{n:02}" for n in range(9, 17)} & trained
    assert len(attacks["dev"] - attacks["eval"]) == dev_alone


@pytest.mark.parametrize("attacks, trained", [(1, set()), (8, {f"A{n:02}" for n in range(9, 17)})])
def test_where_no_attack_can_be_kept_from_dev_nothing_is_left_out(attacks, trained):
    part = trials(10, 30, attacks)
    lists = split("dev", part, ["dev", "eval"], SplitOptions(0), trained)
    assert sum(map(len, lists.values())) == len(part)


def test_no_attack_is_held_out_where_eval_is_a_part_of_its_own():
    part = trials(10, 30)
    lists = split("train", part, ["train", "dev"], SplitOptions(0))
    assert sum(map(len, lists.values())) == len(part)


def test_the_same_seed_gives_the_same_split_whatever_the_order_and_another_seed_another():
    part = trials(40, 9)
    once, again, other = (split("dev", found, ALL, SplitOptions(seed))
                          for found, seed in ((part, 7), (part[::-1], 7), (part, 8)))
    assert speakers_of(once) == speakers_of(again) != speakers_of(other)


def test_the_order_of_the_list_is_kept():
    lists = split("dev", trials(40, 9), ALL, SplitOptions(0))
    assert all(found == sorted(found, key=lambda t: t.utterance) for found in lists.values())


def test_three_speakers_are_enough():
    lists = split("dev", trials(3, 12, attacks=2), ALL, SplitOptions(0))
    assert all({t.labels.key for t in found} == {"bonafide", "spoof"} for found in lists.values())


def test_speakers_of_one_class_each_are_paired():
    part = [trial(n, f"b{n}") for n in range(3)] + [trial(n + 3, f"s{n}", "A09") for n in range(3)]
    lists = split("dev", part, ALL, SplitOptions(0))
    assert all({t.labels.key for t in found} == {"bonafide", "spoof"} for found in lists.values())


@pytest.mark.parametrize("seed", range(12))
def test_no_attack_is_kept_from_speakers_whom_another_subset_needs(seed):
    speakers = {"a": ["A00"], "b": ["A00"], "c": ["A00", "A01", "A02", "A03"]}
    part = [trial(9 * place + turn, speaker, attack) for place, speaker in enumerate(speakers)
            for turn, attack in enumerate(["-", *speakers[speaker]])]
    lists = split("dev", part, ALL, SplitOptions(seed))
    assert sum(map(len, lists.values())) == len(part)
    assert all({t.labels.key for t in found} == {"bonafide", "spoof"} for found in lists.values())


@pytest.mark.parametrize("attacks", [1, 3, 4, 5, 8, 13, 20])
def test_150_recordings_of_each_class_give_dev_enough_for_verdicts(attacks):
    """As data/README.md says."""
    part = [trial(n, "-", "-" if n < 150 else f"A{n % attacks:02}") for n in range(300)]
    keys = Counter(t.labels.key for t in split("train", part, ALL, SplitOptions(1))["dev"])
    assert too_few_for_verdicts(keys["bonafide"], keys["spoof"]) is None


def test_utterances_of_unknown_speaker_stand_for_themselves():
    part = [trial(n, "-", "-" if n % 2 else "A09") for n in range(20)]
    lists = split("train", part, ALL, SplitOptions(0))
    assert [len(lists[subset]) for subset in ALL] == [12, 4, 4]


@pytest.mark.parametrize("part", [trials(2, 9), [trial(n, f"s{n}") for n in range(50)],
                                  [trial(n, f"s{n}", "A09") for n in range(50)],
                                  [trial(n, f"s{n}", "A09" if n < 2 else "-") for n in range(50)]])
def test_too_few_speakers_or_one_class_only_end_in_a_sentence(part):
    with pytest.raises(InputError, match="cannot be split into train, dev, eval with both classes"):
        split("dev", part, ALL, SplitOptions(0))


@pytest.mark.parametrize("speaker", ["Ann", "-"])
def test_too_few_recordings_of_no_or_one_speaker_are_called_recordings(speaker):
    part = [trial(n, speaker, "-" if n % 2 else "A09") for n in range(4)]
    with pytest.raises(InputError, match="recordings 4.* no recording in two: add recordings"):
        split("train", part, ALL, SplitOptions(0))


@pytest.mark.parametrize("fold", [None, (1, 3)])
def test_no_split_by_source_where_none_is_known_parts_speakers(fold):
    with pytest.raises(InputError, match="no list of the train part names a source"):
        split("train", trials(12, 8), list(SUBSETS), SplitOptions(unit="source", fold=fold))


def test_attacks_that_one_subset_has_alone_are_named():
    found = {"train": ["A09"], "dev": ["A09", "A10"], "eval": ["A11"]}
    assert kept_apart(found) == "Attacks in eval alone: A11. Attacks in dev alone: A10"
    found["train"] = ["A10", "A11"]
    assert kept_apart(found) == "No attack is in eval alone. Attacks in dev alone: A09"


@pytest.mark.parametrize("options", [SplitOptions(seed) for seed in range(5)] + [
    SplitOptions(0, fold=(1, 5)), SplitOptions(0, fold=(4, 5))])
def test_attacks_of_one_voice_each_are_spread_by_their_number_and_named_where_alone(options):
    part = [trial(n, f"real {n % 11}") for n in range(48)]
    part += [trial(48 + n, f"voice {n % 14}", f"A{n % 14:02}") for n in range(56)]
    lists = split("train", part, ALL, options)
    for subset, share in (("dev", 0.2), ("eval", 0.2)):
        keys = Counter(t.labels.key for t in lists[subset])
        assert keys["bonafide"] / 48 == pytest.approx(share, abs=0.1)
        assert keys["spoof"] / 56 == pytest.approx(share, abs=0.1)
    attacks = {subset: attacks_of(found) for subset, found in lists.items()}
    names = ", ".join(sorted(attacks["eval"]))      # no voice is in two subsets
    assert f"Attacks in eval alone: {names}." in kept_apart(attacks)
