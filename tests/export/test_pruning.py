"""Pruning: what goes is what matters least, and what is left is a plain smaller network."""
import pytest
import torch

from models import CONFIGS, build_model
from tests.helpers.networks.aasist_weights import random_checkpoint
from utils.common.errors import InputError
from utils.detector.checkpoint import save_checkpoint
from utils.export.export import export_onnx
from utils.export.pruning import importance, inner_norms, pruned, width_left
from utils.training.setup.weights import start_from, with_widths


def checkpoint(architecture: str) -> dict:
    """Random weights; batch norms differ from channel to channel."""
    torch.manual_seed(3)
    model = build_model(CONFIGS[architecture])
    for norm in inner_norms(model).values():
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
        torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
    return random_checkpoint(architecture) | {"config": CONFIGS[architecture], "n_samples": 16000,
                                              "state_dict": model.state_dict()}


def batches(count: int = 2) -> list:
    waves = 0.1 * torch.randn(count, 16000, generator=torch.Generator().manual_seed(5))
    return [(waves[i:i + 1], torch.tensor([i % 2])) for i in range(count)]


def network(whole: dict) -> torch.nn.Module:
    model = build_model(whole["config"])
    model.load_state_dict(whole["state_dict"])
    return model.double().eval()


@pytest.mark.parametrize("architecture", ["aasist-l", "small", "hybrid"])
def test_channels_without_effect_go_and_the_logits_stay(architecture):
    """In each block, the second convolution ignores all channels but eight."""
    whole = checkpoint(architecture)
    model = build_model(whole["config"])
    for name in inner_norms(model):
        weight = whole["state_dict"][f"{name}.conv2.weight"]
        weight[:, torch.randperm(weight.shape[1])[8:]] = 0
    smaller = pruned(whole, 1.0, batches())
    assert set(smaller["config"].get("aasist", smaller["config"])["inner"]) == {8}
    assert sum(map(torch.numel, smaller["state_dict"].values())) < sum(
        map(torch.numel, whole["state_dict"].values()))
    waves = batches()[0][0].double()
    with torch.inference_mode():
        before, after = (network(found)(waves)[1] for found in (whole, smaller))
    assert torch.allclose(before, after, rtol=0, atol=1e-12)


def test_importance_is_the_squared_slope_of_the_loss_over_a_gate_behind_batch_norm():
    model = network(checkpoint("small"))
    waves, label = batches()[1]
    found = importance(model, [(waves.double(), label)])
    name, norm = list(inner_norms(model).items())[1]
    losses = []
    for gate in (1 - 1e-5, 1 + 1e-5):
        def closing(_module, _inputs, output, gate=gate):
            output[:, 4] *= gate
            return output
        handle = norm.register_forward_hook(closing)
        with torch.no_grad():
            losses.append(torch.nn.functional.cross_entropy(model(waves.double())[1], label))
        handle.remove()
    slope = float(losses[1] - losses[0]) / 2e-5
    assert float(found[name][4]) == pytest.approx(slope ** 2, rel=1e-4)


@pytest.mark.parametrize("source, trained", [
    ("hybrid", "hybrid"), ("aasist", "hybrid"), ("aasist", "aasist"), ("small", "small")])
def test_training_on_a_pruned_network_has_its_widths(source, trained, tmp_path):
    save_checkpoint(tmp_path / "p.pt", pruned(checkpoint(source), 0.5, batches()))
    config = with_widths(CONFIGS[trained], tmp_path / "p.pt")
    model = build_model(config)
    start_from(model, config, tmp_path / "p.pt")
    wanted = [norm.num_features for norm in inner_norms(build_model(CONFIGS[trained])).values()]
    assert [norm.num_features for norm in inner_norms(model).values()] == [
        width_left(width, 0.5) for width in wanted]


@pytest.mark.parametrize("width, share, left", [
    (32, 0.5, 16), (64, 0.25, 48), (24, 0.5, 16), (24, 0.9, 8), (48, 1.0, 8), (32, 0.05, 32),
    (4, 0.5, 4)])
def test_widths_are_multiples_of_eight(width, share, left):
    assert width_left(width, share) == left


def test_a_network_without_such_blocks_is_refused():
    with pytest.raises(InputError, match="is for aasist, .* and this is lcnn"):
        pruned({"architecture": "lcnn", "config": CONFIGS["lcnn"], "state_dict": {}}, 0.5, [])


def test_a_share_that_removes_nothing_is_refused():
    with pytest.raises(InputError, match="removes no channel"):
        pruned(checkpoint("small"), 0.01, batches())


def test_a_pruned_aasist_is_exported_with_its_fast_graph(tmp_path):
    save_checkpoint(tmp_path / "m.pt", pruned(checkpoint("aasist-l"), 0.5, batches()))
    assert export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx") <= 2e-5
