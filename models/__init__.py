"""The networks. `build_model(config)` makes one; `CONFIGS` holds the named configurations."""
from torch import nn

from models.aasist import AASIST
from models.encoder import EncoderModel
from models.gmm import LFCCGMM
from models.hybrid import Hybrid
from models.lcnn import LCNN
from models.small import SmallModel

# AASIST and AASIST-L: the published configurations (Jung et al., "AASIST", ICASSP 2022, config
# files of the release).
CONFIGS: dict[str, dict] = {
    "aasist": {"architecture": "aasist", "channels": [32, 32, 64, 64], "gat_dims": [64, 32],
               "pool_ratios": [0.5, 0.7, 0.5]},
    "aasist-l": {"architecture": "aasist-l", "channels": [32, 32, 24, 24], "gat_dims": [24, 32],
                 "pool_ratios": [0.4, 0.5, 0.7]},
    "small": {"architecture": "small", "n_fft": 256, "window": 256, "hop": 160,
              "widths": [16, 24, 32, 48], "embedding": 64, "dropout": 0.3,
              "mask_bins": 16, "mask_frames": 40},
    # 202 frames are one window of 4.04 s.
    "encoder": {"architecture": "encoder", "n_blocks": 2, "max_frames": 202, "dropout": 0.2},
    "hybrid": {"architecture": "hybrid", "n_blocks": 2, "max_frames": 202,
               "aasist": {"channels": [32, 32, 64, 64], "gat_dims": [64, 32],
                          "pool_ratios": [0.5, 0.7, 0.5]}},
    # Half the published width (32): half the time of a step, a quarter of the weights.
    "lcnn": {"architecture": "lcnn", "front_end": "lfcc", "width": 16, "dropout": 0.5},
    "lfcc-gmm": {"architecture": "lfcc-gmm", "components": 512},
}
_ARCHITECTURES: dict[str, type[nn.Module]] = {
    "aasist": AASIST, "aasist-l": AASIST, "small": SmallModel, "encoder": EncoderModel,
    "lcnn": LCNN, "lfcc-gmm": LFCCGMM, "hybrid": Hybrid}


def build_model(config: dict) -> nn.Module:
    """The network that `config` describes, with fresh weights.

    Every network maps waveforms (B, T), float32 in [-1, 1] at 16 kHz, to (last_hidden (B, H),
    logits (B, 2)), the logits in the order spoof, bona fide. Raises ValueError for an unknown
    architecture or unknown settings.
    """
    settings = {key: value for key, value in config.items() if key != "architecture"}
    architecture = config.get("architecture")
    if architecture not in _ARCHITECTURES:
        raise ValueError(
            f"unknown architecture {architecture!r}: known are {', '.join(sorted(_ARCHITECTURES))}")
    try:
        return _ARCHITECTURES[architecture](**settings)
    except TypeError as error:
        raise ValueError(f"settings of {architecture!r}: {error}") from error
