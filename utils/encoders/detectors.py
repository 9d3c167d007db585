"""Published detectors on self-supervised encoders, as checkpoints of this project.

Names, preprocessing and direction of the score follow the authors' code:
github.com/TakHemlata/SSL_Anti-spoofing, github.com/nii-yamagishilab/AntiDeepfake and
github.com/QiShanZhang/SLSforASVspoof-2021-DF. In all three, the second logit is that of bona fide.
"""
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.ssl import FINAL
from utils.common.errors import InputError
from utils.detector.checkpoint import published_architecture
from utils.encoders.names import encoder_settings, torchaudio_names
from utils.encoders.tensors import read_tensors
from utils.signals import N_SAMPLES


@dataclass(frozen=True)
class Published:
    """A family of published detectors."""
    name: str
    settings: dict                  # of its network in models/ssl.py, without the encoder's
    encoder: str                    # prefix of the encoder's names
    own: dict[str, str]             # its other names' beginnings: as published, and as here
    whole: bool = False             # its evaluation hears whole recordings, not 64,600 samples
    difference: bool = False        # and compares probabilities: bona fide minus spoof logit


_GRAPHS = ("LL", "first_bn", "first_bn1", "attention", "pos_S", "master1", "master2", "GAT_layer_S",
           "GAT_layer_T", "pool_S", "pool_T", "out_layer",
           *(f"HtrgGAT_layer_ST{k}" for k in (11, 12, 21, 22)),
           *(f"pool_h{kind}{k}" for kind in "ST" for k in "12"))
PUBLISHED = {
    "xlsr-aasist": Published(
        "XLS-R + AASIST (Tak et al., Odyssey 2022)",
        {"back_end": "aasist", "normalise": False, "read": FINAL},
        "ssl_model.model.", {"encoder": "blocks"} | {name: name for name in _GRAPHS}),
    "antideepfake": Published(
        "AntiDeepfake (Ge et al., 2025)",
        {"back_end": "linear", "normalise": True, "read": FINAL, "mean_alone": True},
        "m_ssl.model.", {"proj_fc": "out_layer"}, whole=True, difference=True),
    "xlsr-sls": Published(
        "XLS-R + SLS (Zhang et al., ACM MM 2024)",
        {"back_end": "sls", "normalise": False, "read": FINAL, "n_samples": N_SAMPLES},
        "ssl_model.model.", {name: name for name in ("first_bn", "fc0", "fc1", "fc3")})}
WRAPPERS = ("module.", "detector.")     # of DataParallel and SpeechBrain


def read_published(path: Path, family: str) -> tuple[dict, dict[str, Tensor]]:
    """The configuration and the state dict of the published detector at `path`.

    Raises `InputError` for a name that the family does not have.
    """
    published = PUBLISHED[family]
    content = read_tensors(path)
    content = content["model"] if isinstance(content.get("model"), dict) else content
    tensors = {_unwrapped(name): value for name, value in content.items()
               if isinstance(value, Tensor)}
    prefix = published.encoder
    encoder = {name.removeprefix(prefix): value for name, value in tensors.items()
               if name.startswith(prefix)}
    if not encoder:
        raise InputError(f"{path} holds no weights of {published.name}: their names begin with "
                         f"{prefix}; {_advice(tensors, path)}")
    other = published_architecture(tensors)
    if other in PUBLISHED and other != family:
        raise InputError(f"{path} holds the weights of another detector: choose --architecture "
                         f"{other}")
    weights = torchaudio_names(encoder, path)
    settings = encoder_settings(weights, path)
    architecture = "ssl-aasist" if published.settings["back_end"] == "aasist" else "ssl"
    config = {"architecture": architecture} | published.settings | {"encoder": settings}
    state = {f"encoder.{name}": value for name, value in weights.items()}
    state |= {_own(name, published, path): value.float() if value.is_floating_point() else value
              for name, value in tensors.items()
              if not name.startswith(prefix)}
    if published.settings["back_end"] == "linear":      # its statistics are not standardised
        width = settings["encoder_embed_dim"]
        state |= {"mean": torch.zeros(width), "scale": torch.ones(width)}
    return config, state


def _advice(names: Iterable[str], path: Path) -> str:
    """What to do with a file of another kind."""
    found = [name for name, family in PUBLISHED.items()
             if any(weight.startswith(family.encoder) for weight in names)]
    if found:
        return f"choose --architecture {' or '.join(found)}"
    if any("encoder.layers.0." in name for name in names):
        return (f"it is a speech encoder alone, on which notebooks/aasist_training.py trains a "
                f"detector with --architecture ssl --encoder {path}")
    return "choose another --architecture or another file"


def _unwrapped(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _own(name: str, published: Published, path: Path) -> str:
    first, dot, rest = name.partition(".")
    if first not in published.own:
        raise InputError(f"{path} holds a weight {name!r}, which {published.name} does not have: "
                         "choose another --architecture or another file")
    return f"{published.own[first]}{dot}{rest}"
