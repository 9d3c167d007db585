"""Hostile or broken archives, protocols and models in the real scripts: one sentence, no harm."""
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.hostile import ACCEPTED, REFUSED, cases, material, run

ALL = cases()


@pytest.fixture(scope="module")
def stuff(tmp_path_factory):
    return material(tmp_path_factory.mktemp("material"))


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.group}: {case.name}")
def test_it_ends_as_it_must_and_harms_nothing(case, stuff, tmp_path):
    outcome, said = run(case, stuff, tmp_path)
    assert outcome == case.outcome and re.search(case.words, said), (outcome, said)
    if outcome == REFUSED:
        assert said.splitlines()[-1].isprintable() and len(said.splitlines()[-1]) < 600
    assert not (tmp_path / "trace").exists() and not Path("/tmp/hostile").exists()
    assert not list(tmp_path.rglob("run.sh"))
    if outcome == REFUSED and case.group != "checkpoint":
        assert not (tmp_path / "data" / "protocols" / "corpus.json").exists()


def test_the_table_names_each_case_once():
    assert len({(case.group, case.name) for case in ALL}) == len(ALL)
    counts = Counter(case.group for case in ALL)
    assert min(counts.values()) >= 9 and set(counts) == {
        "tar archive", "gzip archive", "zip archive", "protocol", "checkpoint", "ONNX model"}
    assert {case.outcome for case in ALL} == {REFUSED, ACCEPTED}
