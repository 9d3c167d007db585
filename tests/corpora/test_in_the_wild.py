"""In-the-Wild, as its archive unpacks."""
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.trial_lists import listed_trials
from utils import prepare_dataset
from utils.common.errors import InputError
from utils.corpora.corpus import Corpus, Files, Part
from utils.trials.trial import SUBSETS, read_corpus


def tree(clips, home: Path) -> None:
    home.mkdir(parents=True)
    rows = ["file,speaker,label"]
    paths = [(key, clip) for key in ("bonafide", "spoof") for clip in clips[key]]
    for number, (key, clip) in enumerate(paths):
        shutil.copyfile(clip, home / f"{number}.flac")
        label = "bona-fide" if key == "bonafide" else key
        rows.append(f'{number}.flac,"Speaker, the {number % 3}.",{label}')
    (home / "meta.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize("home", ["", "release_in_the_wild", "a/b"])
def test_its_list_gives_key_and_speaker(clips, tmp_path, home):
    tree(clips, tmp_path / "raw" / home)
    assert prepare_dataset.main(["--data_dir", str(tmp_path)]) == 0
    trials = [trial for subset in SUBSETS for trial in listed_trials(tmp_path, subset)]
    real = len(clips["bonafide"])
    assert {(t.utterance, t.labels.key, t.labels.speaker, t.labels.attack) for t in trials} == {
        (f"{n}.flac", "bonafide" if n < real else "spoof", f"Speaker, the {n % 3}.",
         "-" if n < real else "spoof") for n in range(real + len(clips["spoof"]))}
    assert read_corpus(tmp_path)["name"] == "In-the-Wild"


def test_all_of_it_is_eval_for_a_model_that_is_there(clips, tmp_path, capsys):
    """Published figures are of the whole set."""
    tree(clips, tmp_path / "raw")
    assert prepare_dataset.main(["--data_dir", str(tmp_path), "--eval_only"]) == 0
    assert [path.name for path in (tmp_path / "protocols").glob("*.tsv")] == ["eval.tsv"]
    assert len(listed_trials(tmp_path, "eval")) == len(clips["bonafide"] + clips["spoof"])
    with pytest.raises(SystemExit) as ended:
        prepare_dataset.main(["--data_dir", str(tmp_path), "--eval_only", "--fold", "1/3"])
    assert ended.value.code == 2 and "--fold cuts three subsets" in capsys.readouterr().err


def test_of_several_parts_eval_alone_is_left_or_missed():
    part = Part("list", list, Files)
    corpus = Corpus("C", "C, train and dev only", "c", "raw", {"train": part, "dev": part})
    with pytest.raises(InputError, match="C, train and dev only has train and dev but no eval"):
        corpus.eval_alone()
    whole = replace(corpus, parts=corpus.parts | {"eval": part}).eval_alone()
    assert whole.parts == {"eval": part} and whole.keeps_sets


def test_a_line_that_cannot_be_read_is_named(clips, tmp_path):
    tree(clips, tmp_path / "raw")
    with open(tmp_path / "raw" / "meta.csv", "a") as file:
        file.write("99.flac,Ann,maybe\n")
    with pytest.raises(InputError, match="meta.csv, line .* like the others: '99.flac,Ann,"):
        prepare_dataset.main(["--data_dir", str(tmp_path)])


def test_asked_for_but_not_there_it_says_what_to_download(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError, match="download In-the-Wild"):
        prepare_dataset.main(["--data_dir", str(tmp_path), "--corpus", "in_the_wild"])
