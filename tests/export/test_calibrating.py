"""Calibration of a finished model: what it says of the dev set that it used."""
from pathlib import Path

import pytest

from tests.helpers.networks.scoring_models import write_small_model
from tests.helpers.tiny_stores import tiny_stores
from utils.common.errors import InputError
from utils.detector.engines import load_engine
from utils.detector.verdict import is_demo
from utils.export.calibrating import calibrated, change_entries
from utils.store.reader import Store


def trained(folder: Path, epochs: int) -> Path:
    """A small model that says it was trained here, on lists named as those of `tiny_stores`."""
    data = {"train": {"trial_list_sha256": "train 24"}, "dev": {"trial_list_sha256": "dev 44"}}
    return write_small_model(folder, history=[{"epoch": k + 1} for k in range(epochs)],
                             trained_on={"corpus": "lab", "demo": False, "data": data})


@pytest.mark.parametrize("count, epochs, chose",
                         [(44, 3, True), (44, 1, False), (46, 3, False)])
def test_dev_is_said_to_have_chosen_the_epoch_where_it_did(count, epochs, chose, tmp_path):
    """The same dev set, and several epochs to choose among."""
    model = trained(tmp_path, epochs)
    store = Store(tiny_stores(tmp_path, {"dev": count}) / "processed/dev")
    entries = calibrated(load_engine(model, threads=1), store)
    assert ("chose the epoch" in entries["decision"]["band_origin"]) == chose
    assert entries["decision"]["origin"].endswith(f"calibrated on {count} dev trials of tiny")
    change_entries(model, entries)
    assert is_demo(load_engine(model).metadata)     # the store's corpus is, the training's is not


def test_a_model_is_not_calibrated_on_what_it_was_trained_on(tmp_path):
    model = trained(tmp_path, 1)
    store = Store(tiny_stores(tmp_path, {"train": 24}) / "processed/train")
    with pytest.raises(InputError, match="was trained on .*train"):
        calibrated(load_engine(model, threads=1), store)
