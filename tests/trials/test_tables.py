"""Folders with a trials.tsv: columns, several in one corpus, conditions, splits by source."""
import re
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from tests.helpers.trial_lists import listed_trials
from utils import prepare_dataset, preprocess_data
from utils.common.errors import InputError
from utils.store.reader import Store
from utils.trials.labels import Labels
from utils.trials.split import SplitOptions, split
from utils.trials.tables import condition
from utils.trials.trial import SUBSETS, Trial, read_corpus


def listed(folder: Path, clips: dict, rows: list[tuple], columns: str) -> None:
    """A folder of real clips with the trial list `rows`, whose first column names the file."""
    folder.mkdir(parents=True)
    for number, row in enumerate(rows):
        pool = clips["bonafide" if "bonafide" in row else "spoof"]
        (folder / f"{row[0]}.flac").write_bytes(pool[number % len(pool)].read_bytes())
    lines = [columns.split(), *rows]
    text = "\r\n".join("\t".join(map(str, line)) for line in lines)
    (folder / "trials.tsv").write_bytes(text.encode("utf-8-sig"))


@pytest.fixture
def data(clips, tmp_path) -> Path:
    """Two listed folders: 12 trials with sources, 8 of them open; bona fide without sources."""
    pool = []
    for n in range(12):
        key, attack = (("bonafide", "-"), ("spoof", "Griffin-Lim (page)"))[n % 2]
        pool.append((f"P{n:02}", f"s{n}", key, attack, f"lab/{n // 2}", int(n < 8)))
    own = [(f"P{n:02}", "-", "bonafide") for n in range(4)]
    listed(tmp_path / "data/raw/pool", clips, pool, "utterance speaker key attack source open")
    listed(tmp_path / "data/raw/own", clips, own, "utterance attack key")
    return tmp_path / "data"


def prepare(data: Path, *options: str) -> list[Trial]:
    assert prepare_dataset.main(["--data_dir", str(data), *options]) == 0
    return [trial for subset in SUBSETS for trial in listed_trials(data, subset)]


def sources(trials: list[Trial]) -> set[str]:
    return {trial.labels.source for trial in trials}


def test_lists_beside_each_other_are_one_corpus_and_sources_reach_the_store(data):
    trials = prepare(data)
    assert len(trials) == 16 and {t.utterance for t in trials} >= {"pool/P00", "own/P00"}
    assert {t.labels.source for t in trials} == {f"lab/{n}" for n in range(6)} | {"own"}
    assert {t.labels.attack for t in trials} == {"-", "Griffin-Lim (page)"}
    assert preprocess_data.main(["--data_dir", str(data)]) == 0
    for subset in SUBSETS:
        expected = {t.utterance: t.labels.source for t in listed_trials(data, subset)}
        rows = Store(data / "processed" / subset).rows
        assert {row.utterance: row.labels.source for row in rows} == expected


def test_conditions_choose_rows_and_lists_without_the_column_stay_whole(data, capsys):
    trials = prepare(data, "--where", "open=1")
    assert len(trials) == 12
    assert sources(trials) == {"lab/0", "lab/1", "lab/2", "lab/3", "own"}
    assert "4 of the 12 trials" in capsys.readouterr().out
    assert read_corpus(data)["where"] == ["open=1"]
    trials = prepare(data, "--where", "source!=lab/0", "--where", "open=1")
    assert sources(trials) == {"lab/1", "lab/2", "lab/3", "own"}
    with pytest.raises(InputError, match="no trial list here has a column opne"):
        prepare(data, "--where", "opne=1")


def test_folders_are_known_by_their_train_list(data):
    def name(*options: str) -> str:
        prepare(data, *options)
        return read_corpus(data)["name"]
    linked(data)
    parts = ("--where", "train:open=1", "--where", "dev:source=lab/4")
    one = name(*parts, "--where", "eval:source=lab/5")
    assert re.fullmatch("folders [0-9a-f]{12}", one)
    assert preprocess_data.main(["--data_dir", str(data)]) == 0
    stores = [Store(data / "processed" / subset) for subset in SUBSETS]
    assert {store.info["corpus"]["name"] for store in stores} == {one}
    # more to evaluate on, the same to learn from
    assert name(*parts, "--where", "eval:source=lab/4,lab/5") == one
    assert name(*parts, "--where", "eval:source=lab/5", "--where", "train:source!=lab/0") != one


@pytest.mark.parametrize("text", ["open", "=1", "open=", "!=1"])
def test_other_text_is_no_condition(text):
    with pytest.raises(ArgumentTypeError, match="is not COLUMN=VALUE"):
        condition(text)


def test_a_split_by_source_shares_none_and_each_fold_is_eval_once(data):
    prepare(data, "--split_by", "source")
    found = [{t.labels.source for t in listed_trials(data, subset)} for subset in SUBSETS]
    assert sum(map(len, found)) == len(set.union(*found)) == 7
    held = []
    for number in (1, 2, 3):
        prepare(data, "--split_by", "source", "--fold", f"{number}/3")
        held += [t.utterance for t in listed_trials(data, "eval")]
    assert len(held) == len(set(held)) == 16


def test_a_split_by_source_spreads_the_classes():
    trials = []
    for n in range(400):
        key, attack = ("spoof", f"A{n % 40}") if n % 3 else ("bonafide", "-")
        labels = Labels(speaker=f"s{n}", key=key, attack=attack, source=f"source {n % 40}")
        trials.append(Trial(f"U{n:03}", labels, "x", 0, 1))
    lists = split("train", trials, list(SUBSETS), SplitOptions(unit="source"))
    assert sum(map(len, lists.values())) == 400
    assert 0.5 < len(lists["train"]) / 400 < 0.7
    shares = [sum(t.labels.is_bonafide for t in part) / len(part) for part in lists.values()]
    assert all(0.2 < share < 0.5 for share in shares)


def linked(data: Path) -> None:
    """The pool as train, dev and eval."""
    for part in SUBSETS:
        (data / "raw" / part).mkdir()
        try:
            (data / "raw" / part / f"{part}-pool").symlink_to(data / "raw/pool", True)
        except OSError:
            pytest.skip("no links on this system")


DISJOINT = ("--where", "train:open=1", "--where", "dev:source=lab/4",
            "--where", "eval:source=lab/5")


def test_a_list_is_found_as_a_part_and_through_a_link(data, capsys):
    linked(data)
    prepare(data, *DISJOINT)
    assert {v["origin"] for v in read_corpus(data)["subsets"].values()} == {"official"}
    assert [len(listed_trials(data, subset)) for subset in SUBSETS] == [8, 2, 2]
    assert "CAREFUL" not in capsys.readouterr().out


def test_a_file_in_train_and_another_subset_is_refused_one_in_dev_and_eval_warned(data, capsys):
    linked(data)
    first = r"^train and dev share 12 files, raw/dev/dev-pool/P00.flac first: .*--where train:"
    with pytest.raises(InputError, match=first):
        prepare(data)
    with pytest.raises(InputError, match="^train and eval share 4 files, .*P08.flac first"):
        prepare(data, "--where", "train:open=0", "--where", "dev:open=1")
    assert not (data / "protocols/corpus.json").exists()
    prepare(data, "--where", "train:open=1", "--where", "dev:open=0",
            "--where", "eval:source=lab/5")
    warned = "CAREFUL: dev and eval share 2 files, raw/eval/eval-pool/P10.flac first"
    assert warned in capsys.readouterr().out


def test_a_link_to_one_file_is_that_file(data):
    linked(data)
    (data / "raw/pool/P10.flac").unlink()
    (data / "raw/pool/P10.flac").symlink_to(data / "raw/pool/P00.flac")
    with pytest.raises(InputError, match="^train and eval share raw/eval/eval-pool/P10.flac: "):
        prepare(data, *DISJOINT)


@pytest.mark.parametrize("content, message", [
    ("utterance\tkey\nP00\tspoof\n", "lacks the column attack"),
    ("utterance\tkey\tattack\nP00\tfake\tX\n", "line 2 has the key 'fake'"),
    ("utterance\tkey\tattack\nP00\tspoof\t-\n", "line 2 has the key 'spoof' with the attack '-'"),
    ("utterance\tkey\tattack\nP00\tspoof\n", "line 2 has 2 columns"),
    ("utterance\tkey\tattack\nP00\tspoof\tX\tY\n",
     "line 2 has 4 columns, but the first line has 3"),
    ("utterance\tkey\tkey\tattack\nP00\tspoof\tspoof\tX\n", "repeats the column 'key'"),
    ("utterance\tkey\tattack\nP00\tspoof\tX\nP00\tspoof\tX\n", "line 3 repeats P00"),
    ("utterance\tkey\tattack\n", "lists no utterances"),
    ("utterance\tkey\tattack\n../own/P00\tspoof\tX\n", "none of the")])
def test_a_list_that_is_wrong_is_one_sentence(data, content, message):
    (data / "raw/pool/trials.tsv").write_text(content)
    (data / "raw/own/trials.tsv").unlink()
    with pytest.raises(InputError, match=message):
        prepare(data)


def test_trials_without_their_file_and_files_without_their_trial_are_counted(data, capsys):
    (data / "raw/pool/P01.flac").rename(data / "raw/pool/Q.flac")
    assert len(prepare(data)) == 15
    said = capsys.readouterr().out
    assert "1 of the 12 trials" in said and "P01 first" in said
    assert "files left out since no list names them: 1" in said
