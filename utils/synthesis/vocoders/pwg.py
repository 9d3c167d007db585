"""Parallel WaveGAN (Yamamoto et al., 2020): a WaveNet turns noise and a mel into speech."""
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from utils.common.errors import InputError
from utils.signals import SAMPLE_RATE
from utils.signals.length import cut_or_pad, mirror_ends
from utils.signals.resampling import fourier_resample
from utils.synthesis.vocoders.features import pwg_mel
from utils.synthesis.vocoders.weights import Weights

HOP = 256        # samples
LAYERS = 30
CYCLE = 10       # layers until the dilation begins again
WIDTH = 64
STATISTICS = ("mel_mean_estimated", "mel_std_estimated")


def is_pwg(weights: Weights) -> bool:
    """Whether these are the weights of a Parallel WaveGAN generator."""
    return {"first_conv.weight", "upsample_net.conv_in.weight",
            "conv_layers.0.conv1x1_aux.weight"} <= weights.keys()


class ParallelWaveGAN:
    """Copy-synthesis by the v1 generator at 22.05 kHz."""
    rate, batch = 22050, 1

    def __init__(self, weights: Weights, path: Path | None = None) -> None:
        if missing := [name for name in STATISTICS if name not in weights]:
            raise InputError(f"the Parallel WaveGAN weights {path} lack {' and '.join(missing)} "
                             "(80 values each, of log10 mel): add them to the .npz")
        self.weights = weights
        self._mean, self._std = (weights[name].double().numpy()[:, None] for name in STATISTICS)

    def normalise(self, mel: np.ndarray) -> np.ndarray:
        """`pwg_mel` in the scale of the network, (80, frames)."""
        return (mel - self._mean) / self._std

    def _upsample(self, mel: torch.Tensor) -> torch.Tensor:
        """(1, 80, frames) → (1, 80, 256 * frames): repeat by 4 and filter over time, four times."""
        weight = self.weights["upsample_net.conv_in.weight"]
        c = F.conv1d(F.pad(mel, (2, 2), mode="replicate"), weight)
        for layer in (1, 3, 5, 7):
            kernel = self.weights[f"upsample_net.upsample.up_layers.{layer}.weight"]
            kernel = kernel.reshape(1, 1, -1)
            c = c.repeat_interleave(4, dim=2).transpose(0, 1)
            c = F.conv1d(c, kernel, padding=kernel.shape[2] // 2).transpose(0, 1)
        return c

    def _convolve(self, x: torch.Tensor, layer: str, dilation: int = 1) -> torch.Tensor:
        weight, bias = self.weights[layer + ".weight"], self.weights[layer + ".bias"]
        return F.conv1d(x, weight, bias, padding=dilation * (weight.shape[2] // 2),
                        dilation=dilation)

    def _layer(self, x: torch.Tensor, c: torch.Tensor,
               index: int) -> tuple[torch.Tensor | None, torch.Tensor]:
        """One residual block: (input of the next block, part of the output)."""
        name = f"conv_layers.{index}."
        h = self._convolve(x, name + "conv", 2 ** (index % CYCLE))
        h += F.conv1d(c, self.weights[name + "conv1x1_aux.weight"])
        h = torch.tanh(h[:, :WIDTH]) * torch.sigmoid(h[:, WIDTH:])
        skip = self._convolve(h, name + "conv1x1_skip")
        if index == LAYERS - 1:
            return None, skip
        return (self._convolve(h, name + "conv1x1_out") + x) * 0.5 ** 0.5, skip

    @torch.inference_mode()
    def generate(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Normalised mel (80, frames), normal noise (256 * frames,) → waveform of its length."""
        c = self._upsample(torch.from_numpy(mel[None]).float())
        x = self._convolve(torch.from_numpy(noise[None, None]).float(), "first_conv")
        total = torch.zeros(1)
        for index in range(LAYERS):
            x, skip = self._layer(x, c, index)
            total = total + skip
        y = F.relu(total * (1 / LAYERS) ** 0.5)
        y = F.relu(self._convolve(y, "last_conv_layers.1"))
        return self._convolve(y, "last_conv_layers.3").flatten().double().numpy()

    def _copy(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mel = self.normalise(
            pwg_mel(fourier_resample(mirror_ends(clip, 0, 800), SAMPLE_RATE, self.rate)))
        wave = self.generate(mel, rng.standard_normal(HOP * mel.shape[1]))
        return cut_or_pad(fourier_resample(wave, self.rate, SAMPLE_RATE), len(clip))

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips (n,) at 16 kHz → copies of the same lengths; the noise is random."""
        return [self._copy(clip, rng) for clip, rng in zip(clips, rngs)]
