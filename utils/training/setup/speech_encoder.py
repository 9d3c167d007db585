"""The self-supervised encoder of a run: which of its blocks, and their weights."""
from pathlib import Path

from models.ssl import BLOCK, FINAL, WEIGHTED, SpeechFrames
from utils.common.errors import InputError
from utils.encoders.files import read_encoder
from utils.training.architectures import SUM


def with_encoder(config: dict, path: Path, layers: int | str | None) -> dict:
    """`config` with the encoder at `path`, and the frames that --layers names.

    By default a linear layer reads half of the blocks, where traces of synthesis are as plain, and
    graphs read all of them, as published. Raises `InputError` for a number of blocks that it lacks.
    """
    found = read_encoder(path)
    blocks = found.settings["encoder_num_layers"]
    whole = config["read"] == FINAL or layers == SUM
    count = layers if isinstance(layers, int) else blocks if whole else max(1, blocks // 2)
    if count > blocks:
        raise InputError(f"--layers {count}: the encoder {path} has {blocks} blocks")
    read = WEIGHTED if layers == SUM else BLOCK if isinstance(layers, int) else config["read"]
    return config | {"encoder": found.settings | {"encoder_num_layers": count},
                     "normalise": found.normalise, "read": read}


def give_speech_encoder(model: SpeechFrames, config: dict, path: Path) -> None:
    """Give the encoder of `model` its weights."""
    found = read_encoder(path).cut(config["encoder"]["encoder_num_layers"])
    model.encoder.load_state_dict(found.weights)
