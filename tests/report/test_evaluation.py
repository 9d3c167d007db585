"""Figures and words of an evaluation: which attacks count as seen, what a report warns of."""
import json

import numpy as np
import pytest

from utils.detector.engines import PRETRAINED, load_engine
from utils.report.evaluation import Evaluation, evaluate
from utils.report.model_card import build_card
from utils.report.words import headline, warnings
from utils.trials.labels import Labels


class Row:
    """A trial, as `evaluate` needs it."""

    def __init__(self, key: str, attack: str = "-") -> None:
        self.labels = Labels(key=key, attack=attack)


class Trials:
    """A store of a corpus, as `evaluate` needs it."""

    def __init__(self, corpus: str) -> None:
        self.info = {"corpus": {"name": corpus}}


ROWS = [Row("bonafide"), Row("bonafide"), Row("spoof", "A01"), Row("spoof", "A02"),
        Row("spoof", "A03")]
SCORES = np.array([1.0, 2, -1, 3, -2])
INVERTED = np.array([-1.0, -2, 1, 3, 2])
TRAINED_ON = {"corpus": "one", "attacks": ["A01"], "dev_attacks": ["A01", "A02"]}
KNOWN = {"architecture": "small", "trained_on": TRAINED_ON}


def test_attacks_heard_on_dev_are_neither_seen_nor_unseen():
    result = evaluate(ROWS, SCORES, KNOWN, store=Trials("one"), replicates=0)
    parts = [result[name]["attacks"] for name in ("seen", "seen_on_dev", "unseen")]
    assert parts == [["A01"], ["A02"], ["A03"]] and result["attacks_note"] is None
    assert "attacks seen on dev only (A02)" in "\n".join(headline(result))


def test_attacks_of_folders_are_said_to_be_compared_by_name():
    corpus = "folders 0123456789ab"
    known = {**KNOWN, "trained_on": TRAINED_ON | {"corpus": corpus}}
    result = evaluate(ROWS, SCORES, known, store=Trials(corpus), replicates=0)
    assert result["seen"]["attacks"] == ["A01"] and "by their names" in headline(result)[-1]


@pytest.mark.parametrize("store", [Trials("other"), None])
def test_attack_tags_of_another_corpus_are_not_compared(store):
    result = evaluate(ROWS, SCORES, KNOWN, store=store, replicates=0)
    assert "seen" not in result and "cannot be compared with those of one" in headline(result)[-1]
    named = evaluate(ROWS, SCORES, KNOWN, store=store, seen_attacks=["A03"], replicates=0)
    assert named["seen"]["attacks"] == ["A03"]
    assert "seen_on_dev" not in named and named["attacks_note"] is None


@pytest.mark.parametrize("corpus", ["folders 0123456789ab", "folders"])
def test_the_shipped_model_calls_no_attack_of_a_users_folders_seen(corpus):
    """It was trained on other folders, which may call other attacks by the same names."""
    shipped = load_engine(PRETRAINED).metadata
    attack = shipped["trained_on"]["attacks"][0]
    rows = [*ROWS, Row("spoof", attack)]
    scores = np.append(SCORES, 0)
    result = evaluate(rows, scores, shipped, store=Trials(corpus), replicates=0)
    assert "seen" not in result and "unseen" not in result
    said = f"cannot be compared with those of {shipped['trained_on']['corpus']}"
    assert said in headline(result)[-1]
    named = evaluate(rows, scores, shipped, store=Trials(corpus), seen_attacks=[attack],
                     replicates=0)
    assert named["seen"]["attacks"] == [attack]


def test_inverted_scores_get_a_hint():
    result = evaluate(ROWS, INVERTED, replicates=0)
    assert "perhaps these scores are inverted" in headline(result)[-1]
    assert evaluate(ROWS, -INVERTED, replicates=0)["hint"] is None


@pytest.mark.parametrize("copies, hinted", [(1, False), (50, True)])
def test_few_trials_may_err_by_chance_and_get_no_hint(copies, hinted):
    """In each copy, one of two bona fide trials scores below all three spoofs."""
    result = evaluate(ROWS * copies, np.tile([-1.0, 1.2, 1, 3, 2], copies), replicates=100)
    assert result["eer"] > 0.5 and (result["hint"] is not None) == hinted


@pytest.mark.parametrize("demo", [False, True])
def test_every_report_warns_of_inverted_scores(demo):
    known = {**KNOWN, "trained_on": TRAINED_ON | {"demo": True}} if demo else {}
    result = evaluate(ROWS, INVERTED, known, replicates=0)
    evaluation = Evaluation(ROWS, INVERTED, result, known)
    said = warnings(evaluation)
    assert len(said) == 1 + demo and "perhaps these scores are inverted" in said[-1]
    assert said[-1] in build_card(evaluation)


@pytest.mark.parametrize("trials, origin, corpus, said", [
    ("train 1", "split of all", "one", "was trained on these utterances"),
    ("dev 1", "split of all", "one", "chose the model's epoch or set its threshold"),
    ("set 1", "official", "two", "chose the model's epoch or set its threshold"),
    ("eval 1", "split of all", "one", None),
    ("eval 2", "split of all", "one", "trained on another split"),
    ("eval 2", "split of all", "two", None),
    ("eval 2", "official", "one", None)])
def test_figures_on_what_a_model_may_know_carry_a_warning(tmp_path, trials, origin, corpus, said):
    lists = {"train": {"sha256": f"train {trials[-1]}"}, "eval": {"origin": origin}}
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols/corpus.json").write_text(json.dumps({"subsets": lists}))
    store = Trials(corpus)
    store.info["trial_list_sha256"], store.path = trials, tmp_path / "processed/eval"
    data = {subset: {"trial_list_sha256": f"{subset} 1"} for subset in ("train", "dev")}
    known = {**KNOWN, "trained_on": TRAINED_ON | {"data": data},
             "calibrated_on": {"trial_list_sha256": "set 1"}}
    found = evaluate(ROWS, SCORES, known, store=store, replicates=0)
    assert (said is None) == (found["met_before"] is None)
    if said:
        report = Evaluation(ROWS, SCORES, found, known)
        assert said in headline(found)[-1] and said in warnings(report)[0]
        assert said in build_card(report)
