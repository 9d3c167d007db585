"""Calibration of a finished model: what it says of the dev set that it used."""
import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.networks.scoring_models import write_small_model
from tests.helpers.tiny_stores import tiny_stores
from utils import calibrate_model
from utils.common.errors import InputError
from utils.detector.decision import Decision
from utils.detector.engines import load_engine
from utils.detector.scoring import score_blocks
from utils.detector.verdict import NARROW, NOISY, conditions, dev_eer, is_demo
from utils.export.calibrating import calibrated, change_entries
from utils.export.conditions import CHANGES, Changed
from utils.store.reader import Store


def training(train: int, dev: int, **more) -> dict:
    """A training on lists named as those of `tiny_stores`."""
    data = {"train": {"trial_list_sha256": f"train {train}"},
            "dev": {"trial_list_sha256": f"dev {dev}"}}
    return {"corpus": "lab", "demo": False, "data": data} | more


def model(folder: Path, epochs: int, **more) -> Path:
    """A small model that says it was trained here for so many epochs."""
    return write_small_model(folder, history=[{"epoch": k + 1} for k in range(epochs)],
                             trained_on=training(24, 44, **more))


def started(epochs: int, **more) -> dict:
    """A start from a model with other data, itself started from another one."""
    return {"start": training(25, 45, epochs=1,
                              start=training(26, 46, epochs=epochs, **more))}


@pytest.mark.parametrize("count, epochs, start, chose", [
    (44, 3, {}, True), (44, 1, {}, False), (46, 3, {}, False),
    (46, 1, started(3), True), (46, 3, started(1), False), (45, 3, started(3), False)])
def test_dev_is_said_to_have_chosen_the_epoch_where_it_did(count, epochs, start, chose, tmp_path):
    """The same dev set, and several epochs to choose among, in any training of the chain."""
    path = model(tmp_path, epochs, **start)
    store = Store(tiny_stores(tmp_path, {"dev": count}) / "processed/dev")
    entries = calibrated(load_engine(path, threads=1), store)
    assert ("chose the epoch" in entries["decision"]["band_origin"]) == chose
    assert entries["decision"]["origin"].endswith(f"calibrated on {count} dev trials of tiny")
    change_entries(path, entries)
    assert is_demo(load_engine(path).metadata)      # the store's corpus is, the training's is not


@pytest.mark.parametrize("count", [24, 26])
def test_a_model_is_not_calibrated_on_what_it_or_its_start_was_trained_on(count, tmp_path):
    path = model(tmp_path, 1, **started(1))
    store = Store(tiny_stores(tmp_path, {"train": count}) / "processed/train")
    with pytest.raises(InputError, match="was trained on .*train"):
        calibrated(load_engine(path, threads=1), store)


@pytest.mark.parametrize("train", [24, 25])
def test_a_dev_set_that_was_split_anew_is_told(train, tmp_path, capsys):
    path, data = model(tmp_path, 1, corpus="tiny"), tiny_stores(tmp_path, {"dev": 44})
    lists = {"train": {"sha256": f"train {train}"},
             "dev": {"sha256": "dev 44", "origin": "split of all"}}
    (data / "protocols").mkdir()
    (data / "protocols/corpus.json").write_text(json.dumps({"subsets": lists}))
    assert calibrate_model.main(["--model", str(path), "--data_dir", str(data)]) == 0
    assert ("trained on another split" in capsys.readouterr().err) == (train != 24)


def test_bands_for_noisy_and_telephone_speech_are_fitted_on_changed_dev(tmp_path):
    path = model(tmp_path, 1)
    store = Store(tiny_stores(tmp_path, {"dev": 44}) / "processed/dev")
    entries = calibrated(load_engine(path, threads=1), store, conditions=True)
    change_entries(path, entries)
    bands = load_engine(path, threads=1).metadata["decision"]["bands"]
    assert set(bands) == {NOISY, NARROW}
    assert all(low <= high for low, high in bands.values())


@pytest.mark.parametrize("name", [NOISY, NARROW])
def test_a_recording_of_the_changed_dev_set_is_noticed_as_such(name, tmp_path):
    """And what is read is the same in one piece and in two."""
    store = Store(tiny_stores(tmp_path, {"dev": 12}) / "processed/dev")
    changed = Changed(store, CHANGES[name])
    whole = changed.read(3)
    assert np.array_equal(np.concatenate([changed.read(3, 0, 900), changed.read(3, 900)]), whole)
    assert len(whole) == store.rows[3].n_samples and whole.dtype == np.int16
    decision = Decision(0.0, (-1.0, 1.0), bands={name: (-2.0, 2.0)})
    heard = [score_blocks(load_engine(model(tmp_path, 1), threads=1), [changed.read(k)])
             for k in range(len(changed))]
    assert np.mean([name in conditions(scored, decision) for scored in heard]) >= 0.75


def test_a_dev_set_of_one_class_is_refused_before_it_is_heard(tmp_path):
    store = Store(tiny_stores(tmp_path, {"dev": 4}) / "processed" / "dev")
    store.rows = [row for row in store.rows if not row.labels.is_bonafide]
    engine = load_engine(model(tmp_path, 1))
    engine.session = None       # whoever scores fails
    entries = calibrated(engine, store)
    assert entries["calibration"] is None and "calibration needs both kinds" in entries["reason"]
    earlier = {"dev_eer": 0.1, "calibrated_on": {"eer": 0.2}}       # of a threshold that is no more
    assert dev_eer(earlier | entries) is None
