"""The small model: a log-spectrogram and a narrow residual network, made for a laptop's CPU; no graph attention.

The spectrogram is a strided convolution with fixed windowed sines and cosines, so the whole network is convolutions
and exports as it is. The layout (which spectrum, widths, read-out) was chosen by measurement on the default corpus.
"""
import math

import torch
from torch import Tensor, nn


def _fourier_filters(n_fft: int, window: int) -> Tensor:
    """Hann-windowed cosines and sines for bins 1 .. n_fft/2: (n_fft, 1, window)."""
    time = torch.arange(window, dtype=torch.float64)
    bins = torch.arange(1, n_fft // 2 + 1, dtype=torch.float64)
    angle = 2 * math.pi * bins[:, None] * time / n_fft
    hann = torch.hann_window(window, dtype=torch.float64)
    return (torch.cat([angle.cos(), angle.sin()]) * hann).float().unsqueeze(1)


class LogSpectrogram(nn.Module):
    """Waves (B, T) in [-1, 1] to log power (B, 1, n_fft/2, frames), 0 dB = full scale sine, about -1 to 1."""

    def __init__(self, n_fft: int, window: int, hop: int):
        super().__init__()
        self.hop, self.bins = hop, n_fft // 2
        self.register_buffer("filters", _fourier_filters(n_fft, window) / (window / 4), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        parts = nn.functional.conv1d(waves.unsqueeze(1), self.filters, stride=self.hop)
        power = parts[:, :self.bins].square() + parts[:, self.bins:].square()
        return (power + 1e-9).log().unsqueeze(1) / 10 + 1


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, halving both axes; the short cut is an average and a 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        short = self.short(nn.functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False))
        return nn.functional.relu(self.bn2(self.conv2(y)) + short)


class SmallModel(nn.Module):
    """Waves float32 (B, T), T >= `window`, to (embedding (B, E), logits (B, 2)); classes [spoof, bona fide]."""

    def __init__(self, n_fft: int, window: int, hop: int, widths: list[int], dropout: float):
        super().__init__()
        self.spectrogram = LogSpectrogram(n_fft, window, hop)
        first, *widths = widths
        self.stem = nn.Sequential(nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(a, b) for a, b in zip([first, *widths], widths)))
        self.attention = nn.Conv1d(widths[-1], 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.out_layer = nn.Linear(2 * widths[-1], 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(self.stem(self.spectrogram(waves))).mean(dim=2)   # (B, C, frames / 16)
        weight = self.attention(features).softmax(dim=-1)
        mean = (features * weight).sum(dim=-1)
        variance = (features.square() * weight).sum(dim=-1) - mean.square()
        embedding = torch.cat([mean, (variance.clamp(min=0) + 1e-5).sqrt()], dim=1)
        return embedding, self.out_layer(self.dropout(embedding))
