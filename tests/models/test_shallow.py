"""The shallow network: an encoder's convolutions, and statistics of their outputs."""
import numpy as np
import pytest
import torch
from scipy.stats import skew

from models import CONFIGS, build_model
from models.encoder import SpeechEncoder
from models.shallow import correlations, statistics


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(0, 202)


def test_the_statistics_are_those_of_numpy_and_scipy():
    x = torch.randn(2, 3, 40, dtype=torch.float64, generator=torch.manual_seed(0)).exp()
    rows = x.numpy()
    steps = np.abs(np.diff(rows, axis=2)).mean(2)
    expected = [rows.mean(2), rows.std(2), steps, skew(rows, axis=2), rows.max(2), rows.min(2)]
    assert statistics(x).numpy() == pytest.approx(np.concatenate(expected, axis=1), rel=1e-4)


def test_it_starts_from_the_channels_with_the_largest_weights(encoder):
    model = build_model(CONFIGS["shallow"])
    model.start_from(encoder)
    assert torch.equal(model.conv1.weight, encoder.conv1.weight)
    size = encoder.conv2.weight.flatten(1).norm(dim=1)
    assert torch.equal(model.conv2.weight.flatten(1).norm(dim=1).sort().values,
                       size.sort().values[-CONFIGS["shallow"]["kept"]:])


def test_the_correlations_are_those_of_numpy():
    x = torch.randn(2, 3, 40, dtype=torch.float64, generator=torch.manual_seed(0))
    pairs = torch.tensor([0, 1, 5])     # the first with itself, first and second, second and third
    for found, rows in zip(correlations(x, pairs).numpy(), x.numpy()):
        matrix = np.corrcoef(rows)
        expected = [1, matrix[0, 1], matrix[1, 2], *np.log(rows.var(axis=1))]
        assert found == pytest.approx(expected, rel=1e-5)


def test_a_wave_has_the_same_logits_in_any_batch_and_at_any_length(encoder):
    model = build_model(CONFIGS["shallow"]).eval()
    model.start_from(encoder)
    waves = torch.randn(3, 8000, generator=torch.manual_seed(1)) * 0.1
    hidden, together = model(waves)
    assert hidden.shape == (3, sum(model.widths))
    alone = torch.cat([model(wave[None])[1] for wave in waves])
    assert torch.allclose(together, alone, atol=1e-3)
    assert model(waves[:, :480])[1].isfinite().all()


def test_each_group_of_statistics_has_the_same_variance(encoder):
    model = build_model(CONFIGS["shallow"])
    model.standardise(torch.zeros(sum(model.widths)), torch.ones(sum(model.widths)))
    for group in model.scale.split(model.widths):
        assert float(group.square().sum()) == pytest.approx(1, rel=1e-3)


def test_a_wave_without_a_second_frame_is_refused():
    with pytest.raises(ValueError, match="480 samples or more"):
        build_model(CONFIGS["shallow"])(torch.zeros(1, 479))
