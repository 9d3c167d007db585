"""Recordings of equal content are found: across subsets, under both keys, in archives."""
from dataclasses import replace
from pathlib import Path

import pytest

from utils.common.errors import InputError
from utils.trials.labels import Labels
from utils.trials.overlap import Overlap
from utils.trials.trial import Trial

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "data/examples").glob("*.flac"))


@pytest.fixture
def raw(tmp_path) -> Path:
    return tmp_path


def trial(raw: Path, name: str, data: bytes, key: str = "spoof") -> Trial:
    """A recording in a file of its own."""
    (raw / name).parent.mkdir(exist_ok=True)
    (raw / name).write_bytes(data)
    labels = Labels(key=key, attack="-" if key == "bonafide" else "A1")
    return Trial(name, labels, name, 0, len(data))


def told(raw: Path, **subsets: list[Trial]) -> list[str]:
    """What is said of these subsets."""
    said: list[str] = []
    overlap = Overlap(raw)
    for subset, trials in subsets.items():
        overlap.add(subset, trials, said.append)
    overlap.compare(said.append)
    return said


def speech(number: int) -> bytes:
    return EXAMPLES[number].read_bytes()


def test_different_recordings_are_not_mentioned(raw):
    changed = bytearray(speech(0))      # equal in size and in the middle
    changed[-1] ^= 1
    assert not told(raw, train=[trial(raw, "a", speech(0)), trial(raw, "b", bytes(changed))],
                    eval=[trial(raw, "c", speech(1))])


@pytest.mark.parametrize("held", ["dev", "eval"])
def test_copies_in_train_and_another_set_are_refused_with_their_names(raw, held):
    with pytest.raises(InputError, match=f"and {held} share 1 recording .*, such as a.flac and b."):
        told(raw, train=[trial(raw, "a.flac", speech(0))],
             **{held: [trial(raw, "b.flac", speech(0))]})


def test_copies_in_dev_and_eval_are_told(raw):
    said = told(raw, dev=[trial(raw, "a", speech(0))], eval=[trial(raw, "b", speech(0))])
    assert said[0].startswith("CAREFUL: dev and eval share") and "a and b" in said[0]


def test_trials_with_equal_recordings_are_found_in_one_part(raw):
    (raw / "real").mkdir()
    (raw / "link").symlink_to(raw / "real")
    first, copy, other = (trial(raw, f"real/{name}", speech(number))
                          for name, number in (("a", 0), ("b", 0), ("c", 1)))
    linked = replace(first, utterance="link/a", container="link/a")
    found = Overlap(raw).alike([first, copy, other, linked])
    assert {frozenset(trial.utterance for trial in group) for group in found} == {
        frozenset({"real/a", "link/a"}), frozenset({"real/a", "real/b"})}


def test_a_recording_under_both_keys_is_told(raw):
    said = told(raw, train=[trial(raw, "real", speech(0), "bonafide"), trial(raw, "x", speech(0))])
    assert "1 recording under both keys, such as real and x" in said[0]


def test_copies_in_one_subset_under_one_key_are_a_number(raw):
    said = told(raw, train=[trial(raw, name, speech(0)) for name in "abc"])
    assert said == ["recordings that equal another: 2"]


def test_members_of_an_archive_are_compared_where_they_lie(raw):
    both = speech(0) + speech(1)
    (raw / "x.tar").write_bytes(both)
    inside = Trial("m", Labels(key="spoof", attack="A1"), "x.tar", len(speech(0)), len(speech(1)))
    with pytest.raises(InputError, match="x.tar and copy.flac"):
        told(raw, train=[inside], eval=[trial(raw, "copy.flac", speech(1))])
