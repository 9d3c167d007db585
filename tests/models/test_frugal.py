"""What AASIST keeps less of in training: gradients and statistics stay, to the last bit."""
import copy

import pytest
import torch

from models import CONFIGS, build_model
from models.frugal import pool_in_time
from models.aasist import ResidualBlock


class ByAutograd(ResidualBlock):
    """The block as PyTorch differentiates it, with all that it keeps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.summed(x)
        pooled = torch.nn.functional.max_pool1d(y.flatten(1, 2), 3)
        return pooled.unflatten(1, y.shape[1:3])


def step(model: torch.nn.Module, waves: torch.Tensor) -> tuple[dict, dict]:
    """Gradients and statistics after one step of training from the same seed."""
    torch.manual_seed(3)
    labels = torch.arange(len(waves)) % 2
    loss = torch.nn.functional.cross_entropy(model.train()(waves, band_mask=(60, 5))[1], labels)
    model.zero_grad()
    loss.backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()
                 if weight.grad is not None}
    return gradients, dict(model.named_buffers())


def same(one: dict, two: dict) -> bool:
    """Whether two dicts of tensors are equal to the last bit."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("name", ["aasist", "aasist-l"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_and_statistics_equal_those_of_autograd_to_the_last_bit(name, dtype):
    torch.manual_seed(1)
    model = build_model(CONFIGS[name]).to(dtype)
    plain = copy.deepcopy(model)
    for part in plain.encoder:
        part[0].__class__ = ByAutograd
    waves = torch.randn(3, 9000, dtype=dtype) / 10
    (gradients, statistics), (expected, counted) = step(model, waves), step(plain, waves)
    assert len(gradients) > 100 and same(gradients, expected) and same(statistics, counted)
    assert int(model.encoder[0][0].bn2.num_batches_tracked) == 1


@pytest.mark.parametrize("frozen", ["conv1", "bn2", None])
def test_a_part_that_rests_changes_no_other_gradient(frozen):
    """`frozen` weights ask for none; with None the norm's statistics rest."""
    torch.manual_seed(2)
    block = build_model(CONFIGS["aasist"]).double().encoder[0][0]
    if frozen:
        getattr(block, frozen).requires_grad_(False)
    else:
        block.bn2.eval()
    other = copy.deepcopy(block)
    other.__class__ = ByAutograd
    x = torch.randn(2, 1, 23, 40, dtype=torch.float64)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for one, wave in zip((block, other), inputs, strict=True):
        one(wave).square().sum().backward()
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    for mine, theirs in zip(block.parameters(), other.parameters(), strict=True):
        assert mine.grad is None and theirs.grad is None or torch.equal(mine.grad, theirs.grad)
    assert same(dict(block.named_buffers()), dict(other.named_buffers()))


@pytest.mark.parametrize("width", [3, 7, 11])
def test_pooling_gives_each_maximum_its_gradient_and_a_tie_the_first(width):
    y = torch.randint(-1, 2, (2, 3, 4, width)).double()
    one, two = (y.clone().requires_grad_() for _ in range(2))
    found, expected = pool_in_time(one), torch.nn.functional.max_pool2d(two, (1, 3))
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.equal(found, expected) and torch.equal(one.grad, two.grad)
