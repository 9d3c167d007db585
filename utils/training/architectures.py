"""Which network a training run builds, and which of its options go together."""
import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from utils.audio.store import StoredUtterance

ARCHITECTURES = ("aasist", "aasist-l", "small", "lcnn", "lfcc-gmm", "encoder")
FRONT_ENDS = ("lfcc", "logmel")
_BELONGS = {"encoder": "encoder", "front_end": "lcnn", "components": "lfcc-gmm"}   # option -> architecture


def chosen(args: argparse.Namespace) -> str:
    """The architecture that the arguments ask for."""
    return "small" if args.small_model else args.architecture or "aasist"


def misuse(args: argparse.Namespace) -> str | None:
    """Why these arguments do not go together, for a usage error; None where they do."""
    architecture = chosen(args)
    if args.architecture not in (None, architecture):
        return f"--small_model and --architecture {args.architecture} ask for two networks: give one of them"
    for option, owner in _BELONGS.items():
        if getattr(args, option) is not None and architecture != owner:
            return f"--{option} belongs to --architecture {owner}, not to {architecture}"
    if architecture == "encoder" and args.encoder is None:
        return "--architecture encoder needs --encoder FILE: the ONNX file with the first two blocks of Whisper base"
    if architecture == "lfcc-gmm" and args.learning_rate is not None:
        return "--learning_rate does not go with lfcc-gmm: expectation-maximisation has none"
    if architecture == "lfcc-gmm" and args.recipe == "published":
        return "--recipe published trains by gradients, lfcc-gmm is fitted by expectation-maximisation: leave it out"
    return None


def configuration(args: argparse.Namespace, rows: list["StoredUtterance"]) -> dict:
    """The configuration of the network for the training utterances `rows`."""
    from models import CONFIGS
    from models.front_ends import HOP
    from utils.audio import N_SAMPLES
    from utils.training.gmm import affordable
    config = CONFIGS[chosen(args)]
    if args.front_end is not None:
        config = config | {"front_end": args.front_end}
    if "components" in config:
        rarer = min(sum(row.key == key for row in rows) for key in ("bonafide", "spoof"))
        config = config | {"components": affordable(args.components or config["components"], rarer, N_SAMPLES // HOP)}
    return config


def give_weights(model: "nn.Module", encoder: Path | None) -> None:
    """Give a freshly built network the weights that it does not learn, and freeze them. `InputError` for a bad file."""
    if encoder is not None:
        from utils.training.encoder_weights import load_encoder_weights
        load_encoder_weights(model.encoder, encoder)
        model.encoder.requires_grad_(False)
