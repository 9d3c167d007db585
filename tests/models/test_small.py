"""The small model hides stripes of what it learns from, and always leaves something to learn from.
"""
import pytest
import torch

from models import CONFIGS, build_model
from models.small import mask_stripes
from utils.training.setup.opening import SHORTEST_CROP

FRAMES, BINS = (CONFIGS["small"][name] for name in ("mask_frames", "mask_bins"))


def frames_of(seconds: float) -> int:
    """How many frames the spectrogram of a crop has."""
    return build_model(CONFIGS["small"]).front_end(torch.zeros(
        1, round(seconds * 16000))).shape[2]


@pytest.mark.parametrize("seconds", [SHORTEST_CROP, 1.0, 4.0375])
def test_half_of_every_crop_remains_however_short_it_is(seconds):
    torch.manual_seed(0)
    for dim, shape, widest in ((3, (2000, 1, 1, frames_of(seconds)), FRAMES),
                               (2, (2000, 1, 128, 1), BINS)):
        hidden = (mask_stripes(torch.ones(shape), dim, widest) == 0).float().mean((1, 2, 3))
        assert 0 < hidden.mean() and hidden.max() <= 0.5


def test_a_crop_of_the_usual_length_has_the_stripes_that_the_trained_figures_had():
    frames = frames_of(4.0375)
    torch.manual_seed(3)
    masked = mask_stripes(torch.ones(2, 1, 1, frames), 3, FRAMES)[:, 0, 0] == 0
    assert frames == 403
    assert [row.nonzero().flatten().tolist() for row in masked] == [
        [*range(107, 134), *range(290, 317)], [10, 11, *range(278, 307)]]
