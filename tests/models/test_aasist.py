"""The networks: equal to the published implementation, weight for weight and figure for figure."""
import numpy as np
import pytest
import torch

from models import CONFIGS, build_model
from models.aasist import MIN_SAMPLES, N_BANDS, draw_band_mask, sinc_filters
from tests.helpers.networks.aasist_weights import (PUBLISHED, figures, random_input,
                                                   random_state_dict)
from tests.benchmarks.plain.aasist import PlainAASIST

WITH_FIGURES = [name for name in PUBLISHED if name != "ASVspoof5-baseline"]
LENGTHS = [2315, 2400, 8000, 16000, 32000, 64000]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=WITH_FIGURES)
def published(request, shared):
    """(model with published weights, reference figures, reference inputs)."""
    folder = shared / "reference" / "aasist"
    model = build_model(CONFIGS[PUBLISHED[request.param]]).eval()
    model.load_state_dict(torch.load(folder / f"{request.param}.pth", map_location="cpu",
                                     weights_only=True))
    return model, np.load(folder / f"ref_{request.param}.npz"), torch.from_numpy(
        np.load(folder / "inputs.npz")["x"])


@torch.inference_mode()
def figures_of(model, waves):
    hidden, logits = model(waves)
    return hidden.numpy(), logits.numpy()


def test_logits_and_last_hidden_equal_the_published_ones_on_every_reference_input(published):
    model, reference, waves = published
    for i in range(len(waves)):
        hidden, logits = figures_of(model, waves[i:i + 1])
        assert np.abs(logits - reference["logits"][i]).max() <= 1e-5
        assert np.abs(hidden - reference["last_hidden"][i]).max() <= 2e-5


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_gives_the_published_figures(published, length):
    model, reference, waves = published
    hidden, logits = figures_of(model, waves[:1, :length])
    assert np.abs(logits - reference[f"len{length}_logits"]).max() <= 1e-5
    assert np.abs(hidden - reference[f"len{length}_last_hidden"]).max() <= 2e-5


def test_in_float64_the_logits_equal_the_published_ones_to_seven_digits(published):
    model, reference, waves = published
    _, logits = figures_of(build_double(model), waves[:1].double())
    assert np.abs(logits - reference["logits_f64"][:1]).max() <= 1e-6


def build_double(model):
    config = CONFIGS["aasist" if model.pos_S.size(2) == 64 else "aasist-l"]
    double = build_model(config).double().eval()
    double.load_state_dict(model.state_dict())
    return double


def test_the_sinc_filters_are_the_published_ones(published):
    assert np.abs(sinc_filters().numpy() - published[1]["band_pass"]).max() < 5e-8


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_random_weights_give_the_published_figures_without_the_reference_folder(name):
    model = build_model(CONFIGS[PUBLISHED[name]]).eval()
    model.load_state_dict(random_state_dict(PUBLISHED[name]))
    hidden, logits = figures_of(model, torch.from_numpy(random_input()))
    expected = figures()[name]
    assert np.abs(logits - np.array(expected["logits_float32"])).max() <= 1e-5
    assert np.abs(hidden[0] - np.array(expected["last_hidden_float32"])[0]).max() <= 2e-5


@pytest.mark.parametrize("architecture, parameters, dead",
                         [("aasist", 297866, 512), ("aasist-l", 85306, 272)])
def test_parameter_counts_are_the_published_ones(architecture, parameters, dead):
    model = build_model(CONFIGS[architecture])
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for name, p in model.named_parameters() if ".bn1." in name) == dead


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_load_strictly(name, shared):
    state = torch.load(shared / "reference" / "aasist" / f"{name}.pth", map_location="cpu",
                       weights_only=True)
    assert set(build_model(CONFIGS[PUBLISHED[name]]).state_dict()) == set(state)
    build_model(CONFIGS[PUBLISHED[name]]).load_state_dict(state, strict=True)


def test_the_plain_forward_of_the_benchmarks_is_the_same_function():
    plain, ours = PlainAASIST("aasist-l").eval(), build_model(CONFIGS["aasist-l"]).eval()
    for model in (plain, ours):
        model.load_state_dict(random_state_dict("aasist-l"))
    waves = torch.from_numpy(random_input()[:, :8000])
    for a, b in zip(figures_of(plain, waves), figures_of(ours, waves)):
        assert np.abs(a - b).max() <= 1e-5


def test_a_training_step_moves_the_weights_as_the_plain_forward_does():
    waves, labels = torch.from_numpy(random_input()[:, :8000]), torch.tensor([0, 1])
    gradients = []
    for model in (PlainAASIST("aasist-l").double(), build_model(CONFIGS["aasist-l"]).double()):
        model.load_state_dict(random_state_dict("aasist-l"))
        torch.manual_seed(1)
        torch.nn.functional.cross_entropy(model.train()(waves.double())[1], labels).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    plain, ours = gradients
    assert all(torch.allclose(ours[name], plain[name], rtol=1e-6,
                              atol=1e-9) for name in ours if ".bn1." not in name)
    assert all(ours[name] is None for name in ours if ".bn1." in name)


def test_gradients_are_those_of_the_function_in_float64():
    """Checked along one random direction for each part of the network, and one for the input."""
    model = build_model(CONFIGS["aasist-l"]).double().eval()
    model.load_state_dict(random_state_dict("aasist-l"))
    for module in model.modules():  # batch statistics as in training, but no dropout
        module.train(isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)))
    weights = {name: p.detach() for name, p in model.named_parameters() if ".bn1." not in name}
    parts = sorted({name.split(".")[0] for name in weights})
    waves = torch.from_numpy(random_input()[:, :4600]).double()
    directions = {
        name: torch.from_numpy(
            np.random.default_rng(len(name)).standard_normal(tuple(p.shape)) / p.numel()**0.5)
        for name, p in [*weights.items(), ("waves", waves)]
    }

    def logits(steps):
        moved = {name: p + steps[1 + parts.index(name.split(".")[0])] * directions[name] for
            name, p in weights.items()}
        return torch.func.functional_call(model, moved, waves + steps[0] * directions["waves"])[1]

    steps = torch.zeros(1 + len(parts), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(logits, steps, eps=1e-7, atol=1e-5, check_undefined_grad=False)


def test_a_batch_scores_as_its_waves_one_by_one():
    model = build_model(CONFIGS["aasist-l"]).eval()
    waves = torch.from_numpy(random_input()[:, :16000])
    together = figures_of(model, waves)[1]
    assert np.abs(together - np.concatenate([figures_of(model, wave[None])[1]
                                             for wave in waves])).max() <= 1e-5


def test_the_shortest_input_is_2315_samples():
    model = build_model(CONFIGS["aasist-l"]).eval()
    assert figures_of(model, torch.zeros(1, MIN_SAMPLES))[1].shape == (1, 2)
    with pytest.raises(ValueError, match="at least 2315 samples"):
        model(torch.zeros(1, MIN_SAMPLES - 1))


def test_a_band_mask_silences_those_bands_and_no_others():
    bands = build_model(CONFIGS["aasist-l"]).bands
    waves = torch.from_numpy(random_input()[:1, :4000])
    plain, masked = bands(waves), bands(waves, (30, 9))
    assert (masked[:, :, 10:13] == 0).all() and (plain[:, :, 10:13] != 0).all()
    assert torch.equal(masked[:, :, :10],
                       plain[:, :, :10]) and torch.equal(masked[:, :, 13:], plain[:, :, 13:])


def test_band_masks_are_drawn_from_the_published_ranges_and_repeat_with_the_seed():
    draws = [draw_band_mask(torch.Generator().manual_seed(i)) for i in range(300)]
    assert {count for _, count in draws} == set(range(20))
    assert min(first for first, _ in draws) == 0 and max(sum(draw) for draw in draws) == N_BANDS
    assert draw_band_mask(torch.Generator().manual_seed(7)) == draws[7]


def test_training_returns_the_dropped_out_layer_as_published():
    torch.manual_seed(0)
    hidden, logits = (model := build_model(CONFIGS["aasist-l"]).train())(torch.from_numpy(
        random_input()[:, :8000]))
    assert 0.3 < (hidden == 0).float().mean() < 0.7
    assert torch.allclose(model.out_layer(hidden), logits)


def test_an_unknown_architecture_or_setting_is_refused():
    with pytest.raises(ValueError, match="unknown architecture 'rawnet'"):
        build_model({"architecture": "rawnet"})
    with pytest.raises(ValueError, match="settings of 'aasist'"):
        build_model({**CONFIGS["aasist"], "depth": 3})
