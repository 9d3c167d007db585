"""A network with given weights has these tensors themselves, and computes as any other."""
import pytest
import torch

from models import CONFIGS, build_model, with_weights

SMALL = {"lfcc-gmm": {"components": 4}}
SPEECH = {"encoder_embed_dim": 32, "encoder_num_heads": 2, "encoder_num_layers": 1,
          "encoder_ff_interm_features": 32, "encoder_pos_conv_groups": 2,
          "convolutions": [[8, 10, 5], [8, 8, 64]]}


def small(name: str) -> dict:
    config = CONFIGS[name] | SMALL.get(name, {})
    return config | {"encoder": config["encoder"] | SPEECH} if "read" in config else config


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_the_given_tensors_are_its_own_and_nothing_is_missing(name):
    torch.manual_seed(0)
    config = small(name)
    built = build_model(config).eval()
    weights = built.state_dict()
    model = with_weights(config, weights).eval()
    assert all(value.data_ptr() == weights[key].data_ptr()
               for key, value in model.state_dict().items())
    assert all(value.device.type == "cpu" for _, value in model.named_buffers())
    waves = 0.1 * torch.randn(1, 64600)
    with torch.no_grad():
        assert torch.equal(model(waves)[1], built(waves)[1])
