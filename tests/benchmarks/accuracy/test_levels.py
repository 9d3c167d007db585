"""The benchmark of levels: what it draws, what it counts, and what it refuses."""
import numpy as np
import pytest

from tests.benchmarks.accuracy.bench_levels import CHANGES, chosen, judged, measure
from tests.helpers.audio.example_speech import example_files
from tests.helpers.networks.scoring_models import write_small_model
from utils.common.errors import InputError
from utils.detector.detector import Detector
from utils.signals.front import FRONT


def listed(folder, count: int) -> None:
    rows = [f"{key}{number}\t{key}\t{'dev' if number % 2 else 'train'}"
            for key in ("bonafide", "spoof") for number in range(count)]
    (folder / "trials.tsv").write_text("\n".join(["utterance\tkey\tsplit", *rows]) + "\n")


def test_the_draw_is_of_the_rows_asked_for_and_follows_the_seed(tmp_path):
    listed(tmp_path, 60)
    drawn = chosen(tmp_path, "split=dev", 1)
    assert [len(set(files)) for files in drawn.values()] == [24, 24]
    assert all(int(file.stem[-2:].lstrip("efo")) % 2 for files in drawn.values() for file in files)
    assert drawn == chosen(tmp_path, "split=dev", 1) != chosen(tmp_path, "split=dev", 2)


@pytest.mark.parametrize("where, said", [("split=dev", "has 20 bonafide clips"),
                                         ("part=dev", "has no column part")])
def test_a_list_that_cannot_give_enough_is_refused(tmp_path, where, said):
    listed(tmp_path, 40)
    with pytest.raises(InputError, match=said):
        chosen(tmp_path, where, 1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Of a model with the front stage and one without: two clips of each class."""
    clips = {key: example_files(key)[:2] for key in ("bonafide", "spoof")}
    models = [write_small_model(tmp_path_factory.mktemp("model"), front=front)
              for front in (FRONT, None)]
    return [measure(Detector.load(model, threads=1), clips) for model in models]


def test_every_change_has_a_row_and_a_front_stage_makes_it_small(rows):
    behind, without = ([float(row["mean change of the score"]) for row in table] for table in rows)
    assert [row["change"] for row in rows[0]] == list(CHANGES)
    assert all(row["clips"] == "4" for table in rows for row in table)
    assert np.mean(behind) < 0.2 * np.mean(without)


def test_a_wave_at_full_scale_is_refused(tmp_path):
    detector = Detector.load(write_small_model(tmp_path))
    with pytest.raises(InputError, match="full scale"):
        judged(detector, np.ones(1000))
