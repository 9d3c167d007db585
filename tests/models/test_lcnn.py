"""The LCNN: the published layers, and the same logits after export."""
import pytest
import torch

from models import CONFIGS, build_model
from models.front_ends import LFCC
from models.lcnn import MaxFeatureMap, trunk
from tests.helpers.networks.aasist_weights import random_checkpoint, random_input
from utils.common.errors import InputError
from utils.export import export
from utils.detector.checkpoint import load_checkpoint, save_checkpoint
from utils.detector.engines import load_engine


def lcnn_checkpoint(**changes) -> dict:
    """A checkpoint of an LCNN with random weights and the running averages of two batches of noise.
    """
    config = CONFIGS["lcnn"] | changes
    torch.manual_seed(0)
    model = build_model(config).train()
    for level in (0.1, 0.01):
        model(level * torch.randn(4, 16000))
    return random_checkpoint() | {"architecture": "lcnn", "config": config,
                                  "state_dict": model.state_dict()}


def test_the_larger_of_two_halves_of_the_channels_goes_on():
    x = torch.tensor([1.0, 2, 3, 4, 0, 9]).view(1, 6, 1, 1)
    assert MaxFeatureMap(3)(x).flatten().tolist() == [4, 2, 9]


def test_the_trunk_has_the_published_layers():
    """Channels before each max feature map, kernels, and the shape behind it, as in the table of
    the paper.
    """
    layers = [layer for layer in trunk(32).modules() if isinstance(layer, torch.nn.Conv2d)]
    assert [(layer.out_channels, layer.kernel_size[0]) for layer in layers] == [
        (64, 5), (64, 1), (96, 3), (96, 1), (128, 3), (128, 1), (64, 3), (64, 1), (64, 3)]
    assert trunk(32)(torch.zeros(2, 1, 60, 402)).shape == (2, 32, 3, 25)


@pytest.mark.parametrize("front_end", ["lfcc", "logmel"])
def test_shapes_gradients_and_silence(front_end):
    model = build_model(CONFIGS["lcnn"] | {"front_end": front_end}).train()
    waves = torch.cat([torch.zeros(1, 64600), 0.1 * torch.randn(1, 64600)])
    embedding, logits = model(waves)
    assert logits.shape == (2, 2) and embedding.shape == (2, 48 if front_end == "lfcc" else 80)
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all()
               for p in model.parameters()) and torch.isfinite(logits).all()


@pytest.mark.parametrize("front_end", ["lfcc", "logmel"])
def test_the_exported_lcnn_gives_the_same_logits(front_end, tmp_path):
    save_checkpoint(tmp_path / "m.pt", lcnn_checkpoint(front_end=front_end))
    assert export.export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx") <= 1e-5
    ours, exported = (load_engine(tmp_path / f"m.{kind}",
                                  threads=1).logits(random_input()) for kind in ("pt", "onnx"))
    assert abs(ours - exported).max() <= 1e-5 and abs(ours[0] - ours[1]).max() > 1e-4


def test_the_features_are_no_weights():
    assert not [
        name for name in build_model(CONFIGS["lcnn"]).state_dict() if name.startswith("front_end")
    ]
    assert LFCC().state_dict() == {}


@pytest.mark.parametrize("changes",
                         [{"front_end": "cqcc"}, {"width": "wide"}, {"front_end": "logmel"}])
def test_a_checkpoint_that_describes_another_lcnn_is_refused(changes, tmp_path):
    checkpoint = lcnn_checkpoint()
    save_checkpoint(tmp_path / "m.pt", checkpoint | {"config": checkpoint["config"] | changes})
    with pytest.raises(InputError, match=r"m\.pt"):
        load_checkpoint(tmp_path / "m.pt")
