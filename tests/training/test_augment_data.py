"""Augmented crops of a store: who babbles behind whom, and that nothing but seed, epoch and
utterance decides it."""
import pickle

import numpy as np
import pytest
import torch

from tests.helpers.tiny_stores import tiny_stores
from utils.store.reader import Store, StorePart
from utils.training.data import CropDataset

SAMPLES = 8000
BABBLE_SHARE = 0.35 / 2     # of the full chain


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_stores(tmp_path_factory.mktemp("augment"), {"train": 12})


@pytest.fixture
def store(data):
    return Store(data / "processed/train")


def heard_behind(store, index, epochs):
    """The utterances read for each augmented crop of one utterance, after the crop itself."""
    heard, read = [], store.read
    store.read = lambda number, *place: heard.append(number) or read(number, *place)
    crops, talkers = CropDataset(store, SAMPLES, 5, "full"), []
    for epoch in range(epochs):
        heard.clear()
        crops[epoch, index]
        assert heard[0] == index
        talkers.append(heard[1:])
    store.read = read
    return talkers


@pytest.mark.parametrize("index", [0, 1])
def test_babble_is_of_all_the_other_bona_fide_utterances_and_of_no_others(store, index):
    talkers = heard_behind(store, index, 120)
    assert store.rows[index].labels.key == ("bonafide", "spoof")[index]
    assert {number for some in talkers for number in some} == {0, 2, 4, 6, 8, 10} - {index}
    assert {len(some) for some in talkers} == {0, 3, 4, 5, 6}
    assert np.mean([bool(some) for some in talkers]) == pytest.approx(BABBLE_SHARE, abs=0.1)


def test_the_only_bona_fide_utterance_gets_no_babble(store):
    part = StorePart(store, [0, 1, 3])
    assert "babble" not in CropDataset(part, SAMPLES, 5, "full").augmentation(0, "full").describe()
    assert "babble" in CropDataset(part, SAMPLES, 5, "full").augmentation(1, "full").describe()
    assert not any(heard_behind(part, 0, 30))


def test_augmented_crops_are_the_same_from_a_copy_and_in_any_order(store):
    crops = CropDataset(store, SAMPLES, 5, "full")
    copy = pickle.loads(pickle.dumps(crops))
    items = [(epoch, index) for epoch in range(3) for index in range(12)]
    waves = {item: crops[item][0] for item in items}
    assert all(torch.equal(copy[item][0], waves[item]) for item in reversed(items))
    assert len({wave.numpy().tobytes() for wave in waves.values()}) == len(items)
    other = CropDataset(store, SAMPLES, 6, "full")
    assert not any(torch.equal(other[item][0], waves[item]) for item in items)


def test_a_changed_copy_is_of_the_same_crop_and_leaves_the_crop_as_it_is(store):
    pairs = CropDataset(store, SAMPLES, 5, "speed", ("level", "channel"))
    alone = CropDataset(store, SAMPLES, 5, "speed")
    for index in range(6):
        wave, label, soft, sent = pairs[1, index]
        assert torch.equal(wave, alone[1, index][0]) and label == alone[1, index][1]
        assert wave.shape == soft.shape == sent.shape
        assert 0 < (soft - wave).abs().max() and (soft - wave).std() < 0.1 * wave.std()
        assert not torch.equal(sent, wave)
