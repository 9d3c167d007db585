"""HiFi-GAN (Kong et al., 2020): V1, V2, V3 and similar generators, from their checkpoints."""
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from utils.common.errors import InputError
from utils.common.files import read_json
from utils.signals import SAMPLE_RATE
from utils.signals.length import cut_or_pad, mirror_ends
from utils.signals.resampling import fourier_resample
from utils.synthesis.vocoders.features import hifigan_mel
from utils.synthesis.vocoders.weights import Weights

DILATIONS = {"1": ((1, 3, 5),) * 3, "2": ((1, 2), (2, 6), (3, 12))}  # published V1/V2 and V3


@dataclass(frozen=True)
class Shape:
    """Strides, dilations and the analysis of a generator, which the weights do not show."""
    strides: tuple[int, ...]
    dilations: tuple[tuple[int, ...], ...]
    mel: dict = field(default_factory=dict)   # arguments of `hifigan_mel`
    rate: int = 22050


def is_hifigan(weights: Weights) -> bool:
    """Whether these are the weights of a HiFi-GAN generator."""
    return {"conv_pre.weight", "conv_post.weight", "ups.0.weight"} <= weights.keys()


def shape_of(weights: Weights, config: Path | None = None) -> Shape:
    """The shape from the authors' config.json.

    Without it, the published shape: stride = half the kernel, 22.05 kHz.
    """
    if config is None:
        strides = tuple(weights[f"ups.{i}.weight"].shape[2] // 2 for i in range(_stages(weights)))
        return Shape(strides, DILATIONS["1" if "resblocks.0.convs1.0.weight" in weights else "2"])
    said = read_json(config)
    try:
        rate = said["sampling_rate"]
        mel = {
            "rate": rate, "size": said["n_fft"], "window": said["win_size"],
            "hop": said["hop_size"], "bands": said["num_mels"], "low": float(said["fmin"]),
            "high": float(said["fmax"] or rate / 2)
        }
        dilations = tuple(map(tuple, said["resblock_dilation_sizes"]))
        shape = Shape(tuple(said["upsample_rates"]), dilations, mel, rate)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{config} is not the config.json of a HiFi-GAN generator ({error!r} is "
                         "missing or invalid): replace it by the config.json that belongs to the "
                         "weights") from error
    stated = (len(shape.strides), int(np.prod(shape.strides)), mel["bands"])
    if stated != (_stages(weights), mel["hop"], weights["conv_pre.weight"].shape[1]):
        raise InputError(f"{config} describes another generator than the weights beside it: "
                         "replace it by the config.json that belongs to the weights")
    return shape


def _stages(weights: Weights) -> int:
    """The number of upsampling stages in the weights."""
    return sum(name.startswith("ups.") and name.endswith(".weight") for name in weights)


class HiFiGAN:
    """Copy-synthesis by a HiFi-GAN generator."""
    batch = 1

    def __init__(self, weights: Weights, shape: Shape) -> None:
        self.weights, self.shape, self.rate = weights, shape, shape.rate
        blocks = len(shape.strides) * len(shape.dilations)
        first = "convs1" if "resblocks.0.convs1.0.weight" in weights else "convs"
        last = [len(dilations) - 1 for dilations in shape.dilations] * len(shape.strides)
        needed = [f"resblocks.{i}.{first}.{last[i]}.bias" for i in range(blocks)]
        if missing := [name for name in needed if name not in weights]:
            raise InputError(f"the HiFi-GAN weights lack {missing[0]}: download the checkpoint and "
                             "its config.json again")

    def _convolve(self, x: torch.Tensor, layer: str, dilation: int = 1) -> torch.Tensor:
        weight, bias = self.weights[layer + ".weight"], self.weights[layer + ".bias"]
        return F.conv1d(x, weight, bias, padding=dilation * (weight.shape[2] - 1) // 2,
                        dilation=dilation)

    def _block(self, x: torch.Tensor, layer: str, dilations: tuple[int, ...]) -> torch.Tensor:
        for index, dilation in enumerate(dilations):
            first = "convs1" if f"{layer}.convs1.{index}.weight" in self.weights else "convs"
            inner = self._convolve(F.leaky_relu(x, 0.1), f"{layer}.{first}.{index}", dilation)
            if first == "convs1":
                inner = self._convolve(F.leaky_relu(inner, 0.1), f"{layer}.convs2.{index}")
            x = x + inner
        return x

    @torch.inference_mode()
    def generate(self, mel: np.ndarray) -> np.ndarray:
        """Mel (bands, frames) → waveform (hop * frames,)."""
        x = self._convolve(torch.from_numpy(mel[None]).float(), "conv_pre")
        width = len(self.shape.dilations)
        for stage, stride in enumerate(self.shape.strides):
            weight = self.weights[f"ups.{stage}.weight"]
            x = F.conv_transpose1d(F.leaky_relu(x, 0.1), weight, self.weights[f"ups.{stage}.bias"],
                                   stride=stride, padding=(weight.shape[2] - stride) // 2)
            blocks = enumerate(self.shape.dilations, start=width * stage)
            x = sum(self._block(x, f"resblocks.{index}", dilations)
                    for index, dilations in blocks) / width
        x = self._convolve(F.leaky_relu(x, 0.01), "conv_post")
        return torch.tanh(x).flatten().double().numpy()

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips (n,) at 16 kHz → copies of the same lengths. The generator is deterministic."""
        return [self._copy(clip) for clip in clips]

    def _copy(self, clip: np.ndarray) -> np.ndarray:
        mel = hifigan_mel(fourier_resample(mirror_ends(clip, 0, 800), SAMPLE_RATE, self.rate),
                          **self.shape.mel)
        return cut_or_pad(fourier_resample(self.generate(mel), self.rate, SAMPLE_RATE), len(clip))
